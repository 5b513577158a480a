/* Any text as a connection string of any dialect: it is refused with an error or yields libpq's
 * keywords, which written as libpq's own key='value' mean the same again; memory is bounded; and a
 * secret, which is what "SECRET~xyz" stands for, is never quoted back. (The "~" keeps it from being
 * the name of a parameter, which may be.) */
#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/config/config.h"
#include "pgtls/config/dsn.h"
#include "target.h"

#define MOST_MEMORY (2U << 20) /* bytes; a string is at most DSN_MAX_BYTES long */

/* key='value' for each, as PQconninfo's documentation quotes them. */
static void print(const struct dsn *dsn, struct buf *to)
{
    for (size_t i = 0; i < dsn->n; i++) {
        buf_addf(to, "%s='", dsn->params[i].key);
        for (const char *p = dsn->params[i].value; *p; p++) {
            if (*p == '\'' || *p == '\\')
                buf_add_char(to, '\\');
            buf_add_char(to, *p);
        }
        buf_add_str(to, "' ");
    }
}

static void check_again(const struct dsn *dsn)
{
    struct buf text = BUF_INIT(DSN_MAX_BYTES - 1);
    struct arena *arena = arena_new();
    char error[256] = "";
    struct dsn again;

    print(dsn, &text);
    /* One keyword with a ";" in its value is ADO.NET's form as well, and is read as that. */
    if (!text.failed && dsn->n > 0 && (dsn->n > 1 || !strchr(buf_text(&text), ';'))) {
        require(arena && dsn_parse(buf_text(&text), arena, &again, error, sizeof error));
        require(again.dialect == DSN_LIBPQ && again.n == dsn->n);
        for (size_t i = 0; i < dsn->n; i++) {
            const char *value = dsn_get(&again, dsn->params[i].key);

            require(value && strcmp(value, dsn->params[i].value) == 0);
        }
    }
    arena_free(arena);
    buf_deinit(&text);
}

static void parse(const char *text)
{
    struct arena *arena;
    struct dsn dsn;
    char error[256] = "";
    bool ok;

    memory_watch();
    arena = arena_new();
    ok = arena && dsn_parse(text, arena, &dsn, error, sizeof error);
    require(memory_peak() <= MOST_MEMORY);
    require(ok || !arena || error[0] != '\0');
    require(!strstr(error, SECRET));
    for (size_t i = 0; ok && i < dsn.n; i++) {
        require(dsn_keyword(dsn.params[i].key) != NULL);
        require(strlen(dsn.params[i].value) <= 2 * DSN_MAX_BYTES);
        require(dsn_get(&dsn, dsn.params[i].key) == dsn.params[i].value); /* each key once */
    }
    for (size_t i = 0; ok && i < dsn.n_notices; i++)
        require(!strstr(dsn.notices[i], SECRET));
    if (ok)
        check_again(&dsn);
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
        require(!strstr(messages.items[i].text, SECRET));
    endpoint_set_unref(set);
    config_messages_deinit(&messages);
    free(text);
    return 0;
}
