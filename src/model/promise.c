/* Promises: their names, and the pure functions that judge them. */
#include "pgtls/model/promise.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <string.h>

static const char *const names[PROMISE_COUNT] = {
    [PROMISE_READ_ONLY] = "read_only",
    [PROMISE_POOLED] = "pooled",
    [PROMISE_MAX_LAG] = "max_lag",
    [PROMISE_ADDRESSES] = "addresses",
    [PROMISE_CERTIFICATE_FILE] = "certificate_file",
    [PROMISE_SAME_CERTIFICATE] = "same_certificate",
};

const char *promise_name(enum promise promise)
{
    return str_name(names, PROMISE_COUNT, (size_t)promise);
}

bool promise_made(const struct promises *p, enum promise promise)
{
    switch (promise) {
    case PROMISE_READ_ONLY:
        return p->role != ROLE_ANY;
    case PROMISE_POOLED:
        return p->pooled != VERDICT_UNKNOWN;
    case PROMISE_MAX_LAG:
        return p->max_lag_ns > 0;
    case PROMISE_ADDRESSES:
        return p->n_addresses > 0;
    case PROMISE_CERTIFICATE_FILE:
        return p->certificate_file != NULL;
    case PROMISE_SAME_CERTIFICATE:
        return p->same_certificate != SAME_NOBODY;
    case PROMISE_COUNT:
        break;
    }
    return false;
}

static enum verdict opposite(enum verdict verdict)
{
    if (verdict == VERDICT_UNKNOWN)
        return VERDICT_UNKNOWN;
    return verdict == VERDICT_YES ? VERDICT_NO : VERDICT_YES;
}

enum verdict role_played(enum role role, enum verdict in_recovery, enum verdict read_only)
{
    /* A standby takes no writes, whatever its settings. */
    enum verdict writes = in_recovery == VERDICT_YES ? VERDICT_NO : opposite(read_only);

    switch (role) {
    case ROLE_READ_WRITE:
        return writes;
    case ROLE_READ_ONLY:
        return opposite(writes);
    case ROLE_PRIMARY:
        return opposite(in_recovery);
    case ROLE_STANDBY:
        return in_recovery;
    case ROLE_ANY:
        break;
    }
    return VERDICT_UNKNOWN;
}

/* --- judging ---------------------------------------------------------------------------------- */

static enum verdict judge_role(const struct promises *p, const struct promise_facts *f)
{
    return role_played(p->role, f->in_recovery, f->read_only);
}

static enum verdict judge_pooled(const struct promises *p, const struct promise_facts *f)
{
    if (f->pooler == VERDICT_UNKNOWN)
        return VERDICT_UNKNOWN;
    return f->pooler == p->pooled ? VERDICT_YES : VERDICT_NO;
}

/* A primary is not behind. */
static enum verdict judge_lag(const struct promises *p, const struct promise_facts *f)
{
    if (f->lag_known)
        return f->lag_ns <= p->max_lag_ns ? VERDICT_YES : VERDICT_NO;
    return f->in_recovery == VERDICT_NO ? VERDICT_YES : VERDICT_UNKNOWN;
}

static enum verdict judge_address(const struct promises *p, const struct promise_facts *f)
{
    if (f->address[0] == '\0')
        return VERDICT_UNKNOWN;
    for (size_t i = 0; i < p->n_addresses; i++) {
        if (network_contains(&p->addresses[i], f->address))
            return VERDICT_YES;
    }
    return VERDICT_NO;
}

static enum verdict judge_file(const struct promises *p, const struct promise_facts *f)
{
    (void)p;
    return f->file_served;
}

/* What several servers promise together, one alone neither keeps nor breaks: fleet_agreement. */
static enum verdict judge_nobody(const struct promises *p, const struct promise_facts *f)
{
    (void)p, (void)f;
    return VERDICT_UNKNOWN;
}

enum verdict promise_judge(const struct promises *p, enum promise promise,
                           const struct promise_facts *facts)
{
    static enum verdict (*const judges[PROMISE_COUNT])(const struct promises *,
                                                       const struct promise_facts *) = {
        [PROMISE_READ_ONLY] = judge_role,        [PROMISE_POOLED] = judge_pooled,
        [PROMISE_MAX_LAG] = judge_lag,           [PROMISE_ADDRESSES] = judge_address,
        [PROMISE_CERTIFICATE_FILE] = judge_file, [PROMISE_SAME_CERTIFICATE] = judge_nobody,
    };

    return promise_made(p, promise) ? judges[promise](p, facts) : VERDICT_UNKNOWN;
}

/* --- in words --------------------------------------------------------------------------------- */

#define NETWORKS_SHOWN 8

static const char *pooled_words(enum verdict pooled)
{
    return pooled == VERDICT_YES ? "through a pooler" : pooled == VERDICT_NO ? "direct" : "";
}

static const char *role_found(const struct promise_facts *f)
{
    if (f->in_recovery == VERDICT_YES)
        return "a standby";
    if (f->in_recovery == VERDICT_UNKNOWN)
        return "";
    return f->read_only == VERDICT_YES  ? "a primary that takes no writes"
           : f->read_only == VERDICT_NO ? "a primary that takes writes"
                                        : "a primary";
}

static void add_networks(struct buf *to, const struct promises *p)
{
    for (size_t i = 0; i < p->n_addresses && i < NETWORKS_SHOWN; i++) {
        buf_add_str(to, i == 0 ? "" : i + 1 == p->n_addresses ? " or " : ", ");
        network_add_text(to, &p->addresses[i]);
    }
    if (p->n_addresses > NETWORKS_SHOWN)
        buf_addf(to, " or %zu more", p->n_addresses - NETWORKS_SHOWN);
}

void promise_add_promised(struct buf *to, const struct promises *p, enum promise promise)
{
    static const char *const roles[] = {
        [ROLE_ANY] = "",
        [ROLE_READ_WRITE] = "takes writes",
        [ROLE_READ_ONLY] = "takes no writes",
        [ROLE_PRIMARY] = "a primary",
        [ROLE_STANDBY] = "a standby",
    };

    switch (promise) {
    case PROMISE_READ_ONLY:
        buf_add_str(to, roles[p->role]);
        break;
    case PROMISE_POOLED:
        buf_add_str(to, pooled_words(p->pooled));
        break;
    case PROMISE_MAX_LAG:
        buf_add_str(to, "at most ");
        str_add_duration(to, p->max_lag_ns);
        buf_add_str(to, " behind");
        break;
    case PROMISE_ADDRESSES:
        add_networks(to, p);
        break;
    case PROMISE_CERTIFICATE_FILE:
        buf_addf(to, "shows the certificate in %s", p->certificate_file);
        break;
    case PROMISE_SAME_CERTIFICATE:
        buf_add_str(to, p->same_certificate == SAME_CLUSTER
                            ? "the same certificate as others of the cluster"
                            : "the same certificate as the endpoint's other servers");
        break;
    case PROMISE_COUNT:
        break;
    }
}

static void add_file_found(struct buf *to, const struct promise_facts *f)
{
    if (f->file_error[0] != '\0')
        buf_addf(to, "the file cannot be read: %s", f->file_error);
    else if (f->file_served == VERDICT_YES)
        buf_addf(to, "SHA-256 %s", f->file_leaf);
    else if (f->file_served == VERDICT_NO)
        buf_addf(to, "shown is SHA-256 %s, in the file is %s", f->leaf, f->file_leaf);
}

void promise_add_found(struct buf *to, enum promise promise, const struct promise_facts *f)
{
    switch (promise) {
    case PROMISE_READ_ONLY:
        buf_add_str(to, role_found(f));
        break;
    case PROMISE_POOLED:
        buf_add_str(to, pooled_words(f->pooler));
        break;
    case PROMISE_MAX_LAG:
        if (f->lag_known)
            buf_addf(to, "%.1fs behind", ns_to_seconds(f->lag_ns));
        else if (f->in_recovery == VERDICT_NO)
            buf_add_str(to, "a primary, which is never behind");
        break;
    case PROMISE_ADDRESSES:
        buf_add_str(to, f->address);
        break;
    case PROMISE_CERTIFICATE_FILE:
        add_file_found(to, f);
        break;
    case PROMISE_SAME_CERTIFICATE:
    case PROMISE_COUNT:
        break;
    }
}

/* --- endpoints -------------------------------------------------------------------------------- */

enum verdict promise_of_endpoint(enum promise promise, bool all, const struct promise_tally *t)
{
    bool every = promise == PROMISE_CERTIFICATE_FILE || (all && promise != PROMISE_READ_ONLY);

    if (every && t->broken > 0)
        return VERDICT_NO;
    if (!every && t->kept > 0)
        return VERDICT_YES;
    if (t->unknown > 0 || t->kept + t->broken == 0)
        return VERDICT_UNKNOWN;
    return every ? VERDICT_YES : VERDICT_NO;
}
