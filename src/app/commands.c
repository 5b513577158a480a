/* probe and list. */
#include "pgtls/app/commands.h"

#include "prompt.h"
#include "setup.h"
#include "target.h"
#include "teller.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"
#include "pgtls/base/wipe.h"
#include "pgtls/pg/login.h"
#include "pgtls/probe/once.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE        64
#define LIST_MAX_BYTES ((size_t)256 * 1024 * 1024)

/* One run of `probe`. */
struct run {
    const struct flags *flags;
    bool is_string;            /* the target is a connection string, or host:port: */
    char *url;                 /* then this */
    struct endpoint_set *all;  /* the configuration, or what the string says */
    struct endpoint_set *set;  /* what is probed; strings are those of `all` */
    struct server *servers;    /* of `set`, ours to change before they are probed */
    struct endpoint_set *left; /* what would be, were it not left alone on purpose; likewise */
    struct teller teller;
    struct secret password; /* that somebody was asked for */
    bool asks;              /* somebody is there to ask */
    size_t waiting;         /* servers whose login waits for the password */
};

/* --- what to probe ---------------------------------------------------------------------------- */

/* Errors always; warnings where nobody else has said them, as for a string. */
static void print_messages(const struct config_messages *messages, bool warnings)
{
    if (messages->errors > 0 || warnings)
        setup_print_messages(messages);
}

/* Returns EXIT_UP when there is a configuration. */
static int load(struct run *run)
{
    struct config_messages messages = {0};
    const char *what = run->flags->command == COMMAND_LIST ? "list" : "probe";
    int trouble = EXIT_INTERNAL;

    if (run->is_string) {
        run->all = config_load_dsn("connection string", run->url ? run->url : run->flags->target,
                                   &messages);
        trouble = EXIT_USAGE;
    } else if (setup_nothing_to_load(run->flags->config_file, what)) {
        if (run->flags->target && run->flags->command == COMMAND_PROBE)
            fputs("A server itself is probed by host:port or a connection string: pgtls_exporter "
                  "probe db.example.com:5432\n",
                  stderr);
        return EXIT_USAGE;
    } else {
        run->all = setup_load(run->flags, true, &messages);
    }
    print_messages(&messages, run->is_string);
    config_messages_deinit(&messages);
    return run->all ? EXIT_UP : trouble;
}

/* Is this server of the configuration asked for? */
static bool chosen(const struct run *run, const struct server *s)
{
    const char *target = run->flags->target;

    return run->is_string || !target || target_means(target, s);
}

/* Who names an endpoint wants to know how it is, whatever has been said of it. */
static bool left_alone(const struct run *run, const struct server *s)
{
    const char *target = run->flags->target;
    bool named = target ? strcmp(target, s->cluster) != 0 : !run->flags->all;

    return run->flags->command == COMMAND_PROBE && server_pause(s) && !named;
}

/* An empty set with room for all servers; NULL when out of memory. */
static struct endpoint_set *empty_set(const struct endpoint_set *all, struct server **servers)
{
    struct arena *arena = arena_new();
    struct endpoint_set *set = NULL;

    *servers = arena ? arena_alloc(arena, (all->n_servers + 1) * sizeof **servers) : NULL;
    if (*servers)
        set = endpoint_set_new(arena);
    if (!set) {
        arena_free(arena);
        return NULL;
    }
    set->settings = all->settings;
    set->servers = *servers;
    return set;
}

/* The sets of the chosen servers. Returns EXIT_UP when there are some. */
static int choose(struct run *run)
{
    struct server *left;

    run->set = empty_set(run->all, &run->servers);
    run->left = empty_set(run->all, &left);
    if (!run->set || !run->left) {
        fputs("pgtls_exporter: out of memory\n", stderr);
        return EXIT_INTERNAL;
    }
    for (size_t i = 0; i < run->all->n_servers; i++) {
        const struct server *s = &run->all->servers[i];

        if (!chosen(run, s))
            continue;
        if (left_alone(run, s))
            left[run->left->n_servers++] = *s;
        else
            run->servers[run->set->n_servers++] = *s;
    }
    if (run->set->n_servers + run->left->n_servers > 0 || !run->flags->target)
        return EXIT_UP;
    target_say_unknown(run->flags->target, run->all);
    return EXIT_USAGE;
}

/* --- what the flags change -------------------------------------------------------------------- */

static void add_note(struct run *run, size_t i, const char *note)
{
    const char **notes = run->teller.results[i].notes;

    for (size_t at = 0; at < REPORT_MAX_NOTES; at++) {
        if (!notes[at]) {
            notes[at] = note;
            return;
        }
    }
}

/* libpq's order: the string, PGPASSWORD, the passfile. */
static void password_from_environment(struct run *run, size_t i)
{
    struct secret_ref *ref = &run->servers[i].password;
    const char *value = getenv("PGPASSWORD");

    if (!run->is_string || !value || !*value || !run->servers[i].login ||
        (ref->source != SECRET_NONE && ref->source != SECRET_PASSFILE))
        return;
    *ref = (struct secret_ref){SECRET_ENVIRONMENT, "PGPASSWORD"};
    add_note(run, i, "the password comes from the environment variable PGPASSWORD");
}

static void prepare(struct run *run, size_t i)
{
    struct server *s = &run->servers[i];
    char reason[256] = "";

    if (run->flags->timeout_ns)
        s->timeout_ns = run->flags->timeout_ns;
    if (server_pause(s)) {
        const char *note =
            arena_printf(run->set->arena, "the daemon leaves it alone: %s", server_pause(s));

        add_note(run, i, note ? note : "the daemon leaves it alone");
    }
    if (!s->user)
        add_note(run, i, "no user is given: the probe ends after TLS");
    if (s->login && run->flags->no_login) {
        s->login = false;
        add_note(run, i, "no login was tried, as asked for by --no-login");
    }
    if (s->login && !login_supported(s, reason, sizeof reason)) {
        const char *note = arena_printf(run->set->arena, "no login was tried: %s", reason);

        s->login = false;
        add_note(run, i, note ? note : "no login was tried");
    }
    password_from_environment(run, i);
}

/* --- running ---------------------------------------------------------------------------------- */

/* Will the server's answer make the login ask for a password that there is none of? */
static bool lacks_password(const struct run *run, size_t i, const struct observation *inspect)
{
    static const struct {
        const char *method;
        unsigned allowed; /* by allow_auth; 0: always */
    } methods[] = {
        {"scram-sha-256", 0}, {"password", ALLOW_AUTH_PASSWORD}, {"md5", ALLOW_AUTH_MD5}};
    const struct server *s = &run->servers[i];
    struct secret found = {0};
    char error[256];
    bool asks = false, has;

    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        if (strcmp(methods[m].method, inspect->auth_method) == 0)
            asks = !methods[m].allowed || s->allow_auth & methods[m].allowed;
    }
    if (!asks)
        return false;
    /* A secret that cannot be read is the login's to complain about. */
    has = !secret_read(&s->password, s, &found, error, sizeof error) || found.present;
    secret_wipe(&found);
    return !has;
}

static bool on_observed(void *context, size_t i, const struct observation *o)
{
    struct run *run = context;
    bool login_comes = o->probe == PROBE_INSPECT && observation_entered(o) && run->servers[i].login;

    teller_keep(&run->teller, i, o);
    if (!login_comes)
        return false;
    if (!run->is_string || !lacks_password(run, i, o))
        return true;
    if (run->asks) {
        run->waiting++;
        return false;
    }
    add_note(run, i,
             "no password is given: put it into PGPASSWORD, or run this on a terminal to be asked");
    return true;
}

static void on_done(void *context, size_t i, const struct sslmode_facts *facts)
{
    struct run *run = context;

    teller_complete(&run->teller, i, facts);
}

static void ask_for_password(struct run *run)
{
    char user[128], prompt[192];

    str_clean(user, sizeof user, run->servers[0].user, strlen(run->servers[0].user));
    snprintf(prompt, sizeof prompt, "Password for user %s: ", user);
    if (!prompt_password(prompt, &run->password))
        return;
    for (size_t i = 0; i < run->set->n_servers; i++) {
        struct secret_ref *ref = &run->servers[i].password;

        if (ref->source == SECRET_NONE || ref->source == SECRET_PASSFILE)
            *ref = (struct secret_ref){SECRET_INLINE, run->password.text};
    }
}

static int probe_all(struct run *run)
{
    const struct once_options options = {
        .at_once = AT_ONCE,
        .observed = on_observed,
        .done = on_done,
        .side_attempts = run->teller.form != TELL_TABLE, /* which would not show them */
        .context = run};
    char error[256] = "";
    struct once *once = once_new(run->set, &options, error, sizeof error);
    const size_t *counts = run->teller.counts;

    if (!once) {
        fprintf(stderr, "pgtls_exporter: %s\n", error);
        return EXIT_INTERNAL;
    }
    once_inspect(once);
    if (run->waiting > 0) {
        ask_for_password(run);
        once_login(once);
    }
    once_free(once);
    teller_end(&run->teller);
    if (counts[STATUS_DOWN] > 0)
        return EXIT_DOWN;
    return counts[STATUS_UNKNOWN] > 0 || run->teller.failed ? EXIT_INTERNAL : EXIT_UP;
}

static enum teller_form form_of(const struct run *run)
{
    const char *target = run->flags->target;
    const struct server *servers = run->servers;
    size_t n = run->set->n_servers;

    if (run->flags->json)
        return TELL_JSON;
    /* A whole cluster is compared side by side; the servers of one endpoint are told one by one. */
    if (run->flags->all || run->left->n_servers > 0 ||
        (target && n > 0 && servers[0].endpoint_index != servers[n - 1].endpoint_index))
        return TELL_TABLE;
    return TELL_REPORTS;
}

static int probe_chosen(struct run *run)
{
    struct report_style style = teller_style(run->flags->color);
    int status;

    if (!teller_init(&run->teller, form_of(run), &style, !run->is_string, run->set, run->left)) {
        fputs("pgtls_exporter: out of memory\n", stderr);
        return EXIT_INTERNAL;
    }
    run->asks = form_of(run) == TELL_REPORTS && prompt_possible();
    for (size_t i = 0; i < run->set->n_servers; i++)
        prepare(run, i);
    status = probe_all(run);
    teller_deinit(&run->teller);
    return status;
}

/* What is asked for must be one thing. Returns EXIT_UP when it is. A server by its address is in
 * the configuration if one is given; else it is a connection string that wants nothing but its
 * scheme. */
static int read_target(struct run *run)
{
    const struct flags *flags = run->flags;
    bool address = flags->target && !flags->config_file && target_is_address(flags->target);

    run->is_string = address || (flags->target && target_is_string(flags->target));
    if (address && asprintf(&run->url, "postgresql://%s", flags->target) < 0) {
        run->url = NULL;
        fputs("pgtls_exporter: out of memory\n", stderr);
        return EXIT_INTERNAL;
    }
    if (flags->all && flags->target)
        fputs("pgtls_exporter: --all and a target exclude each other\n", stderr);
    else if (run->is_string && flags->config_file)
        fputs("pgtls_exporter: a connection string needs no --config.file\n", stderr);
    else
        return EXIT_UP;
    return EXIT_USAGE;
}

int command_probe(const struct flags *flags)
{
    struct run run = {.flags = flags};
    int status = read_target(&run);

    if (status != EXIT_UP)
        return status;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    status = setup_process() ? load(&run) : EXIT_INTERNAL;
    if (status == EXIT_UP && !flags->all && !flags->target && run.all->n_endpoints > 1) {
        fputs("pgtls_exporter: which one? Give CLUSTER, CLUSTER/ENDPOINT or --all; "
              "`pgtls_exporter list` shows them\n",
              stderr);
        status = EXIT_USAGE;
    }
    if (status == EXIT_UP)
        status = choose(&run);
    if (status == EXIT_UP)
        status = probe_chosen(&run);
    secret_wipe(&run.password);
    if (run.url) /* it may hold a password */
        wipe_memory(run.url, strlen(run.url));
    free(run.url);
    endpoint_set_unref(run.set);
    endpoint_set_unref(run.left);
    endpoint_set_unref(run.all);
    return status;
}

static void keep_shard(struct run *run, struct shard shard)
{
    size_t n = 0;

    for (size_t i = 0; i < run->set->n_servers; i++) {
        if (shard_of(run->servers[i].cluster, shard.total) == shard.ordinal)
            run->servers[n++] = run->servers[i];
    }
    run->set->n_servers = n;
}

int command_list(const struct flags *flags)
{
    struct run run = {.flags = flags};
    struct report_style style = teller_style(flags->color);
    struct buf text = BUF_INIT(LIST_MAX_BYTES);
    unsigned total = (unsigned)flags->total_shards;
    struct shard shard;
    int status;

    if (!setup_shard(flags, &shard))
        return EXIT_USAGE;
    status = load(&run);
    if (status != EXIT_UP)
        return status;
    status = choose(&run);
    if (status == EXIT_UP && (flags->shard >= 0 || flags->shard_of_name))
        keep_shard(&run, shard);
    if (status == EXIT_UP && flags->json)
        status = report_list_json(run.set, total, &text) ? EXIT_UP : EXIT_INTERNAL;
    else if (status == EXIT_UP)
        report_list(run.set, total, &style, &text);
    if (!teller_write(&text))
        status = EXIT_INTERNAL;
    endpoint_set_unref(run.set);
    endpoint_set_unref(run.left);
    endpoint_set_unref(run.all);
    return status;
}
