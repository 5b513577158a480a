/* SCRAM keys: made, kept, let go of. */
#include "pgtls/pg/login_keys.h"

#include "pgtls/base/wipe.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

/* Of a decoded salt: three bytes for each four characters. */
#define SALT_BYTES (WIRE_SCRAM_SALT_SIZE / 4 * 3)

struct login_keys {
    bool present;
    struct scram_keys keys;
    uint64_t generation; /* of the secret that they were made of */
    unsigned fitted;     /* logins that they have let in */
    unsigned rest;       /* logins that go by password before any are kept again */
    unsigned last_rest;  /* how many those were the last time; 0: it was no loss */
};

/* --- making them ------------------------------------------------------------------------------ */

/* libpq hands ASCII to SCRAM as it is (pg_saslprep in saslprep.c), and all else normalised. */
static bool is_ascii(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text >= 0x80)
            return false;
    }
    return true;
}

/* How many bytes, 0 when it is no base64. Blanks, which OpenSSL would skip, are none here. */
static size_t decode_salt(unsigned char bytes[SALT_BYTES], const char *text)
{
    size_t len = strlen(text), padding;
    int n;

    if (len == 0 || len % 4 != 0 || strpbrk(text, " \t\r\n"))
        return 0;
    padding = len - strcspn(text, "=");
    if (padding > 2 || strspn(text + len - padding, "=") != padding)
        return 0;
    n = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len);
    return n > (int)padding ? (size_t)n - padding : 0;
}

static bool key(char to[SCRAM_KEY_TEXT], const unsigned char salted[SCRAM_KEY_BYTES],
                const char *what)
{
    unsigned char bytes[SCRAM_KEY_BYTES];
    unsigned len = sizeof bytes;
    bool made = HMAC(EVP_sha256(), salted, SCRAM_KEY_BYTES, (const unsigned char *)what,
                     strlen(what), bytes, &len) != NULL;

    if (made)
        EVP_EncodeBlock((unsigned char *)to, bytes, sizeof bytes);
    wipe_memory(bytes, sizeof bytes);
    return made;
}

bool scram_keys_derive(struct scram_keys *keys, const char *password,
                       const struct wire_scram *offer)
{
    unsigned char salt[SALT_BYTES], salted[SCRAM_KEY_BYTES];
    size_t salt_len = decode_salt(salt, offer->salt);
    bool made = false;

    *keys = (struct scram_keys){.offer = *offer};
    if (!is_ascii(password) || salt_len == 0)
        return false;
    if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, (int)salt_len,
                          (int)offer->iterations, EVP_sha256(), sizeof salted, salted) == 1)
        made = key(keys->client_key, salted, "Client Key") &&
               key(keys->server_key, salted, "Server Key");
    wipe_memory(salted, sizeof salted);
    if (!made)
        wipe_memory(keys, sizeof *keys);
    return made;
}

/* --- keeping them ----------------------------------------------------------------------------- */

static void drop(struct login_keys *k)
{
    wipe_memory(&k->keys, sizeof k->keys);
    k->present = false;
    k->fitted = 0;
}

struct login_keys *login_keys_new(void)
{
    return calloc(1, sizeof(struct login_keys));
}

void login_keys_free(struct login_keys *k)
{
    if (k)
        drop(k);
    free(k);
}

const struct scram_keys *login_keys_begin(struct login_keys *k, uint64_t generation)
{
    if (k->present && k->generation != generation)
        drop(k);
    if (k->rest > 0)
        k->rest--;
    return k->present ? &k->keys : NULL;
}

bool login_keys_wanted(const struct login_keys *k)
{
    return !k->present && k->rest == 0;
}

void login_keys_take(struct login_keys *k, const struct scram_keys *keys, uint64_t generation)
{
    k->keys = *keys;
    k->generation = generation;
    k->present = true;
    k->fitted = 0;
}

void login_keys_fitted(struct login_keys *k)
{
    k->fitted++;
}

void login_keys_failed(struct login_keys *k)
{
    if (k->fitted >= LOGIN_KEYS_PAY)
        k->last_rest = 0;
    else if (k->last_rest == 0)
        k->last_rest = LOGIN_KEYS_PAY;
    else if (k->last_rest < LOGIN_KEYS_MAX_REST)
        k->last_rest *= 2;
    k->rest = k->last_rest;
    drop(k);
}
