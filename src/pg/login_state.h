#pragma once
/* What a login is made of, for the files that are one. */
#include "pgtls/base/stopwatch.h"
#include "pgtls/pg/login.h"

#include "login_look.h"
#include "login_query.h"

struct pg_conn; /* libpq's PGconn */

/* One step of libpq on another thread, which writes what it came to. */
struct login_work {
    enum { WORK_NONE, WORK_DUE, WORK_DONE } state;
    int status; /* PostgresPollingStatusType */
    int64_t cpu_ns, ended_ns;
    bool no_memory;
};

struct login {
    const struct server *server;
    struct library *library; /* entered around every call of libpq */
    /* Its copy of the password is wiped once that has done its work, and what it frees when it does
     * (base/wipe.h); that of a key's passphrase stays until PQfinish. */
    struct pg_conn *conn;
    int trust_fd;   /* the anchors, until the handshake is over */
    char *password; /* of a login to learn SCRAM keys from; NULL: of no other */
    bool tls, anchors;
    bool connected, querying, console, done;
    bool kept, checking;   /* it stays open as a session; and owes an answer */
    bool plain, fell_back; /* the plain query; because the whole one was refused */
    bool rest;             /* rest: libpq left some of the record we looked at */
    bool no_memory;        /* OpenSSL had none: what libpq says of it is nothing of the server's */
    uint64_t failures;     /* of OpenSSL's allocations, before the present step */
    enum login_want want;
    struct evidence e;
    struct login_look look;
    struct login_work work;

    struct stopwatch auth, query, *running;
    bool auth_done, query_done;
    int64_t cpu_mark_ns, idle_since_ns;
    unsigned missing_timestamps;

    struct login_answer answer;
    char text[PG_MESSAGE_SIZE]; /* what libpq, or our own side, says about the failure */
};

/* Wipes what a login to learn from keeps (login_scram.c). */
void login_forget_password(struct login *l);
