/* Any text as a connection string; a secret that follows "SECRETxyz" is never quoted back. */
#include "pgtls/config/config.h"
#include "pgtls/config/dsn.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct config_messages messages;
    char *text = malloc(len + 1);
    struct endpoint_set *set;

    if (!text)
        return 0;
    memcpy(text, bytes, len);
    text[len] = '\0';
    set = config_load_dsn("DATABASE_URL", text, &messages);
    if ((set != NULL) != (messages.errors == 0))
        abort();
    for (size_t i = 0; i < messages.n && !set; i++) {
        if (strstr(messages.items[i].text, "SECRETxyz"))
            abort();
    }
    endpoint_set_unref(set);
    config_messages_deinit(&messages);
    free(text);
    return 0;
}
