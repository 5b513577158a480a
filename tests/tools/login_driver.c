/* Logs in with the login probe alone and prints what it saw: for trying it against a server by
 * hand.
 *
 *   login_driver host=db.example address=127.0.0.1 port=5432 user=app sslmode=verify-full \
 *                sslrootcert=ca.pem [anchors=path.pem] [password=…] [repeat=N] …
 */
#include "pgtls/pg/login.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/net/arrival.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct options {
    struct server server;
    struct login_params params;
    struct secret password;
    int64_t repeat, timeout_ms;
    struct pem *anchors;
};

static void die(const char *what, const char *name)
{
    fprintf(stderr, "login_driver: %s: %s\n", what, name);
    exit(2);
}

static struct pem *read_pem(const char *path)
{
    static char text[1024 * 1024];
    FILE *file = fopen(path, "r");
    size_t n;

    if (!file)
        die("cannot open", path);
    n = fread(text, 1, sizeof text, file);
    fclose(file);
    return pem_new(text, n);
}

static void set_number(struct options *o, const char *key, const char *value)
{
    int64_t number;

    if (!str_to_i64(value, 0, 1000000, &number))
        die("not a number", value);
    if (strcmp(key, "port") == 0)
        o->server.port = (uint16_t)number;
    else if (strcmp(key, "repeat") == 0)
        o->repeat = number;
    else if (strcmp(key, "timeout_ms") == 0)
        o->timeout_ms = number;
    else if (strcmp(key, "allow_auth") == 0)
        o->server.allow_auth = (unsigned)number;
    else if (strcmp(key, "scram_plus") == 0)
        o->params.scram_plus = number != 0;
    else
        die("unknown key", key);
}

static enum sslmode sslmode_of(const char *name)
{
    for (int i = 0; i < SSLMODE_COUNT; i++) {
        if (strcmp(name, sslmode_name((enum sslmode)i)) == 0)
            return (enum sslmode)i;
    }
    die("unknown sslmode", name);
    return SSLMODE_COUNT;
}

static void set(struct options *o, const char *key, const char *value)
{
    const struct {
        const char *key;
        const char **to;
    } texts[] = {
        {"host", &o->server.host},
        {"address", &o->params.address},
        {"user", &o->server.user},
        {"dbname", &o->server.dbname},
        {"options", &o->server.options},
        {"sslrootcert", &o->server.sslrootcert},
        {"sslcrl", &o->server.sslcrl},
        {"sslcert", &o->server.sslcert},
        {"sslkey", &o->server.sslkey},
        {"ssl_max_protocol_version", &o->server.ssl_max_protocol_version},
        {"bundle", &o->params.bundle_path},
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(key, texts[i].key) == 0) {
            *texts[i].to = value;
            return;
        }
    }
    if (strcmp(key, "sslmode") == 0) {
        o->server.sslmode = sslmode_of(value);
    } else if (strcmp(key, "password") == 0) {
        o->password.present = true;
        str_copy(o->password.text, sizeof o->password.text, value);
    } else if (strcmp(key, "anchors") == 0) {
        o->params.anchors = o->anchors = read_pem(value);
    } else {
        set_number(o, key, value);
    }
}

static void print(const struct observation *o, bool wants_bundle)
{
    printf(
        "fault=%s phase=%s how=%s sqlstate=%s alert=%d method=%s plus=%d version=%s recovery=%d "
        "pooler=%d auth_ms=%.3f auth_cpu_ms=%.3f query_ms=%.3f query_cpu_ms=%.3f unstamped=%u "
        "wants_bundle=%d error=%s\n",
        o->fault == FAULT_NONE ? "-" : fault_row(o->fault)->id, phase_name(o->phase),
        close_how_name(o->how), o->sqlstate, o->tls_alert, o->auth_method, o->channel_binding,
        o->server_version, (int)o->in_recovery, (int)o->pooler,
        (double)o->phases[PHASE_AUTH].duration_ns / 1e6, (double)o->phases[PHASE_AUTH].cpu_ns / 1e6,
        (double)o->phases[PHASE_QUERY].duration_ns / 1e6,
        (double)o->phases[PHASE_QUERY].cpu_ns / 1e6, o->missing_timestamps, wants_bundle, o->error);
}

static bool log_in(const struct options *o, bool last)
{
    int64_t deadline_ns = clock_monotonic_ns() + o->timeout_ms * NS_PER_MS;
    struct login *login = login_new(&o->params, clock_monotonic_ns());
    struct observation observation;
    enum login_want want;

    if (!login)
        die("out of memory", "login");
    observation_init(&observation, PROBE_LOGIN);
    while ((want = login_advance(login)) != LOGIN_DONE) {
        struct pollfd ready = {.fd = login_fd(login),
                               .events = want == LOGIN_WANT_READ ? POLLIN : POLLOUT};
        int64_t left_ms = (deadline_ns - clock_monotonic_ns()) / NS_PER_MS;

        if (want == LOGIN_WANT_WORK) {
            login_work(login);
            continue;
        }
        if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) == 0)
            login_abort(login, INTERNAL_NONE);
    }
    login_result(login, &observation);
    if (last)
        print(&observation, login_wants_full_bundle(login));
    login_free(login);
    return observation.fault == FAULT_NONE;
}

int main(int argc, char **argv)
{
    struct options o = {.repeat = 1, .timeout_ms = 5000};
    struct rusage before, after;
    bool good = true;

    login_setup();
    arrival_start();
    o.server.sslmode = SSLMODE_PREFER;
    o.server.sslsni = true;
    o.server.channel_binding = CHANNEL_BINDING_PREFER;
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');

        if (!value)
            die("not key=value", argv[i]);
        *value = '\0';
        set(&o, argv[i], value + 1);
    }
    o.server.unix_socket = o.server.host && *o.server.host == '/';
    o.params.server = &o.server;
    o.params.tls = server_uses_tls(&o.server);
    o.params.password = &o.password;
    getrusage(RUSAGE_SELF, &before);
    for (int64_t i = 0; i < o.repeat; i++)
        good = log_in(&o, i + 1 == o.repeat) && good;
    getrusage(RUSAGE_SELF, &after);
    if (o.repeat > 1) {
        int64_t us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
                     (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
                     after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec -
                     before.ru_stime.tv_usec;

        printf("cpu_ms_per_login=%.3f\n", (double)us / 1000.0 / (double)o.repeat);
    }
    pem_unref(o.anchors);
    return good ? 0 : 1;
}
