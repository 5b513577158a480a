#pragma once
/* Which sslmodes work on a server: a pure function of what was really observed on its two legs,
 * equal to what psql does with the same settings and another sslmode.
 *
 * A leg is a connection with TLS or without. An inspect sees the leg that its own sslmode leads to;
 * the other one is seen by a side attempt, whose observation is used for nothing else. */
#include "pgtls/model/certificate.h"
#include "pgtls/model/fault.h"
#include "pgtls/model/phase.h"
#include "pgtls/model/server.h"

#include <stdbool.h>

struct observation;

enum leg { LEG_PLAIN, LEG_TLS, LEG_COUNT };

/* What the server wants from whoever may enter. */
enum leg_asks { ASKS_NOTHING, ASKS_PASSWORD, ASKS_OTHER };

/* What became of one leg, whatever the certificate is. */
struct leg_seen {
    enum verdict in;    /* did it answer the StartupMessage as one does who lets in? */
    enum leg_asks asks; /* if it did */
    enum fault fault;   /* if it did not */
    bool falls_back;    /* if it did not: so that libpq tries the other leg, if the mode has one */
};

/* An attempt on a leg failed. What a moment later may be another (the network, a server that is
 * full or starting, our own side) tells nothing. `error`: by an ErrorResponse before it was let in.
 */
struct leg_seen leg_failed(enum fault fault, enum phase phase, bool error);
struct leg_seen leg_entered(const char *auth_method);

/* All that decides. Zeroed: nothing is known. */
struct sslmode_facts {
    bool known; /* the latest inspect told something that lasts */
    struct leg_seen legs[LEG_COUNT];
    bool by_inspect[LEG_COUNT]; /* the latest inspect has decided it: no side attempt is needed */
    struct judgement judgement; /* of the latest certificate */
    bool entered;               /* it was good: a login follows it, through login_leg */
    enum leg login_leg;
    enum verdict login;     /* UNKNOWN: did not run yet, or told nothing that lasts */
    enum fault login_fault; /* if NO */
    bool login_error;       /* if NO: by an ErrorResponse */
};

/* Folds in what an inspect, a login or a side attempt on `leg` saw. */
void sslmode_facts_inspect(struct sslmode_facts *f, const struct observation *o);
void sslmode_facts_login(struct sslmode_facts *f, const struct observation *o);
void sslmode_facts_side(struct sslmode_facts *f, enum leg leg, const struct observation *o);

struct sslmode_verdict {
    enum verdict works;
    enum fault fault;  /* if not; FAULT_NONE where the settings themselves do not allow it */
    bool in_plaintext; /* if it does: without TLS */
};

/* The verdict on each sslmode for a client with this server's settings otherwise. */
void sslmodes_decide(const struct server *s, const struct sslmode_facts *f,
                     struct sslmode_verdict verdicts[SSLMODE_COUNT]);

/* A few words on a verdict: the fault's id, "in plaintext", …; "" when it is not known. */
const char *sslmode_reason(const struct server *s, enum sslmode mode,
                           const struct sslmode_verdict *verdict);

/* Would a side attempt on this leg tell something? Never while the server is not well. */
bool sslmode_wants_side(const struct server *s, const struct sslmode_facts *f, enum leg leg);

/* The server as a side attempt on this leg goes to it: an inspect, so no credential is ever sent.
 * It borrows from `s`. */
struct server sslmode_side_server(const struct server *s, enum leg leg);
