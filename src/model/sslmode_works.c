/* Which sslmodes work, as libpq 15 goes about it (fe-connect.c, PQconnectPoll). */
#include "pgtls/model/sslmode_works.h"

#include "pgtls/model/evidence.h"
#include "pgtls/model/observation.h"

#include <string.h>

/* What a way in comes to. */
struct outcome {
    enum verdict works;
    enum fault fault;
    bool falls_back;
};

/* --- what was seen ---------------------------------------------------------------------------- */

/* Does this ending tell how the server is set up, and not only how it was at that moment? */
static bool lasts(enum fault fault)
{
    if (fault == FAULT_STARTUP_CLOSED) /* what ssl_closed_after_handshake is with TLS */
        return true;
    switch (fault_row(fault)->class) {
    case FAULT_CLASS_NETWORK:
    case FAULT_CLASS_CAPACITY:
    case FAULT_CLASS_UNAVAILABLE:
    case FAULT_CLASS_INTERNAL:
        return false;
    default:
        return true;
    }
}

struct leg_seen leg_failed(enum fault fault, enum phase phase, bool error)
{
    if (!lasts(fault))
        return (struct leg_seen){.in = VERDICT_UNKNOWN};
    return (struct leg_seen){.in = VERDICT_NO,
                             .fault = fault,
                             .falls_back = phase == PHASE_TLS ||
                                           (error && phase >= PHASE_STARTUP) ||
                                           fault == FAULT_SSL_NOT_SUPPORTED};
}

struct leg_seen leg_entered(const char *auth_method)
{
    static const char *const passwords[] = {"password", "md5", "scram-sha-256"};
    struct leg_seen seen = {.in = VERDICT_YES, .asks = ASKS_OTHER};

    if (strcmp(auth_method, "trust") == 0)
        seen.asks = ASKS_NOTHING;
    for (size_t i = 0; i < sizeof passwords / sizeof *passwords; i++) {
        if (strcmp(auth_method, passwords[i]) == 0)
            seen.asks = ASKS_PASSWORD;
    }
    return seen;
}

void sslmode_facts_inspect(struct sslmode_facts *f, const struct observation *o)
{
    enum fault outcome = expect_outcome(o);

    f->known = lasts(outcome);
    f->entered = outcome == FAULT_NONE;
    if (f->entered)
        f->login_leg = o->leg;
    if (o->chain)
        f->judgement = o->judgement;
    for (int leg = 0; leg < LEG_COUNT; leg++) {
        f->by_inspect[leg] = o->legs[leg].in != VERDICT_UNKNOWN;
        if (f->by_inspect[leg])
            f->legs[leg] = o->legs[leg];
    }
}

void sslmode_facts_login(struct sslmode_facts *f, const struct observation *o)
{
    /* Ours alone: psql hands over a password that we keep to ourselves. */
    enum fault outcome = expect_outcome(o);
    bool ours = outcome == FAULT_AUTH_METHOD_REFUSED || outcome == FAULT_AUTH_METHOD_UNSUPPORTED;

    f->login = VERDICT_YES;
    if (outcome == FAULT_NONE)
        return;
    f->login = lasts(outcome) && !ours ? VERDICT_NO : VERDICT_UNKNOWN;
    f->login_fault = outcome;
    f->login_error = o->sqlstate[0] != '\0';
}

void sslmode_facts_side(struct sslmode_facts *f, enum leg leg, const struct observation *o)
{
    if (o->legs[leg].in != VERDICT_UNKNOWN)
        f->legs[leg] = o->legs[leg];
    if (leg == LEG_TLS && o->chain)
        f->judgement = o->judgement;
}

/* --- side attempts ---------------------------------------------------------------------------- */

static bool has_root_file(const struct server *s)
{
    return s->sslrootcert && strcmp(s->sslrootcert, "system") != 0;
}

/* The inspect itself stops at this certificate, and so would every client that is given the file.
 */
static bool stops_all(const struct server *s, const struct judgement *j)
{
    return s->sslmode >= SSLMODE_REQUIRE && has_root_file(s) &&
           (j->chain == VERDICT_NO || j->dates == VERDICT_NO);
}

bool sslmode_wants_side(const struct server *s, const struct sslmode_facts *f, enum leg leg)
{
    if (s->unix_socket || !f->known || f->by_inspect[leg])
        return false;
    if (leg == LEG_TLS && stops_all(s, &f->judgement))
        return false;
    if (s->user)
        return true;
    /* Without a user a connection ends after TLS: that there is TLS at all is all there is to see.
     */
    return leg == LEG_TLS && s->sslmode == SSLMODE_DISABLE;
}

struct server sslmode_side_server(const struct server *s, enum leg leg)
{
    struct server side = *s;

    side.login = false;
    side.expect = (struct expect){.text = NULL};
    side.promises = (struct promises){.role = ROLE_ANY}; /* the probes' business */
    side.pins = NULL;
    side.n_pins = 0;
    side.sslmode = leg == LEG_TLS ? SSLMODE_REQUIRE : SSLMODE_DISABLE;
    if (leg == LEG_PLAIN)
        side.negotiation = NEGOTIATION_POSTGRES;
    if (!has_root_file(s))
        side.sslrootcert = NULL; /* whatever the certificate: it is judged, nothing hangs on it */
    return side;
}

/* --- the verdicts ----------------------------------------------------------------------------- */

/* Somebody may enter here; does this user get in? The login has tried it on its own leg. */
static struct outcome logged_in(const struct server *s, const struct sslmode_facts *f, enum leg leg)
{
    const struct leg_seen *seen = &f->legs[leg], *tried = &f->legs[f->login_leg];
    const struct outcome yes = {.works = VERDICT_YES}, unknown = {.works = VERDICT_UNKNOWN};
    const struct outcome no = {VERDICT_NO, f->login_fault, f->login_error};
    bool alike = leg == f->login_leg || (tried->in == VERDICT_YES && tried->asks == seen->asks &&
                                         f->login_fault != FAULT_SCRAM_CHANNEL_BINDING);
    enum fault_class class;

    if (!s->login)
        return yes;
    if (f->login == VERDICT_UNKNOWN) /* without one to come, who may enter is all there is */
        return f->entered ? unknown : yes;
    if (f->login == VERDICT_YES)
        return alike || seen->asks == ASKS_NOTHING ? yes : unknown;
    class = fault_row(f->login_fault)->class;
    if (leg == f->login_leg || class == FAULT_CLASS_HBA || (alike && class == FAULT_CLASS_AUTH))
        return no;
    return seen->asks == ASKS_NOTHING ? yes : unknown;
}

/* libpq stops by itself, without a word to the server, where it shall bind to TLS and cannot. */
static bool cannot_bind(const struct server *s, const struct leg_seen *seen, enum leg leg)
{
    return s->channel_binding == CHANNEL_BINDING_REQUIRE && seen->in == VERDICT_YES &&
           (leg == LEG_PLAIN || seen->asks == ASKS_NOTHING);
}

static struct outcome by_leg(const struct server *s, const struct sslmode_facts *f, enum leg leg)
{
    const struct leg_seen *seen = &f->legs[leg];

    if (cannot_bind(s, seen, leg))
        return (struct outcome){VERDICT_NO, FAULT_SCRAM_CHANNEL_BINDING, false};
    if (seen->in == VERDICT_YES)
        return logged_in(s, f, leg);
    return (struct outcome){seen->in, seen->fault, seen->falls_back};
}

/* The catalogue's name for what a stricter client would have stopped at. */
static struct outcome bad_certificate(const struct judgement *j, bool hostname)
{
    struct evidence e = EVIDENCE_INIT;

    e.probe = PROBE_INSPECT;
    e.phase = PHASE_TLS;
    e.end = END_CERTIFICATE;
    e.hostname_mismatch = hostname;
    e.verify_code = hostname ? 0 : j->verify_code;
    e.verify_depth = j->verify_depth;
    return (struct outcome){VERDICT_NO, fault_classify(&e), true};
}

/* With TLS, and this much of the certificate checked. */
static struct outcome by_tls(const struct server *s, const struct sslmode_facts *f, bool chain,
                             bool hostname)
{
    const struct judgement *j = &f->judgement;
    struct outcome leg = by_leg(s, f, LEG_TLS);

    if (leg.works == VERDICT_NO && leg.fault == FAULT_SSL_NOT_SUPPORTED)
        return leg;
    if (chain && (j->chain == VERDICT_NO || j->dates == VERDICT_NO))
        return bad_certificate(j, false);
    if (hostname && j->hostname == VERDICT_NO)
        return bad_certificate(j, true);
    if (leg.works == VERDICT_YES &&
        ((chain && (j->chain == VERDICT_UNKNOWN || j->dates == VERDICT_UNKNOWN)) ||
         (hostname && j->hostname == VERDICT_UNKNOWN)))
        leg.works = VERDICT_UNKNOWN;
    return leg;
}

/* One leg, and the other if it was refused so that libpq tries that. TLS's refusal is the one that
 * people can do something about. */
static struct sslmode_verdict by_both(struct outcome first, struct outcome second, enum leg leg)
{
    struct outcome last = first;
    bool again = first.works == VERDICT_NO && first.falls_back;

    if (again)
        last = second;
    return (struct sslmode_verdict){
        .works = last.works,
        .fault = last.works != VERDICT_NO  ? FAULT_NONE
                 : again && leg == LEG_TLS ? first.fault
                                           : last.fault,
        .in_plaintext = (leg == LEG_PLAIN) != again,
    };
}

static struct sslmode_verdict by_one(struct outcome only, bool in_plaintext)
{
    return (struct sslmode_verdict){only.works, only.works == VERDICT_NO ? only.fault : FAULT_NONE,
                                    in_plaintext};
}

void sslmodes_decide(const struct server *s, const struct sslmode_facts *f,
                     struct sslmode_verdict verdicts[SSLMODE_COUNT])
{
    const struct sslmode_verdict never = {.works = VERDICT_NO, .fault = FAULT_NONE};
    bool file = has_root_file(s);
    struct outcome plain = by_leg(s, f, LEG_PLAIN), tls = by_tls(s, f, file, false);

    memset(verdicts, 0, SSLMODE_COUNT * sizeof *verdicts);
    if (!f->known)
        return;
    if (s->unix_socket) { /* libpq never asks for TLS there, whatever the mode */
        for (int mode = 0; mode < SSLMODE_COUNT; mode++)
            verdicts[mode] = by_one(plain, true);
        return;
    }
    verdicts[SSLMODE_DISABLE] = by_one(plain, true);
    verdicts[SSLMODE_ALLOW] = by_both(plain, tls, LEG_PLAIN);
    verdicts[SSLMODE_PREFER] = by_both(tls, plain, LEG_TLS);
    verdicts[SSLMODE_REQUIRE] = by_one(tls, false);
    verdicts[SSLMODE_VERIFY_CA] = file ? by_one(by_tls(s, f, true, false), false) : never;
    verdicts[SSLMODE_VERIFY_FULL] = by_one(by_tls(s, f, true, true), false);
    if (s->nameless)
        verdicts[SSLMODE_VERIFY_FULL] = never;
    for (int mode = 0; mode < SSLMODE_REQUIRE && s->negotiation == NEGOTIATION_DIRECT; mode++)
        verdicts[mode] = never;
}

const char *sslmode_reason(const struct server *s, enum sslmode mode,
                           const struct sslmode_verdict *v)
{
    if (v->works == VERDICT_UNKNOWN)
        return "";
    if (v->works == VERDICT_NO && v->fault != FAULT_NONE)
        return fault_row(v->fault)->id;
    if (v->works == VERDICT_NO)
        return mode == SSLMODE_VERIFY_CA     ? "needs an sslrootcert file"
               : mode == SSLMODE_VERIFY_FULL ? "needs a host name beside hostaddr"
                                             : "not with negotiation: direct";
    if (v->in_plaintext)
        return s->unix_socket ? "a Unix socket has no TLS" : "in plaintext";
    if (mode == SSLMODE_VERIFY_FULL)
        return "with TLS, chain and host name checked";
    return has_root_file(s) ? "with TLS, chain checked" : "with TLS, nothing checked";
}
