/* Judging a chain: is there a path to a trusted certificate, are its dates good, does the leaf name
 * the host. Three facts, so that an expired certificate for the wrong host says both. Verification
 * never stops a handshake here; what follows from the facts is the probe's decision. */
#include "tls.h"

#include "pgtls/base/clock.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <string.h>

void chain_memory_deinit(struct chain_memory *m)
{
    chain_unref(m->chain);
    pem_unref(m->anchors);
    *m = (struct chain_memory){0};
}

/* Errors of one verification: chain and dates apart, first of each, and the first per certificate.
 */
struct verdicts {
    int chain_code, chain_depth, chain_errors;
    int date_code, date_depth;
    int per_depth[MAX_CHAIN];
};

static bool is_date_error(int code)
{
    return code == X509_V_ERR_CERT_NOT_YET_VALID || code == X509_V_ERR_CERT_HAS_EXPIRED ||
           code == X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD ||
           code == X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD;
}

static int on_verify(int ok, X509_STORE_CTX *ctx)
{
    struct verdicts *v = X509_STORE_CTX_get_app_data(ctx);
    int code, depth;

    if (ok)
        return 1;
    code = X509_STORE_CTX_get_error(ctx);
    depth = X509_STORE_CTX_get_error_depth(ctx);
    if (depth >= 0 && depth < MAX_CHAIN && v->per_depth[depth] == 0)
        v->per_depth[depth] = code;
    if (is_date_error(code)) {
        if (v->date_code == 0) {
            v->date_code = code;
            v->date_depth = depth;
        }
    } else if (v->chain_errors++ == 0) {
        v->chain_code = code;
        v->chain_depth = depth;
    }
    return 1; /* go on: the other facts are wanted too */
}

static bool digest_certificate(EVP_MD_CTX *md, const X509 *x)
{
    unsigned char der[4096], *p = der, *large = NULL;
    int n = i2d_X509(x, NULL);
    bool ok;

    if (n > 0 && (size_t)n <= sizeof der)
        return i2d_X509(x, &p) == n && EVP_DigestUpdate(md, der, (size_t)n) == 1;
    ok = n > 0 && i2d_X509(x, &large) == n && EVP_DigestUpdate(md, large, (size_t)n) == 1;
    OPENSSL_free(large);
    return ok;
}

bool judge_chain_id(const X509 *leaf, const STACK_OF(X509) * served, unsigned char id[32])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

    memset(id, 0, 32);
    for (int i = 0; ok && i < (sk_X509_num(served) > 0 ? sk_X509_num(served) : 1); i++)
        ok = digest_certificate(md, sk_X509_num(served) > 0 ? sk_X509_value(served, i) : leaf);
    ok = ok && EVP_DigestFinal_ex(md, id, NULL) == 1;
    EVP_MD_CTX_free(md);
    return ok;
}

static bool contains(const STACK_OF(X509) * stack, const X509 *x)
{
    for (int i = 0; i < sk_X509_num(stack); i++) {
        if (X509_cmp(sk_X509_value(stack, i), x) == 0)
            return true;
    }
    return false;
}

/* The certificates to show: the served ones in order, then what the trust store added. */
static STACK_OF(X509) *
    shown_certificates(X509 *leaf, STACK_OF(X509) * served, STACK_OF(X509) * path)
{
    STACK_OF(X509) *all = sk_X509_new_null();

    if (!all)
        return NULL;
    if (sk_X509_num(served) == 0)
        sk_X509_push(all, leaf);
    for (int i = 0; i < sk_X509_num(served); i++)
        sk_X509_push(all, sk_X509_value(served, i));
    for (int i = 0; i < sk_X509_num(path); i++) {
        if (!contains(all, sk_X509_value(path, i)))
            sk_X509_push(all, sk_X509_value(path, i));
    }
    return all;
}

static enum position position_of(const X509 *x, bool leaf)
{
    if (leaf)
        return POSITION_LEAF;
    return X509_self_signed((X509 *)(uintptr_t)x, 0) == 1 ? POSITION_ROOT : POSITION_INTERMEDIATE;
}

/* Per position the certificate that expires first among those that count. */
static void pick_positions(struct chain *chain, const bool *counts)
{
    for (size_t i = 0; i < chain->count; i++) {
        const struct certificate *c = &chain->certificates[i];
        int *best = &chain->by_position[c->position];

        if (counts[i] && (*best < 0 || c->not_after < chain->certificates[*best].not_after))
            *best = (int)i;
    }
}

static struct chain *build_chain(X509 *leaf, STACK_OF(X509) * served, STACK_OF(X509) * path,
                                 const struct verdicts *v, const unsigned char id[32])
{
    STACK_OF(X509) *all = shown_certificates(leaf, served, path);
    size_t n = all ? (size_t)sk_X509_num(all) : 0;
    bool counts[MAX_CHAIN] = {false};
    struct chain *chain;

    if (n > MAX_CHAIN)
        n = MAX_CHAIN;
    chain = all ? chain_new(n) : NULL;
    if (chain) {
        memcpy(chain->id, id, 32);
        chain->served = sk_X509_num(served) > 0 ? (size_t)sk_X509_num(served) : 1;
        for (size_t i = 0; i < n; i++) {
            const X509 *x = sk_X509_value(all, (int)i);
            struct certificate *c = &chain->certificates[i];

            certificate_facts(x, c);
            c->position = position_of(x, i == 0);
            c->served = i < chain->served;
            counts[i] = v->chain_code == 0 ? contains(path, x) : c->served;
            for (int d = 0; d < sk_X509_num(path) && d < MAX_CHAIN; d++) {
                if (X509_cmp(sk_X509_value(path, d), x) == 0)
                    c->verify_code = v->per_depth[d];
            }
        }
        pick_positions(chain, counts);
    }
    sk_X509_free(all);
    return chain;
}

/* The certificates of the path that came from the trust store, as PEM: all of them, not only the
 * root, because libpq accepts no partial chain. */
static bool build_anchors(X509_STORE_CTX *ctx, int first, struct pem **pem)
{
    STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(ctx);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long n;

    if (!bio)
        return false;
    for (int i = first; i < sk_X509_num(path); i++)
        PEM_write_bio_X509(bio, sk_X509_value(path, i));
    n = BIO_get_mem_data(bio, &text);
    if (n > 0)
        *pem = pem_new(text, (size_t)n);
    BIO_free(bio);
    return n <= 0 || *pem;
}

enum verdict judge_pin(const struct server *server, const struct chain *chain)
{
    if (server->n_pins == 0 || chain->count == 0)
        return VERDICT_UNKNOWN;
    for (size_t i = 0; i < server->n_pins; i++) {
        if (strcmp(server->pins[i].hex, chain->certificates[0].fingerprint_sha256) == 0 ||
            strcmp(server->pins[i].hex, chain->certificates[0].public_key_sha256) == 0)
            return VERDICT_YES;
    }
    return VERDICT_NO;
}

/* The moment a date of the chain next changes its verdict, at most the end of this UTC day. */
static int64_t next_change(const struct chain *chain, int64_t now_s)
{
    int64_t until = (now_s / 86400 + 1) * 86400;

    for (size_t i = 0; i < chain->count; i++) {
        const struct certificate *c = &chain->certificates[i];

        if (c->not_before > now_s && c->not_before < until)
            until = c->not_before;
        if (c->not_after >= now_s && c->not_after + 1 < until)
            until = c->not_after + 1;
    }
    return until;
}

bool judge_chain(X509_STORE_CTX *ctx, const struct server *server, const unsigned char id[32],
                 struct chain_memory *memory)
{
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    STACK_OF(X509) *served = X509_STORE_CTX_get0_untrusted(ctx);
    int64_t now_s = clock_realtime_ns() / NS_PER_S;
    struct verdicts v = {0};
    struct judgement *j = &memory->judgement;
    bool anchored = true;

    chain_memory_deinit(memory);
    X509_STORE_CTX_set_app_data(ctx, &v);
    X509_STORE_CTX_set_verify_cb(ctx, on_verify);
    if (X509_verify_cert(ctx) <= 0 && v.chain_code == 0 && v.date_code == 0) {
        v.chain_code = X509_STORE_CTX_get_error(ctx); /* it could not even begin */
        if (v.chain_code == X509_V_OK)
            v.chain_code = X509_V_ERR_UNSPECIFIED;
    }
    memory->chain = build_chain(leaf, served, X509_STORE_CTX_get0_chain(ctx), &v, id);
    if (!memory->chain)
        return false;
    j->chain = v.chain_code == 0 ? VERDICT_YES : VERDICT_NO;
    j->dates = v.date_code == 0 ? VERDICT_YES : VERDICT_NO;
    j->hostname = hostname_matches(leaf, server->host) ? VERDICT_YES : VERDICT_NO;
    j->verify_code = v.chain_code ? v.chain_code : v.date_code;
    j->verify_depth = v.chain_code ? v.chain_depth : v.date_depth;
    if (v.chain_code == 0)
        anchored = build_anchors(ctx, X509_STORE_CTX_get_num_untrusted(ctx), &memory->anchors);
    else if (v.chain_code == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT && v.chain_errors == 1)
        anchored = build_anchors(
            ctx, 0, &memory->anchors); /* nothing amiss but that it vouches for itself */
    memory->judged_at_s = now_s;
    memory->valid_until_s = next_change(memory->chain, now_s);
    return anchored;
}
