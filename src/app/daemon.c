/* The daemon. The main thread owns the configuration: signals and the HTTP server's reload requests
 * come to its loop, and it alone swaps generations. */
#include "pgtls/app/daemon.h"

#include "activation.h"
#include "askers.h"
#include "confine.h"
#include "discovery.h"
#include "generation.h"
#include "service.h"
#include "setup.h"
#include "watchdog.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/base/wipe.h"
#include "pgtls/config/config.h"
#include "pgtls/expose/http.h"
#include "pgtls/expose/web.h"
#include "pgtls/model/fleet.h"
#include "pgtls/model/self.h"
#include "pgtls/net/loop.h"
#include "pgtls/probe/requests.h"
#include "pgtls/probe/scheduler.h"
#include "pgtls_version.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define REQUEST_DEADLINE_NS (30 * NS_PER_S)
#define STOP_GRACE_NS       (500 * NS_PER_MS) /* for who has connected already */

#define REASON_SIZE 16384

/* How often --config.watch looks. A change counts once it looks the same twice: whoever writes a
 * file in place is done then. */
#define WATCH_MS 1000
#define TRIM_MS  2000

struct daemon {
    const struct flags *flags;
    struct service service;
    struct watchdog watchdog;
    struct self self;
    struct fleet *fleet;
    struct scheduler *scheduler;
    struct requests *requests;
    struct web *web;
    struct http_listeners *listeners; /* until the server has them */
    struct http_server *http;
    struct config_source *source;
    struct discovery_hub *hub;
    uint64_t fallen_back;            /* what was said to be so: of the names of inputs */
    uint64_t files_read, files_seen; /* fingerprints: as read last, and at the latest look */
    bool no_memory;                  /* there was none for some of the latest build */
    bool half_read;                  /* nor for all of the files: nothing is built of them */

    uv_loop_t loop;
    uv_timer_t on_look, on_trim;
    uv_signal_t on_term, on_int, on_hup;
    uv_async_t on_request;
    uv_work_t first_work;

    struct askers askers; /* who asked by HTTP for a reload */
};

/* --- configuration -------------------------------------------------------------------------- */

/* An environment stays what it was when the process was started. Saying that it was read again
 * would send somebody looking for why nothing changed. */
static bool nothing_to_reload(const struct daemon *d, char *reason, size_t size)
{
    static const char why[] =
        "nothing to reload: DATABASE_URL is what it was at the start; restart "
        "to change it (secrets and certificates are read again by themselves)";

    if (d->flags->config_file || !d->self.ready)
        return false;
    str_copy(reason, size, why);
    LOG(WARN, "Nothing reloaded", {"reason", why});
    return true;
}

/* For pgtls_config_file_valid and pgtls_discovery_*. What could not be shown is not: nothing
 * depends on it. */
static void show_inputs(struct daemon *d)
{
    struct config_input_state state;
    struct self_inputs *inputs;
    size_t n = discovery_hub_count(d->hub);

    for (size_t i = 0; config_source_input(d->source, i, &state); i++)
        n += state.is_file;
    inputs = self_inputs_new(n);
    if (!inputs)
        return;
    for (size_t i = inputs->n = 0; config_source_input(d->source, i, &state); i++) {
        struct self_input input = {.name = state.is_file ? strdup(state.name) : NULL,
                                   .valid = state.valid};

        if (input.name)
            inputs->items[inputs->n++] = input;
    }
    discovery_hub_tell(d->hub, inputs);
    self_show_inputs(&d->self, inputs);
}

/* What discovery finds has gauges of its own. */
static bool all_files_good(const struct daemon *d)
{
    struct config_input_state state;

    for (size_t i = 0; config_source_input(d->source, i, &state); i++) {
        if (state.is_file && !state.valid)
            return false;
    }
    return true;
}

static void tell_loaded(const struct daemon *d, const struct endpoint_set *set)
{
    char endpoints[24], servers[24], modules[24], shard[32];

    snprintf(endpoints, sizeof endpoints, "%zu", set->n_endpoints);
    snprintf(servers, sizeof servers, "%zu", set->n_servers);
    snprintf(modules, sizeof modules, "%zu", set->n_modules);
    snprintf(shard, sizeof shard, "%u/%u", d->self.shard.ordinal, d->self.shard.total);
    LOG(INFO, "Configuration loaded", {"endpoints", endpoints}, {"servers", servers},
        {"modules", set->n_modules > 0 ? modules : NULL},
        {"shard", d->self.shard.total > 1 ? shard : NULL});
    service_tell(&d->service, "STATUS=Watching %s server%s of %s endpoint%s%s", servers,
                 set->n_servers == 1 ? "" : "s", endpoints, set->n_endpoints == 1 ? "" : "s",
                 atomic_load(&d->self.reload_successful)
                     ? ""
                     : "; a file has errors, what it said before stays in force");
    if (set->n_servers == 0 && d->self.shard.total > 1)
        LOG(WARN, "No cluster of the configuration belongs to this shard", {"shard", shard});
}

/* Said with every reload, and between two of them when it changes: discovery builds often. */
static void tell_fallen_back(struct daemon *d)
{
    struct config_input_state state;
    uint64_t now = STR_HASH_START;

    for (size_t i = 0; config_source_input(d->source, i, &state); i++)
        now = state.valid ? now : str_hash(now, state.name);
    for (size_t i = 0; now != d->fallen_back && config_source_input(d->source, i, &state); i++) {
        if (!state.valid)
            LOG(ERROR, "File has errors; what it said before stays in force", {"file", state.name});
    }
    d->fallen_back = now;
}

static void tell_trouble(struct daemon *d, bool ok)
{
    if (ok) {
        tell_fallen_back(d);
    } else if (d->self.ready) {
        LOG(ERROR, "Configuration not loaded; the one before stays in force", {NULL, NULL});
        service_tell(&d->service, "STATUS=Configuration not loaded; the one before stays in force");
    } else {
        LOG(ERROR, "Configuration not loaded", {NULL, NULL});
        service_tell(&d->service, "STATUS=Configuration not loaded");
    }
}

/* What a generation that is gone leaves to the allocator goes back to the system, once its last
 * readers have let go of it. */
static void on_trim(uv_timer_t *timer)
{
    (void)timer;
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static void do_nothing(uv_work_t *work)
{
    (void)work;
}

/* libuv's threads begin with their first work, and where they cannot it calls abort(): so they
 * begin now, and not when some login needs them and memory has come to its end. */
static void start_thread_pool(struct daemon *d)
{
    uv_queue_work(&d->loop, &d->first_work, do_nothing, NULL);
}

/* The first set tells what the process will have to read; the rest is given up before there are
 * threads. True, too, when they run already. */
static bool start_probing(struct daemon *d, const struct endpoint_set *first)
{
    struct scheduler_options options = {.workers = (unsigned)d->flags->workers};
    struct requests_options requests = {.self = &d->self};
    char error[256] = "out of memory";

    if (d->requests)
        return true;
    confine_begin(d->flags, first);
    log_start();
    start_thread_pool(d);
    d->scheduler = scheduler_start(&options, &d->self, error, sizeof error);
    if (d->scheduler) {
        requests.workers = scheduler_workers(d->scheduler);
        d->requests = requests_start(&requests, error, sizeof error);
    }
    if (!d->requests)
        LOG(ERROR, "Cannot start", {"error", error});
    return d->requests != NULL;
}

/* Swaps in what is built. What has errors stays as it was before, all of it if need be; false then,
 * with the errors as the reason. */
static bool rebuild(struct daemon *d, char *reason, size_t size)
{
    struct config_messages messages = {0};
    struct endpoint_set *set = generation_build(d->source, d->hub, d->self.shard, &messages);
    bool ok = set && fleet_set(d->fleet, set) && start_probing(d, set), all;

    d->no_memory = messages.no_memory || (set && !ok);
    all = ok && all_files_good(d);
    reason[0] = '\0';
    show_inputs(d);
    atomic_store(&d->self.reload_successful, all);
    if (ok) {
        scheduler_watch(d->scheduler, d->fleet);
        requests_use(d->requests, set);
        tell_loaded(d, set);
        confine_tell_hidden(set);
        confine_tell_unlocked();
        uv_timer_start(&d->on_trim, on_trim, TRIM_MS, 0);
    }
    if (!all)
        generation_list_errors(&messages, reason, size);
    tell_trouble(d, ok);
    config_messages_deinit(&messages);
    endpoint_set_unref(set);
    wipe_registers();
    return d->self.ready ? all : ok;
}

/* Not even all files could be read: what is in force stays so. */
static bool fail_without_memory(struct daemon *d, char *reason, size_t size)
{
    str_copy(reason, size, "out of memory");
    LOG(ERROR, "Configuration error", {"error", reason});
    d->no_memory = true;
    atomic_store(&d->self.reload_successful, false);
    tell_trouble(d, false);
    return false;
}

/* Reads the files, too. The service manager hears of its beginning and its end. */
static bool reload(struct daemon *d, char *reason, size_t size)
{
    bool ok;

    if (d->self.ready)
        service_tell(&d->service, "RELOADING=1\nMONOTONIC_USEC=%lld",
                     (long long)(clock_monotonic_ns() / 1000));
    d->files_read = d->files_seen = config_source_fingerprint(d->source);
    d->fallen_back = 0;
    d->half_read = !config_source_read(d->source);
    if (!d->half_read)
        ok = rebuild(d, reason, size);
    else
        ok = fail_without_memory(d, reason, size);
    if (d->no_memory)
        d->files_read = 0; /* who watches them reads them once more */
    if (atomic_load(&d->self.reload_successful))
        atomic_store(&d->self.reload_success_realtime_ns, clock_realtime_ns());
    if (d->self.ready)
        service_tell(&d->service, "READY=1");
    return ok;
}

static bool on_news(void *context)
{
    struct daemon *d = context;
    char reason[REASON_SIZE];

    if (d->half_read)
        reload(d, reason, sizeof reason);
    else
        rebuild(d, reason, sizeof reason);
    return !d->no_memory;
}

static void on_fared(void *context)
{
    show_inputs(context);
}

/* --config.watch */
static void on_look(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    uint64_t now = config_source_fingerprint(d->source);
    char reason[REASON_SIZE];

    if (now != d->files_read && now == d->files_seen) {
        LOG(INFO, "The configuration's files have changed", {NULL, NULL});
        reload(d, reason, sizeof reason);
    }
    d->files_seen = now;
}

/* --- signals and requests --------------------------------------------------------------------- */

static void on_end(uv_signal_t *signal, int number)
{
    const struct daemon *d = signal->data;

    LOG(INFO, "Ending", {"signal", number == SIGTERM ? "TERM" : "INT"});
    service_tell(&d->service, "STOPPING=1\nSTATUS=Ending");
    uv_stop(signal->loop);
}

/* Only asks: the loop calls this for every single signal, and would come to nothing else while they
 * arrive faster than a large configuration is read. One reload answers all that came before it. */
static void on_hangup(uv_signal_t *signal, int number)
{
    struct daemon *d = signal->data;

    (void)number;
    uv_async_send(&d->on_request);
}

static void on_reload_request(uv_async_t *async)
{
    struct daemon *d = async->data;
    struct asker *waiting = askers_take(&d->askers, false);
    char reason[REASON_SIZE];
    bool ok = nothing_to_reload(d, reason, sizeof reason) || reload(d, reason, sizeof reason);

    askers_tell(waiting, ok, reason);
}

/* On the HTTP thread. */
static bool request_reload(void *context, void (*told)(void *asker, bool done, const char *message),
                           void *who)
{
    struct daemon *d = context;

    return askers_add(&d->askers, &d->on_request, told, who);
}

/* --- life ------------------------------------------------------------------------------------- */

/* On the HTTP thread. */
static bool ask_for_probe(void *context, const struct probe_question *question,
                          void (*answered)(void *asker, struct probe_answer *answer), void *asker)
{
    struct daemon *d = context;

    return requests_ask(d->requests, question, answered, asker);
}

/* True, too, when there is none. */
static bool read_web_config(struct daemon *d)
{
    struct config_messages messages = {0};

    if (!d->flags->web_config_file)
        return true;
    d->web = web_new(d->flags->web_config_file, &d->self, &messages);
    generation_log(&messages);
    config_messages_deinit(&messages);
    return d->web != NULL;
}

/* While there may be a right to a low port, which is given up before the first thread. */
static bool listen_early(struct daemon *d)
{
    char error[256] = "";

    if (d->flags->systemd_socket)
        return true;
    d->listeners = http_listeners_open(d->flags->listen, d->flags->n_listen, error, sizeof error);
    if (!d->listeners)
        LOG(ERROR, "Cannot listen", {"error", error},
            {"hint", activation_offered() ? "systemd hands over sockets to listen on; they are "
                                            "served with --web.systemd-socket"
                                          : NULL});
    return d->listeners != NULL;
}

static bool start_http(struct daemon *d)
{
    struct http_options options = {.addresses = d->flags->listen,
                                   .n_addresses = d->flags->n_listen,
                                   .listeners = d->listeners,
                                   .telemetry_path = d->flags->telemetry_path,
                                   .max_requests = (unsigned)d->flags->max_requests,
                                   .request_deadline_ns = REQUEST_DEADLINE_NS,
                                   .reload = request_reload,
                                   .reload_context = d,
                                   .probe = ask_for_probe,
                                   .probe_context = d,
                                   .timeout_offset_ns = d->flags->timeout_offset_ns,
                                   .web = d->web};
    int sockets[FLAGS_MAX_LISTEN];
    char error[256] = "";

    options.sockets = sockets;
    if (!d->flags->systemd_socket ||
        activation_sockets(sockets, FLAGS_MAX_LISTEN, &options.n_sockets, error, sizeof error))
        d->http = http_server_start(&options, d->fleet, &d->self, error, sizeof error);
    if (!d->http) {
        LOG(ERROR, "Cannot listen", {"error", error});
        return false;
    }
    for (size_t i = 0; i < options.n_addresses + options.n_sockets; i++)
        LOG(INFO, "Listening on", {"address", http_server_address(d->http, i)},
            {"tls", d->web && web_has_tls(d->web) ? "true" : "false"});
    return true;
}

static void watch_signal(struct daemon *d, uv_signal_t *handle, uv_signal_cb callback, int number)
{
    uv_signal_init(&d->loop, handle);
    handle->data = d;
    uv_signal_start(handle, callback, number);
}

static bool start(struct daemon *d)
{
    const struct discovery_callbacks discovery = {.news = on_news, .fared = on_fared, .context = d};
    char reason[REASON_SIZE];

    d->fleet = fleet_new();
    d->source = setup_source(d->flags);
    if (!d->source)
        return false;
    d->hub = discovery_hub_new(&d->loop, d->source, &discovery);
    if (!d->fleet || !d->hub) {
        LOG(ERROR, "Cannot start", {"error", "out of memory"});
        return false;
    }
    if (!listen_early(d) || !reload(d, reason, sizeof reason) || !read_web_config(d))
        return false;
    atomic_store(&d->self.ready, true); /* whoever is waiting at the door asks at once */
    if (!start_http(d))
        return false;
    confine_complete(d->flags, &d->loop);
    if (d->flags->config_watch && d->flags->config_file)
        uv_timer_start(&d->on_look, on_look, WATCH_MS, WATCH_MS);
    d->watchdog.service = &d->service;
    d->watchdog.scheduler = d->scheduler;
    d->watchdog.requests = d->requests;
    d->watchdog.http = d->http;
    watchdog_start(&d->watchdog, &d->loop);
    service_tell(&d->service, "READY=1");
    return true;
}

static void stop(struct daemon *d)
{
    askers_end(&d->askers); /* nobody listens on our loop any more */
    atomic_store(&d->self.ready, false);
    if (d->scheduler)
        scheduler_end(d->scheduler);
    requests_end(d->requests);
    if (d->http)
        http_server_stop(d->http, STOP_GRACE_NS);
    http_listeners_free(d->listeners);
    web_free(d->web);
    if (d->scheduler)
        scheduler_stop(d->scheduler);
    requests_free(d->requests);
    discovery_hub_free(d->hub);
    fleet_free(d->fleet);
    config_source_free(d->source);
    self_deinit(&d->self);
}

static void on_walk(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

int daemon_run(const struct flags *flags)
{
    struct daemon d = {.flags = flags, .askers = ASKERS_INIT};
    bool ok;

    if (setup_nothing_to_load(flags->config_file, "watch"))
        return 1;
    if (!setup_process())
        return 1;
    service_open(&d.service);
    self_init(&d.self);
    if (!setup_shard(flags, &d.self.shard))
        return 2;
    if (!loop_init(&d.loop)) {
        LOG(ERROR, "Cannot start", {"error", "no memory or descriptors for an event loop"});
        return 1;
    }
    uv_async_init(&d.loop, &d.on_request, on_reload_request);
    d.on_request.data = &d;
    uv_timer_init(&d.loop, &d.on_look);
    uv_timer_init(&d.loop, &d.on_trim);
    d.on_look.data = &d;
    watch_signal(&d, &d.on_term, on_end, SIGTERM);
    watch_signal(&d, &d.on_int, on_end, SIGINT);
    watch_signal(&d, &d.on_hup, on_hangup, SIGHUP);
    LOG(INFO, "Starting pgtls_exporter", {"version", PGTLS_VERSION}, {"revision", PGTLS_REVISION});
    ok = start(&d);
    if (ok)
        uv_run(&d.loop, UV_RUN_DEFAULT);
    stop(&d);
    confine_end();
    uv_walk(&d.loop, on_walk, NULL);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    uv_loop_close(&d.loop);
    log_stop(NS_PER_S);
    return ok ? 0 : 1;
}
