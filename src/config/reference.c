/* docs/configuration.md, printed from the tables: what is not in a table cannot be documented, and
 * what is cannot be left out. */
#include "pgtls/config/config.h"

#include "keys.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"
#include "reference_cell.h"

static const char intro[] =
    "# Configuration\n"
    "\n"
    "One or several YAML files, or nothing but a connection string in `DATABASE_URL`.\n"
    "[examples/pgtls.yml](examples/pgtls.yml) is a complete file to start from,\n"
    "[examples/templates.yml](examples/templates.yml) one for many clusters of the same shape.\n"
    "\n"
    "```yaml\n"
    "defaults:\n"
    "  sslmode: verify-full\n"
    "clusters:\n"
    "  - name: orders\n"
    "    user: monitor\n"
    "    password_file: /run/secrets/orders-password\n"
    "    endpoints:\n"
    "      write: {host: orders-write.example.com}\n"
    "      read: {host: orders-read.example.com, port: 5433}\n"
    "```\n"
    "\n"
    "- A *cluster* is a named group of *endpoints*; an endpoint is one way in that applications\n"
    "  use; each host of an endpoint is a *server*, and every server is probed.\n"
    "- What is set at an endpoint wins over its cluster, which wins over its template, which wins\n"
    "  over `defaults`. A connection string counts at the level where it stands; the same key in "
    "it\n"
    "  and beside it is an error.\n"
    "- `null`, written out, takes away what is inherited: of a key, or under `endpoints` of a "
    "whole\n"
    "  endpoint. A key with nothing behind it is an error, as it is more often a mistake.\n"
    "- Every error of all files is reported at once, as `file:line:column: what is wrong; what to\n"
    "  do`. A file with an error is not used at all. `--config.check` only checks.\n"
    "- Durations are a number and a unit (`500ms`, `30s`, `1m30s`, `1h`, `1d`). Relative paths\n"
    "  start at the directory of the file; `~` and `${…}` are not expanded.\n"
    "- Neither a secret nor a file of certificates needs to exist when the configuration is read:\n"
    "  they are read when they are needed, and again when they change.\n"
    "  `--config.check` opens none. A reload may name new ones in the directories that were\n"
    "  named at the start, and below `/etc`; for those elsewhere [restart the\n"
    "  exporter](security.md#the-sandbox).\n"
    "- No `PG*` variable of the environment, no home directory and no service file has any say,\n"
    "  unless `password_env` or a path names it.\n"
    "- Anchors and aliases work (`&name`, `*name`); merge keys (`<<`) and tags do not.\n"
    "- A file holds at most 16 MiB and 100000 servers.\n";

static const char templates_intro[] =
    "\n"
    "## Templates and placeholders\n"
    "\n"
    "What many clusters share is said once, with placeholders for what differs:\n"
    "\n"
    "```yaml\n"
    "templates:\n"
    "  pooled:\n"
    "    user: \"{dbname}\"\n"
    "    password_file: \"/run/secrets/{user}.{cluster}/password\"\n"
    "    endpoints:\n"
    "      write: {host: \"{cluster}-write.{zone}\", promise: {read_only: false}}\n"
    "      read: {host: \"{cluster}-read.{zone}\", promise: {read_only: true}}\n"
    "      admin: {host: \"{cluster}-admin.{zone}\", user: platform_admin}\n"
    "    vars: {zone: db.example.com}\n"
    "clusters:\n"
    "  - {name: orders, template: pooled, port: 6432, dbname: orders}\n"
    "  - {name: stock, template: pooled, port: 6433, dbname: stock, endpoints: {read: null}}\n"
    "```\n"
    "\n"
    "- A template holds what a cluster may hold, except `name`, and may use another `template`, "
    "up\n"
    "  to 8 deep. The cluster's endpoints are those of its template and its own; one that both "
    "have\n"
    "  is merged, key by key.\n"
    "- The exact order, the innermost first: the endpoint in the cluster, the endpoint of that "
    "name\n"
    "  in the template (then in the template beneath), the cluster, the template (then the one\n"
    "  beneath), `defaults`. An endpoint of a template counts as an endpoint: `admin` above logs "
    "in\n"
    "  as platform_admin also where a cluster sets `user` for all the others; to change it for "
    "one\n"
    "  cluster, write it under that cluster's `endpoints`.\n"
    "- `{cluster}`, `{endpoint}`, `{host}`, `{port}`, `{dbname}` and `{user}` stand for what is "
    "in\n"
    "  force at the endpoint (`{port}` for 5432 and `{dbname}` for the user when they are not "
    "set),\n"
    "  `{zone}` and the like for your own `vars`, which may stand at any level. They work in "
    "every\n"
    "  value except names and secrets that stand in the file itself; what they stand for may hold\n"
    "  placeholders again. In YAML such a value needs quotes if it begins with the brace.\n"
    "- A brace itself is written `{{` or `}}`.\n"
    "- A value that names itself means the outer level's: `user: \"{user}_ro\"` at an endpoint. "
    "So\n"
    "  does a connection string: `dsn: \"postgresql://app@{cluster}.db:{port}/{dbname}\"`. In a "
    "URI\n"
    "  what is put in is percent-encoded, in key=value form escaped.\n"
    "- In a path, `{cluster}` and the other five may not stand for a name with a `/` or for `..`.\n"
    "- An unknown placeholder and values that need each other are errors that say where, and what\n"
    "  is known there.\n";

static const char files_intro[] =
    "\n"
    "## Several files\n"
    "\n"
    "`--config.file` may be given more than once, and may be a directory: then all `*.yml` and\n"
    "`*.yaml` in it, in the order of their names, without hidden files and subdirectories (at "
    "most\n"
    "1000 in one).\n"
    "\n"
    "- `defaults` of the first file that has them hold for the clusters of all files; those of "
    "any\n"
    "  further file go over them for its own clusters.\n"
    "- `templates` are known in all files. `vars` belong to a level, so one for all files stands\n"
    "  under the first file's `defaults`.\n"
    "- A cluster, a template, `limits`, `histogram_buckets` and `histograms` may each be given "
    "once over\n"
    "  all files; the error for a second one names both places. Relative paths start at the "
    "directory of the\n"
    "  file in which they stand, also in a template that another file uses.\n"
    "- At start an error in any file is final. At a reload (SIGHUP, `POST /-/reload`,\n"
    "  `--config.watch`) each file keeps its own last good content: of the files that changed, "
    "those\n"
    "  with errors stay as they were, and the others apply. If only files that did not change "
    "have\n"
    "  errors, because of what another took away, all that changed stay as they were. A file that "
    "is\n"
    "  gone from a directory is gone; a file named on the command line that is gone is an error, "
    "and\n"
    "  so is a directory without any.\n"
    "- `pgtls_config_file_valid{file=…}` is 0 while a file's latest content is not in force, and\n"
    "  `pgtls_config_last_reload_successful` while that is so for any. Each error is logged once "
    "for\n"
    "  the same content, however often a reload is tried.\n";

/* What stands for values of a type, where that is all there is to say. */
static const char *const forms[] = {
    [KEY_TEXT] = "text",
    [KEY_SECRET] = "text",
    [KEY_DSN] = "text",
    [KEY_REASON] = "text, `false`",
    [KEY_PATH] = "path",
    [KEY_HOSTS] = "comma list",
    [KEY_BOOL] = "`true`, `false`",
    [KEY_LOGIN] = "`true`, `false`, mapping",
    [KEY_POLICY] = "`true`, `false`, mapping",
    [KEY_LABELS] = "mapping",
    [KEY_VARS] = "mapping",
    [KEY_PROMISE] = "mapping",
    [KEY_EXPECT] = "mapping",
    [KEY_SESSIONS] = "list",
    [KEY_NETWORKS] = "list",
    [KEY_PINS] = "list",
    [KEY_TARGETS] = "list",
    [KEY_TEXTS] = "list of texts",
    [KEY_PATHS] = "list of paths",
    [KEY_FAULTS] = "text, or a list",
    [KEY_CLASSES] = "text, or a list",
};

static void add_words(struct buf *to, const struct key *key)
{
    if (key->type == KEY_FLAGS)
        buf_add_str(to, "list of ");
    for (size_t i = 0; key->names[i]; i++)
        buf_addf(to, "%s`%s`", i ? ", " : "", key->names[i]);
}

static void add_bounds(struct buf *to, const struct key *key)
{
    bool is_list =
        key->slot == SLOT_CLUSTERS || key->slot == SLOT_BUCKETS || key->slot == SLOT_DISCOVERY;
    struct buf b = BUF_INIT(256);

    if (key->type == KEY_DURATION) {
        buf_add_str(&b, "duration, ");
        str_add_duration(&b, key->low);
        buf_add_str(&b, " to ");
        str_add_duration(&b, key->high);
    } else if (key->type == KEY_INTEGER || key->type == KEY_PORTS) {
        buf_addf(&b, "%lld to %lld%s", (long long)key->low, (long long)key->high,
                 key->type == KEY_PORTS ? ", comma list" : "");
    } else if (key->type == KEY_ENUM || key->type == KEY_FLAGS) {
        add_words(&b, key);
    } else if (key->type == KEY_NODE) {
        buf_add_str(&b, is_list ? "list" : "mapping");
    } else {
        buf_add_str(&b, forms[key->type]);
    }
    reference_cell(to, buf_text(&b));
    buf_deinit(&b);
}

static void add_table(struct buf *to, const char *title, unsigned levels)
{
    buf_addf(to, "\n## %s\n\n| Key | Value | Default | Meaning |\n| --- | --- | --- | --- |\n",
             title);
    for (size_t i = 0; i < n_config_keys; i++) {
        const struct key *key = &config_keys[i];

        if (key->levels != levels)
            continue;
        buf_addf(to, "| `%s` |", key->name);
        add_bounds(to, key);
        reference_cell(to, key->fallback ? key->fallback : "");
        reference_cell(to, key->help);
        buf_add_char(to, '\n');
    }
}

void config_print_reference(struct buf *to)
{
    buf_add_str(to, "<!-- Printed by `pgtls_docs configuration`; do not edit. -->\n");
    buf_add_str(to, intro);
    buf_add_str(to, templates_intro);
    buf_add_str(to, files_intro);
    add_table(to, "Top of the file", LEVEL_BIT(LEVEL_TOP));
    add_table(to, "A cluster, besides the keys of every level", LEVEL_BIT(LEVEL_CLUSTER));
    add_table(to, "A cluster or a template, besides the keys of every level",
              LEVEL_BIT(LEVEL_CLUSTER) | LEVEL_BIT(LEVEL_TEMPLATE));
    add_table(to, "In `defaults`, a template, a cluster, an endpoint or a module",
              ANY_SERVER_OR_MODULE);
    add_table(to, "In `defaults`, a template, a cluster or an endpoint", ANY_SERVER_LEVEL);
    add_table(to, "In a module, besides", LEVEL_BIT(LEVEL_MODULE));
    add_table(to, "In `login`", LEVEL_BIT(LEVEL_LOGIN));
    add_table(to, "In `promise`", LEVEL_BIT(LEVEL_PROMISE));
    add_table(to, "In `policy`", LEVEL_BIT(LEVEL_POLICY));
    add_table(to, "In an item of `session`", LEVEL_BIT(LEVEL_SESSION));
    add_table(to, "In `expect`", LEVEL_BIT(LEVEL_EXPECT));
    add_table(to, "In `limits`", LEVEL_BIT(LEVEL_LIMITS));
    add_table(to, "In an item of `discovery`", LEVEL_BIT(LEVEL_DISCOVERY));
    add_table(to, "In `file_sd`, `http_sd` or `dns_sd`",
              LEVEL_BIT(LEVEL_FILE_SD) | LEVEL_BIT(LEVEL_HTTP_SD) | LEVEL_BIT(LEVEL_DNS_SD));
    add_table(to, "In `file_sd`", LEVEL_BIT(LEVEL_FILE_SD));
    add_table(to, "In `http_sd`", LEVEL_BIT(LEVEL_HTTP_SD));
    add_table(to, "In `dns_sd`", LEVEL_BIT(LEVEL_DNS_SD));
    buf_add_str(to, "\n## Connection strings\n\n"
                    "What `dsn`, `dsn_file`, `dsn_env` and `DATABASE_URL` take, and what becomes "
                    "of each\nparameter: [connection strings](connection-strings.md).\n");
}

/* "a, b, c": those of the `count` names whose bit is in `wanted`. */
static void add_list(struct buf *to, const char *const *names, size_t count, unsigned wanted)
{
    const char *between = "";

    for (size_t i = 0; i < count; i++) {
        if (!(wanted & (1u << i)))
            continue;
        buf_addf(to, "%s%s", between, names[i]);
        between = ", ";
    }
}

void config_print_names(struct buf *to)
{
    for (size_t i = 0; i < n_config_keys; i++) {
        const struct key *key = &config_keys[i];
        size_t values = 0;

        while (key->names && key->names[values])
            values++;
        buf_addf(to, "config %s in ", key->name);
        add_list(to, level_names, LEVEL_COUNT, key->levels);
        if (values) {
            buf_add_str(to, " {");
            add_list(to, key->names, values, ~0u);
            buf_add_char(to, '}');
        }
        buf_add_char(to, '\n');
    }
}
