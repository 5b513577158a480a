#pragma once
/* Watched sessions: connections kept open on purpose, to see what drops them. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct native_histogram;

#define MAX_SESSIONS 4

/* As configured. */
struct session_config {
    const char *name; /* label value: the idle time as it was written, unless it has a name */
    int64_t idle_ns;  /* how long it is left alone between two checks */
    int64_t keepalives_idle_ns; /* of the kernel's TCP keepalives; 0: the system's */
};

/* How a session ended. */
enum session_end {
    SESSION_END_NONE, /* by ourselves, or for a reason of our own */
    SESSION_END_CLOSE_NOTIFY,
    SESSION_END_FIN,
    SESSION_END_RST,
    SESSION_END_TIMEOUT, /* a check, or the kernel's keepalive, got no answer */
    SESSION_END_SERVER_MESSAGE,
    SESSION_END_PROTOCOL_ERROR, /* what came was no TLS record or no message */
    SESSION_END_COUNT
};
const char *session_end_name(enum session_end end); /* "" for NONE; label value `how` */

#define SESSION_ERROR_SIZE 128
struct session_drop {
    enum session_end how;
    int64_t age_ns;
    int64_t idle_ns;  /* since its latest answer; of a timeout: until the check was sent */
    char sqlstate[6]; /* "" unless the server said one */
    char error[SESSION_ERROR_SIZE];
};

/* Fixed bounds in seconds, without +Inf: what ends idle sessions counts in minutes. */
#define SESSION_BUCKETS 7
extern const double session_bounds[SESSION_BUCKETS];

/* What is known of one session; belongs to its server's state. */
struct session_state {
    const struct session_config *config;
    bool known; /* it has been up, or could not be opened: up says which */
    bool up;
    int64_t started_realtime_ns, started_monotonic_ns; /* of the present one */
    uint64_t drops[SESSION_END_COUNT];
    uint64_t lifetime[SESSION_BUCKETS + 1], idle[SESSION_BUCKETS + 1]; /* per bucket */
    int64_t lifetime_sum_ns, idle_sum_ns;
    struct native_histogram *lifetime_native, *idle_native; /* as in struct histogram */
    struct session_drop last;
    int64_t last_realtime_ns; /* of the latest drop; 0: none */
};
