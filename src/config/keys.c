/* The table of configuration keys. docs/configuration.md is printed from it. */
#include "keys.h"

#include "pgtls/base/clock.h"
#include "pgtls/config/secret.h"

#define TOP      LEVEL_BIT(LEVEL_TOP)
#define TEMPLATE LEVEL_BIT(LEVEL_TEMPLATE)
#define CLUSTER  LEVEL_BIT(LEVEL_CLUSTER)
#define ENDPOINT LEVEL_BIT(LEVEL_ENDPOINT)
#define HTTP_SD  LEVEL_BIT(LEVEL_HTTP_SD)
#define ANY_SD   (LEVEL_BIT(LEVEL_FILE_SD) | HTTP_SD | LEVEL_BIT(LEVEL_DNS_SD))

const char *const level_names[LEVEL_COUNT] = {
    [LEVEL_TOP] = "the top of the file",
    [LEVEL_DEFAULTS] = "defaults",
    [LEVEL_TEMPLATE] = "a template",
    [LEVEL_CLUSTER] = "a cluster",
    [LEVEL_ENDPOINT] = "an endpoint",
    [LEVEL_MODULE] = "a module",
    [LEVEL_LOGIN] = "login",
    [LEVEL_PROMISE] = "promise",
    [LEVEL_POLICY] = "policy",
    [LEVEL_SESSION] = "session",
    [LEVEL_EXPECT] = "expect",
    [LEVEL_LIMITS] = "limits",
    [LEVEL_DISCOVERY] = "an item of discovery",
    [LEVEL_FILE_SD] = "file_sd",
    [LEVEL_HTTP_SD] = "http_sd",
    [LEVEL_DNS_SD] = "dns_sd",
};

/* In the order of the enums they stand for. */
static const char *const sslmodes[] = {"disable",   "allow",       "prefer", "require",
                                       "verify-ca", "verify-full", NULL};
static const char *const negotiations[] = {"postgres", "direct", NULL};
static const char *const tls_versions[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", NULL};
static const char *const channel_bindings[] = {"disable", "prefer", "require", NULL};
static const char *const requires[] = {"any", "all", NULL};
static const char *const session_attrs[] = {"any",     "read-write",     "read-only", "primary",
                                            "standby", "prefer-standby", NULL};
static const char *const same_certificates[] = {"false", "endpoint", "cluster", "true", NULL};
static const char *const resolves[] = {"first", "all", NULL};
static const char *const histograms[] = {"classic", "both", "native", NULL};
static const char *const weak_methods[] = {"password", "md5", NULL};

/* clang-format off */
const struct key config_keys[] = {
    {"defaults", SLOT_DEFAULTS, KEY_NODE, TOP, 0, 0, NULL, 0, NULL, NULL,
     "What holds for every cluster unless it says otherwise."},
    {"templates", SLOT_TEMPLATES, KEY_NODE, TOP, 0, 0, NULL, 0, NULL, NULL,
     "Named sets of keys that clusters share: a mapping from names to what a cluster may hold, "
     "`endpoints` included. See [templates](#templates-and-placeholders)."},
    {"clusters", SLOT_CLUSTERS, KEY_NODE, TOP, 0, 0, NULL, 0, NULL, NULL,
     "The list of clusters to watch."},
    {"discovery", SLOT_DISCOVERY, KEY_NODE, TOP, 0, 0, NULL, 0, NULL, NULL,
     "A list of places that tell which endpoints there are. See [discovery](discovery.md)."},
    {"modules", SLOT_MODULES, KEY_NODE, TOP, 0, 0, NULL, 0, NULL, NULL,
     "How targets are probed that a request names: a mapping from names to modules, see "
     "[probes by request](probe-endpoint.md). A module inherits nothing, not from `defaults` "
     "either."},
    {"limits", SLOT_LIMITS, KEY_NODE, TOP, 0, 0, NULL, 0, NULL, NULL,
     "What the exporter may do at once."},
    {"histogram_buckets", SLOT_BUCKETS, KEY_NODE, TOP, 0, 0, NULL, 0, NULL,
     "[0.001, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5]",
     "Upper bounds of the classic latency histograms in seconds, ascending, 1 to 16 of them."},
    {"histograms", SLOT_HISTOGRAMS, KEY_ENUM, TOP, 0, 0, histograms, 0, NULL, "classic",
     "Which kinds of histograms are told: `classic`, `native`, which takes a Prometheus that has "
     "them switched on and needs half the series, or `both`. See [native "
     "histograms](native-histograms.md)."},

    {"allow_targets", SLOT_ALLOW_TARGETS, KEY_TARGETS, LEVEL_BIT(LEVEL_MODULE), 0, 0, NULL, 0,
     NULL, "none",
     "Which targets may be named: a list of hosts (`db.example.com`, `*.db.example.com:5432`) and "
     "blocks of addresses (`192.0.2.0/24`, `192.0.2.0/24:5432-5440`, `[2001:db8::/32]:*`). Without "
     "a port it is the module's own and no other. A host's name leads to no loopback, link-local "
     "or multicast address unless a block has it."},
    {"deny_targets", SLOT_DENY_TARGETS, KEY_TARGETS, LEVEL_BIT(LEVEL_MODULE), 0, 0, NULL, 0,
     NULL, "none", "The same of targets that may not, whatever allow_targets says; without a port at any port."},

    {"name", SLOT_NAME, KEY_TEXT, CLUSTER, 0, 128, NULL, 0, NULL, NULL,
     "Required. Label `pg_cluster`; no two clusters share one."},
    {"template", SLOT_TEMPLATE, KEY_TEXT, CLUSTER | TEMPLATE, 0, 128, NULL, 0, NULL, NULL,
     "The template whose keys hold here unless this says otherwise. A template may use another."},
    {"endpoints", SLOT_ENDPOINTS, KEY_NODE, CLUSTER | TEMPLATE, 0, 0, NULL, 0, NULL, NULL,
     "A mapping from names (label `pg_endpoint`) to endpoints, over those of the template; `null` "
     "removes an inherited one. A cluster without any, but with a host or a dsn, has one endpoint "
     "called `default`."},

    {"dsn", SLOT_DSN, KEY_DSN, ANY_SERVER_LEVEL, 0, 0, NULL, 0, NULL, NULL,
     "A connection string as the application has it, see [connection "
     "strings](connection-strings.md). It counts as if its parameters stood here; the same one in "
     "it and beside it is an error. At most one of these three at one level."},
    {"dsn_file", SLOT_DSN, KEY_DSN, ANY_SERVER_LEVEL, 0, 4096, NULL, SECRET_FILE, NULL, NULL,
     "File that holds the connection string; one newline at its end is dropped. Read when the "
     "configuration is, and again with every reload."},
    {"dsn_env", SLOT_DSN, KEY_DSN, ANY_SERVER_LEVEL, 0, 255, NULL, SECRET_ENVIRONMENT, NULL, NULL,
     "Environment variable that holds the connection string."},
    {"host", SLOT_HOST, KEY_HOSTS, ANY_SERVER_LEVEL, 0, 4096, NULL, 0, "host", NULL,
     "Name, address, or directory of a Unix socket. Several separated by commas make one server "
     "each."},
    {"hostaddr", SLOT_HOSTADDR, KEY_HOSTS, ANY_SERVER_LEVEL, 0, 4096, NULL, 0, "hostaddr", NULL,
     "Numeric address to connect to instead of resolving host; as many as hosts."},
    {"port", SLOT_PORT, KEY_PORTS, ANY_SERVER_OR_MODULE, 1, 65535, NULL, 0, "port", "5432",
     "One for all hosts, or as many as hosts, separated by commas."},
    {"user", SLOT_USER, KEY_TEXT, ANY_SERVER_OR_MODULE, 0, 255, NULL, 0, "user", NULL,
     "Whom to log in as. Without one a probe ends after TLS and there is no login probe: the "
     "operating system's user is never assumed."},
    {"user_file", SLOT_USER, KEY_TEXT, ANY_SERVER_OR_MODULE, 0, 4096, NULL, SECRET_FILE, NULL, NULL,
     "File that holds the user's name, as a Kubernetes secret does; one newline at its end is "
     "dropped. Read when the configuration is, and again with every reload."},
    {"dbname", SLOT_DBNAME, KEY_TEXT, ANY_SERVER_OR_MODULE, 0, 255, NULL, 0, "dbname", "the user",
     "Database to log in to."},

    {"password", SLOT_PASSWORD, KEY_SECRET, ANY_SERVER_OR_MODULE, 0, SECRET_MAX_BYTES, NULL,
     SECRET_INLINE, "password", NULL,
     "The password itself. Works, and is warned about: prefer one of the next three. At most one "
     "of the four may stand at one level; the innermost level that has one decides."},
    {"password_file", SLOT_PASSWORD, KEY_SECRET, ANY_SERVER_OR_MODULE, 0, 4096, NULL, SECRET_FILE,
     NULL, NULL,
     "File that holds the password; one newline at its end is dropped. Read whenever it is "
     "needed."},
    {"password_env", SLOT_PASSWORD, KEY_SECRET, ANY_SERVER_OR_MODULE, 0, 255, NULL,
     SECRET_ENVIRONMENT, NULL, NULL,
     "Environment variable that holds the password."},
    {"passfile", SLOT_PASSWORD, KEY_SECRET, ANY_SERVER_OR_MODULE, 0, 4096, NULL, SECRET_PASSFILE,
     "passfile", NULL,
     "A libpq password file (host:port:database:user:password). `~/.pgpass` is not read by "
     "itself."},

    {"sslmode", SLOT_SSLMODE, KEY_ENUM, ANY_SERVER_OR_MODULE, 0, 0, sslmodes, 0, "sslmode",
     "verify-full; for hosts that come from a dsn what libpq takes: prefer, or verify-full with "
     "sslrootcert=system",
     "libpq's."},
    {"negotiation", SLOT_NEGOTIATION, KEY_ENUM, ANY_SERVER_OR_MODULE, 0, 0, negotiations, 0,
     "sslnegotiation", "postgres",
     "libpq's sslnegotiation: `direct` starts TLS at once (PostgreSQL 17 or later) and needs "
     "sslmode require or stricter."},
    {"sslrootcert", SLOT_SSLROOTCERT, KEY_PATH, ANY_SERVER_OR_MODULE, 0, 4096, NULL, 0, "sslrootcert",
     "system for verify-full, else none",
     "File of trusted certificates, or `system` for the system's store (verify-full only; weaker "
     "modes act as if it were not given). verify-ca needs a file. With a file, require verifies "
     "the chain as verify-ca does; libpq does so only if the file exists, here a missing file is "
     "an error of the exporter's own side."},
    {"sslcrl", SLOT_SSLCRL, KEY_PATH, ANY_SERVER_OR_MODULE, 0, 4096, NULL, 0, "sslcrl", NULL,
     "File of revoked certificates."},
    {"sslcert", SLOT_SSLCERT, KEY_PATH, ANY_SERVER_OR_MODULE, 0, 4096, NULL, 0, "sslcert", NULL,
     "Client certificate; needs sslkey. `~/.postgresql` is never read."},
    {"sslkey", SLOT_SSLKEY, KEY_PATH, ANY_SERVER_OR_MODULE, 0, 4096, NULL, 0, "sslkey", NULL,
     "Its private key."},
    {"sslpassword", SLOT_SSLPASSWORD, KEY_SECRET, ANY_SERVER_OR_MODULE, 0, SECRET_MAX_BYTES, NULL,
     SECRET_INLINE, "sslpassword", NULL,
     "Passphrase of the key itself; warned about. At most one of these three at one level."},
    {"sslpassword_file", SLOT_SSLPASSWORD, KEY_SECRET, ANY_SERVER_OR_MODULE, 0, 4096, NULL,
     SECRET_FILE, NULL, NULL, "File that holds the passphrase."},
    {"sslpassword_env", SLOT_SSLPASSWORD, KEY_SECRET, ANY_SERVER_OR_MODULE, 0, 255, NULL,
     SECRET_ENVIRONMENT, NULL, NULL, "Environment variable that holds the passphrase."},
    {"ssl_min_protocol_version", SLOT_SSL_MIN, KEY_ENUM, ANY_SERVER_OR_MODULE, 0, 0, tls_versions, 0,
     "ssl_min_protocol_version", "TLSv1.2, as libpq", "Oldest TLS version to speak."},
    {"ssl_max_protocol_version", SLOT_SSL_MAX, KEY_ENUM, ANY_SERVER_OR_MODULE, 0, 0, tls_versions, 0,
     "ssl_max_protocol_version", NULL, "Newest TLS version to speak."},
    {"sslsni", SLOT_SSLSNI, KEY_BOOL, ANY_SERVER_OR_MODULE, 0, 0, NULL, 0, "sslsni", "true",
     "Send the host name in the TLS handshake (SNI)."},
    {"pin_sha256", SLOT_PINS, KEY_PINS, ANY_SERVER_OR_MODULE, 0, 0, NULL, 0, NULL, NULL,
     "SHA-256 of the server's certificate (its DER) or of its public key (SPKI), in hexadecimal or "
     "base64; a list of at most 16, of which one must match. It comes on top of what sslmode "
     "demands, and needs sslmode require or stricter; with require it is what tells the server "
     "from an impostor. See [promises](promises.md#pins)."},

    {"certificate_file", SLOT_CERTIFICATE_FILE, KEY_PATH, ANY_SERVER_LEVEL, 0, 4096, NULL, 0, NULL,
     NULL,
     "The file, readable by the exporter, from which the server takes its certificate (PEM; the first "
     "one in it counts). Read again whenever it changes. If the server goes on showing another "
     "certificate, because it was renewed on disk and not reloaded, the promise `certificate_file` is "
     "broken. See [promises](promises.md#certificates)."},

    {"options", SLOT_OPTIONS, KEY_TEXT, ANY_SERVER_OR_MODULE, 0, 1024, NULL, 0, "options", NULL,
     "Server options sent at startup."},
    {"application_name", SLOT_APPLICATION_NAME, KEY_TEXT, ANY_SERVER_OR_MODULE, 0, 63, NULL, 0,
     "application_name", "pgtls_exporter", "What the server shows for our sessions."},
    {"channel_binding", SLOT_CHANNEL_BINDING, KEY_ENUM, ANY_SERVER_OR_MODULE, 0, 0, channel_bindings,
     0, "channel_binding", "prefer", "libpq's."},
    {"allow_auth", SLOT_ALLOW_AUTH, KEY_FLAGS, ANY_SERVER_OR_MODULE, 0, 0, weak_methods, 0, NULL,
     "[]",
     "Authentication methods that are accepted although they hand the password, or something as "
     "good, to whoever asks: a list of `password` and `md5`."},

    {"interval", SLOT_INTERVAL, KEY_DURATION, ANY_SERVER_LEVEL, 100 * NS_PER_MS, 3600 * NS_PER_S,
     NULL, 0, NULL, "30s", "Time between two probes of a server."},
    {"timeout", SLOT_TIMEOUT, KEY_DURATION, ANY_SERVER_OR_MODULE, 10 * NS_PER_MS, 60 * NS_PER_S, NULL,
     0, NULL, "5s", "Longest a probe may take as a whole."},
    {"login", SLOT_LOGIN, KEY_LOGIN, ANY_SERVER_OR_MODULE, 0, 0, NULL, 0, NULL, "true if there is a user",
     "The login probe: `true`, `false`, or a mapping of the keys below."},
    {"resolve", SLOT_RESOLVE, KEY_ENUM, ANY_SERVER_LEVEL, 0, 0, resolves, 0, NULL, "first",
     "`first`: a host is one server, reached at the first of its addresses that answers, as a client "
     "would; `all`: each address of it is a server of its own, and they follow the DNS. See "
     "[discovery](discovery.md#every-address-of-a-name)."},
    {"require", SLOT_REQUIRE, KEY_ENUM, ANY_SERVER_LEVEL, 0, 0, requires, 0, NULL,
     "any; all with `resolve: all`",
     "Of several servers, must `any` or `all` be up for the endpoint to be up?"},
    {"labels", SLOT_LABELS, KEY_LABELS, ANY_SERVER_LEVEL, 0, 128, NULL, 0, NULL, NULL,
     "Labels of your own for `pgtls_server_labels_info`: a mapping, at most 10 per server; those "
     "of outer levels are added, and `null` removes one."},
    {"vars", SLOT_VARS, KEY_VARS, ANY_SERVER_LEVEL, 0, 1024, NULL, 0, NULL, NULL,
     "Placeholders of your own: a mapping, `{region: eu}` for `{region}`, at most 32 at one level; "
     "those of outer levels are added. See [placeholders](#templates-and-placeholders)."},

    {"policy", SLOT_POLICY, KEY_POLICY, ANY_SERVER_LEVEL, 0, 0, NULL, 0, NULL, "false",
     "Find out now and then which sslmodes work and whether plaintext is accepted, by a connection "
     "of the other kind that sends no credential: `true`, `false`, or a mapping of the key below. A "
     "server that refuses it writes a line into its log. See [sslmodes](sslmodes.md)."},

    {"promise", SLOT_PROMISE, KEY_PROMISE, ANY_SERVER_OR_MODULE, 0, 0, NULL, 0, NULL, NULL,
     "What the endpoint claims to be: a mapping of the keys below, each inherited by itself. A "
     "broken promise degrades the endpoint and never takes it down. See "
     "[promises](promises.md)."},
    {"target_session_attrs", SLOT_ROLE, KEY_ENUM, 0, 0, 0, session_attrs, 0,
     "target_session_attrs", NULL, NULL},

    {"read_only", SLOT_ROLE, KEY_BOOL, LEVEL_BIT(LEVEL_PROMISE), 0, 0, NULL, 0, NULL, NULL,
     "`true`: a standby, or default_transaction_read_only is on; `false`: takes writes. One such "
     "server is enough for an endpoint of several. `target_session_attrs` of a connection string "
     "says the same."},
    {"pooled", SLOT_POOLED, KEY_BOOL, LEVEL_BIT(LEVEL_PROMISE), 0, 0, NULL, 0, NULL, NULL,
     "`true`: through a pooler, `false`: straight to a server."},
    {"max_lag", SLOT_MAX_LAG, KEY_DURATION, LEVEL_BIT(LEVEL_PROMISE), NS_PER_MS,
     7 * 86400 * NS_PER_S, NULL, 0, NULL, NULL,
     "How far a standby may be behind its primary."},
    {"addresses", SLOT_ADDRESSES, KEY_NETWORKS, LEVEL_BIT(LEVEL_PROMISE), 0, 0, NULL, 0, NULL, NULL,
     "Numeric addresses and blocks (`192.0.2.0/24`): the address that a probe used is one of "
     "them."},
    {"same_certificate", SLOT_SAME_CERTIFICATE, KEY_ENUM, LEVEL_BIT(LEVEL_PROMISE), 0, 0,
     same_certificates, 0, NULL, "false",
     "`endpoint` (or `true`): the servers of the endpoint show the same certificate; `cluster`: so do "
     "those of all endpoints of the cluster that promise it, such as a direct and a pooled one."},

    {"session", SLOT_SESSIONS, KEY_SESSIONS, ANY_SERVER_LEVEL, 0, 0, NULL, 0, NULL, NULL,
     "Connections that are kept open, to see what drops them: a list of at most 4 mappings of the "
     "keys below, `[]` for none. Needs a login. With several servers each has its own. See "
     "[sessions](sessions.md)."},
    {"idle", SLOT_SESSION_IDLE, KEY_DURATION, LEVEL_BIT(LEVEL_SESSION), NS_PER_S,
     7 * 86400 * NS_PER_S, NULL, 0, NULL, NULL,
     "Required. How long the connection is left alone before one small query shows that it is "
     "still good."},
    {"name", SLOT_NAME, KEY_TEXT, LEVEL_BIT(LEVEL_SESSION), 0, 63, NULL, 0, NULL,
     "the idle time as written", "Label `session`; no two of a server share one."},
    {"keepalives_idle", SLOT_SESSION_KEEPALIVES, KEY_DURATION, LEVEL_BIT(LEVEL_SESSION), NS_PER_S,
     9 * 3600 * NS_PER_S, NULL, 0, NULL, "the system's",
     "The kernel's TCP keepalives begin when the connection has been idle for this long; whole "
     "seconds count. As in a client that sets it, they may keep a firewall from forgetting it."},

    {"enabled", SLOT_ENABLED, KEY_BOOL, ANY_SERVER_LEVEL, 0, 0, NULL, 0, NULL, "true",
     "`false`: nothing connects to it, and its state is `unknown`. See "
     "[maintenance](maintenance.md)."},
    {"maintenance", SLOT_MAINTENANCE, KEY_REASON, ANY_SERVER_LEVEL, 0, 128, NULL, 0, NULL, "false",
     "A text that says why it is left alone for now: as `enabled: false`, and the text is shown "
     "wherever its state is. `false` ends what an outer level says. See "
     "[maintenance](maintenance.md)."},
    {"expect", SLOT_EXPECT, KEY_EXPECT, ANY_SERVER_OR_MODULE, 0, 0, NULL, 0, NULL, NULL,
     "Where refusal is the control that is watched, as at an endpoint outside its allow list: a "
     "mapping of the keys below. Such a refusal is then the good outcome, and anything else, "
     "getting in above all, is not. See [expect](expect.md)."},
    {"fault", SLOT_EXPECT_FAULTS, KEY_FAULTS, LEVEL_BIT(LEVEL_EXPECT), 0, 0, NULL, 0, NULL, NULL,
     "An id of the [fault catalogue](faults.md), or a list of them."},
    {"class", SLOT_EXPECT_CLASSES, KEY_CLASSES, LEVEL_BIT(LEVEL_EXPECT), 0, 0, NULL, 0, NULL, NULL,
     "All faults of this class, or of a list of classes: `network`, `protocol`, `ssl_close`, "
     "`certificate`, `hba`, `auth`, `capacity`, `unavailable`."},

    {"enabled", SLOT_LOGIN, KEY_BOOL, LEVEL_BIT(LEVEL_LOGIN), 0, 0, NULL, 0, NULL,
     "true if there is a user", "Is there a login probe at all?"},
    {"interval", SLOT_LOGIN_INTERVAL, KEY_DURATION, LEVEL_BIT(LEVEL_LOGIN), NS_PER_S,
     86400 * NS_PER_S, NULL, 0, NULL, "60s, or `interval` if that is longer",
     "Time between two logins."},

    {"interval", SLOT_POLICY_INTERVAL, KEY_DURATION, LEVEL_BIT(LEVEL_POLICY), 60 * NS_PER_S,
     30 * 86400 * NS_PER_S, NULL, 0, NULL, "24h", "Time between two such attempts."},

    {"in_flight", SLOT_IN_FLIGHT, KEY_INTEGER, LEVEL_BIT(LEVEL_LIMITS), 1, 100000, NULL, 0, NULL,
     "1024",
     "Probes at the same time, in all. A quarter of the places is kept for servers that answered "
     "promptly the last time, so that those that hang cannot hold up the others."},
    {"in_flight_per_address", SLOT_IN_FLIGHT_PER_ADDRESS, KEY_INTEGER, LEVEL_BIT(LEVEL_LIMITS), 0,
     100000, NULL, 0, NULL, "100",
     "Probes at the same time of one address, which many endpoints may share; 0 for no limit. A "
     "quarter of them is kept in the same way."},
    {"connections_per_second", SLOT_CONNECTIONS_PER_SECOND, KEY_INTEGER, LEVEL_BIT(LEVEL_LIMITS),
     0, 1000000, NULL, 0, NULL, "0 (no limit)", "New connections per second, in all."},

    {"file_sd", SLOT_FILE_SD, KEY_NODE, LEVEL_BIT(LEVEL_DISCOVERY), 0, 0, NULL, 0, NULL, NULL,
     "Files of targets, as Prometheus's. One of these three is required."},
    {"http_sd", SLOT_HTTP_SD, KEY_NODE, LEVEL_BIT(LEVEL_DISCOVERY), 0, 0, NULL, 0, NULL, NULL,
     "A service that tells the targets, as for Prometheus's http_sd."},
    {"dns_sd", SLOT_DNS_SD, KEY_NODE, LEVEL_BIT(LEVEL_DISCOVERY), 0, 0, NULL, 0, NULL, NULL,
     "SRV records whose targets they are."},
    {"template", SLOT_TEMPLATE, KEY_TEXT, LEVEL_BIT(LEVEL_DISCOVERY), 0, 128, NULL, 0, NULL, NULL,
     "The template upon which targets stand whose cluster is in no file."},
    {"cluster", SLOT_CLUSTER, KEY_TEXT, LEVEL_BIT(LEVEL_DISCOVERY), 0, 128, NULL, 0, NULL,
     "\"{pg_cluster}\"",
     "The cluster of a target: a text in which `{label}` stands for the target's label. With dns_sd "
     "the only label is `__meta_dns_name`."},
    {"endpoint", SLOT_ENDPOINT, KEY_TEXT, LEVEL_BIT(LEVEL_DISCOVERY), 0, 128, NULL, 0, NULL,
     "\"{pg_endpoint}\", or \"default\" for a target without that label",
     "The endpoint of a target, likewise."},
    {"refresh_interval", SLOT_REFRESH, KEY_DURATION, ANY_SD, NS_PER_S, 86400 * NS_PER_S, NULL, 0,
     NULL, "5m of files, which are watched besides; 60s of a service, 30s of the DNS",
     "Time between two looks."},
    {"files", SLOT_FILES, KEY_PATHS, LEVEL_BIT(LEVEL_FILE_SD), 0, 4096, NULL, 0, NULL, NULL,
     "Required. A list of files, or of patterns of them (`targets/*.json`); JSON or YAML."},
    {"names", SLOT_NAMES, KEY_TEXTS, LEVEL_BIT(LEVEL_DNS_SD), 0, 255, NULL, 0, NULL, NULL,
     "Required. Names of SRV records, such as `_postgresql._tcp.db.example.com`."},
    {"url", SLOT_URL, KEY_TEXT, HTTP_SD, 0, 2048, NULL, 0, NULL, NULL,
     "Required. `http://` or `https://`; without user or password."},
    {"timeout", SLOT_TIMEOUT, KEY_DURATION, HTTP_SD, 100 * NS_PER_MS, 120 * NS_PER_S, NULL, 0, NULL,
     "10s", "Longest an answer may take as a whole."},
    {"ca_file", SLOT_SSLROOTCERT, KEY_PATH, HTTP_SD, 0, 4096, NULL, 0, NULL, "the system's",
     "Certificates to trust in place of the system's."},
    {"cert_file", SLOT_SSLCERT, KEY_PATH, HTTP_SD, 0, 4096, NULL, 0, NULL, NULL,
     "Client certificate; needs key_file."},
    {"key_file", SLOT_SSLKEY, KEY_PATH, HTTP_SD, 0, 4096, NULL, 0, NULL, NULL,
     "Its private key."},
    {"user", SLOT_USER, KEY_TEXT, HTTP_SD, 0, 255, NULL, 0, NULL, NULL,
     "User of HTTP's basic authentication; needs a password."},
    {"password_file", SLOT_PASSWORD, KEY_SECRET, HTTP_SD, 0, 4096, NULL, SECRET_FILE, NULL, NULL,
     "File that holds its password, read for every request."},
    {"password_env", SLOT_PASSWORD, KEY_SECRET, HTTP_SD, 0, 255, NULL, SECRET_ENVIRONMENT, NULL,
     NULL, "Environment variable that holds it."},
    {"bearer_file", SLOT_BEARER, KEY_SECRET, HTTP_SD, 0, 4096, NULL, SECRET_FILE, NULL, NULL,
     "File that holds a token for `Authorization: Bearer`, read for every request."},
    {"bearer_env", SLOT_BEARER, KEY_SECRET, HTTP_SD, 0, 255, NULL, SECRET_ENVIRONMENT, NULL, NULL,
     "Environment variable that holds it."},
};
/* clang-format on */
const size_t n_config_keys = sizeof config_keys / sizeof *config_keys;
