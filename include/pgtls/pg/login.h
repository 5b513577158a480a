#pragma once
/* The login probe: libpq's asynchronous API with the user's own parameters, fenced.
 *
 * What applications really do: connect, TLS, authentication, then one query. Never blocks, never
 * resolves a name (hostaddr is always given), never reads the environment, a home directory, a
 * service file or a passfile (the caller read the secret), never uses sslmode prefer or allow (the
 * caller decides which of the two legs), never shows a password in clear or by md5 to a server
 * unless the endpoint allows that method. Every authentication request is looked at before libpq
 * sees it; how a connection closed is read from that look, never from libpq's text.
 *
 * The contract of login_advance is that of PQconnectPoll and SSL_do_handshake: call when the
 * descriptor is ready for what it asked for, until it is done. */
#include "pgtls/config/secret.h"
#include "pgtls/model/observation.h"
#include "pgtls/model/server.h"
#include "pgtls/model/session.h"
#include "pgtls/pg/login_keys.h"

#include <stdbool.h>
#include <stdint.h>

struct library;
struct login;

/* LOGIN_WANT_WORK: the next step computes for long (SCRAM with many iterations, which the server
 * chooses). Stop watching the descriptor, call login_work from any thread, and login_advance when
 * it has returned. Meanwhile only login_abort and login_result may be called: a login that is given
 * up then is freed later. */
enum login_want { LOGIN_WANT_READ, LOGIN_WANT_WRITE, LOGIN_WANT_WORK, LOGIN_DONE };

struct login_params {
    const struct server *server;
    const char *address; /* numeric, the one the inspect used; NULL for a Unix socket */
    bool tls;            /* false: sslmode=disable on the wire */
    bool scram_plus;     /* the inspect saw SCRAM-SHA-256-PLUS: channel binding is required
                            unless the endpoint says channel_binding=disable */
    const struct secret *password; /* read by the caller, copied here, wiped there */
    const struct scram_keys *keys; /* made of that password; NULL: none. Copied here */
    bool learn_keys;               /* keep the password until login_learned_keys or login_free */
    const struct secret *sslpassword;
    const char *bundle_path; /* file of the full trust store for sslrootcert=system */
    struct library *library; /* what libpq uses of OpenSSL (tls/library.h), borrowed; NULL: all */
    bool pinned;      /* the inspect's certificate is the only one pinned: where sslmode verifies
                         nothing, only what the anchors verify is logged in to */
    bool plain_query; /* this server is known to refuse the whole query */
    const struct pem *anchors; /* what the inspect verified with; NULL: the full store. Handed to
                                  libpq through a memfd: same security, a tenth of the CPU */
};

/* What this libpq can do, found with PQconndefaults at start. */
struct login_features {
    bool require_auth;       /* >= 16 */
    bool direct;             /* sslnegotiation, >= 17 */
    bool sslrootcert_system; /* >= 16 */
    bool scram_keys;         /* scram_client_key, scram_server_key, >= 18 */
    int version;             /* PQlibVersion() */
};

/* Clears every variable that libpq and Kerberos read from the environment (PGPASSWORD stays, for
 * configurations that name it: libpq never gets to look), points HOME nowhere, and looks at libpq.
 * Call once, before the first thread. False without memory. */
bool login_setup(void);
const struct login_features *login_features(void);

/* Can this server's login be tried at all with this libpq? False with a reason for people. */
bool login_supported(const struct server *server, char *reason, size_t size);

/* Starts connecting. NULL only when out of memory; any other trouble shows in login_advance. */
struct login *login_new(const struct login_params *params, int64_t now_ns);

/* Drives the login as far as it goes. */
enum login_want login_advance(struct login *login);

/* The long step. Nothing of the login but libpq's connection is touched by it. */
void login_work(struct login *login);

/* The socket to watch, -1 before there is one; stop watching it before login_free. */
int login_fd(const struct login *login);

/* The deadline passed, or our own side failed (INTERNAL_NONE: the deadline). After it the login is
 * done. */
void login_abort(struct login *login, enum internal_reason reason);

/* Fills phases auth and query, fault, phase, how, sqlstate, error, server_version, in_recovery,
 * read_only, backend, lag, pooler, auth_method, channel_binding of the observation. Call once, when
 * done. */
void login_result(struct login *login, struct observation *o);

/* True when the failure was a certificate verification with the anchors handed over, so that one
 * retry with the full bundle may tell more. */
bool login_wants_full_bundle(const struct login *login);

/* True when the server refused the whole query and answered the plain one, which costs a round trip
 * more and a line in its log: the next login should begin with it. */
bool login_fell_back(const struct login *login);

/* What became of the SCRAM keys of a login that is done. */
enum keys_fate {
    KEYS_UNUSED,  /* there were none, or the server did not ask for them */
    KEYS_FITTED,  /* they let us in */
    KEYS_UNFIT,   /* not for what the server asked: it was told nothing. Log in by password */
    KEYS_REFUSED, /* the server did not take them. Log in by password: only that can be wrong */
    KEYS_DOUBTED, /* the server did not prove that it knows them, as it would have to by password */
};
enum keys_fate login_keys_fate(const struct login *login);

/* The keys of a good login by password that was to be learned from, stretched here: some
 * milliseconds. False when there are none to be had: another method than SCRAM, more iterations
 * than LOGIN_INLINE_SCRAM_ITERATIONS, a password that is not ASCII. */
bool login_learned_keys(struct login *login, struct scram_keys *keys);

/* Keeps a good login's connection open instead of leaving: it is a session from now on. False when
 * there is none to keep. Then login_advance, whenever the descriptor is ready, says READ while the
 * session is well (notices and changed parameters are no end of it) and DONE once it has ended. */
bool login_keep(struct login *login);

/* Asks the server of a session for a sign of life; call login_advance next. Until the answer has
 * come login_checking is true; login_abort ends a session that waits in vain. */
void login_check(struct login *login);
bool login_checking(const struct login *login);

/* How a session ended: fills how, sqlstate, error. */
void login_kept_result(const struct login *login, struct session_drop *drop);

/* Leaves politely and frees; accepts NULL and a login that is not done. */
void login_free(struct login *login);
