/* The command line: one table, one reader. */
#include "pgtls/app/flags.h"

#include "flags_table.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/expose/http.h"
#include "pgtls/model/shard.h"
#include "pgtls_version.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define TEXT_OF(x)     TEXT_OF_(x)
#define TEXT_OF_(x)    #x
#define DEFAULT_LISTEN "127.0.0.1:" TEXT_OF(HTTP_DEFAULT_PORT)

static bool read_config_file(struct flags *f, const char *value)
{
    if (f->n_config_files == FLAGS_MAX_FILES || *value == '\0')
        return false;
    f->config_files[f->n_config_files++] = value;
    f->config_file = f->config_files[0];
    return true;
}

static bool read_listen(struct flags *f, const char *value)
{
    if (f->n_listen == FLAGS_MAX_LISTEN || *value == '\0')
        return false;
    f->listen[f->n_listen++] = value;
    return true;
}

static bool read_web_config(struct flags *f, const char *value)
{
    f->web_config_file = value;
    return *value != '\0';
}

static bool set_systemd_socket(struct flags *f, const char *value)
{
    (void)value;
    return f->systemd_socket = true;
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

/* Seconds, as blackbox_exporter takes them ("0.5"), or a duration ("500ms"). */
static bool read_offset(struct flags *f, const char *value)
{
    char duration[32];
    double seconds;
    char *end;

    if (str_to_duration_ns(value, &f->timeout_offset_ns))
        return f->timeout_offset_ns <= 60 * NS_PER_S;
    if (value[strspn(value, "0123456789.")] != '\0' || strlen(value) >= sizeof duration)
        return false;
    seconds = strtod(value, &end);
    if (end == value || *end != '\0' || seconds > 60)
        return false;
    f->timeout_offset_ns = (int64_t)(seconds * NS_PER_S);
    return true;
}

static bool read_workers(struct flags *f, const char *value)
{
    return str_to_i64(value, 0, 64, &f->workers);
}

static bool read_shard(struct flags *f, const char *value)
{
    f->shard_of_name = strcmp(value, "ordinal") == 0;
    return f->shard_of_name || str_to_i64(value, 0, SHARD_MAX_TOTAL - 1, &f->shard);
}

static bool read_total_shards(struct flags *f, const char *value)
{
    return str_to_i64(value, 1, SHARD_MAX_TOTAL, &f->total_shards);
}

static bool read_level(struct flags *f, const char *value)
{
    return log_level_from_name(value, &f->log_level);
}

static bool read_format(struct flags *f, const char *value)
{
    return log_format_from_name(value, &f->log_format);
}

static bool read_timeout(struct flags *f, const char *value)
{
    return str_to_duration_ns(value, &f->timeout_ns) && f->timeout_ns >= 10 * NS_PER_MS &&
           f->timeout_ns <= 60 * NS_PER_S;
}

static bool read_color(struct flags *f, const char *value)
{
    static const char *const names[] = {
        [COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], value) == 0) {
            f->color = (enum color_when)i;
            return true;
        }
    }
    return false;
}

static bool set_all(struct flags *f, const char *value)
{
    (void)value;
    return f->all = true;
}

static bool set_json(struct flags *f, const char *value)
{
    (void)value;
    return f->json = true;
}

static bool set_no_login(struct flags *f, const char *value)
{
    (void)value;
    return f->no_login = true;
}

static bool set_check(struct flags *f, const char *value)
{
    (void)value;
    return f->config_check = true;
}

static bool set_no_sandbox(struct flags *f, const char *value)
{
    (void)value;
    return f->no_sandbox = true;
}

static bool set_watch(struct flags *f, const char *value)
{
    (void)value;
    return f->config_watch = true;
}

static bool read_show(struct flags *f, const char *value)
{
    f->show = value;
    f->config_show = true;
    return !value || *value != '\0';
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

#define WATCH (1u << COMMAND_WATCH)
#define PROBE (1u << COMMAND_PROBE)
#define LIST  (1u << COMMAND_LIST)

const struct flag flag_table[] = {
    {"config.file", WATCH | PROBE | LIST, "FILE", read_config_file,
     "a path; it may be given at most 64 times",
     "Configuration (YAML), or a directory of *.yml and *.yaml; repeatable. Without it the "
     "environment variable DATABASE_URL is watched."},
    {"config.check", WATCH, NULL, set_check, NULL,
     "Check the configuration, print every error with its place, and exit: 0 good, 1 not."},
    {"config.show", WATCH, "[CLUSTER[/ENDPOINT]]", read_show, "a cluster or cluster/endpoint",
     "Print what is in force at each endpoint and where it comes from, as YAML without its "
     "secrets, and exit: 0 good, 1 not."},
    {"config.watch", WATCH, NULL, set_watch, NULL,
     "Read the configuration again by itself when its files change. Default: at SIGHUP and POST "
     "/-/reload only."},
    {"shard", WATCH | LIST, "N", read_shard, "a number from 0 to 999, or the word ordinal",
     "Watch this part of the clusters only, the first is 0; needs --total-shards. ordinal: the "
     "number at the end of $POD_NAME, or without it of the host name, as in a StatefulSet."},
    {"total-shards", WATCH | LIST, "N", read_total_shards, "a number from 1 to 1000",
     "Into how many parts the clusters are divided, by a hash of their names. list without --shard "
     "shows where each of them lives."},
    {"web.listen-address", WATCH, "ADDRESS", read_listen,
     "at most 16 of host:port, [v6]:port, :port or unix:/path",
     "Where to serve HTTP; repeatable. Default " DEFAULT_LISTEN
     ": loopback only, because nobody has to log in."},
    {"web.systemd-socket", WATCH, NULL, set_systemd_socket, NULL,
     "Serve HTTP on the sockets that systemd has opened (a .socket unit), not on addresses."},
    {"web.config.file", WATCH, "FILE", read_web_config, "a path",
     "TLS, passwords, request rate and headers of the HTTP server: a file as other Prometheus "
     "exporters take it. Without it whoever gets there gets in."},
    {"web.telemetry-path", WATCH, "PATH", read_path, "a path that begins with /",
     "Where the metrics are. Default /metrics."},
    {"web.max-requests", WATCH, "N", read_max_requests, "a number from 0 to 10000",
     "Scrapes served at the same time, 0 = no limit. Default 40."},
    {"timeout-offset", WATCH, "SECONDS", read_offset, "seconds, such as 0.5, at most 60",
     "How long before the end of the scrape that waits for it a probe of /probe ends. Default "
     "0.5."},
    {"workers", WATCH, "N", read_workers, "a number from 0 to 64",
     "Threads that probe, 0 = as many as cores. Default 0."},
    {"no-sandbox", WATCH, NULL, set_no_sandbox, NULL,
     "Keep every right that the process was started with. Default: it gives up capabilities, most "
     "system calls and most files once it runs."},
    {"log.level", WATCH, "LEVEL", read_level, "debug, info, warn or error", "Default info."},
    {"log.format", WATCH, "FORMAT", read_format, "logfmt or json", "Default logfmt."},
    {"all", PROBE, NULL, set_all, NULL, "Every server of the configuration, a line each."},
    {"json", PROBE | LIST, NULL, set_json, NULL, "One JSON document instead of text."},
    {"timeout", PROBE, "DURATION", read_timeout, "a duration from 10ms to 60s",
     "Longest the inspect may take, and longest the login. Default: the configuration's, or 5s."},
    {"no-login", PROBE, NULL, set_no_login, NULL,
     "Do not log in: resolve, connect, TLS, startup message, first answer. Needs no password."},
    {"color", PROBE | LIST, "WHEN", read_color, "auto, always or never",
     "Colours. Default auto: on a terminal, unless NO_COLOR is set."},
    {"version", WATCH | PROBE | LIST, NULL, set_version, NULL, "Print the version and exit."},
    {"help", WATCH | PROBE | LIST, NULL, set_help, NULL, "Print this and exit (also -h)."},
};
#define N_FLAGS (sizeof flag_table / sizeof *flag_table)
const size_t flag_count = N_FLAGS;

const struct command_text command_texts[COMMAND_COUNT] = {
    [COMMAND_WATCH] =
        {"",
         "usage: pgtls_exporter --config.file=FILE [flags]\n"
         "       DATABASE_URL=postgresql://… pgtls_exporter [flags]\n"
         "       pgtls_exporter probe … | list …        see probe --help, list --help\n",
         "Watches PostgreSQL endpoints over TLS and serves what it measures: /metrics for\n"
         "Prometheus, /health/database for people and load balancers.\n",
         "\nSignals: HUP reads the configuration again, TERM and INT end.\n"
         "Exit status: 0 ended by a signal, 1 wrong configuration, none at all, or no\n"
         "address to listen on, 2 wrong usage.\n",
         false},
    [COMMAND_PROBE] =
        {"probe",
         "usage: pgtls_exporter probe CONNECTION-STRING | HOST:PORT [flags]\n"
         "       pgtls_exporter probe --config.file=FILE CLUSTER[/ENDPOINT] [flags]\n"
         "       pgtls_exporter probe --config.file=FILE --all [flags]\n",
         "Probes once, as the exporter does all the time, and tells what it saw: how long\n"
         "each step took, the certificates, what the server is, and if a client cannot get\n"
         "in, why and what to do.\n",
         "\nExamples:\n"
         "  pgtls_exporter probe 'postgresql://app@db.example.com/app?sslmode=verify-full'\n"
         "  PGPASSWORD=… pgtls_exporter probe 'host=db.example.com user=app sslmode=require'\n"
         "  pgtls_exporter probe --config.file=pgtls.yml orders/write\n"
         "  pgtls_exporter probe --config.file=pgtls.yml --all\n"
         "  pgtls_exporter probe --json 'postgresql://db.example.com' | jq .servers[0].fault\n"
         "\nWithout --config.file an endpoint comes from DATABASE_URL, as for the exporter.\n"
         "The password of a connection string: in the string, else PGPASSWORD, else the\n"
         "passfile the string names, else asked for on a terminal.\n"
         "Exit status: 0 ok or degraded, 1 down, 2 wrong usage, 3 our own side failed.\n",
         true},
    [COMMAND_LIST] =
        {"list", "usage: pgtls_exporter list --config.file=FILE [CLUSTER[/ENDPOINT]] [flags]\n",
         "Lists the servers of the configuration: what would be watched, and how.\n",
         "\nExamples:\n"
         "  pgtls_exporter list --config.file=pgtls.yml\n"
         "  pgtls_exporter list --config.file=pgtls.yml orders\n"
         "  pgtls_exporter list --config.file=pgtls.yml --total-shards=3\n"
         "  pgtls_exporter list --config.file=pgtls.yml --json | jq -r "
         "'.servers[].server'\n"
         "\nExit status: 0 good, 2 wrong usage, 3 the configuration cannot be read.\n",
         true},
};

bool flag_is_of(const struct flag *flag, enum command command)
{
    return flag->commands & 1u << command;
}

static const struct flag *find(enum command command, const char *name, size_t len)
{
    for (size_t i = 0; i < N_FLAGS; i++) {
        if (flag_is_of(&flag_table[i], command) && strlen(flag_table[i].name) == len &&
            strncmp(flag_table[i].name, name, len) == 0)
            return &flag_table[i];
    }
    return NULL;
}

static bool complain_unknown(enum command command, FILE *err, const char *arg)
{
    const char *names[N_FLAGS], *nearest = NULL;
    char word[64] = "";
    size_t n = 0, shown = strcspn(arg, ":=/@"); /* what follows may be a password */

    for (size_t i = 0; i < N_FLAGS; i++) {
        if (flag_is_of(&flag_table[i], command))
            names[n++] = flag_table[i].name;
    }
    if (strncmp(arg, "--", 2) == 0) {
        str_copy(word, sizeof word, arg + 2);
        word[strcspn(word, "=")] = '\0';
        nearest = str_nearest(word, names, n);
    }
    fprintf(err, "pgtls_exporter: unknown argument \"%.*s%s\"%s%s%s\n", (int)shown, arg,
            arg[shown] ? "…" : "", nearest ? "; did you mean \"--" : "", nearest ? nearest : "",
            nearest ? "\"?" : "");
    return false;
}

/* The connection string may hold a password: it is never repeated. */
static bool keep_target(struct flags *flags, const char *arg, FILE *err)
{
    if (flags->target) {
        fputs("pgtls_exporter: one connection string or cluster/endpoint at a time; quote a "
              "connection string that holds spaces\n",
              err);
        return false;
    }
    flags->target = arg;
    return true;
}

/* Reads argv[*i], and its value from behind it where that is needed. */
static bool parse_one(struct flags *flags, int argc, char **argv, int *i, FILE *err)
{
    const char *arg = argv[*i], *name, *value;
    const struct flag *flag;
    size_t len;

    if (strcmp(arg, "-h") == 0)
        return set_help(flags, NULL);
    if (arg[0] != '-' && command_texts[flags->command].takes_target)
        return keep_target(flags, arg, err);
    if (strncmp(arg, "--", 2) != 0)
        return complain_unknown(flags->command, err, arg);
    name = arg + 2;
    len = strcspn(name, "=");
    value = name[len] == '=' ? name + len + 1 : NULL;
    flag = find(flags->command, name, len);
    if (!flag)
        return complain_unknown(flags->command, err, arg);
    if (!flag->value && value) {
        fprintf(err, "pgtls_exporter: --%s takes no value\n", flag->name);
        return false;
    }
    if (flag->value && flag->value[0] == '[' && !value) {
        if (*i + 1 < argc && argv[*i + 1][0] != '-')
            value = argv[++*i];
    } else if (flag->value && !value) {
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

/* Words that other programs have as commands and this one as flags. */
static const char *find_flag_meant(const char *word)
{
    static const char *const words[][2] = {{"help", "--help"},
                                           {"version", "--version"},
                                           {"check", "--config.check"},
                                           {"validate", "--config.check"}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i][0], word) == 0)
            return words[i][1];
    }
    return NULL;
}

/* The first argument is a command unless it is a flag. */
static bool parse_command(struct flags *flags, const char *arg, FILE *err)
{
    const char *names[COMMAND_COUNT], *nearest;

    for (size_t i = COMMAND_WATCH + 1; i < COMMAND_COUNT; i++) {
        names[i] = command_texts[i].name;
        flags->command = (enum command)i;
        if (strcmp(command_texts[i].name, arg) == 0)
            return true;
    }
    flags->command = COMMAND_WATCH;
    nearest = find_flag_meant(arg);
    if (!nearest)
        nearest = str_nearest(arg, names + 1, COMMAND_COUNT - 1);
    /* Somebody may have forgotten "probe" before a connection string: not repeated either. */
    if (strpbrk(arg, ":=/"))
        fputs("pgtls_exporter: not a flag; did you mean \"probe\" and then that?\n", err);
    else if (nearest)
        fprintf(err, "pgtls_exporter: unknown command \"%s\"; did you mean \"%s\"?\n", arg,
                nearest);
    else
        fprintf(err,
                "pgtls_exporter: unknown command \"%s\"; there are \"probe\" and \"list\", and "
                "without one it watches\n",
                arg);
    return false;
}

static bool parse_all(struct flags *flags, int argc, char **argv, FILE *err)
{
    int first = 1;

    if (argc > 1 && argv[1][0] != '-' && !parse_command(flags, argv[first++], err))
        return false;
    for (int i = first; i < argc; i++) {
        if (!parse_one(flags, argc, argv, &i, err))
            return false;
    }
    return true;
}

/* Flags that only make sense together. */
static bool check_shards(const struct flags *f, FILE *err)
{
    bool given = f->shard >= 0 || f->shard_of_name;

    if (given && f->total_shards == 0)
        fputs("pgtls_exporter: --shard needs --total-shards: how many are there?\n", err);
    else if (!given && f->total_shards > 1 && f->command == COMMAND_WATCH)
        fputs("pgtls_exporter: --total-shards needs --shard: which of them is this?\n", err);
    else if (given && f->shard >= f->total_shards)
        fprintf(err, "pgtls_exporter: --shard=%lld: with --total-shards=%lld the last is %lld\n",
                (long long)f->shard, (long long)f->total_shards, (long long)f->total_shards - 1);
    else
        return true;
    return false;
}

static bool check_sockets(const struct flags *f, FILE *err)
{
    if (f->systemd_socket && f->n_listen > 0)
        fputs("pgtls_exporter: --web.systemd-socket and --web.listen-address exclude each other\n",
              err);
    return !f->systemd_socket || f->n_listen == 0;
}

bool flags_parse(struct flags *flags, int argc, char **argv, FILE *err)
{
    *flags = (struct flags){.shard = -1,
                            .telemetry_path = "/metrics",
                            .max_requests = 40,
                            .timeout_offset_ns = 500 * NS_PER_MS,
                            .log_level = LOG_LEVEL_INFO,
                            .log_format = LOG_FORMAT_LOGFMT};
    if (!parse_all(flags, argc, argv, err) ||
        (!flags->help && !flags->version &&
         (!check_shards(flags, err) || !check_sockets(flags, err)))) {
        fprintf(err, "%sSee --help.\n", command_texts[flags->command].usage);
        return false;
    }
    if (flags->n_listen == 0 && !flags->systemd_socket)
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

void flags_print_help(enum command command, FILE *to)
{
    fprintf(to, "%s\n%s\nFlags:\n", command_texts[command].usage, command_texts[command].intro);
    for (size_t i = 0; i < N_FLAGS; i++) {
        if (!flag_is_of(&flag_table[i], command))
            continue;
        fprintf(to, "  --%s%s%s\n", flag_table[i].name,
                !flag_table[i].value            ? ""
                : flag_table[i].value[0] == '[' ? " "
                                                : "=",
                flag_table[i].value ? flag_table[i].value : "");
        print_wrapped(to, flag_table[i].help);
    }
    fputs(command_texts[command].end, to);
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
