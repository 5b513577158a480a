#pragma once
/* What the exporter tells about itself: is it keeping up, is its configuration good. Counters are
 * atomic; anybody adds, the exposition reads. One instance, owned by app/. */
#include "pgtls/model/requested.h"
#include "pgtls/model/shard.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Upper bounds in seconds of the scheduler's lag histogram; +Inf is implied. */
#define LAG_BUCKETS 8
extern const double self_lag_bounds[LAG_BUCKETS];

/* What can hold back a probe that is due. */
enum cap {
    CAP_NONE,
    CAP_IN_FLIGHT,
    CAP_IN_FLIGHT_SLOW, /* there is room, kept for servers that answered promptly the last time */
    CAP_ADDRESS,        /* for this kind of server, at this address */
    CAP_RATE,
    CAP_COUNT
};
const char *cap_name(enum cap cap); /* label value `limit`: the name of its key in `limits` */

/* Why our own HTTP server refused a request. */
enum web_refusal {
    WEB_REFUSED_PASSWORD, /* none, or a wrong one */
    WEB_REFUSED_BUSY,     /* too many passwords wait for being checked */
    WEB_REFUSED_RATE,     /* more requests than rate_limit allows */
    WEB_REFUSAL_COUNT
};
const char *web_refusal_name(enum web_refusal why); /* label value `reason` */

/* What the configuration is made of: its files, and what discovery brings. Immutable once shown. */
struct self_inputs {
    int references;
    size_t n;
    struct self_input {
        char *name;
        bool valid;       /* what it holds now is in force; else what it held before */
        const char *kind; /* of discovery: "file_sd" …; NULL: a file of the configuration */
        size_t targets;   /* of discovery: how many endpoints, or addresses, its list has */
        uint64_t failures;
        int64_t last_success_realtime_ns; /* 0: never */
    } items[];
};

struct self {
    _Atomic uint64_t probes_skipped; /* due while the previous one, or a cap, held it back */
    _Atomic int64_t probes_in_flight;
    _Atomic int64_t probes_waiting;               /* due, held back by a cap now */
    _Atomic uint64_t probes_held_back[CAP_COUNT]; /* by the cap that refused them first */
    _Atomic uint64_t lag_counts[LAG_BUCKETS + 1]; /* start minus due time, per bucket */
    _Atomic uint64_t lag_sum_ns;
    _Atomic uint64_t requested[REQUEST_OUTCOME_COUNT]; /* probes that a request asked for */
    _Atomic bool kernel_timestamps;                    /* the kernel stamps arrivals for us */
    _Atomic uint64_t missing_timestamps;
    _Atomic bool reload_successful;
    _Atomic int64_t reload_success_realtime_ns;
    _Atomic bool ready; /* configuration loaded, listeners up, first schedule built */
    struct shard shard; /* which part of the configuration; set before the first reader */
    int64_t start_realtime_ns;

    const char *web_config_file;          /* NULL: none; set before the first reader */
    _Atomic bool web_config_good;         /* what it holds now is in force */
    _Atomic uint64_t web_password_checks; /* bcrypt hashes computed */
    _Atomic uint64_t web_refused[WEB_REFUSAL_COUNT];

    /* Through a pointer to itself, as readers have a const self; by the functions below only. */
    struct self_board {
        pthread_mutex_t lock;
        struct self_inputs *files;
    } own_board, *board;
};

void self_init(struct self *self);
void self_deinit(struct self *self);

/* Room for n files without names, to be shown; NULL when out of memory. Names are freed with it. */
struct self_inputs *self_inputs_new(size_t n);

/* Shows another list of files, which is taken over. */
void self_show_inputs(struct self *self, struct self_inputs *files);

/* The list that is shown, NULL if there is none; to be given back. */
struct self_inputs *self_take_inputs(const struct self *self);
void self_return_inputs(const struct self *self, struct self_inputs *files);
/* A probe began so long after it was due. Any thread. */
void self_add_lag(struct self *self, int64_t lag_ns);
