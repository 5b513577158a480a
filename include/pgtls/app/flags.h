#pragma once
/* The command line: one table, one reader. */
#include "pgtls/base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FLAGS_MAX_LISTEN 16

struct flags {
    const char *config_file; /* NULL: DATABASE_URL */
    bool config_check;
    const char *listen[FLAGS_MAX_LISTEN];
    size_t n_listen;
    const char *telemetry_path;
    int64_t max_requests;
    int64_t workers;
    enum log_level log_level;
    enum log_format log_format;
    bool help, version;
};

/* Reads argv into flags; strings are borrowed. Both `--flag=value` and `--flag value` are taken.
 * False after printing what is wrong and how to get help to `err`. */
bool flags_parse(struct flags *flags, int argc, char **argv, FILE *err);

void flags_print_help(FILE *to);
void flags_print_version(FILE *to);
