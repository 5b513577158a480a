/* Any text as a connection string of any dialect: it is refused with an error or yields libpq's
 * keywords, and a secret, which is what "SECRET~xyz" stands for, is never quoted back. (The "~"
 * keeps it from being the name of a parameter, which may be.) */
#include "pgtls/base/arena.h"
#include "pgtls/config/config.h"
#include "pgtls/config/dsn.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void parse(const char *text)
{
    struct arena *arena = arena_new();
    struct dsn dsn;
    char error[256] = "";
    bool ok = arena && dsn_parse(text, arena, &dsn, error, sizeof error);

    require(ok || !arena || error[0] != '\0');
    require(!strstr(error, "SECRET~xyz"));
    for (size_t i = 0; ok && i < dsn.n; i++) {
        require(dsn_keyword(dsn.params[i].key) != NULL);
        require(strlen(dsn.params[i].value) <= 2 * DSN_MAX_BYTES);
        require(dsn_get(&dsn, dsn.params[i].key) == dsn.params[i].value); /* each key once */
    }
    for (size_t i = 0; ok && i < dsn.n_notices; i++)
        require(!strstr(dsn.notices[i], "SECRET~xyz"));
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct config_messages messages;
    char *text = malloc(len + 1);
    struct endpoint_set *set;

    if (!text)
        return 0;
    memcpy(text, bytes, len);
    text[len] = '\0';
    parse(text);
    set = config_load_dsn("DATABASE_URL", text, &messages);
    require((set != NULL) == (messages.errors == 0));
    for (size_t i = 0; i < messages.n; i++)
        require(!strstr(messages.items[i].text, "SECRET~xyz"));
    endpoint_set_unref(set);
    config_messages_deinit(&messages);
    free(text);
    return 0;
}
