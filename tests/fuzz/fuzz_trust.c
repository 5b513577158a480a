/* Any bytes as the files of a trust policy, PEM: trusted certificates, revocation list, client
 * certificate and client key, a NUL between each two; one that is empty or left out is not named.
 * There is a policy that holds what they say, or a reason, and no passphrase in it. */
#include "pgtls/tls/trust.h"

#include "facts.h"
#include "tls.h"

#include <openssl/ssl.h>
#include <stdio.h>

#define AT_ONCE 64 /* policies in one cache, which takes longer to make than they do */

enum { ROOTS, CRL, CERT, KEY, N_FILES };

/* The path of what comes next, NULL when it is empty. */
static const char *next_file(struct memory_file *file, const uint8_t **data, size_t *left)
{
    const uint8_t *end = *left > 0 ? memchr(*data, '\0', *left) : NULL;
    size_t len = end ? (size_t)(end - *data) : *left;

    if (len > 0)
        memory_file_write(file, *data, len);
    *data += len + (end != NULL);
    *left -= len + (end != NULL);
    return len > 0 ? file->path : NULL;
}

static void check_policy(struct trust *t, const struct server *s)
{
    X509_STORE *store = SSL_CTX_get_cert_store(trust_context(t));
    const struct certificate *client = trust_client_certificate(t);
    unsigned long flags = X509_VERIFY_PARAM_get_flags(X509_STORE_get0_param(store));

    require(SSL_CTX_get_verify_mode(trust_context(t)) == SSL_VERIFY_PEER);
    require(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0);
    require(!s->sslcrl == !(flags & X509_V_FLAG_CRL_CHECK));
    require(!s->sslcert == !client);
    if (client) {
        check_facts(client);
        require(client->position == POSITION_CLIENT);
        require(SSL_CTX_check_private_key(trust_context(t)) == 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory_file files[N_FILES];
    static struct trust_cache *cache;
    static unsigned count;
    char error[512] = "", version[16];
    enum internal_reason reason = INTERNAL_NONE;
    struct server s = {.sslmode = SSLMODE_VERIFY_FULL};
    struct trust *t;

    if (count++ % AT_ONCE == 0) {
        trust_cache_free(cache);
        cache = trust_cache_new("/dev/null");
        require(cache != NULL);
    }
    /* Another "version" makes it another policy, however soon its files were written again. */
    snprintf(version, sizeof version, "%u", count % AT_ONCE);
    s.ssl_max_protocol_version = version;
    s.sslpassword = (struct secret_ref){.source = SECRET_INLINE, .value = SECRET};
    s.sslrootcert = next_file(&files[ROOTS], &data, &size);
    s.sslcrl = next_file(&files[CRL], &data, &size);
    s.sslcert = next_file(&files[CERT], &data, &size);
    s.sslkey = next_file(&files[KEY], &data, &size);
    t = trust_get(cache, &s, &reason, error, sizeof error);
    require((t != NULL) == (error[0] == '\0') && (t != NULL) == (reason == INTERNAL_NONE));
    check_text(error, sizeof error);
    require(!strstr(error, SECRET));
    if (t)
        check_policy(t, &s);
    trust_unref(t);
    return 0;
}
