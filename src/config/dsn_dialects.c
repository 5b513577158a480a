/* The parameters of other drivers' connection strings, and what becomes of each.
 *
 * Tried with SQLAlchemy 1.4, asyncpg 0.27, psycopg2 2.9, pgJDBC 42.5 and pg-connection-string 2.14;
 * else from the drivers' sources and documents: SQLAlchemy (dialects/postgresql), asyncpg
 * (connect_utils.py), pg8000 (README), pgJDBC (PGProperty, SslMode, LibPQFactory, MakeSSL), Npgsql
 * (NpgsqlConnectionStringBuilder, NpgsqlConnector, security.md), pgx, Go's pq, Prisma. */
#include "pgtls/config/dsn_tables.h"

#include "pgtls/base/str.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define LIBPQ   DSN_BIT(DSN_LIBPQ)
#define ASYNCPG DSN_BIT(DSN_ASYNCPG)
#define PSYCOPG DSN_BIT(DSN_PSYCOPG)
#define PG8000  DSN_BIT(DSN_PG8000)
#define JDBC    DSN_BIT(DSN_JDBC)
#define NPGSQL  DSN_BIT(DSN_NPGSQL)

#define SSL_CONTEXT "give it an SSLContext in connect_args"
#define NO_ARGUMENT                                                                                \
    "SQLAlchemy hands it to asyncpg.connect(), which has no such argument, so that the "           \
    "application cannot connect; "
#define ASYNCPG_TEXT                                                                               \
    "in a URL this is text, and asyncpg takes only disable, allow, prefer, require, verify-ca "    \
    "or verify-full, so that the application cannot connect; write "
#define NOT_TEXT                                                                                   \
    "in a URL this is text, where the driver needs something else, so that the application "       \
    "cannot connect; give it in connect_args"
#define ASYNCPG_ROOT                                                                               \
    "asyncpg verifies with ~/.postgresql/root.crt of the application's user, or PGSSLROOTCERT, "   \
    "and fails without; here `sslrootcert` beside the string says what to trust"
#define PG8000_CONTEXT                                                                             \
    "in a URL this is text, where pg8000 needs True, False or an SSLContext, so that the "         \
    "application cannot connect; give it in connect_args"
#define NO_PG8000_ARGUMENT                                                                         \
    "SQLAlchemy hands it to pg8000.connect(), which has no such argument, so that the "            \
    "application cannot connect; give an SSLContext in connect_args={\"ssl_context\": …}"
#define NO_OPTION                                                                                  \
    "the driver hands it to libpq, which has no such option, so that the application cannot "      \
    "connect; write "
#define JDBC_ROOT                                                                                  \
    "without sslrootcert pgJDBC verifies with ~/.postgresql/root.crt of the application's user; "  \
    "here `sslrootcert` beside the string says what to trust"
#define NONE NULL, NULL

/* clang-format off */
static const struct dsn_rule rules[] = {
    /* Strings that look like libpq's, with words of one driver only. */
    {LIBPQ, "sslmode", "no-verify", DSN_WARNED, "sslmode", "require",
     "node-postgres's word for a certificate that is not verified; libpq and what is built on it "
     "refuse it; write sslmode=require"},
    {LIBPQ, "uselibpqcompat", NULL, DSN_DROPPED, NONE,
     "node-postgres's; libpq and what is built on it refuse it"},
    {LIBPQ, "sslaccept", NULL, DSN_DROPPED, NONE,
     "Prisma's: with strict it verifies the certificate, which is sslmode=verify-full here"},
    {LIBPQ, "sslidentity", NULL, DSN_DROPPED, NONE,
     "Prisma's client certificate in PKCS #12; here sslcert and sslkey name PEM files"},
    {LIBPQ, "sslinline", NULL, DSN_DROPPED, NONE,
     "Go's pq: certificates stand in the string itself; here sslcert, sslkey and sslrootcert "
     "name files"},

    {ASYNCPG, "ssl", "disable", DSN_TAKEN, "sslmode", "disable", NULL},
    {ASYNCPG, "ssl", "allow", DSN_TAKEN, "sslmode", "allow", NULL},
    {ASYNCPG, "ssl", "prefer", DSN_TAKEN, "sslmode", "prefer", NULL},
    {ASYNCPG, "ssl", "require", DSN_TAKEN, "sslmode", "require", NULL},
    {ASYNCPG, "ssl", "verify-ca", DSN_TAKEN, "sslmode", "verify-ca", ASYNCPG_ROOT},
    {ASYNCPG, "ssl", "verify_ca", DSN_TAKEN, "sslmode", "verify-ca", ASYNCPG_ROOT},
    {ASYNCPG, "ssl", "verify-full", DSN_TAKEN, "sslmode", "verify-full", ASYNCPG_ROOT},
    {ASYNCPG, "ssl", "verify_full", DSN_TAKEN, "sslmode", "verify-full", ASYNCPG_ROOT},
    {ASYNCPG, "ssl", "true", DSN_WARNED, "sslmode", "verify-full", ASYNCPG_TEXT "ssl=verify-full"},
    {ASYNCPG, "ssl", "True", DSN_WARNED, "sslmode", "verify-full", ASYNCPG_TEXT "ssl=verify-full"},
    {ASYNCPG, "ssl", "1", DSN_WARNED, "sslmode", "verify-full", ASYNCPG_TEXT "ssl=verify-full"},
    {ASYNCPG, "ssl", "false", DSN_WARNED, "sslmode", "disable", ASYNCPG_TEXT "ssl=disable"},
    {ASYNCPG, "ssl", "False", DSN_WARNED, "sslmode", "disable", ASYNCPG_TEXT "ssl=disable"},
    {ASYNCPG, "ssl", "0", DSN_WARNED, "sslmode", "disable", ASYNCPG_TEXT "ssl=disable"},
    {ASYNCPG, "ssl", NULL, DSN_FORBIDDEN, NONE,
     "takes only disable, allow, prefer, require, verify-ca or verify-full"},
    {ASYNCPG, "sslmode", NULL, DSN_WARNED, "sslmode", NULL,
     NO_ARGUMENT "write ssl= with the same value"},
    {ASYNCPG, "sslrootcert", NULL, DSN_WARNED, "sslrootcert", NULL, NO_ARGUMENT SSL_CONTEXT},
    {ASYNCPG, "sslcert", NULL, DSN_WARNED, "sslcert", NULL, NO_ARGUMENT SSL_CONTEXT},
    {ASYNCPG, "sslkey", NULL, DSN_WARNED, "sslkey", NULL, NO_ARGUMENT SSL_CONTEXT},
    {ASYNCPG, "sslcrl", NULL, DSN_WARNED, "sslcrl", NULL, NO_ARGUMENT SSL_CONTEXT},
    {ASYNCPG, "sslpassword", NULL, DSN_WARNED, "sslpassword", NULL, NO_ARGUMENT SSL_CONTEXT},
    {ASYNCPG, "direct_tls", NULL, DSN_TAKEN, "sslnegotiation", "direct", NULL},
    {ASYNCPG, "application_name", NULL, DSN_WARNED, "application_name", NULL,
     NO_ARGUMENT "give it in connect_args={\"server_settings\": …}"},
    {ASYNCPG, "options", NULL, DSN_WARNED, "options", NULL,
     NO_ARGUMENT "give it in connect_args={\"server_settings\": …}"},
    {ASYNCPG, "connect_timeout", NULL, DSN_DROPPED, NONE,
     NO_ARGUMENT "it is called timeout, a number in connect_args"},
    {ASYNCPG, "timeout", NULL, DSN_DROPPED, NONE, NOT_TEXT},
    {ASYNCPG, "command_timeout", NULL, DSN_DROPPED, NONE, NOT_TEXT},
    {ASYNCPG, "statement_cache_size", NULL, DSN_DROPPED, NONE, NOT_TEXT},
    {ASYNCPG, "server_settings", NULL, DSN_DROPPED, NONE, NOT_TEXT},
    {ASYNCPG, "target_session_attrs", NULL, DSN_TAKEN, "target_session_attrs", NULL,
     "asyncpg 0.28 or later"},
    {ASYNCPG, "passfile", NULL, DSN_TAKEN, "passfile", NULL, NULL},

    {PSYCOPG, "ssl", "true", DSN_WARNED, "sslmode", "require", NO_OPTION "sslmode=require"},
    {PSYCOPG, "ssl", "require", DSN_WARNED, "sslmode", "require", NO_OPTION "sslmode=require"},
    {PSYCOPG, "ssl", "false", DSN_WARNED, "sslmode", "disable", NO_OPTION "sslmode=disable"},
    {PSYCOPG, "ssl", NULL, DSN_FORBIDDEN, NONE, NO_OPTION "sslmode"},

    {PG8000, "ssl_context", "False", DSN_WARNED, "sslmode", "disable", PG8000_CONTEXT},
    {PG8000, "ssl_context", "false", DSN_WARNED, "sslmode", "disable", PG8000_CONTEXT},
    {PG8000, "ssl_context", NULL, DSN_WARNED, "sslmode", "require", PG8000_CONTEXT},
    {PG8000, "ssl", NULL, DSN_WARNED, "sslmode", "require", NO_PG8000_ARGUMENT},
    {PG8000, "sslmode", NULL, DSN_WARNED, "sslmode", NULL, NO_PG8000_ARGUMENT},
    {PG8000, "sslrootcert", NULL, DSN_WARNED, "sslrootcert", NULL, NO_PG8000_ARGUMENT},
    {PG8000, "sslcert", NULL, DSN_WARNED, "sslcert", NULL, NO_PG8000_ARGUMENT},
    {PG8000, "sslkey", NULL, DSN_WARNED, "sslkey", NULL, NO_PG8000_ARGUMENT},
    {PG8000, "application_name", NULL, DSN_TAKEN, "application_name", NULL, NULL},
    {PG8000, "unix_sock", NULL, DSN_FORBIDDEN, NONE,
     "the path of a socket; give its directory as host and its number as port"},
    {PG8000, "timeout", NULL, DSN_DROPPED, NONE, NOT_TEXT},

    /* Of the URL itself and its parameters alike. */
    {ASYNCPG | PSYCOPG | PG8000, "host", NULL, DSN_HOSTS, NONE,
     "SQLAlchemy: host=a:5432&host=b:5433 for several"},
    {ASYNCPG | PSYCOPG | PG8000, "database", NULL, DSN_TAKEN, "dbname", NULL, NULL},
    {ASYNCPG | PG8000, "user", NULL, DSN_TAKEN, "user", NULL, NULL},
    {ASYNCPG | PG8000, "password", NULL, DSN_TAKEN, "password", NULL, NULL},
    {ASYNCPG | PG8000, "port", NULL, DSN_TAKEN, "port", NULL, NULL},

    {JDBC, "sslmode", "disable", DSN_TAKEN, "sslmode", "disable", NULL},
    {JDBC, "sslmode", "allow", DSN_TAKEN, "sslmode", "allow", NULL},
    {JDBC, "sslmode", "prefer", DSN_TAKEN, "sslmode", "prefer", NULL},
    {JDBC, "sslmode", "require", DSN_TAKEN, "sslmode", "require", NULL},
    {JDBC, "sslmode", "verify-ca", DSN_TAKEN, "sslmode", "verify-ca", JDBC_ROOT},
    {JDBC, "sslmode", "verify-full", DSN_TAKEN, "sslmode", "verify-full", JDBC_ROOT},
    {JDBC, "sslmode", NULL, DSN_FORBIDDEN, NONE,
     "takes only disable, allow, prefer, require, verify-ca or verify-full"},
    {JDBC, "ssl", "true", DSN_UNLESS, "sslmode", "verify-full",
     "verify-full, unless sslmode is given. " JDBC_ROOT},
    {JDBC, "ssl", "", DSN_UNLESS, "sslmode", "verify-full", "The same"},
    {JDBC, "sslfactory", "org.postgresql.ssl.NonValidatingFactory", DSN_UNVERIFIED, "sslmode",
     "require",
     "this factory trusts every certificate: verification is off in the application, and the probe "
     "does as it does; leave it out and give sslmode=verify-full with sslrootcert"},
    {JDBC, "sslfactory", "org.postgresql.ssl.LibPQFactory", DSN_TAKEN, NONE, "pgJDBC's default"},
    {JDBC, "sslfactory", "org.postgresql.ssl.jdbc4.LibPQFactory", DSN_TAKEN, NONE,
     "pgJDBC's default"},
    {JDBC, "sslfactory", "org.postgresql.ssl.DefaultJavaSSLFactory", DSN_TAKEN, NONE,
     "verifies with the trust store of the Java machine; here with the system's, or `sslrootcert` "
     "beside the string"},
    {JDBC, "sslfactory", NULL, DSN_DROPPED, NONE,
     "what a factory of its own trusts cannot be told from its name; the probe goes by sslmode and "
     "sslrootcert"},
    {JDBC, "sslfactoryarg", NULL, DSN_DROPPED, NONE,
     "what a factory of its own trusts cannot be told; the probe goes by sslmode and sslrootcert"},
    {JDBC, "sslhostnameverifier", NULL, DSN_DROPPED, NONE,
     "a class that compares names in its own way; the probe compares as libpq does"},
    {JDBC, "sslrootcert", NULL, DSN_TAKEN, "sslrootcert", NULL,
     "only with verify-ca or verify-full"},
    {JDBC, "sslcert", NULL, DSN_TAKEN, "sslcert", NULL, NULL},
    {JDBC, "sslkey", NULL, DSN_TAKEN, "sslkey", NULL, "here a file in PEM"},
    {JDBC, "sslpassword", NULL, DSN_TAKEN, "sslpassword", NULL, NULL},
    {JDBC, "sslNegotiation", NULL, DSN_TAKEN, "sslnegotiation", NULL, NULL},
    {JDBC, "channelBinding", NULL, DSN_TAKEN, "channel_binding", NULL, NULL},
    {JDBC, "user", NULL, DSN_TAKEN, "user", NULL, NULL},
    {JDBC, "password", NULL, DSN_TAKEN, "password", NULL, NULL},
    {JDBC, "database", NULL, DSN_TAKEN, "dbname", NULL, "in the path of the URL"},
    {JDBC, "options", NULL, DSN_TAKEN, "options", NULL, NULL},
    {JDBC, "ApplicationName", NULL, DSN_TAKEN, "application_name", NULL, NULL},
    {JDBC, "targetServerType", "any", DSN_TAKEN, "target_session_attrs", "any", NULL},
    {JDBC, "targetServerType", "primary", DSN_TAKEN, "target_session_attrs", "read-write", NULL},
    {JDBC, "targetServerType", "master", DSN_TAKEN, "target_session_attrs", "read-write", NULL},
    {JDBC, "targetServerType", "secondary", DSN_TAKEN, "target_session_attrs", "read-only", NULL},
    {JDBC, "targetServerType", "slave", DSN_TAKEN, "target_session_attrs", "read-only", NULL},
    {JDBC, "targetServerType", "preferSecondary", DSN_TAKEN, "target_session_attrs",
     "prefer-standby", NULL},
    {JDBC, "targetServerType", "preferSlave", DSN_TAKEN, "target_session_attrs", "prefer-standby",
     NULL},
    {JDBC, "targetServerType", "preferPrimary", DSN_TAKEN, "target_session_attrs", "any", NULL},
    {JDBC, "targetServerType", NULL, DSN_FORBIDDEN, NONE,
     "takes only any, primary, secondary, preferPrimary or preferSecondary"},
    {JDBC, "socketFactory", NULL, DSN_DROPPED, NONE,
     "the application connects through this class, the probe through the network"},
    {JDBC, "authenticationPluginClassName", NULL, DSN_DROPPED, NONE,
     "the application's password comes from this class; let the exporter log in in another way"},
    {JDBC, "service", NULL, DSN_TAKEN, "service", NULL, NULL},
    {JDBC, "replication", NULL, DSN_TAKEN, "replication", NULL, NULL},
    {JDBC, "gssEncMode", "prefer", DSN_DROPPED, NONE, "GSSAPI encryption is not used here"},
    {JDBC, "gssEncMode", "require", DSN_DROPPED, NONE, "GSSAPI encryption is not used here"},

    {NPGSQL, "Host", NULL, DSN_HOSTS, NONE, "also Server; several as a:5432,b:5433"},
    {NPGSQL, "Server", NULL, DSN_HOSTS, NONE, NULL},
    {NPGSQL, "Port", NULL, DSN_TAKEN, "port", NULL, NULL},
    {NPGSQL, "Database", NULL, DSN_TAKEN, "dbname", NULL, "also DB"},
    {NPGSQL, "DB", NULL, DSN_TAKEN, "dbname", NULL, NULL},
    {NPGSQL, "Username", NULL, DSN_TAKEN, "user", NULL, "also User Name, User Id, UID"},
    {NPGSQL, "User Id", NULL, DSN_TAKEN, "user", NULL, NULL},
    {NPGSQL, "UID", NULL, DSN_TAKEN, "user", NULL, NULL},
    {NPGSQL, "Password", NULL, DSN_TAKEN, "password", NULL, "also PWD, PSW"},
    {NPGSQL, "PWD", NULL, DSN_TAKEN, "password", NULL, NULL},
    {NPGSQL, "PSW", NULL, DSN_TAKEN, "password", NULL, NULL},
    {NPGSQL, "Passfile", NULL, DSN_TAKEN, "passfile", NULL, NULL},
    {NPGSQL, "SSL Mode", "Disable", DSN_TAKEN, "sslmode", "disable", NULL},
    {NPGSQL, "SSL Mode", "Allow", DSN_TAKEN, "sslmode", "allow", NULL},
    {NPGSQL, "SSL Mode", "Prefer", DSN_TAKEN, "sslmode", "prefer", NULL},
    {NPGSQL, "SSL Mode", "Require", DSN_TAKEN, "sslmode", "require",
     "verifies nothing since Npgsql 6"},
    {NPGSQL, "SSL Mode", "VerifyCA", DSN_TAKEN, "sslmode", "verify-ca",
     "without Root Certificate Npgsql trusts the system's store, which verify-ca refuses here"},
    {NPGSQL, "SSL Mode", "VerifyFull", DSN_TAKEN, "sslmode", "verify-full", NULL},
    {NPGSQL, "SSL Mode", NULL, DSN_FORBIDDEN, NONE,
     "takes only Disable, Allow, Prefer, Require, VerifyCA or VerifyFull"},
    {NPGSQL, "Trust Server Certificate", "true", DSN_DROPPED, NONE,
     "Npgsql 8 and later ignore it, and SSL Mode=VerifyFull verifies all the same; leave it out"},
    {NPGSQL, "Trust Server Certificate", NULL, DSN_TAKEN, NONE, NULL},
    {NPGSQL, "Root Certificate", NULL, DSN_TAKEN, "sslrootcert", NULL,
     "only with VerifyCA or VerifyFull"},
    {NPGSQL, "SSL Certificate", NULL, DSN_TAKEN, "sslcert", NULL, "here a file in PEM"},
    {NPGSQL, "SSL Key", NULL, DSN_TAKEN, "sslkey", NULL, NULL},
    {NPGSQL, "SSL Password", NULL, DSN_TAKEN, "sslpassword", NULL, NULL},
    {NPGSQL, "SSL Negotiation", "Postgres", DSN_TAKEN, "sslnegotiation", "postgres", NULL},
    {NPGSQL, "SSL Negotiation", "Direct", DSN_TAKEN, "sslnegotiation", "direct", NULL},
    {NPGSQL, "Channel Binding", "Disable", DSN_TAKEN, "channel_binding", "disable", NULL},
    {NPGSQL, "Channel Binding", "Prefer", DSN_TAKEN, "channel_binding", "prefer", NULL},
    {NPGSQL, "Channel Binding", "Require", DSN_TAKEN, "channel_binding", "require", NULL},
    {NPGSQL, "Check Certificate Revocation", "true", DSN_DROPPED, NONE,
     "the application asks the issuer whether the certificate is revoked; here sslcrl names a file"},
    {NPGSQL, "Check Certificate Revocation", NULL, DSN_TAKEN, NONE, NULL},
    {NPGSQL, "Integrated Security", "true", DSN_DROPPED, NONE,
     "the application logs in by Kerberos; let the exporter log in in another way"},
    {NPGSQL, "Integrated Security", NULL, DSN_TAKEN, NONE, NULL},
    {NPGSQL, "Application Name", NULL, DSN_TAKEN, "application_name", NULL, NULL},
    {NPGSQL, "Options", NULL, DSN_TAKEN, "options", NULL, NULL},
    {NPGSQL, "Target Session Attributes", "prefer-primary", DSN_TAKEN, "target_session_attrs",
     "any", NULL},
    {NPGSQL, "Target Session Attributes", "PreferPrimary", DSN_TAKEN, "target_session_attrs",
     "any", NULL},
    {NPGSQL, "Target Session Attributes", NULL, DSN_TAKEN, "target_session_attrs", NULL, NULL},
};
/* clang-format on */
#define N_RULES (sizeof rules / sizeof *rules)

/* What pools, caches and sessions are set by. */
static const char *const libpq_harmless[] = {
    /* pgx, Go's pq */
    "pool_max_conns", "pool_min_conns", "pool_max_conn_lifetime", "pool_max_conn_lifetime_jitter",
    "pool_max_conn_idle_time", "pool_health_check_period", "default_query_exec_mode",
    "statement_cache_capacity", "description_cache_capacity", "binary_parameters", "search_path",
    "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
    /* Prisma */
    "schema", "connection_limit", "pool_timeout", "socket_timeout", "pgbouncer",
    /* Rails, Django, Ecto */
    "pool", "pool_size", "reaping_frequency", "checkout_timeout", "prepared_statements",
    "statement_limit", "encoding", "schema_search_path", "conn_max_age", "conn_health_checks",
    NULL};
static const char *const asyncpg_harmless[] = {"prepared_statement_cache_size",
                                               "prepared_statement_name_func", "async_fallback",
                                               "plugin", NULL};
static const char *const psycopg_harmless[] = {"plugin", "prepare_threshold", NULL};
static const char *const pg8000_harmless[] = {"plugin", "tcp_keepalive", "source_address", NULL};
static const char *const jdbc_harmless[] = {"adaptiveFetch",
                                            "adaptiveFetchMaximum",
                                            "adaptiveFetchMinimum",
                                            "allowEncodingChanges",
                                            "assumeMinServerVersion",
                                            "autosave",
                                            "binaryTransfer",
                                            "binaryTransferDisable",
                                            "binaryTransferEnable",
                                            "cancelSignalTimeout",
                                            "cleanupSavepoints",
                                            "connectTimeout",
                                            "currentSchema",
                                            "databaseMetadataCacheFields",
                                            "databaseMetadataCacheFieldsMiB",
                                            "defaultRowFetchSize",
                                            "disableColumnSanitiser",
                                            "escapeSyntaxCallMode",
                                            "gssEncMode",
                                            "gssResponseTimeout",
                                            "gsslib",
                                            "groupStartupParameters",
                                            "hideUnprivilegedObjects",
                                            "hostRecheckSeconds",
                                            "jaasApplicationName",
                                            "jaasLogin",
                                            "kerberosServerName",
                                            "loadBalanceHosts",
                                            "localSocketAddress",
                                            "logServerErrorDetail",
                                            "logUnclosedConnections",
                                            "loggerFile",
                                            "loggerLevel",
                                            "loginTimeout",
                                            "maxResultBuffer",
                                            "maxSendBufferSize",
                                            "preferQueryMode",
                                            "prepareThreshold",
                                            "preparedStatementCacheQueries",
                                            "preparedStatementCacheSizeMiB",
                                            "protocolVersion",
                                            "quoteReturningIdentifiers",
                                            "reWriteBatchedInserts",
                                            "readOnly",
                                            "readOnlyMode",
                                            "receiveBufferSize",
                                            "requireAuth",
                                            "sendBufferSize",
                                            "socketFactoryArg",
                                            "socketTimeout",
                                            "ssl",
                                            "sslResponseTimeout",
                                            "sslpasswordcallback",
                                            "sspiServiceClass",
                                            "stringtype",
                                            "tcpKeepAlive",
                                            "tcpNoDelay",
                                            "unknownLength",
                                            "useSpnego",
                                            "xmlFactoryFactory",
                                            NULL};
static const char *const npgsql_harmless[] = {"Array Nullability Mode",
                                              "Auto Prepare Min Usages",
                                              "Cancellation Timeout",
                                              "Client Encoding",
                                              "Command Timeout",
                                              "Connection Idle Lifetime",
                                              "Connection Lifetime",
                                              "Connection Pruning Interval",
                                              "EF Admin Database",
                                              "EF Template Database",
                                              "Encoding",
                                              "Enlist",
                                              "Host Recheck Seconds",
                                              "Include Error Detail",
                                              "Include Failed Batched Command",
                                              "Include Realm",
                                              "Internal Command Timeout",
                                              "Keepalive",
                                              "Kerberos Service Name",
                                              "Load Balance Hosts",
                                              "Load Table Composites",
                                              "Log Parameters",
                                              "Max Auto Prepare",
                                              "Maximum Pool Size",
                                              "Max Pool Size",
                                              "Minimum Pool Size",
                                              "Min Pool Size",
                                              "Multiplexing",
                                              "No Reset On Close",
                                              "Persist Security Info",
                                              "Pooling",
                                              "Read Buffer Size",
                                              "Require Auth",
                                              "Search Path",
                                              "Server Compatibility Mode",
                                              "Socket Receive Buffer Size",
                                              "Socket Send Buffer Size",
                                              "TCP Keepalive",
                                              "TCP Keepalive Interval",
                                              "TCP Keepalive Time",
                                              "Timeout",
                                              "Timezone",
                                              "Use Perf Counters",
                                              "Use SSL Stream",
                                              "Write Buffer Size",
                                              "Write Coalescing Buffer Threshold Bytes",
                                              "GSS Encryption Mode",
                                              NULL};

static const struct dsn_dialect_row dialects[DSN_DIALECT_COUNT] = {
    [DSN_LIBPQ] = {"libpq", "postgresql://…, postgres://…, host=… port=…", "prefer", "refuses it",
                   libpq_harmless},
    [DSN_ASYNCPG] = {"asyncpg", "postgresql+asyncpg://… (SQLAlchemy)", "prefer",
                     "refuses it: connect() has no such argument", asyncpg_harmless},
    [DSN_PSYCOPG] = {"psycopg", "postgresql+psycopg://…, +psycopg2, +aiopg (SQLAlchemy)", "prefer",
                     "hands it to libpq, which refuses it", psycopg_harmless},
    [DSN_PG8000] = {"pg8000", "postgresql+pg8000://… (SQLAlchemy)", "prefer",
                    "refuses it: connect() has no such argument", pg8000_harmless},
    [DSN_JDBC] = {"pgJDBC", "jdbc:postgresql://…", "prefer", "ignores it", jdbc_harmless},
    [DSN_NPGSQL] = {"Npgsql", "Host=…;Username=…;SSL Mode=…", "Prefer (Npgsql 6 or later)",
                    "refuses it", npgsql_harmless},
};

/* Npgsql's names have spaces or not, and any case. */
static bool same_name(enum dsn_dialect dialect, const char *ours, const char *theirs)
{
    if (dialect != DSN_NPGSQL)
        return strcmp(ours, theirs) == 0;
    for (;; ours++, theirs++) {
        ours += *ours == ' ';
        theirs += strspn(theirs, " ");
        if (tolower((unsigned char)*ours) != tolower((unsigned char)*theirs))
            return false;
        if (*ours == '\0')
            return true;
    }
}

static bool same_value(enum dsn_dialect dialect, const char *ours, const char *theirs)
{
    if (dialect == DSN_JDBC || dialect == DSN_NPGSQL)
        return strcasecmp(ours, theirs) == 0;
    return strcmp(ours, theirs) == 0;
}

const struct dsn_rule *dsn_rule(enum dsn_dialect dialect, const char *name, const char *value)
{
    for (size_t i = 0; i < N_RULES; i++) {
        const struct dsn_rule *rule = &rules[i];

        if ((rule->dialects & DSN_BIT(dialect)) && same_name(dialect, rule->name, name) &&
            (!rule->value || same_value(dialect, rule->value, value)))
            return rule;
    }
    return NULL;
}

bool dsn_harmless(enum dsn_dialect dialect, const char *name)
{
    for (const char *const *at = dialects[dialect].harmless; *at; at++) {
        if (same_name(dialect, *at, name))
            return true;
    }
    return false;
}

#define MAX_NAMES 256

const char *dsn_nearest_name(enum dsn_dialect dialect, const char *word)
{
    const char *names[MAX_NAMES];
    const struct dsn_keyword *keywords;
    size_t n_keywords = dsn_keywords(&keywords), n = 0;
    bool takes_keywords = dialect == DSN_LIBPQ || dialect == DSN_PSYCOPG;

    for (size_t i = 0; i < N_RULES && n < MAX_NAMES; i++) {
        if ((rules[i].dialects & DSN_BIT(dialect)) && dialect != DSN_LIBPQ)
            names[n++] = rules[i].name;
    }
    for (size_t i = 0; i < n_keywords && n < MAX_NAMES && takes_keywords; i++)
        names[n++] = keywords[i].name;
    return str_nearest(word, names, n);
}

size_t dsn_rules(const struct dsn_rule **all)
{
    *all = rules;
    return N_RULES;
}

const struct dsn_dialect_row *dsn_dialect(enum dsn_dialect dialect)
{
    return &dialects[dialect];
}
