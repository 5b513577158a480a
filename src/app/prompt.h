#pragma once
/* Asking somebody at a terminal for a password. */
#include "pgtls/config/secret.h"

#include <stdbool.h>

/* Is there somebody to ask? */
bool prompt_possible(void);

/* Asks on stderr, reads from stdin without echo. The terminal is as it was on every way out, also
 * when a signal ends the program. False when nothing was entered. */
bool prompt_password(const char *prompt, struct secret *secret);
