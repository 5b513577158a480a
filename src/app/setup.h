#pragma once
/* What every command of the program begins with. */
#include "pgtls/app/flags.h"
#include "pgtls/config/source.h"
#include "pgtls/model/shard.h"

/* Signals, descriptors, memory, libpq's environment. Call once, before the first thread. False
 * after saying on stderr that there is no memory. */
bool setup_process(void);

/* The configuration files, or without any DATABASE_URL: not read yet. NULL after saying on stderr
 * that there is no memory. */
struct config_source *setup_source(const struct flags *flags);

/* Reads and builds it once; `discover`: with what its discovery finds now, which may take some
 * seconds. */
struct endpoint_set *setup_load(const struct flags *flags, bool discover,
                                struct config_messages *messages);

/* True after saying on stderr that there is neither, so nothing to `what` ("watch"). */
bool setup_nothing_to_load(const char *config_file, const char *what);

/* The shard that the flags name, 0 of 1 when they name none. False after saying on stderr why the
 * ordinal that they ask for is not to be had. */
bool setup_shard(const struct flags *flags, struct shard *shard);

/* Prints every message to stderr, as compilers do. */
void setup_print_messages(const struct config_messages *messages);
