/* docs/connection-strings.md, printed from the tables of dialects, rules and keywords. */
#include "pgtls/config/config.h"

#include "pgtls/base/buf.h"
#include "pgtls/config/dsn.h"
#include "reference_cell.h"

#include <string.h>

static const char intro[] =
    "# Connection strings\n"
    "\n"
    "`DATABASE_URL`, `pgtls_exporter probe`, and the keys `dsn`, `dsn_file` and `dsn_env` take a\n"
    "connection string as the application has it. It is read as the application's driver reads "
    "it,\n"
    "and a parameter that this driver refuses or ignores is named in a warning, with what to "
    "write:\n"
    "\n"
    "```console\n"
    "$ pgtls_exporter probe 'postgresql+asyncpg://app@db.example/app?sslmode=require'\n"
    "warning: connection string: dsn: asyncpg: \"sslmode\": SQLAlchemy hands it to "
    "asyncpg.connect(), which has no such argument, so that the application cannot connect; write "
    "ssl= with the same value\n"
    "```\n"
    "\n"
    "- No message quotes a string: a password that was not encoded may be anywhere in it. "
    "Messages\n"
    "  give the byte where something is wrong.\n"
    "- A string must name its hosts and, for a login, its user: a driver's own defaults (a Unix\n"
    "  socket, the operating system's user, files under `~`) are the machine's, not the\n"
    "  application's. Only pgJDBC's `localhost` is taken, which is the same everywhere.\n"
    "- A string without `sslmode` means what it means to its driver; a level of the configuration\n"
    "  that sets `sslmode` says otherwise. `sslrootcert=system` alone means `verify-full`.\n"
    "- In a URL `/`, `:`, `@`, `?`, `&`, `%` and spaces in a user name or password are written "
    "`%2F`,\n"
    "  `%3A`, `%40`, `%3F`, `%26`, `%25` and `%20`; an IPv6 address stands in brackets.\n"
    "- A server of a string with several hosts is probed whatever the driver would try first; "
    "what\n"
    "  the string says of their roles (`target_session_attrs`, `targetServerType`) is read as a\n"
    "  [promise](promises.md).\n"
    "\n"
    "## Strings that stand elsewhere\n"
    "\n"
    "`dsn_file: /run/secrets/app/dsn` reads the string from a file, `dsn_env: APP_DATABASE_URL` "
    "from\n"
    "the environment, `user_file` the name of the user alone. They shape what is watched, so they "
    "are\n"
    "read with the configuration and again with every reload (SIGHUP); a file that is missing or "
    "holds\n"
    "something else is an error of the configuration, and a reload then leaves in force what was.\n"
    "\n"
    "## Unix sockets\n"
    "\n"
    "`host=/run/postgresql`, `postgresql:///app?host=/run/postgresql`,\n"
    "`postgresql://%2Frun%2Fpostgresql/app`, `Host=/run/postgresql;…`: a directory is a Unix "
    "socket.\n"
    "It is spoken to in plaintext whatever `sslmode` says, as libpq does, so there are no phases "
    "`dns`,\n"
    "`tcp`, `ssl_request` and `tls`. The kernel tells no arrival times there: durations are those "
    "seen\n"
    "from user space.\n"
    "\n"
    "## The same plain string, read by different drivers\n"
    "\n"
    "`postgresql://`, `postgres://` and `key=value` strings are read as libpq reads them; which "
    "driver\n"
    "the application has, a string does not tell. Where it differs, say it beside the string:\n"
    "`{dsn: \"postgres://…\", sslmode: verify-full}`.\n"
    "\n"
    "| Read by | without `sslmode` | `sslmode=require` |\n"
    "| --- | --- | --- |\n"
    "| libpq: psql, psycopg, Ruby's pg, PHP, … | `prefer` | verifies nothing, or the chain if "
    "there "
    "is `~/.postgresql/root.crt` |\n"
    "| asyncpg, given the string itself | `prefer` | as libpq |\n"
    "| pgx (Go) | `prefer` | verifies nothing, or the chain if there is an `sslrootcert` |\n"
    "| pq (Go) | `require` | the same; `allow` and `prefer` are refused |\n"
    "| node-postgres, up to pg-connection-string 2 | no TLS: `disable` | verifies all: "
    "`verify-full`, unless `uselibpqcompat=true` |\n"
    "| postgres.js | no TLS: `disable` | verifies nothing |\n"
    "\n"
    "## Drivers with strings of their own\n"
    "\n"
    "| Driver | Strings | without a word on TLS | an unknown parameter |\n"
    "| --- | --- | --- | --- |\n";

static const char rules_intro[] =
    "\n"
    "A driver refuses an unknown parameter: that is an error here as well, unless it is one of "
    "libpq's\n"
    "and so shows what was meant. What pgJDBC ignores is a warning.\n";

static const char keywords_intro[] =
    "\n"
    "## libpq's parameters\n"
    "\n"
    "Of `postgresql://` and `key=value` strings, and what the parameters above become.\n"
    "`ssl=true` in a URI means `sslmode=require`.\n"
    "\n"
    "| Parameter | Here |\n"
    "| --- | --- |\n";

static void add_fate(struct buf *to, const struct dsn_rule *rule)
{
    struct buf b = BUF_INIT(1024);

    if (rule->fate == DSN_WARNED || rule->fate == DSN_DROPPED || rule->fate == DSN_UNVERIFIED)
        buf_add_str(&b, "warning; ");
    if (rule->fate == DSN_UNVERIFIED)
        buf_addf(&b, "at most `%s=%s`", rule->key, rule->as);
    else if (rule->fate == DSN_FORBIDDEN)
        buf_add_str(&b, "error");
    else if (rule->fate == DSN_HOSTS)
        buf_add_str(&b, "`host`, `port`");
    else if (!rule->key)
        buf_add_str(&b, rule->fate == DSN_DROPPED ? "not used" : "nothing to do");
    else if (rule->as)
        buf_addf(&b, "`%s=%s`", rule->key, rule->as);
    else
        buf_addf(&b, "`%s`", rule->key);
    reference_cell(to, buf_text(&b));
    buf_deinit(&b);
}

static void add_name(struct buf *to, const struct dsn_rule *rule)
{
    buf_addf(to, "`%s%s%s`", rule->name, rule->value && *rule->value ? "=" : "",
             rule->value ? rule->value : "");
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* May both stand in one line? */
static bool same_outcome(const struct dsn_rule *a, const struct dsn_rule *b)
{
    return a->dialects == b->dialects && a->fate == b->fate && same_text(a->key, b->key) &&
           same_text(a->as, b->as) && same_text(a->note, b->note) && (a->as || !a->key);
}

static void add_harmless(struct buf *to, const struct dsn_dialect_row *row)
{
    buf_add_str(to, "\nWithout effect on what is measured, and so silent:");
    for (const char *const *name = row->harmless; *name; name++)
        buf_addf(to, "%s `%s`", name == row->harmless ? "" : ",", *name);
    buf_add_str(to, ".\n");
}

static void add_dialect(struct buf *to, enum dsn_dialect dialect)
{
    const struct dsn_dialect_row *row = dsn_dialect(dialect);
    const struct dsn_rule *rules;
    size_t n = dsn_rules(&rules);

    if (dialect == DSN_LIBPQ)
        buf_add_str(to, "\n### Words of one driver in a plain string\n");
    else
        buf_addf(to, "\n### %s\n", row->name);
    buf_add_str(to, "\n| Parameter | Here | What the driver does, and what to write |\n"
                    "| --- | --- | --- |\n");
    for (size_t i = 0; i < n; i++) {
        const struct dsn_rule *rule = &rules[i];

        if (!(rule->dialects & DSN_BIT(dialect)))
            continue;
        buf_add_str(to, "| ");
        add_name(to, rule);
        for (; i + 1 < n && same_outcome(rule, &rules[i + 1]); i++) {
            buf_add_str(to, ", ");
            add_name(to, &rules[i + 1]);
        }
        buf_add_str(to, " |");
        add_fate(to, rule);
        reference_cell(to, rule->note ? rule->note : "");
        buf_add_char(to, '\n');
    }
    add_harmless(to, row);
}

static void add_keywords(struct buf *to)
{
    const struct dsn_keyword *all;
    size_t n = dsn_keywords(&all);

    buf_add_str(to, keywords_intro);
    for (size_t i = 0; i < n; i++) {
        buf_addf(to, "| `%s` |", all[i].name);
        switch (all[i].fate) {
        case DSN_USED:
            reference_cell(to, "used");
            break;
        case DSN_IGNORED:
            buf_add_str(to, " ignored, with a warning");
            if (all[i].harmless)
                buf_addf(to, " unless it is `%s`", all[i].harmless);
            buf_add_char(to, ':');
            reference_cell(to, all[i].note);
            break;
        case DSN_REFUSED:
            buf_add_str(to, " refused:");
            reference_cell(to, all[i].note);
            break;
        }
        buf_add_char(to, '\n');
    }
}

void config_print_connection_strings(struct buf *to)
{
    buf_add_str(to, "<!-- Printed by `pgtls_docs connection-strings`; do not edit. -->\n");
    buf_add_str(to, intro);
    for (int i = DSN_LIBPQ + 1; i < DSN_DIALECT_COUNT; i++) {
        const struct dsn_dialect_row *row = dsn_dialect((enum dsn_dialect)i);

        buf_addf(to, "| %s | `%s` | %s | the driver %s |\n", row->name, row->form, row->no_sslmode,
                 row->unknown);
    }
    buf_add_str(to, rules_intro);
    for (int i = DSN_LIBPQ + 1; i < DSN_DIALECT_COUNT; i++)
        add_dialect(to, (enum dsn_dialect)i);
    add_dialect(to, DSN_LIBPQ);
    add_keywords(to);
}
