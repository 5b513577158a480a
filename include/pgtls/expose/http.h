#pragma once
/* The HTTP server: libmicrohttpd in threads of its own, reading the fleet. */
#include "pgtls/model/fleet.h"
#include "pgtls/model/requested.h"
#include "pgtls/model/self.h"

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct http_listeners;
struct web;

#define HTTP_DEFAULT_PORT 10432

struct http_options {
    /* "127.0.0.1:10432", "[::1]:10432", ":10432" (everywhere), "localhost:0", "unix:/path" */
    const char *const *addresses;
    size_t n_addresses;
    struct http_listeners *listeners; /* those addresses, open already; NULL: opened at the start */
    /* Sockets that listen already, instead of addresses: they are somebody else's and stay open for
     * him, closed only here. */
    const int *sockets;
    size_t n_sockets;
    const char *telemetry_path;  /* "/metrics" */
    unsigned max_requests;       /* scrapes in progress; 0: no cap */
    int64_t request_deadline_ns; /* absolute, per request */
    /* POST /-/reload: reloads, and calls `told` once, from any thread and perhaps before it
     * returns, with the outcome and a borrowed message (NULL or "": nothing to say). False: nobody
     * will call. NULL: 404. All that called it are told before http_server_stop. */
    bool (*reload)(void *context, void (*told)(void *asker, bool done, const char *message),
                   void *asker);
    void *reload_context;
    /* GET /probe: probes, and calls `answered` once, from any thread and perhaps before it returns,
     * with an answer that is borrowed (NULL: there is none to be had). False: nobody will call.
     * NULL: 404. All that called it are answered before http_server_stop. */
    bool (*probe)(void *context, const struct probe_question *question,
                  void (*answered)(void *asker, struct probe_answer *answer), void *asker);
    void *probe_context;
    int64_t timeout_offset_ns; /* a probe ends this long before the scrape that waits for it */
    /* TLS, passwords and the rest of --web.config.file; NULL: plain HTTP for everybody. Must
     * outlive the server. */
    struct web *web;
};

struct http_server;

/* Opens addresses while there may be a right to do so that is to be given up, and no thread yet.
 * NULL with the reason in error. A server that is started with them takes them over. */
struct http_listeners *http_listeners_open(const char *const *addresses, size_t n, char *error,
                                           size_t size);
/* Closes what no server took; accepts NULL. */
void http_listeners_free(struct http_listeners *listeners);

/* Binds and starts. NULL with the reason in error. Copies what it keeps of the options; the fleet
 * must have been set once. */
struct http_server *http_server_start(const struct http_options *options, struct fleet *fleet,
                                      const struct self *self, char *error, size_t size);

/* Accepts nobody any more, lets those who are connected ask and be answered for at most grace_ns,
 * ends the threads. On a socket that was handed over, who comes now waits for the next server.
 * Accepts NULL. */
void http_server_stop(struct http_server *server, int64_t grace_ns);

/* Is it alive? Every listener's threads are asked for a sign; then, as long as one has not given
 * it, the address it listens on, NULL when all have. Both from one thread. */
void http_server_poke(struct http_server *server);
const char *http_server_silent(const struct http_server *server);

/* "127.0.0.1:10432" as really bound (port 0 is replaced by the kernel's choice); i < n_addresses,
 * or n_sockets. */
const char *http_server_address(const struct http_server *server, size_t i);
