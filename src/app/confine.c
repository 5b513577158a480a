/* The sandbox of the daemon. */
#include "confine.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/log.h"
#include "pgtls/base/sandbox.h"
#include "pgtls/base/str.h"
#include "pgtls/base/vault.h"
#include "pgtls/config/web_config.h"
#include "pgtls/tls/trust.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* --- what may be read ------------------------------------------------------------------------- */

/* Without memory some are missing, and what is in them cannot be read: which is said then. */
struct paths {
    const char **items;
    size_t n, cap;
};

static void add(struct paths *p, const char *path)
{
    if (!path || !*path)
        return;
    if (p->n == p->cap) {
        size_t cap = p->cap > 0 ? 2 * p->cap : 64;
        const char **grown = realloc(p->items, cap * sizeof *grown);

        if (!grown)
            return;
        p->items = grown;
        p->cap = cap;
    }
    p->items[p->n++] = path;
}

static void add_secret(struct paths *p, const struct secret_ref *ref)
{
    if (ref->source == SECRET_FILE || ref->source == SECRET_PASSFILE)
        add(p, ref->value);
}

static void add_server(struct paths *p, const struct server *s)
{
    add(p, s->sslrootcert);
    add(p, s->sslcrl);
    add(p, s->sslcert);
    add(p, s->sslkey);
    add(p, s->promises.certificate_file);
    add_secret(p, &s->password);
    add_secret(p, &s->sslpassword);
}

/* What the configuration names; of names with placeholders the directory that all of them share.
 * Where that is the root ("/{cluster}/password") what they stand for now has to do. */
static void add_set(struct paths *p, const struct endpoint_set *set)
{
    bool all = false;

    for (const struct named_path *named = set->named_paths; named; named = named->next) {
        if (strcmp(named->path, "/") == 0)
            all = true;
        else
            add(p, named->path);
    }
    for (size_t i = 0; i < set->n_servers && all; i++)
        add_server(p, &set->servers[i]);
}

/* The trust store and the settings that libraries are told of by the environment. */
static void add_environment(struct paths *p)
{
    static const char *const names[] = {"SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF",
                                        "KRB5_CONFIG"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add(p, getenv(names[i]));
    add(p, trust_find_bundle());
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void drop_repeated(struct paths *p)
{
    size_t kept = 0;

    if (p->n > 0)
        qsort(p->items, p->n, sizeof *p->items, compare);
    for (size_t i = 0; i < p->n; i++) {
        if (kept == 0 || strcmp(p->items[i], p->items[kept - 1]) != 0)
            p->items[kept++] = p->items[i];
    }
    p->n = kept;
}

/* Its errors are told by who uses it. */
static struct web_config *load_web(const char *path)
{
    struct config_messages messages = {0};
    struct web_config *web = path ? web_config_load(path, &messages) : NULL;

    config_messages_deinit(&messages);
    return web;
}

/* The directory of "unix:/run/pgtls/http.sock". */
static size_t socket_directories(const struct flags *flags, char *to[FLAGS_MAX_LISTEN])
{
    size_t n = 0;

    for (size_t i = 0; i < flags->n_listen; i++) {
        const char *path = flags->listen[i] + strlen("unix:");

        if (strncmp(flags->listen[i], "unix:", strlen("unix:")) == 0)
            to[n] = strndup(path, (size_t)(strrchr(path, '/') - path));
        if (to[n])
            n++;
    }
    return n;
}

void confine_begin(const struct flags *flags, const struct endpoint_set *set)
{
    struct web_config *web;
    struct paths paths = {0};
    char *sockets[FLAGS_MAX_LISTEN + 1] = {0};
    size_t n_sockets;

    if (flags->no_sandbox)
        return;
    web = load_web(flags->web_config_file);
    for (size_t i = 0; i < flags->n_config_files; i++)
        add(&paths, flags->config_files[i]);
    add_set(&paths, set);
    add_environment(&paths);
    add(&paths, flags->web_config_file);
    add(&paths, web ? web->cert.path : NULL);
    add(&paths, web ? web->key.path : NULL);
    add(&paths, web ? web->client_ca.path : NULL);
    drop_repeated(&paths);
    n_sockets = socket_directories(flags, sockets);
    sandbox_enter(&(struct sandbox_files){.readable = paths.items,
                                          .n_readable = paths.n,
                                          .sockets = (const char *const *)sockets,
                                          .n_sockets = n_sockets});
    for (size_t i = 0; i < n_sockets; i++)
        free(sockets[i]);
    free(paths.items);
    web_config_free(web);
}

void confine_tell_hidden(const struct endpoint_set *set)
{
    static size_t told;
    const char *first = NULL;
    struct paths paths = {0};
    size_t n = 0;

    if (!sandbox_active(SANDBOX_LANDLOCK))
        return;
    add_set(&paths, set);
    drop_repeated(&paths);
    for (size_t i = 0; i < paths.n; i++) {
        if (sandbox_hides(paths.items[i]) && n++ == 0)
            first = paths.items[i];
    }
    if (n > 0 && n != told) {
        char count[24];

        snprintf(count, sizeof count, "%zu", n);
        LOG(WARN, "Named where nothing was when the exporter started: restart it to read there",
            {"paths", count}, {"first", first});
    }
    told = n;
    free(paths.items);
}

void confine_tell_unlocked(void)
{
    static bool told;

    if (told || vault_kind() != VAULT_UNLOCKED)
        return;
    told = true;
    LOG(WARN, "Secrets may be written to swap: the limit of locked memory is too small",
        {"hint", "lift it (LimitMEMLOCK= of systemd, ulimit -l), or run without swap"});
}

/* --- what is refused -------------------------------------------------------------------------- */

static uv_async_t on_refusal;
static _Atomic(uv_async_t *) told_by; /* NULL: nobody listens */

/* In a signal handler. */
static void refused(void)
{
    uv_async_t *async = atomic_load(&told_by);

    if (async)
        uv_async_send(async);
}

static void tell_refused(uv_async_t *async)
{
    char call[64];

    (void)async;
    while (sandbox_tell(call, sizeof call))
        LOG(ERROR, "The sandbox has refused a system call", {"call", call},
            {"hint", "the exporter itself makes none such: a library has become another, or "
                     "somebody is at work in the process"});
}

/* --- life ------------------------------------------------------------------------------------- */

static void tell_parts(void)
{
    struct buf there = BUF_INIT(256), missing = BUF_INIT(256);

    for (int i = 0; i < SANDBOX_PART_COUNT; i++) {
        struct buf *to = sandbox_active((enum sandbox_part)i) ? &there : &missing;

        buf_addf(to, "%s%s", to->len > 0 ? "," : "", sandbox_part_name((enum sandbox_part)i));
    }
    if (missing.len == 0)
        LOG(INFO, "Sandboxed", {"parts", buf_text(&there)});
    else
        LOG(WARN, "Sandboxed in part: this kernel, or who started us, does not allow the rest",
            {"parts", buf_text(&there)}, {"missing", buf_text(&missing)});
    buf_deinit(&there);
    buf_deinit(&missing);
}

void confine_complete(const struct flags *flags, uv_loop_t *loop)
{
    if (flags->no_sandbox) {
        LOG(WARN, "Not sandboxed", {"flag", "--no-sandbox"});
        return;
    }
    if (uv_async_init(loop, &on_refusal, tell_refused) == 0)
        atomic_store(&told_by, &on_refusal);
    sandbox_limit_calls(refused);
    tell_parts();
}

void confine_end(void)
{
    tell_refused(NULL);
    atomic_store(&told_by, NULL);
}
