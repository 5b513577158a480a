/* bcrypt by libxcrypt; the only file that includes crypt.h. */
#include "web_bcrypt.h"

#include "pgtls/base/wipe.h"

#include <crypt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SALT_BYTES 22
#define HASH_BYTES 31
#define COST_BYTES 3 /* "10$" */
#define HEAD_BYTES 7 /* "$2b$10$" */

static bool equal(const char *a, const char *b)
{
    unsigned char differs = 0;

    for (size_t i = 0; i < HASH_BYTES; i++)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return differs == 0;
}

enum bcrypt_answer bcrypt_check(const char *hash, const char *password)
{
    /* "$2$10$…", "$2y$10$…": how long what stands before the cost is. */
    size_t len = strlen(hash), start = len > 2 && hash[2] == '$' ? 3 : 4;
    const char *cost = hash + start, *salt = cost + COST_BYTES;
    char setting[HEAD_BYTES + SALT_BYTES + 1];
    enum bcrypt_answer answer = BCRYPT_NO_HASH;
    struct crypt_data *data;
    const char *computed;

    if (len != start + COST_BYTES + SALT_BYTES + HASH_BYTES)
        return BCRYPT_NO_HASH;
    data = calloc(1, sizeof *data);
    if (!data)
        return BCRYPT_NO_HASH;
    snprintf(setting, sizeof setting, "$2b$%.2s$%.*s", cost, SALT_BYTES, salt);
    computed = crypt_r(password, setting, data);
    if (computed && strlen(computed) == HEAD_BYTES + SALT_BYTES + HASH_BYTES)
        answer = equal(computed + HEAD_BYTES + SALT_BYTES, salt + SALT_BYTES) ? BCRYPT_RIGHT
                                                                              : BCRYPT_WRONG;
    wipe_memory(data, sizeof *data);
    free(data);
    return answer;
}
