#pragma once
/* SCRAM keys in the place of a password.
 *
 * SCRAM makes a client stretch the password, 4096 rounds of HMAC or more, at every login, and comes
 * to the same two keys as long as the server asks with the same salt and as many iterations (RFC
 * 5802 section 3). A libpq that takes keys (>= 18) is spared that: the keys of a login that got in
 * are kept for the next one.
 *
 * They are worth as much as the password on any server that has the same salt, so they are kept
 * like one: by one owner, wiped when they are let go of, and without a printer. They stand for one
 * salt, one number of iterations and one generation of the secret; with anything else they are not
 * used, which the login's guard sees to before libpq answers. */
#include "pgtls/pg/wire.h"

#include <stdbool.h>
#include <stdint.h>

#define SCRAM_KEY_BYTES 32
#define SCRAM_KEY_TEXT  45 /* of 32 bytes in base64, and NUL */

struct scram_keys {
    struct wire_scram offer;                                     /* what they were made for */
    char client_key[SCRAM_KEY_TEXT], server_key[SCRAM_KEY_TEXT]; /* base64, as libpq takes them */
};

/* Stretches an ASCII password as libpq does. False, and nothing of it left in `keys`, when it is
 * not ASCII (SASLprep might change it), the salt is no base64, or OpenSSL has no memory. */
bool scram_keys_derive(struct scram_keys *keys, const char *password,
                       const struct wire_scram *offer);

/* The keys of one server's logins, and whether keeping any pays. Belongs to whoever logs in there
 * again and again. */
struct login_keys;

/* A server that has a new salt each time (PgBouncer with passwords in its auth_file), or several
 * behind one address with one each, makes keys useless, and each time that they do not fit costs a
 * connection more. So unless they have let in this many logins, that many go by password before any
 * are kept again; twice as many the next time, and so on. */
#define LOGIN_KEYS_PAY      16
#define LOGIN_KEYS_MAX_REST 4096

/* NULL without memory. */
struct login_keys *login_keys_new(void);
void login_keys_free(struct login_keys *k); /* wipes; accepts NULL */

/* A login begins, with the secret in this generation (config/secret.h). The keys to try, which stay
 * as they are until the next call of one of these functions; NULL: go by password. */
const struct scram_keys *login_keys_begin(struct login_keys *k, uint64_t generation);

/* Are those of the present login wanted, if it goes by password? */
bool login_keys_wanted(const struct login_keys *k);

/* Those that a login by password with the secret in this generation came to. */
void login_keys_take(struct login_keys *k, const struct scram_keys *keys, uint64_t generation);

/* What became of keys that were tried. */
void login_keys_fitted(struct login_keys *k);
void login_keys_failed(struct login_keys *k); /* wipes them */
