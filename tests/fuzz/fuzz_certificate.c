/* tls/: any certificates a server may send, as facts and as verdicts. The input is a byte that
 * chooses the host name, one that chooses what is trusted, and DER certificates one after another:
 * the leaf first. */
#include "tls.h"

#include "facts.h"
#include "pgtls/base/str.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#define HEAD              2
#define MOST_CERTIFICATES 16 /* more than a chain keeps */

static const char *const hosts[] = {"db.example",  "a.b.db.example",       "192.0.2.1",
                                    "2001:db8::1", "::ffff:192.0.2.1",     "",
                                    "*.example",   "xn--bcher-kva.example"};

static void check_chain(const struct chain_memory *memory, const unsigned char id[32], size_t n)
{
    const struct chain *chain = memory->chain;
    const struct judgement *j = &memory->judgement;

    require(chain && chain->count >= 1 && chain->count <= MAX_CHAIN && chain->served == n);
    require(memcmp(chain->id, id, 32) == 0);
    for (size_t i = 0; i < chain->count; i++)
        check_facts(&chain->certificates[i]);
    for (size_t i = 0; i < POSITION_COUNT; i++)
        require(chain->by_position[i] < (int)chain->count);
    require(j->chain != VERDICT_UNKNOWN && j->dates != VERDICT_UNKNOWN &&
            j->hostname != VERDICT_UNKNOWN);
    /* Without an error everything is well, and the other way round. */
    require((j->verify_code == 0) == (j->chain == VERDICT_YES && j->dates == VERDICT_YES));
}

/* Judges the chain against a store of its own last certificate, or of none. */
static void judge(STACK_OF(X509) * served, const char *host, bool trusted)
{
    int n = sk_X509_num(served);
    X509 *leaf = sk_X509_value(served, 0);
    const struct server server = {.host = host};
    struct chain_memory memory = {0};
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    unsigned char id[32];

    if (store && ctx && (!trusted || X509_STORE_add_cert(store, sk_X509_value(served, n - 1))) &&
        X509_STORE_CTX_init(ctx, store, leaf, served)) {
        judge_chain_id(leaf, served, id);
        if (judge_chain(ctx, &server, id, &memory)) {
            check_chain(&memory, id, (size_t)n);
            require(trusted || memory.judgement.chain == VERDICT_NO);
        }
        chain_memory_deinit(&memory);
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    STACK_OF(X509) *served = sk_X509_new_null();
    const unsigned char *at = data + HEAD;

    while (served && size > HEAD && at < data + size && sk_X509_num(served) < MOST_CERTIFICATES) {
        X509 *x = d2i_X509(NULL, &at, data + size - at);

        if (!x || !sk_X509_push(served, x)) {
            X509_free(x);
            break;
        }
    }
    if (sk_X509_num(served) > 0)
        judge(served, hosts[data[0] % (sizeof hosts / sizeof *hosts)], data[1] & 1);
    sk_X509_pop_free(served, X509_free);
    ERR_clear_error();
    return 0;
}
