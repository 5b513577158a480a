#pragma once
/* What HTTP asks of the web configuration, in plain values. */
#include "pgtls/config/web_config.h"
#include "pgtls/expose/web.h"
#include "pgtls/model/self.h"

/* One reading of the file with what it names: immutable, counted. */
struct web_state;

/* The state in force now: looks whether something has changed. To be given back. */
struct web_state *web_take(struct web *web);
void web_release(struct web_state *state); /* accepts NULL */

const struct web_config *web_state_config(const struct web_state *state);

/* Prepares a new connection's TLS session (gnutls_session_t); the state must outlive it. False when
 * that is not possible: nobody may be let in then. */
bool web_begin_tls(const struct web_state *state, void *session);

/* A gnutls_certificate_retrieve_function2 that has none, for a library that insists on being given
 * a certificate before there is a session: each gets its own when it begins. */
void *web_no_certificate(void);

/* May one more request be answered now? */
bool web_allows_one(struct web *web, const struct web_state *state);

enum web_verdict { WEB_UNDECIDED, WEB_WELCOME, WEB_WRONG, WEB_BUSY };

/* Somebody who says who he is. `from` is where, as a number: of one place only so many may wait. */
struct web_visitor {
    const char *user, *password; /* NULL: he does not say */
    uint64_t from;
};

/* What is known without computing: WEB_UNDECIDED when that has to be computed. */
enum web_verdict web_recall(struct web *web, const struct web_state *state,
                            const struct web_visitor *visitor);

/* Computes it in a thread of its own, one at a time, and calls `done` exactly once, perhaps before
 * this returns: WEB_BUSY when too many wait. */
void web_ask(struct web *web, const struct web_state *state, const struct web_visitor *visitor,
             void (*done)(void *context, enum web_verdict verdict), void *context);

/* Answers everybody who waits, and whoever asks from now on, with WEB_BUSY. */
void web_close(struct web *web);

/* Counts a refusal. */
void web_count_refusal(struct web *web, enum web_refusal why);
