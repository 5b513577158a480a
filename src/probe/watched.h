#pragma once
/* One server as its worker watches it: when what is due, what was learned, what is in flight. */
#include "probe.h"
#include "side.h"

#include "pgtls/model/self.h"
#include "pgtls/probe/caps.h"

struct session;

/* One that is due and waits for room, see queue.h. */
struct waiter {
    void *owner;
    /* Starts, or tells which cap refused; CAP_NONE also where there is nothing to start any more.
     * Sets *pace in any case, and touches nobody else's place in line. */
    enum cap (*try_start)(void *owner, enum pace *pace);
    bool queued;
    enum pace queued_at;
    struct waiter *next;
};

/* Per kind of probe. */
struct slot {
    int64_t due_ns, started_ns;
    int64_t interval_ns; /* in force */
    uint64_t failures;   /* in a row */
    enum pace pace;      /* of the latest */
};

struct watched {
    struct watch_context *context;
    struct server_state *state; /* a reference */
    struct endpoint_set *set;   /* a reference; server is in it */
    const struct server *server;
    struct learned learned;
    struct slot slots[PROBE_COUNT];
    struct side side;
    unsigned side_wanted; /* by the latest inspect; 0 without a policy */
    int64_t side_due_ns;
    bool inspect_good, login_good;
    bool outdated; /* what is in flight tells of a configuration that is no longer in force */
    bool retried;  /* this login failure has had its immediate retry with the new secret */
    bool file_unreadable; /* the log has been told that certificate_file is */
    bool removed;         /* goes as soon as nothing is in flight */
    uint64_t secret_seen; /* generation at the latest failed login */

    uv_timer_t timer; /* the next thing due */
    struct probe *probe;
    char address[64]; /* that the latest inspect tried, in vain or not: for the caps */
    struct session *sessions[MAX_SESSIONS];
    size_t n_sessions;
    bool session_logs_in; /* one of them is about to: at most one login at a time */
    char entered_as[64];  /* the address the caps count it under, at this pace */
    enum pace entered_at;
    struct waiter waiter;                      /* for a probe */
    struct watched *next_in_turn, **turn_link; /* in the line of logins; NULL: not in it */
    bool has_turn; /* a login's, of watched_on_turn or turn_take; until something begins */
    struct watched *next, **link; /* in the context's list */
};

/* Those whom a cap holds back, see queue.h. */
struct queue {
    struct {
        struct waiter *first, **end;
    } lines[PACE_COUNT];
    enum pace next;     /* whose turn it is */
    bool runs, changed; /* room came while it did */
    bool for_rate;      /* somebody waits for the rate of connections, as far as is known */
    uv_timer_t retry;
};

/* Logins that wait for their turn, see turn.h. */
struct turns {
    struct watched *first, **end;
    double per_second, tokens;
    int64_t filled_ns;
    uv_timer_t timer;
};

/* What the watched servers of one worker share. */
struct watch_context {
    struct probe_host host;
    struct caps caps;
    struct self *self;
    struct watched *all; /* alive, also those that are about to go */
    struct queue queue;
    struct turns turns;
};

/* Within what time a server's first probes come; a login waits for a good inspect in any case. */
struct spread {
    int64_t inspect_ns;
    int64_t login_ns; /* 0: as soon as it may */
};

/* Starts watching. NULL when out of memory. */
struct watched *watched_new(struct watch_context *context, struct server_state *state,
                            struct endpoint_set *set, const struct server *server,
                            struct spread spread);

/* A new generation of the same server. If it connects in another way, nothing of what was learned
 * counts any more, and the next probes are its first ones. */
void watched_update(struct watched *w, struct endpoint_set *set, const struct server *server,
                    struct spread spread);

/* All of it is watched, its sessions too. False: there was no memory for some of them; an update
 * tries again. */
bool watched_complete(const struct watched *w);

/* Starts nothing more; a probe in flight may finish, because breaking off a handshake or a session
 * leaves a trace on the server. Freed when the loop has let go. */
void watched_remove(struct watched *w);

/* Breaks off what is still in flight, of all. */
void watched_cancel_all(struct watch_context *context);

/* For the turns: its login may begin. False: there is none to begin any more. */
bool watched_on_turn(struct watched *w);

/* A session is to log in: false while another login of this server is in flight. Then it has to say
 * when it is through. */
bool watched_login_begin(struct watched *w);
void watched_login_end(struct watched *w);
