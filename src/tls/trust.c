/* Trust policies: shared client contexts, loaded again when their files change. */
#include "tls.h"

#include "share.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/file.h"
#include "pgtls/base/str.h"
#include "pgtls/base/vault.h"
#include "pgtls/base/wipe.h"
#include "pgtls/config/secret.h"
#include "pgtls/tls/library.h"
#include "pgtls/tls/memory.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_EVERY_NS   NS_PER_S         /* at files that may have changed */
#define FORGET_AFTER_NS (600 * NS_PER_S) /* a policy nobody uses */
#define KEY_SIZE        2048
#define N_FILES         4
#define MAX_FILE_BYTES  ((size_t)16 * 1024 * 1024) /* of any; the system's bundle has 220 KiB */

struct trust {
    struct trust *next;
    int references; /* the cache's and those of connections */
    char *key;      /* in the vault: a passphrase may stand in it */
    uint64_t generation;
    uint64_t files_seen; /* signature of its files */
    int64_t looked_ns, used_ns;
    SSL_CTX *context;
    bool spoiled; /* not to be used any more */
    bool has_client_certificate;
    struct certificate client_certificate;
    struct shared shared;
};

struct trust_cache {
    struct trust *policies;
    struct library *library; /* for policies without a client key */
    const char *bundle_path;
    uint64_t generations;
};

/* Where distributions keep the system's trust store in one file. */
static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                      "/etc/pki/tls/certs/ca-bundle.crt",
                                      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                                      "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

static const struct {
    const char *name;
    int version;
} versions[] = {
    {"TLSv1", TLS1_VERSION},
    {"TLSv1.1", TLS1_1_VERSION},
    {"TLSv1.2", TLS1_2_VERSION},
    {"TLSv1.3", TLS1_3_VERSION},
};

/* Collects why a policy could not be loaded. */
struct trouble {
    enum internal_reason *reason;
    char *text;
    size_t size;
};

const char *trust_find_bundle(void)
{
    const char *named = getenv(X509_get_default_cert_file_env());

    if (named && access(named, R_OK) == 0)
        return named;
    if (access(X509_get_default_cert_file(), R_OK) == 0)
        return X509_get_default_cert_file();
    for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++) {
        if (access(bundles[i], R_OK) == 0)
            return bundles[i];
    }
    return NULL;
}

struct trust_cache *trust_cache_new(const char *bundle_path)
{
    struct trust_cache *cache = calloc(1, sizeof *cache);

    if (!cache)
        return NULL;
    cache->bundle_path = bundle_path ? bundle_path : trust_find_bundle();
    cache->library = library_new();
    return cache;
}

void trust_unref(struct trust *t)
{
    if (!t || --t->references > 0)
        return;
    SSL_CTX_free(t->context);
    shared_deinit(&t->shared);
    vault_free(t->key);
    free(t);
}

void trust_cache_free(struct trust_cache *cache)
{
    if (!cache)
        return;
    while (cache->policies) {
        struct trust *next = cache->policies->next;

        trust_unref(cache->policies);
        cache->policies = next;
    }
    library_free(cache->library);
    free(cache);
}

struct library *trust_cache_library(const struct trust_cache *cache, const struct server *s)
{
    return s->sslcert ? NULL : cache->library;
}

/* --- what a policy is made of ----------------------------------------------------------------- */

static bool names_a_file(const char *sslrootcert)
{
    return sslrootcert && strcmp(sslrootcert, "system") != 0;
}

static const char *root_path(const struct trust_cache *cache, const struct server *s)
{
    return names_a_file(s->sslrootcert) ? s->sslrootcert : cache->bundle_path;
}

static bool make_key(const struct trust_cache *cache, const struct server *s, char key[KEY_SIZE])
{
    const char *parts[] = {root_path(cache, s),
                           s->sslcrl,
                           s->sslcert,
                           s->sslkey,
                           s->sslpassword.value,
                           s->ssl_min_protocol_version,
                           s->ssl_max_protocol_version};
    size_t at = 0;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int n = snprintf(key + at, KEY_SIZE - at, "%s\n", parts[i] ? parts[i] : "");

        if (n < 0 || (size_t)n >= KEY_SIZE - at)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* One number for the state of all files: changes when one is replaced, written or appears. */
static uint64_t files_signature(const struct trust_cache *cache, const struct server *s)
{
    const char *paths[N_FILES] = {root_path(cache, s), s->sslcrl, s->sslcert, s->sslkey};
    uint64_t signature = STR_HASH_START;

    for (size_t i = 0; i < N_FILES; i++) {
        struct stat st = {0};
        char text[192];

        if (paths[i] && stat(paths[i], &st) < 0)
            memset(&st, 0, sizeof st);
        snprintf(text, sizeof text, "%llu.%llu.%lld.%lld.%ld.%lld.%ld|",
                 (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
                 (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                 (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
        signature = str_hash(signature, text);
    }
    return signature;
}

/* --- loading ---------------------------------------------------------------------------------- */

static bool fail(const struct trouble *t, enum internal_reason reason, const char *what,
                 const char *path)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());

    *t->reason = reason;
    if (path && access(path, R_OK) < 0)
        why = "permission denied";
    snprintf(t->text, t->size, "%s%s%s%s: %s", what, path ? " \"" : "", path ? path : "",
             path ? "\"" : "", why ? why : "unknown error");
    ERR_clear_error();
    return false;
}

/* What a file that OpenSSL is to open is must be known before: it would wait for a pipe, and read a
 * device to its end. */
static bool look_at(const char *what, const char *path, const struct trouble *t)
{
    char reason[256];

    if (file_check(path, MAX_FILE_BYTES, reason, sizeof reason))
        return true;
    *t->reason = INTERNAL_LOCAL_FILE;
    snprintf(t->text, t->size, "%s: %s", what, reason);
    return false;
}

static bool load_roots(struct trust *t, const struct trust_cache *cache, const struct server *s,
                       const struct trouble *trouble)
{
    const char *path = root_path(cache, s);

    if (!path)
        return server_demands_chain(s)
                   ? fail(trouble, INTERNAL_LOCAL_FILE,
                          "no system trust store found; set sslrootcert to a file", NULL)
                   : true;
    if (!look_at("cannot load the trusted certificates", path, trouble))
        return false;
    if (SSL_CTX_load_verify_file(t->context, path) != 1)
        return fail(trouble, INTERNAL_LOCAL_FILE, "cannot load the trusted certificates", path);
    if (s->sslcrl) {
        X509_STORE *store = SSL_CTX_get_cert_store(t->context);

        if (!look_at("cannot load the revocation list", s->sslcrl, trouble))
            return false;
        if (X509_STORE_load_file(store, s->sslcrl) != 1)
            return fail(trouble, INTERNAL_LOCAL_FILE, "cannot load the revocation list", s->sslcrl);
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    }
    return true;
}

static int on_key_password(char *to, int size, int writing, void *data)
{
    const struct secret *secret = data;
    size_t len = secret->present ? strlen(secret->text) : 0;

    (void)writing;
    if (size < 0 || len > (size_t)size)
        return 0;
    memcpy(to, secret->text, len);
    return (int)len;
}

static bool load_client_certificate(struct trust *t, const struct server *s,
                                    const struct trouble *trouble)
{
    struct secret secret = {0};
    bool ok = true;

    if (!s->sslcert)
        return true;
    if (!look_at("cannot load the client certificate", s->sslcert, trouble) ||
        (s->sslkey && !look_at("cannot load the client key", s->sslkey, trouble)))
        return false;
    if (SSL_CTX_use_certificate_chain_file(t->context, s->sslcert) != 1)
        return fail(trouble, INTERNAL_LOCAL_FILE, "cannot load the client certificate", s->sslcert);
    if (!secret_read(&s->sslpassword, s, &secret, trouble->text, trouble->size)) {
        *trouble->reason = INTERNAL_SECRET;
        return false;
    }
    SSL_CTX_set_default_passwd_cb(t->context, on_key_password);
    SSL_CTX_set_default_passwd_cb_userdata(t->context, &secret);
    if (!s->sslkey)
        ok = fail(trouble, INTERNAL_LOCAL_FILE, "sslcert is given but not sslkey", NULL);
    else if (SSL_CTX_use_PrivateKey_file(t->context, s->sslkey, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(t->context) != 1)
        ok = fail(trouble, INTERNAL_LOCAL_FILE, "cannot load the client key", s->sslkey);
    SSL_CTX_set_default_passwd_cb_userdata(t->context, NULL);
    secret_wipe(&secret);
    wipe_stack();
    if (ok) {
        certificate_facts(SSL_CTX_get0_certificate(t->context), &t->client_certificate);
        t->client_certificate.position = POSITION_CLIENT;
        t->has_client_certificate = true;
    }
    return ok;
}

static int version_number(const char *name, int unset)
{
    for (size_t i = 0; name && i < sizeof versions / sizeof *versions; i++) {
        if (strcasecmp(name, versions[i].name) == 0)
            return versions[i].version;
    }
    return unset;
}

static struct trust *fail_memory(struct trust *t, const struct trouble *trouble)
{
    trust_unref(t);
    ERR_clear_error();
    *trouble->reason = INTERNAL_MEMORY;
    str_copy(trouble->text, trouble->size, "out of memory for a TLS context");
    return NULL;
}

static struct trust *load(struct trust_cache *cache, const struct server *s, const char *key,
                          const struct trouble *trouble)
{
    uint64_t failures = tls_memory_failures();
    struct trust *t = calloc(1, sizeof *t);
    bool loaded;

    if (t) {
        t->references = 1;
        t->key = vault_strdup(key);
    }
    if (t && t->key)
        t->context = SSL_CTX_new_ex(library_context(trust_cache_library(cache, s)), NULL,
                                    TLS_client_method());
    if (!t || !t->context)
        return fail_memory(t, trouble);
    t->generation = ++cache->generations;
    /* libpq's own floor; anything lower only when the configuration asks for it */
    SSL_CTX_set_min_proto_version(t->context,
                                  version_number(s->ssl_min_protocol_version, TLS1_2_VERSION));
    SSL_CTX_set_max_proto_version(t->context, version_number(s->ssl_max_protocol_version, 0));
    SSL_CTX_set_mode(t->context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(t->context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(t->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(t->context, 1);
    SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(t->context, conn_on_certificate, NULL);
    ERR_clear_error();
    loaded = load_roots(t, cache, s, trouble) && load_client_certificate(t, s, trouble);
    if (tls_memory_failures() != failures)
        return fail_memory(t, trouble); /* what failed is not to be told from the file's fault */
    if (loaded)
        return t;
    trust_unref(t);
    return NULL;
}

/* --- the cache -------------------------------------------------------------------------------- */

/* Unlinks a policy; connections that still use it keep it alive. */
static void drop(struct trust **at)
{
    struct trust *t = *at;

    *at = t->next;
    trust_unref(t);
}

static void forget_unused(struct trust_cache *cache, int64_t now_ns)
{
    for (struct trust **at = &cache->policies; *at;) {
        if ((*at)->references == 1 && now_ns - (*at)->used_ns > FORGET_AFTER_NS)
            drop(at);
        else
            at = &(*at)->next;
    }
}

/* The cached policy if its files are as they were; a changed one is dropped, and one that is
 * spoiled.
 */
static struct trust *find(struct trust_cache *cache, const struct server *s, const char *key,
                          int64_t now_ns)
{
    for (struct trust **at = &cache->policies; *at; at = &(*at)->next) {
        struct trust *t = *at;

        if (strcmp(t->key, key) != 0)
            continue;
        if (t->spoiled) {
            drop(at);
            return NULL;
        }
        if (now_ns - t->looked_ns >= LOOK_EVERY_NS) {
            t->looked_ns = now_ns;
            if (files_signature(cache, s) != t->files_seen) {
                drop(at);
                return NULL;
            }
        }
        return t;
    }
    return NULL;
}

/* Loads a policy and remembers it. */
static struct trust *add(struct trust_cache *cache, const struct server *s, const char *key,
                         int64_t now_ns, const struct trouble *trouble)
{
    uint64_t seen = files_signature(cache, s); /* before loading: a change during it shows */
    struct trust *t;

    forget_unused(cache, now_ns);
    t = load(cache, s, key, trouble);
    if (!t)
        return NULL;
    t->files_seen = seen;
    t->looked_ns = now_ns;
    t->next = cache->policies;
    return cache->policies = t;
}

struct trust *trust_get(struct trust_cache *cache, const struct server *s,
                        enum internal_reason *reason, char *error, size_t size)
{
    const struct trouble trouble = {.reason = reason, .text = error, .size = size};
    int64_t now_ns = clock_monotonic_ns();
    char key[KEY_SIZE];
    struct trust *t;

    if (!make_key(cache, s, key)) {
        wipe_memory(key, sizeof key);
        *reason = INTERNAL_OTHER;
        str_copy(error, size, "the paths of this endpoint's TLS files are too long");
        return NULL;
    }
    t = find(cache, s, key, now_ns);
    if (!t)
        t = add(cache, s, key, now_ns, &trouble);
    wipe_memory(key, strlen(key));
    if (!t)
        return NULL;
    t->used_ns = now_ns;
    t->references++;
    return t;
}

uint64_t trust_generation(const struct trust *t)
{
    return t->generation;
}

const struct certificate *trust_client_certificate(const struct trust *t)
{
    return t->has_client_certificate ? &t->client_certificate : NULL;
}

SSL_CTX *trust_context(const struct trust *t)
{
    return t->context;
}

bool trust_has_client_certificate(const struct trust *t)
{
    return t->has_client_certificate;
}

void trust_spoil(struct trust *t)
{
    t->spoiled = true;
}

bool trust_is_spoiled(const struct trust *t)
{
    return t->spoiled;
}

void trust_share(struct trust *t, struct chain_memory *memory)
{
    shared_take(&t->shared, memory);
}
