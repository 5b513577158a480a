#pragma once
/* What an endpoint claims to be: in its role, behind a pooler or not, at these addresses, not too
 * far behind, with the certificate that it is supposed to have. A broken promise degrades an
 * endpoint; it never takes it down. */
#include "pgtls/model/certificate.h"
#include "pgtls/model/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* Label values of `promise`, and the keys of the configuration. */
enum promise {
    PROMISE_READ_ONLY,
    PROMISE_POOLED,
    PROMISE_MAX_LAG,
    PROMISE_ADDRESSES,
    PROMISE_CERTIFICATE_FILE,
    PROMISE_SAME_CERTIFICATE, /* of several servers together: no single one keeps or breaks it */
    PROMISE_COUNT
};
const char *promise_name(enum promise promise); /* "read_only" … */

/* libpq's target_session_attrs: the promise read_only in its four shades. */
enum role {
    ROLE_ANY,        /* nothing promised */
    ROLE_READ_WRITE, /* accepts writes: read_only: false */
    ROLE_READ_ONLY,  /* a standby, or default_transaction_read_only: read_only: true */
    ROLE_PRIMARY,
    ROLE_STANDBY
};

/* Does somebody that answered so play the role? Unknown when what it takes is not known. */
enum verdict role_played(enum role role, enum verdict in_recovery, enum verdict read_only);

/* Who is to show the same certificate. */
enum same_certificate {
    SAME_NOBODY,   /* nothing promised */
    SAME_ENDPOINT, /* the servers of the endpoint */
    SAME_CLUSTER   /* those of all endpoints of the cluster that promise so, too */
};

/* What a server of an endpoint promises. */
#define MAX_NETWORKS 64
struct promises {
    enum role role;
    enum verdict pooled; /* VERDICT_UNKNOWN: not promised */
    int64_t max_lag_ns;  /* 0: not promised */
    const struct network *addresses;
    size_t n_addresses;           /* 0: not promised */
    const char *certificate_file; /* whose certificate the server shows; NULL: not promised */
    enum same_certificate same_certificate;
};

/* Is this one promised? */
bool promise_made(const struct promises *promises, enum promise promise);

/* What was found: all that a promise is judged by. */
struct promise_facts {
    char address[64];         /* numeric address used; "" = not known, or none is needed */
    enum verdict in_recovery; /* of the back end that answered the login, as is read_only: */
    enum verdict read_only;   /* transaction_read_only of a new transaction */
    enum verdict pooler;      /* another back end answered than authenticated us */
    bool lag_known;           /* of a standby */
    int64_t lag_ns;
    enum verdict file_served; /* the server shows what certificate_file holds */
    char leaf[65];            /* SHA-256 of what it shows; "" = not known */
    char file_leaf[65];       /* of what the file holds, the same */
    char file_error[256];     /* why that is not known */
};

/* Is it kept, by these facts? UNKNOWN: it is not made, or they do not tell. */
enum verdict promise_judge(const struct promises *promises, enum promise promise,
                           const struct promise_facts *facts);

/* Both sides in words, for reports and log: "a standby", "through a pooler", "at most 30s behind",
 * "192.0.2.0/24 or 198.51.100.7". What was found is "" where the facts do not tell. */
void promise_add_promised(struct buf *to, const struct promises *promises, enum promise promise);
void promise_add_found(struct buf *to, enum promise promise, const struct promise_facts *facts);

/* How many servers of an endpoint keep a promise, and since when they do not. Servers that are down
 * are left out: that they are down says it all. */
struct promise_tally {
    size_t kept, broken;
    size_t unknown; /* nothing is known of these yet */
    int64_t first_broken, last_broken;
};

/* The endpoint's promise. For a role one fit server is enough; a certificate that is not loaded is
 * one too many; for the others `all` decides whether every server must keep it. */
enum verdict promise_of_endpoint(enum promise promise, bool all, const struct promise_tally *tally);
