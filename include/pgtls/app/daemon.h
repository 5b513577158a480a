#pragma once
/* The daemon: wires configuration, fleet, scheduler and HTTP together, and follows signals. */
#include "pgtls/app/flags.h"

/* Runs until SIGTERM or SIGINT. Returns the exit status. */
int daemon_run(const struct flags *flags);

/* --config.check: prints every message; returns the exit status. */
int daemon_check(const struct flags *flags);
