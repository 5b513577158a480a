#pragma once
/* What is known of one server: its configuration in force, what its probes and sessions came to,
 * counters and histograms. Written by the fold alone (fold.h); metrics, health and pages only read.
 *
 * Each server has its own short lock: whatever says so is called under it. */
#include "pgtls/model/history.h"
#include "pgtls/model/native_histogram.h"
#include "pgtls/model/observation.h"
#include "pgtls/model/server.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A histogram in seconds, as classic one whose upper bounds are the settings', and as native one
 * where the settings want that too. What is counted is counted in both. */
struct histogram {
    uint64_t counts[MAX_BUCKETS + 1]; /* per bucket, not cumulative; the last is +Inf */
    double sum;
    struct native_histogram *native; /* the server state's; NULL: nothing is in it */
};

enum state { STATE_UNKNOWN, STATE_UP, STATE_DOWN, STATE_COUNT };
const char *state_name(enum state state); /* "unknown", "up", "down" */

/* What people are told: the state, and whether what is up keeps its promises. Worst first, which is
 * the order of documents. */
enum status { STATUS_DOWN, STATUS_DEGRADED, STATUS_UNKNOWN, STATUS_OK, STATUS_COUNT };
const char *status_name(enum status status); /* "down", "degraded", "unknown", "ok" */
enum status status_of_state(enum state state, bool promise_broken);

/* What is remembered per kind of probe. */
struct probe_state {
    bool configured;
    bool ran;            /* at least one result that was not internal */
    bool internal;       /* the latest attempt failed on our own side */
    bool good;           /* the latest result that was not internal */
    enum fault fault;    /* of the latest attempt; FAULT_NONE when good */
    enum fault expected; /* when good: the refusal that was expected, and came */
    enum phase phase;
    enum close_how how;
    char sqlstate[6];
    char *error; /* the server state's; NULL without one */
    uint64_t probes, failures[FAULT_CLASS_COUNT], internal_errors[INTERNAL_REASON_COUNT];
    uint64_t failures_in_row;
    uint64_t expected_refusals;
    int64_t last_realtime_ns;         /* end of the latest attempt, 0 = none */
    int64_t last_monotonic_ns;        /* the same, for ages: no wall clock there */
    int64_t last_success_realtime_ns; /* 0 = never */
    int64_t interval_ns;              /* in force, backoff included */
    struct histogram duration;
};

/* Certificates seen on one server: several back ends behind one address are normal, and take turns.
 * Lately is within its last LEAF_LATELY handshakes: long enough for any balancer to come round. */
#define MAX_LEAVES    8
#define LEAF_LATELY   30
/* Handshakes without a certificate before it counts as not shown, on a server that has shown a
 * single one lately; otherwise LEAF_LATELY. Reloading a renewed certificate may take a moment. */
#define LEAF_PATIENCE 3
struct leaf_seen {
    unsigned char fingerprint[32];
    int64_t first_seen_realtime_ns; /* since when it is seen, without a longer break */
    int64_t last_seen_realtime_ns;
    uint64_t sighting; /* the latest, as server_state.sightings counts them */
};

/* The file that holds the certificate which the server is supposed to serve. */
struct file_seen {
    struct certificate_file *file; /* as last looked at; NULL: not configured, or not yet */
    bool known;                    /* it could be read once, and then held … */
    unsigned char fingerprint[32]; /* … this */
    int64_t since_realtime_ns;     /* when that was first found in it */
    uint64_t sightings;            /* handshakes there had been by then */
    /* Does the server show it? UNKNOWN before, and while the file cannot be read. */
    enum verdict served;
};

/* Back ends that answered logins lately: the worst of them is shown. */
#define MAX_BACKENDS 8
struct backend_seen {
    char address[64];
    enum verdict in_recovery, read_only;
    bool lag_known;
    int64_t lag_ns;
    int64_t first_monotonic_ns; /* since it plays this role */
    int64_t last_monotonic_ns;
    bool counts; /* else it is remembered only to know it again */
};

struct promise_state {
    enum verdict kept; /* UNKNOWN: not promised, or nothing is known now */
    int64_t since_realtime_ns;
    enum verdict told; /* as it was when last known, for the log */
};

/* Everything a reader may show about one server. Read it under server_state_lock(). */
struct server_state {
    pthread_mutex_t lock;
    int references;              /* atomic */
    struct endpoint_set *set;    /* the generation that config belongs to; a reference */
    const struct server *config; /* in set */
    char *labels;              /* `pg_cluster="…",pg_endpoint="…",server="…"`, escaped once */
    int64_t since_realtime_ns; /* of the present state */
    int64_t state_entered_monotonic_ns;
    enum state state;
    int64_t state_ns[STATE_COUNT]; /* up to state_entered_monotonic_ns */

    struct probe_state probes[PROBE_COUNT];
    struct histogram phases[PHASE_COUNT];
    int64_t phase_cpu_ns[PHASE_COUNT];
    bool phase_measured[PHASE_COUNT]; /* the latest value is in phase_last_ns */
    int64_t phase_last_ns[PHASE_COUNT];
    uint64_t ssl_closes[PHASE_COUNT][CLOSE_COUNT];
    uint64_t hba_rejections[HBA_KIND_COUNT];
    uint64_t hello_retries;

    char address[64];
    bool tls;
    char tls_version[12], tls_cipher[48], tls_group[24], tls_alpn[16];
    struct chain *chain; /* last seen, kept while the server is down; NULL = never */
    struct certificate *client_certificate; /* NULL without one */
    struct judgement judgement;
    int64_t certificate_last_seen_realtime_ns;
    struct chain *shown_chain; /* what certificate_info shows: changes at most every 5 min */
    int64_t shown_monotonic_ns;
    struct leaf_seen leaves[MAX_LEAVES];
    size_t n_leaves;
    uint64_t sightings; /* handshakes that showed a certificate */
    struct file_seen certificate_file;
    uint64_t certificate_changes;

    char auth_method[AUTH_METHOD_SIZE];
    bool channel_binding;
    char server_version[64]; /* its own words, at its latest login */
    char shown_version[64];  /* what server_info shows: changes at most every 5 min */
    int64_t version_shown_monotonic_ns;
    enum verdict pooler;

    struct backend_seen *backends; /* at most MAX_BACKENDS; NULL until one has answered */
    size_t n_backends;
    enum verdict in_recovery; /* YES: one of the back ends is */
    bool lag_known;
    int64_t lag_ns; /* the largest of the back ends' */
    struct promise_state promises[PROMISE_COUNT];
    struct sslmode_facts sslmodes;

    struct history *history; /* NULL until there is a result, and when memory ran out */

    struct session_state *sessions; /* as in config */
    size_t n_sessions;
};

/* The state of a server that nothing is known of yet; its one reference is the caller's. Takes a
 * reference on `set`, which `config` is in. `now_ns` is monotonic. NULL when out of memory. */
struct server_state *server_state_new(struct endpoint_set *set, const struct server *config,
                                      int64_t now_ns);

/* Its histograms begin anew at 0, but for those of its sessions. Call under the lock. */
void server_state_forget_histograms(struct server_state *s);

/* Counted references, any thread. The last one frees; NULL is accepted there. */
struct server_state *server_state_ref(struct server_state *s);
void server_state_unref(struct server_state *s);
static inline void server_state_lock(struct server_state *s)
{
    pthread_mutex_lock(&s->lock);
}
static inline void server_state_unlock(struct server_state *s)
{
    pthread_mutex_unlock(&s->lock);
}

/* Up: the latest result of every configured kind of probe is good; of inspect alone where that was
 * the refusal that is expected. Unknown: a kind has not run yet, or our own side fails. A login
 * that is not run because inspect fails changes nothing here: inspect being bad is enough for down.
 * Call under the lock. */
enum state server_state_now(const struct server_state *s);

/* The same with the promises. Call under the lock. */
enum status server_status(const struct server_state *s);

/* Seconds spent in a state until now (monotonic). Call under the lock. */
double server_state_seconds(const struct server_state *s, enum state state, int64_t now_ns);

/* The probe state whose fault explains the server's state: inspect's if bad (or failing on our own
 * side), else login's, else NULL. `kind` may be NULL. Call under the lock. */
const struct probe_state *server_state_culprit(const struct server_state *s, enum probe_kind *kind);

/* What the server's promise is judged by: of several back ends the worst. Call under the lock. */
void server_promise_facts(const struct server_state *s, enum promise promise,
                          struct promise_facts *facts);

/* Adds a server to the tally of a promise, unless it is left alone on purpose. Call under the lock.
 */
void promise_tally_add(struct promise_tally *tally, const struct server_state *s,
                       enum promise promise);

/* The leaf numbered i was seen lately. Call under the lock. */
bool server_leaf_is_recent(const struct server_state *s, size_t i);

/* Since when the server has not shown what its certificate_file holds; 0 if it does, or nothing is
 * known. Call under the lock. */
int64_t server_file_unserved_since(const struct server_state *s);
