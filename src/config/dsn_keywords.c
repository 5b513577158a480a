/* Every keyword that a libpq up to 18 takes in a connection string, and what we do with it. */
#include "pgtls/config/dsn_tables.h"

#include <string.h>

#define USED(name)                                                                                 \
    {                                                                                              \
        name, DSN_USED, NULL, NULL                                                                 \
    }
#define IGNORED(name, note)                                                                        \
    {                                                                                              \
        name, DSN_IGNORED, note, NULL                                                              \
    }
#define IGNORED_UNLESS(harmless, name, note)                                                       \
    {                                                                                              \
        name, DSN_IGNORED, note, harmless                                                          \
    }
#define REFUSED(name, note)                                                                        \
    {                                                                                              \
        name, DSN_REFUSED, note, NULL                                                              \
    }

#define KEEPALIVE_NOTE "a probe is over before it matters"
#define GSS_NOTE       "GSSAPI encryption is not used"
#define OAUTH_NOTE     "OAuth tokens are not obtained here; let the exporter log in in another way"
#define SCRAM_NOTE     "SCRAM keys are not read; give a password, password_file or password_env"

static const struct dsn_keyword keywords[] = {
    USED("host"),
    USED("hostaddr"),
    USED("port"),
    USED("dbname"),
    USED("user"),
    USED("password"),
    USED("passfile"),
    USED("options"),
    USED("application_name"),
    USED("sslmode"),
    USED("sslnegotiation"),
    USED("sslrootcert"),
    USED("sslcrl"),
    USED("sslcert"),
    USED("sslkey"),
    USED("sslpassword"),
    USED("sslsni"),
    USED("ssl_min_protocol_version"),
    USED("ssl_max_protocol_version"),
    USED("channel_binding"),
    USED("target_session_attrs"),
    IGNORED("connect_timeout", "\"timeout\" bounds a probe"),
    IGNORED("client_encoding", "no text in it is exchanged"),
    IGNORED("fallback_application_name", "\"application_name\" says what the server shows"),
    IGNORED("keepalives", KEEPALIVE_NOTE),
    IGNORED("keepalives_idle", KEEPALIVE_NOTE),
    IGNORED("keepalives_interval", KEEPALIVE_NOTE),
    IGNORED("keepalives_count", KEEPALIVE_NOTE),
    IGNORED("tcp_user_timeout", "\"timeout\" bounds a probe"),
    IGNORED_UNLESS("0", "sslcompression", "libpq does not compress either"),
    IGNORED_UNLESS("allow", "sslcertmode", "a certificate is sent if \"sslcert\" names one"),
    IGNORED("sslkeylogfile", "session keys are never written out"),
    IGNORED("require_auth", "\"allow_auth\" says which weak methods are accepted"),
    IGNORED("min_protocol_version", "protocol 3.0 is spoken, which every server knows"),
    IGNORED("max_protocol_version", "protocol 3.0 is spoken, which every server knows"),
    IGNORED_UNLESS("disable", "gssencmode", GSS_NOTE),
    IGNORED("krbsrvname", GSS_NOTE),
    IGNORED("gsslib", GSS_NOTE),
    IGNORED_UNLESS("0", "gssdelegation", GSS_NOTE),
    IGNORED_UNLESS("disable", "load_balance_hosts", "every host is probed"),
    REFUSED("service", "service files are not read; write out what the service stands for"),
    REFUSED("servicefile", "service files are not read; write out what the service stands for"),
    REFUSED("sslcrldir", "give one file with \"sslcrl\""),
    REFUSED("requirepeer", "the owner of a socket is not checked, so nothing may depend on it"),
    REFUSED("replication", "replication connections are another door of pg_hba.conf; leave it out"),
    REFUSED("scram_client_key", SCRAM_NOTE),
    REFUSED("scram_server_key", SCRAM_NOTE),
    REFUSED("oauth_issuer", OAUTH_NOTE),
    REFUSED("oauth_client_id", OAUTH_NOTE),
    REFUSED("oauth_client_secret", OAUTH_NOTE),
    REFUSED("oauth_scope", OAUTH_NOTE),
};
#define N_KEYWORDS (sizeof keywords / sizeof *keywords)
_Static_assert(N_KEYWORDS <= DSN_MAX_KEYWORDS, "a dsn has room for one value of every keyword");

const struct dsn_keyword *dsn_keyword(const char *name)
{
    for (size_t i = 0; i < N_KEYWORDS; i++) {
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    }
    return NULL;
}

size_t dsn_keywords(const struct dsn_keyword **all)
{
    *all = keywords;
    return N_KEYWORDS;
}
