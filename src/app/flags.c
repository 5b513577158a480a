/* The command line: one table, one reader. */
#include "pgtls/app/flags.h"

#include "pgtls/base/str.h"
#include "pgtls/expose/http.h"
#include "pgtls_version.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define TEXT_OF(x)     TEXT_OF_(x)
#define TEXT_OF_(x)    #x
#define DEFAULT_LISTEN "127.0.0.1:" TEXT_OF(HTTP_DEFAULT_PORT)

/* A reader of one value: false when it does not fit. */
typedef bool (*reader)(struct flags *flags, const char *value);

static bool read_config_file(struct flags *f, const char *value)
{
    f->config_file = value;
    return *value != '\0';
}

static bool read_listen(struct flags *f, const char *value)
{
    if (f->n_listen == FLAGS_MAX_LISTEN || *value == '\0')
        return false;
    f->listen[f->n_listen++] = value;
    return true;
}

static bool read_path(struct flags *f, const char *value)
{
    f->telemetry_path = value;
    return value[0] == '/' && value[1] != '\0';
}

static bool read_max_requests(struct flags *f, const char *value)
{
    return str_to_i64(value, 0, 10000, &f->max_requests);
}

static bool read_workers(struct flags *f, const char *value)
{
    return str_to_i64(value, 0, 64, &f->workers);
}

static bool read_level(struct flags *f, const char *value)
{
    return log_level_from_name(value, &f->log_level);
}

static bool read_format(struct flags *f, const char *value)
{
    return log_format_from_name(value, &f->log_format);
}

static bool set_check(struct flags *f, const char *value)
{
    (void)value;
    return f->config_check = true;
}

static bool set_version(struct flags *f, const char *value)
{
    (void)value;
    return f->version = true;
}

static bool set_help(struct flags *f, const char *value)
{
    (void)value;
    return f->help = true;
}

static const struct flag {
    const char *name;
    const char *value; /* what stands behind it in the help, NULL: takes none */
    reader read;
    const char *wanted; /* for the error */
    const char *help;
} table[] = {
    {"config.file", "FILE", read_config_file, "a path",
     "Configuration (YAML). Without it the environment variable DATABASE_URL is watched."},
    {"config.check", NULL, set_check, NULL,
     "Check the configuration, print every error with its place, and exit: 0 good, 1 not."},
    {"web.listen-address", "ADDRESS", read_listen,
     "at most 16 of host:port, [v6]:port, :port or unix:/path",
     "Where to serve HTTP; repeatable. Default " DEFAULT_LISTEN
     ": loopback only, because nobody has to log in."},
    {"web.telemetry-path", "PATH", read_path, "a path that begins with /",
     "Where the metrics are. Default /metrics."},
    {"web.max-requests", "N", read_max_requests, "a number from 0 to 10000",
     "Scrapes served at the same time, 0 = no limit. Default 40."},
    {"workers", "N", read_workers, "a number from 0 to 64",
     "Threads that probe, 0 = as many as cores. Default 0."},
    {"log.level", "LEVEL", read_level, "debug, info, warn or error", "Default info."},
    {"log.format", "FORMAT", read_format, "logfmt or json", "Default logfmt."},
    {"version", NULL, set_version, NULL, "Print the version and exit."},
    {"help", NULL, set_help, NULL, "Print this and exit (also -h)."},
};
#define N_FLAGS (sizeof table / sizeof *table)

static const struct flag *find(const char *name, size_t len)
{
    for (size_t i = 0; i < N_FLAGS; i++) {
        if (strlen(table[i].name) == len && strncmp(table[i].name, name, len) == 0)
            return &table[i];
    }
    return NULL;
}

static bool complain_unknown(FILE *err, const char *arg)
{
    const char *names[N_FLAGS], *nearest = NULL;
    char word[64] = "";

    for (size_t i = 0; i < N_FLAGS; i++)
        names[i] = table[i].name;
    if (strncmp(arg, "--", 2) == 0) {
        str_copy(word, sizeof word, arg + 2);
        word[strcspn(word, "=")] = '\0';
        nearest = str_nearest(word, names, N_FLAGS);
    }
    fprintf(err, "pgtls_exporter: unknown argument \"%s\"%s%s%s\n", arg,
            nearest ? "; did you mean \"--" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    return false;
}

/* Reads argv[*i], and its value from behind it where that is needed. */
static bool parse_one(struct flags *flags, int argc, char **argv, int *i, FILE *err)
{
    const char *arg = argv[*i], *name, *value;
    const struct flag *flag;
    size_t len;

    if (strcmp(arg, "-h") == 0)
        return set_help(flags, NULL);
    if (strncmp(arg, "--", 2) != 0)
        return complain_unknown(err, arg);
    name = arg + 2;
    len = strcspn(name, "=");
    value = name[len] == '=' ? name + len + 1 : NULL;
    flag = find(name, len);
    if (!flag)
        return complain_unknown(err, arg);
    if (!flag->value && value) {
        fprintf(err, "pgtls_exporter: --%s takes no value\n", flag->name);
        return false;
    }
    if (flag->value && !value) {
        if (*i + 1 >= argc) {
            fprintf(err, "pgtls_exporter: --%s needs a value: %s\n", flag->name, flag->wanted);
            return false;
        }
        value = argv[++*i];
    }
    if (!flag->read(flags, value)) {
        fprintf(err, "pgtls_exporter: --%s=%s: expected %s\n", flag->name, value, flag->wanted);
        return false;
    }
    return true;
}

bool flags_parse(struct flags *flags, int argc, char **argv, FILE *err)
{
    *flags = (struct flags){.telemetry_path = "/metrics",
                            .max_requests = 40,
                            .log_level = LOG_LEVEL_INFO,
                            .log_format = LOG_FORMAT_LOGFMT};
    for (int i = 1; i < argc; i++) {
        if (!parse_one(flags, argc, argv, &i, err)) {
            fprintf(err, "usage: pgtls_exporter --config.file=FILE [flags]; see --help\n");
            return false;
        }
    }
    if (flags->n_listen == 0)
        flags->listen[flags->n_listen++] = DEFAULT_LISTEN;
    return true;
}

/* A paragraph, wrapped and indented. */
static void print_wrapped(FILE *to, const char *text)
{
    const size_t indent = 6, width = 78;
    size_t column = 0;

    while (*text) {
        size_t word = strcspn(text, " ");

        if (column == 0 || column + 1 + word > width) {
            fprintf(to, "%s%*s", column ? "\n" : "", (int)indent, "");
            column = indent;
        } else {
            fputc(' ', to);
            column++;
        }
        fprintf(to, "%.*s", (int)word, text);
        column += word;
        text += word + (text[word] == ' ');
    }
    fputc('\n', to);
}

void flags_print_help(FILE *to)
{
    fputs("usage: pgtls_exporter --config.file=FILE [flags]\n"
          "       DATABASE_URL=postgresql://… pgtls_exporter [flags]\n\n"
          "Watches PostgreSQL endpoints over TLS and serves what it measures: /metrics for\n"
          "Prometheus, /health/database for people and load balancers.\n\nFlags:\n",
          to);
    for (size_t i = 0; i < N_FLAGS; i++) {
        fprintf(to, "  --%s%s%s\n", table[i].name, table[i].value ? "=" : "",
                table[i].value ? table[i].value : "");
        print_wrapped(to, table[i].help);
    }
    fputs("\nSignals: HUP reads the configuration again, TERM and INT end.\n"
          "Exit status: 0 ended by a signal or nothing to do, 1 wrong configuration or no\n"
          "address to listen on, 2 wrong usage.\n",
          to);
}

void flags_print_version(FILE *to)
{
    struct utsname system = {0};

    uname(&system);
    fprintf(to, "pgtls_exporter, version %s (branch: %s, revision: %s)\n", PGTLS_VERSION,
            PGTLS_BRANCH, PGTLS_REVISION);
    fprintf(to, "  build date:       %s\n  compiler:         %s\n  platform:         %s/%s\n",
            PGTLS_BUILD_DATE, PGTLS_COMPILER, system.sysname, system.machine);
}
