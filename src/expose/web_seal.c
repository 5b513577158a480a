/* The digest that remembered passwords are known by. */
#include "web_seal.h"

#include <gnutls/crypto.h>
#include <string.h>

bool seal_texts(const unsigned char key[SEAL_BYTES], const char *const *texts, size_t n,
                unsigned char seal[SEAL_BYTES])
{
    gnutls_hmac_hd_t mac;

    if (gnutls_hmac_init(&mac, GNUTLS_MAC_SHA256, key, SEAL_BYTES) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        gnutls_hmac(mac, texts[i],
                    strlen(texts[i]) + 1); /* with its end: "ab", "c" is not "a", "bc" */
    gnutls_hmac_deinit(mac, seal);
    return true;
}
