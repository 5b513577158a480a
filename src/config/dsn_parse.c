/* Connection strings: the door, which tells by how a string begins in whose form it is. */
#include "pgtls/config/dsn.h"

#include "dsn_reader.h"

#include <string.h>

/* The schemes of all forms that have one. A driver's dialect is named by its row. */
static const struct {
    const char *scheme;
    enum dsn_dialect dialect;
    bool (*read)(struct dsn_reader *r, const char *at);
} schemes[] = {
    {"postgresql://", DSN_LIBPQ, dsn_read_uri},
    {"postgres://", DSN_LIBPQ, dsn_read_uri},
    {"postgresql+asyncpg://", DSN_ASYNCPG, dsn_read_sqlalchemy},
    {"postgresql+psycopg://", DSN_PSYCOPG, dsn_read_sqlalchemy},
    {"postgresql+psycopg_async://", DSN_PSYCOPG, dsn_read_sqlalchemy},
    {"postgresql+psycopg2://", DSN_PSYCOPG, dsn_read_sqlalchemy},
    {"postgresql+psycopg2cffi://", DSN_PSYCOPG, dsn_read_sqlalchemy},
    {"postgresql+aiopg://", DSN_PSYCOPG, dsn_read_sqlalchemy},
    {"postgresql+pg8000://", DSN_PG8000, dsn_read_sqlalchemy},
    {"jdbc:postgresql:", DSN_JDBC, dsn_read_jdbc},
};

static bool read_any(struct dsn_reader *r, const char *text)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i].scheme);

        if (strncmp(text, schemes[i].scheme, len) == 0) {
            r->dsn->dialect = schemes[i].dialect;
            return schemes[i].read(r, text + len);
        }
    }
    if (strstr(text, "://") && strcspn(text, "= ") > strcspn(text, ":"))
        return dsn_fail(
            r, text,
            "unknown kind of URI; it starts with postgresql://, postgres://, "
            "jdbc:postgresql:// or SQLAlchemy's postgresql+driver:// (asyncpg, psycopg, "
            "psycopg2, aiopg, pg8000)");
    if (dsn_is_ado(text)) {
        r->dsn->dialect = DSN_NPGSQL;
        return dsn_read_ado(r, text);
    }
    return dsn_read_words(r, text);
}

bool dsn_parse(const char *text, struct arena *arena, struct dsn *dsn, char *error, size_t size)
{
    /* What can be gathered from the string is hardly longer than it is. */
    struct dsn_reader r = {.start = text,
                           .arena = arena,
                           .dsn = dsn,
                           .error = error,
                           .size = size,
                           .hosts = BUF_INIT(2 * DSN_MAX_BYTES),
                           .host_ports = BUF_INIT(2 * DSN_MAX_BYTES)};
    size_t len = strlen(text);
    bool ok;

    dsn->dialect = DSN_LIBPQ;
    dsn->n = dsn->n_notices = 0;
    if (len > DSN_MAX_BYTES)
        return dsn_fail(&r, NULL, "%zu bytes long; at most %d are read", len, DSN_MAX_BYTES);
    error[0] = '\0';
    ok = read_any(&r, text) && dsn_finish(&r);
    if (!ok && error[0] == '\0')
        dsn_fail(&r, NULL, DSN_NO_MEMORY);
    if (!ok)
        dsn->n = 0; /* a value may stand in what is freed here */
    buf_deinit(&r.hosts);
    buf_deinit(&r.host_ports);
    return ok;
}
