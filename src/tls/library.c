/* OpenSSL's library context for handshakes, with only what TLS needs.
 *
 * OpenSSL 3.0 prepares anew for each public key that it meets: it copies the list of everything it
 * has fetched so far, 150 algorithms of which 124 are ciphers, asks each what it is, then does the
 * same with some seventy decoders. For one certificate that is a quarter of the instructions of a
 * handshake, for a chain more. A context whose provider has the decoders of SubjectPublicKeyInfo,
 * which is how a key stands in a certificate, and that lacks what TLS never asks for, spares three
 * quarters of it. What is there is the default provider's own, handed through as it is: the same
 * code decodes, verifies and encrypts, and a ClientHello offers the same, byte for byte.
 *
 * That provider lives in a context of its own, which is what its functions work with.
 *
 * libpq knows nothing of contexts, so it is led into one around each call. And its SCRAM begins
 * some eight thousand digests with what EVP_sha256() returns: a name for which OpenSSL 3.0 looks up
 * the code anew each time, under a lock that all threads share. Our own EVP_sha256, which the
 * linker puts before OpenSSL's, gives it the one that was looked up once: half the time. */
#include "pgtls/tls/library.h"

#include "pgtls/tls/memory.h"

#include <assert.h>
#include <dlfcn.h>
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAME "pgtls-handshake"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static OSSL_PROVIDER *whole; /* the default provider, kept for life */

/* --- what is picked -------------------------------------------------------------------------- */

static bool begins_with_one_of(const char *names, const char *const *beginnings)
{
    while (*beginnings && strncmp(names, *beginnings, strlen(*beginnings)) != 0)
        beginnings++;
    return *beginnings != NULL;
}

/* Public keys as they stand in certificates, of the kinds that sign. */
static bool is_for_certificates(const OSSL_ALGORITHM *decoder)
{
    static const char *const agreeing[] = {"DH", "X25519", "X448", NULL};

    return strstr(decoder->property_definition, "input=der") &&
           strstr(decoder->property_definition, "structure=SubjectPublicKeyInfo") &&
           !begins_with_one_of(decoder->algorithm_names, agreeing);
}

static bool is_for_suites(const OSSL_ALGORITHM *cipher)
{
    static const char *const modes[] = {"-CBC", "-GCM", "-CCM", "Poly1305", "NULL"};

    if (strstr(cipher->algorithm_names, "-CTS")) /* of CBC, and in no suite */
        return false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strstr(cipher->algorithm_names, modes[i]))
            return true;
    }
    return false;
}

/* Of the others everything is wanted but what TLS surely has no use for. */
static bool is_for_tls(const OSSL_ALGORITHM *algorithm)
{
    static const char *const useless[] = {
        "BLAKE2",  "KECCAK-KMAC", "SSKDF",   "PBKDF2",  "PKCS12KDF", "SSHKDF", "X963KDF", "KBKDF",
        "X942KDF", "SCRYPT",      "KRB5KDF", "SIPHASH", "POLY1305",  "CMAC",   NULL};

    return !begins_with_one_of(algorithm->algorithm_names, useless);
}

/* Operations that are not listed are handed through. */
static struct picked {
    int operation;
    bool (*wanted)(const OSSL_ALGORITHM *algorithm);
    OSSL_ALGORITHM *algorithms; /* kept for life; ends with an empty one */
} picked[] = {
    {OSSL_OP_DECODER, is_for_certificates, NULL}, {OSSL_OP_CIPHER, is_for_suites, NULL},
    {OSSL_OP_DIGEST, is_for_tls, NULL},           {OSSL_OP_KDF, is_for_tls, NULL},
    {OSSL_OP_KEYMGMT, is_for_tls, NULL},          {OSSL_OP_KEYEXCH, is_for_tls, NULL},
    {OSSL_OP_SIGNATURE, is_for_tls, NULL},
};
#define N_PICKED (sizeof picked / sizeof *picked)

static bool pick(struct picked *p)
{
    int no_store = 0;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(whole, p->operation, &no_store);
    size_t n = 0, kept = 0;

    while (all && all[n].algorithm_names)
        n++;
    p->algorithms = calloc(n + 1, sizeof *p->algorithms);
    for (size_t i = 0; p->algorithms && i < n; i++) {
        if (p->wanted(&all[i]))
            p->algorithms[kept++] = all[i];
    }
    return kept > 0 && no_store == 0;
}

/* --- the provider ----------------------------------------------------------------------------- */

static const OSSL_ALGORITHM *on_query(void *context, int operation, int *no_store)
{
    (void)context;
    for (size_t i = 0; i < N_PICKED; i++) {
        if (picked[i].operation == operation) {
            *no_store = 0;
            return picked[i].algorithms;
        }
    }
    return OSSL_PROVIDER_query_operation(whole, operation, no_store);
}

/* The groups of key exchange. */
static int on_get_capabilities(void *context, const char *capability, OSSL_CALLBACK *callback,
                               void *arg)
{
    (void)context;
    return OSSL_PROVIDER_get_capabilities(whole, capability, callback, arg);
}

static int on_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
                   const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))on_query},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))on_get_capabilities},
        {0, NULL}};

    (void)handle;
    (void)core;
    *out = functions;
    *context = OSSL_PROVIDER_get0_provider_ctx(whole);
    return 1;
}

/* --- whether ---------------------------------------------------------------------------------- */

static int count_others(OSSL_PROVIDER *provider, void *others)
{
    if (strcmp(OSSL_PROVIDER_get0_name(provider), "default") != 0)
        ++*(int *)others;
    return 1;
}

/* Where openssl.cnf asks for other providers (FIPS, hardware), OpenSSL is left as it is. */
static bool is_ordinary(void)
{
    int others = 0;

    OSSL_PROVIDER_do_all(NULL, count_others, &others);
    return others == 0 && OSSL_PROVIDER_available(NULL, "default") == 1 &&
           EVP_default_properties_is_fips_enabled(NULL) == 0;
}

static void prepare(void)
{
    uint64_t failures = tls_memory_failures();
    OSSL_LIB_CTX *context;
    bool all = true;

    /* Measured with this version, and needed by it: later ones keep what they have found. */
    if (OPENSSL_version_major() != 3 || OPENSSL_version_minor() != 0 || !is_ordinary())
        return;
    /* Lists that OpenSSL fills when they are first asked for, and keeps for good: not with what
     * was looked up in a context that may go. */
    OPENSSL_init_crypto(OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_ADD_ALL_CIPHERS, NULL);
    context = OSSL_LIB_CTX_new();
    if (context)
        whole = OSSL_PROVIDER_load(context, "default");
    for (size_t i = 0; whole && i < N_PICKED; i++)
        all = pick(&picked[i]) && all;
    if (!all || tls_memory_failures() != failures)
        whole = NULL; /* its context stays, unused */
}

/* --- ours ------------------------------------------------------------------------------------- */

struct library {
    OSSL_LIB_CTX *context;
    EVP_MD *sha256; /* looked up in it: threads do not share even its count of references */
};

static OSSL_LIB_CTX *context_new(void)
{
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();

    if (context && (OSSL_PROVIDER_add_builtin(context, NAME, on_init) != 1 ||
                    !OSSL_PROVIDER_load(context, NAME))) {
        OSSL_LIB_CTX_free(context);
        context = NULL;
    }
    return context;
}

static void context_free(OSSL_LIB_CTX *context)
{
    /* Freeing the context does not give back what loading took; loading again finds the provider.
     */
    OSSL_PROVIDER *provider = context ? OSSL_PROVIDER_load(context, NAME) : NULL;

    for (int taken = 2; provider && taken > 0; taken--)
        OSSL_PROVIDER_unload(provider);
    OSSL_LIB_CTX_free(context);
}

struct library *library_new(void)
{
    uint64_t failures = tls_memory_failures();
    struct library *library;

    pthread_once(&once, prepare);
    library = whole ? calloc(1, sizeof *library) : NULL;
    if (!library)
        return NULL;
    library->context = context_new();
    if (library->context)
        library->sha256 = EVP_MD_fetch(library->context, "SHA256", NULL);
    if (library->sha256 && tls_memory_failures() == failures)
        return library;
    library_free(library);
    return NULL;
}

void library_free(struct library *library)
{
    if (!library)
        return;
    EVP_MD_free(library->sha256);
    context_free(library->context);
    free(library);
}

OSSL_LIB_CTX *library_context(const struct library *library)
{
    return library ? library->context : NULL;
}

/* --- for those who know of none --------------------------------------------------------------- */

static _Thread_local const struct library *entered;
static _Thread_local OSSL_LIB_CTX *left; /* the thread's own, to go back to */

void library_enter(struct library *library)
{
    if (!library)
        return;
    left = OSSL_LIB_CTX_set0_default(library->context);
    entered = library;
}

void library_leave(void)
{
    if (!entered)
        return;
    OSSL_LIB_CTX_set0_default(left);
    entered = NULL;
}

typedef const EVP_MD *digest_function(void);

/* The next one of that name, which is OpenSSL's. */
static digest_function *find_ordinary(void)
{
    void *found = dlsym(RTLD_NEXT, "EVP_sha256");
    digest_function *ordinary;

    static_assert(sizeof ordinary == sizeof found, "what POSIX demands of dlsym");
    memcpy(&ordinary, &found, sizeof ordinary); /* C knows no cast between the two */
    return ordinary;
}

/* Also OpenSSL itself asks here, while it starts up, too: so nothing of it is used but what stands
 * behind us. */
const EVP_MD *EVP_sha256(void)
{
    static _Atomic(digest_function *) ordinary;
    digest_function *found;

    if (entered)
        return entered->sha256;
    found = atomic_load_explicit(&ordinary, memory_order_acquire);
    if (!found) {
        found = find_ordinary();
        atomic_store_explicit(&ordinary, found, memory_order_release);
    }
    return found();
}
