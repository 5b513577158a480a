/* What a connection string says, by libpq's keywords. */
#include "pgtls/config/dsn.h"

#include "dsn_reader.h"

#include <string.h>

const char *dsn_get(const struct dsn *dsn, const char *key)
{
    for (size_t i = 0; i < dsn->n; i++) {
        if (strcmp(dsn->params[i].key, key) == 0)
            return dsn->params[i].value;
    }
    return NULL;
}

void dsn_set(struct dsn *dsn, const char *key, const char *value)
{
    const char *name = dsn_keyword(key)->name;

    for (size_t i = 0; i < dsn->n; i++) {
        if (dsn->params[i].key == name) {
            dsn->params[i].value = value;
            return;
        }
    }
    dsn->params[dsn->n++] = (struct dsn_param){name, value};
}

void dsn_unset(struct dsn *dsn, const char *key)
{
    for (size_t i = 0; i < dsn->n; i++) {
        if (strcmp(dsn->params[i].key, key) == 0) {
            dsn->params[i] = dsn->params[--dsn->n];
            return;
        }
    }
}
