/* The server's side of SCRAM-SHA-256. */
#include "bench_scram.h"

#include "bench.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define ITERATIONS 4096
#define SALT       "bench's salt 16b"
#define SALT_BASE  "YmVuY2gncyBzYWx0IDE2Yg=="
#define NONCE      "servers-own-nonce"

static unsigned char server_key[32];

static void hmac(const unsigned char key[32], const char *text, unsigned char to[32])
{
    unsigned size = 32;

    if (!HMAC(EVP_sha256(), key, 32, (const unsigned char *)text, strlen(text), to, &size))
        die("HMAC");
}

void scram_setup(const char *password)
{
    unsigned char salted[32];

    if (PKCS5_PBKDF2_HMAC(password, -1, (const unsigned char *)SALT, sizeof SALT - 1, ITERATIONS,
                          EVP_sha256(), sizeof salted, salted) != 1)
        die("PBKDF2");
    hmac(salted, "Server Key", server_key);
}

/* "n,,n=,r=nonce", "y,,…" or "p=tls-server-end-point,,…": the bare message follows the header. */
size_t scram_first(struct scram *scram, const char *message, char answer[SCRAM_TEXT])
{
    const char *bare = strstr(message, ",,"), *nonce = bare ? strstr(bare, ",r=") : NULL;
    int n;

    if (!nonce || strlen(bare + 2) >= sizeof scram->client_first_bare)
        return 0;
    snprintf(scram->client_first_bare, sizeof scram->client_first_bare, "%s", bare + 2);
    n = snprintf(answer, SCRAM_TEXT, "%.128s" NONCE ",s=" SALT_BASE ",i=%d", nonce + 1, ITERATIONS);
    snprintf(scram->server_first, sizeof scram->server_first, "%s", answer);
    return (size_t)n;
}

size_t scram_final(const struct scram *scram, const char *message, char answer[SCRAM_TEXT])
{
    const char *proof = strstr(message, ",p=");
    char all[3 * SCRAM_TEXT];
    unsigned char signature[32], base[64];

    if (!proof)
        return 0;
    snprintf(all, sizeof all, "%s,%s,%.*s", scram->client_first_bare, scram->server_first,
             (int)(proof - message), message);
    hmac(server_key, all, signature);
    EVP_EncodeBlock(base, signature, sizeof signature);
    return (size_t)snprintf(answer, SCRAM_TEXT, "v=%s", base);
}
