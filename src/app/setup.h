#pragma once
/* What every command of the program begins with. */
#include "pgtls/config/config.h"

/* Signals, descriptors, memory, libpq's environment. Call once, before the first thread. */
void setup_process(void);

/* The configuration file, or without one (NULL) DATABASE_URL. */
struct endpoint_set *setup_load(const char *config_file, struct config_messages *messages);

/* True after saying on stderr that there is neither, so nothing to `what` ("watch"). */
bool setup_nothing_to_load(const char *config_file, const char *what);

/* Prints every message to stderr, as compilers do. */
void setup_print_messages(const struct config_messages *messages);
