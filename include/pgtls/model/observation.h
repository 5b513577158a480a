#pragma once
/* What one probe yields: plain values, handed over once, to the fleet. */
#include "pgtls/model/certificate.h"
#include "pgtls/model/evidence.h"
#include "pgtls/model/fault.h"
#include "pgtls/model/phase.h"
#include "pgtls/model/sslmode_works.h"

#include <stdbool.h>
#include <stdint.h>

/* What the server's first answer told about how it authenticates. */
#define AUTH_METHOD_SIZE 24

struct phase_time {
    bool completed;
    int64_t duration_ns; /* what an otherwise idle client would have seen, own CPU included */
    int64_t cpu_ns;      /* own CPU within it */
};

struct observation {
    enum probe_kind probe;
    int64_t started_realtime_ns, finished_realtime_ns;
    int64_t duration_ns; /* the whole probe, monotonic, without the polite close */

    enum fault fault;    /* FAULT_NONE: good */
    enum fault expected; /* if good: the refusal that was expected, and came (model/expect.h) */
    enum fault instead;  /* of expected_refusal_missing: what it came to, FAULT_NONE: it got in */
    enum phase phase;    /* where it failed, or the last phase reached */
    enum close_how how;  /* if the peer closed */
    struct phase_time phases[PHASE_COUNT];

    enum leg leg;                    /* inspect: the leg it ended on */
    struct leg_seen legs[LEG_COUNT]; /* inspect: what became of those it tried */

    char address[64];            /* numeric address used, "" before one was */
    char sqlstate[6];            /* of an ErrorResponse, "" without */
    char error[PG_MESSAGE_SIZE]; /* cleaned text for log and JSON, never a label; "" if good */
    int tls_alert;               /* -1 = none */

    bool tls;             /* the handshake completed */
    char tls_version[12]; /* "TLSv1.3" */
    char tls_cipher[48];
    char tls_group[24];  /* "" if unknown */
    char tls_alpn[16];   /* "" if none */
    bool hello_retry;    /* the server asked for another key share */
    struct chain *chain; /* a reference of the observation's, NULL if no certificate came */
    struct pem *anchors; /* a reference; NULL when no path verified, unless the leaf is self-signed
                            and nothing else is wrong with it: then itself */
    struct judgement judgement;
    struct certificate *client_certificate;    /* borrowed until applied; NULL without one */
    struct certificate_file *certificate_file; /* a reference; NULL when none is configured */

    char auth_method[AUTH_METHOD_SIZE]; /* "trust", "password", "md5", "scram-sha-256", "gss", … */
    bool channel_binding;               /* the server offers SCRAM-SHA-256-PLUS */

    /* login only */
    char server_version[64]; /* "" = not known */
    enum verdict in_recovery;
    enum verdict read_only; /* transaction_read_only of a new transaction */
    char backend[64];       /* who answered the query, as it calls itself; "" = not known */
    bool lag_known;         /* of a standby */
    int64_t lag_ns;
    bool by_keys;        /* SCRAM keys of an earlier login stood for the password */
    enum verdict pooler; /* the answering backend is not the one that authenticated us */

    unsigned missing_timestamps; /* reads that had to use user-space time */
};

/* It got in, as it should. */
bool observation_entered(const struct observation *o);

/* tls_alert = -1, everything else zero. */
void observation_init(struct observation *o, enum probe_kind probe);
/* Drops the references to chain, anchors and certificate_file. */
void observation_deinit(struct observation *o);
