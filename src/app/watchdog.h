#pragma once
/* Proof of life for the service manager's watchdog.
 *
 * It is told that all is well only after every loop has shown that it turns: each worker's, that of
 * the probes that requests ask for, those of the HTTP server, and the main one, on which this runs.
 * They are asked anew each time; while one of them is silent, the manager hears nothing, and ends
 * the exporter when its patience is over. */
#include "service.h"

#include <stdbool.h>
#include <uv.h>

struct http_server;
struct requests;
struct scheduler;

struct watchdog {
    const struct service *service;
    struct scheduler *scheduler;
    struct requests *requests;
    struct http_server *http;
    uv_timer_t timer;
    int64_t asked_ns; /* when they were asked last */
    bool complained;  /* about one that has not answered since */
};

/* Begins, if the service manager watches; what the pointers lead to must outlive the loop. The
 * timer is the loop's to close. */
void watchdog_start(struct watchdog *watchdog, uv_loop_t *loop);
