#pragma once
/* The commands beside the daemon: one probe for people, and what is configured. Each prints to
 * stdout what was asked for, to stderr what went wrong, and returns the exit status. */
#include "pgtls/app/flags.h"

/* What `probe` returns; of several servers the worst counts, down before our own failure. */
#define EXIT_UP       0
#define EXIT_DOWN     1
#define EXIT_USAGE    2
#define EXIT_INTERNAL 3

int command_probe(const struct flags *flags);
int command_list(const struct flags *flags);

/* --config.show: 0, or 1 after saying on stderr what is wrong. */
int command_show(const struct flags *flags);
