#pragma once
/* Inside the probe room: one probe as one machine.
 *
 * The heart is a table of stages (in probe.c). Each stage's function is callable until done, with
 * the contract of SSL_do_handshake and PQconnectPoll. There is one door in, probe_advance():
 * descriptor, DNS answer and timer all come through it, and nothing else moves a probe on. There is
 * one door out, probe_finish(): it detaches and cleans first and reports last. */
#include "pgtls/base/stopwatch.h"
#include "pgtls/config/secret.h"
#include "pgtls/model/fleet.h"
#include "pgtls/model/observation.h"
#include "pgtls/net/address.h"
#include "pgtls/net/resolver.h"
#include "pgtls/pg/login.h"
#include "pgtls/pg/wire.h"
#include "pgtls/tls/certificate_file.h"
#include "pgtls/tls/conn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* What a stage wants. */
enum step {
    STEP_NEXT,  /* done: on to p->next, or the row's own successor */
    STEP_READ,  /* call again when readable */
    STEP_WRITE, /* call again when writable */
    STEP_WAIT,  /* a callback will call probe_advance */
    STEP_GOOD,  /* the probe has succeeded */
    STEP_FAIL   /* it has failed: p->evidence says how */
};

enum stage {
    STAGE_PREPARE, /* what is needed of our own side, before a server is bothered */
    STAGE_RESOLVE,
    STAGE_CONNECT,
    STAGE_CONNECTED,
    STAGE_SSL_REQUEST,
    STAGE_SSL_ANSWER,
    STAGE_HANDSHAKE,
    STAGE_JUDGE,
    STAGE_STARTUP,
    STAGE_FIRST_MESSAGE,
    STAGE_TRUSTED, /* authenticated without being asked: on to ReadyForQuery */
    STAGE_LOGIN,
    STAGE_LEAVE, /* concluded; leaving politely */
    STAGE_COUNT
};

/* What is known of a server from earlier probes. Belongs to its worker. */
struct learned {
    struct chain_memory memory;
    struct pem *anchors;                       /* of the latest good inspect */
    bool pinned;                               /* and it held the only pin: so must logins */
    struct certificate_file *certificate_file; /* as last looked at */
    char address[64];                          /* that the latest inspect used */
    bool tls;                                  /* the leg that got in, for prefer and allow */
    bool scram_plus;
    bool plain_query;        /* the server refuses the login's whole query */
    struct login_keys *keys; /* SCRAM's, of logins that got in; NULL until there may be some */
};

struct probe;

/* What a probe borrows from its worker. */
struct probe_host {
    uv_loop_t *loop;
    struct resolver *resolver;
    struct trust_cache *trusts;
    const char *bundle_path;
    bool repeats; /* its logins come again: what one learns for the next is worth having */
    /* May this numeric address be connected to? Asked before every attempt; NULL: any may. An
     * address that may not is passed over; when none was tried at all, the
     * probe's result means nothing. */
    bool (*admits)(void *owner, const char *address);
    /* The probe is over and holds nothing any more but its observation; free it. */
    void (*finished)(struct probe *probe, void *owner);
};

struct probe {
    const struct probe_host *host;
    void *owner;
    struct endpoint_set *set; /* a reference: server is in it */
    const struct server *server;
    struct learned *learned;

    enum stage stage, next;
    bool advancing, concluded, cancelled, skip_phase;
    enum phase phase;
    struct stopwatch watch;
    int64_t cpu_mark_ns; /* our thread's CPU up to which the stopwatch knows */
    int64_t started_ns, deadline_ns, stage_deadline_ns, leave_ns, armed_ns;
    bool looked; /* its deadline has passed, and was put off because of us */
    struct observation observation;
    struct evidence evidence;

    int handles; /* uv handles not yet closed */
    uv_poll_t poll;
    uv_timer_t timer;
    int poll_fd, poll_events;
    bool poll_open, poll_closing;

    /* inspect */
    int fd;
    bool tls, second_leg;
    struct resolve_request request;
    bool resolving;
    struct address *addresses; /* while they are tried in turn */
    size_t n_addresses, next_address;
    int connect_errno, peeked_errno;
    struct trust *trust;
    struct certificate *client_certificate; /* a copy: the policy may go before it is applied */
    struct tls_conn *conn;
    size_t sent;     /* of the StartupMessage, or of Terminate */
    bool in_session; /* trusted: to be ended with Terminate */
    bool said_goodbye;
    unsigned char *in; /* bytes of server messages not yet understood */
    size_t in_len, in_cap;
    unsigned messages;

    /* login */
    struct login *login;
    struct login_job *job;      /* its long step, while that is on another thread */
    bool full_bundle;           /* the retry without anchors */
    bool by_password;           /* the retry without SCRAM keys */
    uint64_t secret_generation; /* before the secret was read */
};

/* A probe of this kind; it runs at once. NULL when out of memory. `set` holds `server`. */
struct probe *probe_start(const struct probe_host *host, enum probe_kind kind,
                          struct endpoint_set *set, const struct server *server,
                          struct learned *learned, void *owner);

/* Ends it without a result: finished() is called with cancelled set. */
void probe_cancel(struct probe *p);

/* Frees a finished probe. */
void probe_free(struct probe *p);

/* What a good inspect taught, for the login that follows. */
void learned_take(struct learned *learned, const struct probe *p);
/* Lets go of everything; `learned` is as new. */
void learned_forget(struct learned *learned);

/* The one door in. */
void probe_advance(struct probe *p);

/* For the stages. */
enum step probe_fail(struct probe *p, enum end_kind end);
enum step probe_fail_errno(struct probe *p, int number);
/* The peer closed: a plaintext read ended with this errno, 0 for the end of the stream. EPIPE tells
 * that its FIN was there before its reset. */
enum step probe_fail_closed(struct probe *p, int number);
enum step probe_fail_local(struct probe *p, enum internal_reason reason, const char *text);
void probe_close_socket(struct probe *p);
void probe_unwatch(struct probe *p); /* before a descriptor is closed by somebody else */

/* One row per stage. */
#define NO_PHASE (-1)
struct stage_row {
    const char *name;
    enum step (*run)(struct probe *p);
    int begins;      /* the phase that begins with it, NO_PHASE: the present one goes on */
    bool ends_phase; /* STEP_NEXT or STEP_GOOD completes the present phase, unless p->skip_phase */
    enum stage next; /* unless the stage set p->next */
};
enum step inspect_prepare(struct probe *p);
enum step inspect_resolve(struct probe *p);
enum step inspect_connect(struct probe *p);
enum step inspect_connected(struct probe *p);
enum step inspect_ssl_request(struct probe *p);
enum step inspect_ssl_answer(struct probe *p);
/* An 'E' has come instead of S or N: reads what is behind it. */
enum step inspect_early_error(struct probe *p);
enum step inspect_handshake(struct probe *p);
enum step inspect_judge(struct probe *p);
enum step inspect_startup(struct probe *p);
enum step inspect_first_message(struct probe *p);
enum step inspect_trusted(struct probe *p);
/* After a failure: is there another leg (prefer, allow) to try? */
bool inspect_has_second_leg(const struct probe *p);
void inspect_second_leg(struct probe *p); /* sets it up */
/* Says goodbye after the verdict: STEP_READ while the peer may still send, else STEP_GOOD. */
enum step inspect_leave(struct probe *p);
/* An address did not answer in its share of the time: is there another to connect to? */
bool inspect_next_address(struct probe *p);

enum step login_run(struct probe *p);
/* The probe is over: keeps what its login has learned for the next one. */
void login_learn(struct probe *p);

/* Reads the secrets, starts libpq, wipes them. NULL when our own side failed: reason and text. */
struct login_start {
    const struct server *server;
    const struct learned *learned; /* by an inspect of it */
    const struct probe_host *host;
    bool full_bundle;              /* instead of the anchors that were learned */
    const struct scram_keys *keys; /* beside the password; NULL: none */
    bool learn_keys;
    int64_t now_ns;
};
struct login *login_start(const struct login_start *start, enum internal_reason *reason, char *text,
                          size_t size);
