#pragma once
/* The command line: one table, one reader. */
#include "pgtls/base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FLAGS_MAX_LISTEN 16
#define FLAGS_MAX_FILES  64

/* What the program is to do: its first argument, if that is not a flag. */
enum command { COMMAND_WATCH, COMMAND_PROBE, COMMAND_LIST, COMMAND_COUNT };

enum color_when { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct flags {
    enum command command;
    const char *config_file; /* the first of those below; NULL: DATABASE_URL */
    const char *config_files[FLAGS_MAX_FILES];
    size_t n_config_files;

    /* watch and list: which clusters; total_shards is 0 when nobody has asked */
    int64_t shard;      /* -1: not given */
    bool shard_of_name; /* the ordinal at the end of the pod's or the host's name */
    int64_t total_shards;

    /* probe and list */
    const char *target; /* what stands behind the command; NULL: nothing */
    bool all, json, no_login;
    int64_t timeout_ns; /* 0: the configuration's */
    enum color_when color;

    /* watch */
    bool config_check, config_watch;
    bool config_show;
    const char *show; /* "cluster" or "cluster/endpoint"; NULL: all of them */
    const char *listen[FLAGS_MAX_LISTEN];
    size_t n_listen;
    bool systemd_socket;         /* instead of those */
    const char *web_config_file; /* NULL: none */
    const char *telemetry_path;
    int64_t max_requests;
    int64_t timeout_offset_ns;
    int64_t workers;
    bool no_sandbox;
    enum log_level log_level;
    enum log_format log_format;
    bool help, version;
};

/* Reads argv into flags; strings are borrowed. Both `--flag=value` and `--flag value` are taken,
 * the command's own target anywhere. False after printing what is wrong and how to get help to
 * `err`. */
bool flags_parse(struct flags *flags, int argc, char **argv, FILE *err);

/* The help of one command: its flags, examples, exit status. */
void flags_print_help(enum command command, FILE *to);
void flags_print_version(FILE *to);
