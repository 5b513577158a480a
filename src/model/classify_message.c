/* What poolers, proxies and managed services say, as one table.
 *
 * None of these texts is translated. A pattern stands for the whole text, with * for anything, so
 * that it stays anchored where names that somebody chose come before or after: a database may well
 * be called "SSL required". The order matters: demands for TLS, then access rules, then the rest.
 * Rows marked + were seen from the product itself (PgBouncer 1.18 and 1.26, Odyssey 1.5), the
 * others are from its source or documentation. */
#include "classify.h"

#include <stddef.h>
#include <string.h>

#define N(table) (sizeof(table) / sizeof *(table))

static const struct {
    const char *pattern;
    enum fault fault;
} rows[] = {
    /* TLS is demanded. */
    {"SSL required", FAULT_SSL_REQUIRED_BY_POOLER},                       /* + PgBouncer */
    {"SSL is required", FAULT_SSL_REQUIRED_BY_POOLER},                    /* + Odyssey */
    {"TLS connection required*", FAULT_SSL_REQUIRED_BY_POOLER},           /* Odyssey */
    {"(ESSLREQUIRED) *", FAULT_SSL_REQUIRED_BY_POOLER},                   /* Supavisor */
    {"SSL connection is required*", FAULT_SSL_REQUIRED_BY_POOLER},        /* Supavisor, Azure */
    {"connection is insecure (try using*", FAULT_SSL_REQUIRED_BY_POOLER}, /* Neon */
    {"This RDS Proxy requires TLS connections*", FAULT_SSL_REQUIRED_BY_POOLER},
    {"IAM is allowed only with SSL connections*", FAULT_SSL_REQUIRED_BY_POOLER},
    {"node is running secure mode, SSL connection required", FAULT_SSL_REQUIRED_BY_POOLER},
    {"only TLS connections are allowed", FAULT_SSL_REQUIRED_BY_POOLER}, /* PgDog */

    /* Access rules. */
    {"login rejected", FAULT_HBA_REJECT_RULE_POOLER},                     /* + PgBouncer */
    {"host based authentication rejected", FAULT_HBA_REJECT_RULE_POOLER}, /* + Odyssey */
    {"no authentication method is found*", FAULT_HBA_NO_ENTRY_POOLER},    /* PgBouncer */
    {"no server.host_based_authentication.configuration entry*",
     FAULT_HBA_NO_ENTRY_SSL}, /* CockroachDB; without TLS the caller knows better */
    {"authentication rejected by configuration*", FAULT_HBA_REJECT_RULE_SSL}, /* CockroachDB */
    {"(EADDRNOTALLOWED) *", FAULT_IP_NOT_ALLOWED},                            /* Supavisor */
    {"address not in tenant allow_list*", FAULT_IP_NOT_ALLOWED},              /* Supavisor */
    {"This IP address * is not allowed to connect*", FAULT_IP_NOT_ALLOWED},   /* Neon */
    {"*from a blocked network*", FAULT_IP_NOT_ALLOWED},                       /* Neon */

    /* Who we are. */
    {"password authentication failed*", FAULT_PASSWORD_FAILED}, /* + PgBouncer, Odyssey */
    {"SASL authentication failed", FAULT_PASSWORD_FAILED},      /* + PgBouncer */
    {"The password that was provided for the role*", FAULT_PASSWORD_FAILED}, /* RDS Proxy */
    {"password for user \"*is wrong*", FAULT_PASSWORD_FAILED},               /* PgDog */
    {"certificate authentication failed*",
     FAULT_CLIENT_CERT_CN_MISMATCH},                                  /* + PgBouncer, Odyssey */
    {"TLS certificate name mismatch", FAULT_CLIENT_CERT_CN_MISMATCH}, /* PgBouncer */
    {"PAM authentication failed", FAULT_AUTH_EXTERNAL_FAILED},        /* PgBouncer */
    {"LDAP authentication failed", FAULT_AUTH_EXTERNAL_FAILED},       /* PgBouncer */
    {"unix socket login rejected", FAULT_AUTH_EXTERNAL_FAILED},       /* PgBouncer */
    {"IAM authentication failed*", FAULT_AUTH_EXTERNAL_FAILED},       /* RDS Proxy */
    {"user blocked*", FAULT_AUTHORIZATION_REJECTED},                  /* + Odyssey */
    {"no such user*", FAULT_ROLE_MISSING},                            /* + PgBouncer */
    {"\"trust\" authentication failed", FAULT_ROLE_MISSING}, /* + PgBouncer: not in its list */
    {"(ENOTFOUND) *", FAULT_ROLE_MISSING},                   /* Supavisor */
    {"Tenant or user not found", FAULT_ROLE_MISSING},        /* Supavisor */
    {"This RDS proxy has no credentials for the role*", FAULT_ROLE_MISSING},
    {"* does not have login privilege", FAULT_ROLE_NOLOGIN},  /* CockroachDB */
    {"Endpoint ID is not specified*", FAULT_SNI_MISSING},     /* Neon */
    {"The endpoint ID is not specified*", FAULT_SNI_MISSING}, /* Neon */

    /* What we want. */
    {"no such database*", FAULT_DATABASE_MISSING},                        /* + PgBouncer */
    {"route for '*' is not found*", FAULT_DATABASE_MISSING},              /* + Odyssey */
    {"No pool configured for database*", FAULT_DATABASE_MISSING},         /* pgcat */
    {"database \"*\" is disabled", FAULT_POOLER_DATABASE_DISABLED},       /* PgBouncer */
    {"database removed", FAULT_POOLER_DATABASE_DISABLED},                 /* PgBouncer */
    {"unsupported startup parameter*", FAULT_STARTUP_PARAMETER_REJECTED}, /* + PgBouncer */
    {"unsupported options startup parameter*", FAULT_STARTUP_PARAMETER_REJECTED},
    {"old V2 protocol not supported", FAULT_PROTOCOL_UNSUPPORTED}, /* + PgBouncer */

    /* No room. */
    {"no more connections allowed*", FAULT_POOLER_MAX_CLIENT_CONN},           /* + PgBouncer */
    {"client connections exceeded*", FAULT_POOLER_MAX_CLIENT_CONN},           /* PgBouncer */
    {"bouncer resources exhaustion", FAULT_POOLER_MAX_CLIENT_CONN},           /* PgBouncer */
    {"too many tcp connections*", FAULT_POOLER_MAX_CLIENT_CONN},              /* + Odyssey */
    {"too many client tcp connections*", FAULT_POOLER_MAX_CLIENT_CONN},       /* + Odyssey */
    {"(EMAXCONN) *", FAULT_POOLER_MAX_CLIENT_CONN},                           /* Supavisor */
    {"(EMAXPOOLSREACHED) *", FAULT_POOLER_MAX_CLIENT_CONN},                   /* Supavisor */
    {"Max client connections reached*", FAULT_POOLER_MAX_CLIENT_CONN},        /* Supavisor */
    {"Too many connections to this endpoint*", FAULT_POOLER_MAX_CLIENT_CONN}, /* Neon */
    {"The maximum number of client connections to the proxy exceeded*",
     FAULT_POOLER_MAX_CLIENT_CONN},                       /* RDS Proxy */
    {"query_wait_timeout", FAULT_POOLER_QUEUE_TIMEOUT},   /* + PgBouncer */
    {"(ECHECKOUTTIMEOUT) *", FAULT_POOLER_QUEUE_TIMEOUT}, /* Supavisor */
    {"Timed-out waiting to acquire database connection*", FAULT_POOLER_QUEUE_TIMEOUT},

    /* The pooler, or what is behind it, is away. */
    {"client_login_timeout*", FAULT_POOLER_LOGIN_TIMEOUT},                 /* + PgBouncer */
    {"(EAUTHTIMEOUT) *", FAULT_AUTH_TIMEOUT_SERVER},                       /* Supavisor */
    {"(ECIRCUITBREAKER) *", FAULT_TENANT_BLOCKED},                         /* Supavisor */
    {"(EBANNED) *", FAULT_TENANT_BLOCKED},                                 /* Supavisor */
    {"server login has been failing*", FAULT_POOLER_BACKEND_LOGIN_FAILED}, /* + PgBouncer */
    {"cached error: *", FAULT_POOLER_BACKEND_LOGIN_FAILED},                /* PgBouncer */
    {"Request returned an error: *", FAULT_POOLER_BACKEND_LOGIN_FAILED},   /* RDS Proxy */
    {"pgbouncer cannot connect to server", FAULT_POOLER_BACKEND_DOWN},     /* old PgBouncer */
    {"server conn crashed*", FAULT_POOLER_BACKEND_DOWN},                   /* PgBouncer */
    {"server DNS lookup failed", FAULT_POOLER_BACKEND_DOWN},               /* PgBouncer */
    {"failed to connect to remote server*", FAULT_POOLER_BACKEND_DOWN},    /* + Odyssey */
    {"Couldn't connect to compute node*", FAULT_POOLER_BACKEND_DOWN},      /* Neon */
    {"Control plane request failed*", FAULT_POOLER_BACKEND_DOWN},          /* Neon */
    {"pooler shutting down", FAULT_POOLER_SHUTTING_DOWN},                  /* PgBouncer */
    {"server shutting down", FAULT_POOLER_SHUTTING_DOWN},                  /* PgBouncer */
    {"server is not accepting clients*", FAULT_SHUTTING_DOWN}, /* CockroachDB, draining */
    {"bouncer config error", FAULT_SERVER_ERROR},              /* PgBouncer */

    /* The back end's own words, relayed without its routine and, by older PgBouncer, under 08P01.
     * Translated ones are left to their SQLSTATE. */
    {"* authentication failed for user \"*\"", FAULT_AUTH_EXTERNAL_FAILED}, /* LDAP and its like */
    {"connection requires a valid client certificate", FAULT_POOLER_BACKEND_LOGIN_FAILED},
    {"role \"*\" does not exist", FAULT_ROLE_MISSING},
    {"role \"*\" is not permitted to log in", FAULT_ROLE_NOLOGIN},
    {"database \"*\" does not exist", FAULT_DATABASE_MISSING},
    {"permission denied for database \"*", FAULT_DATABASE_NO_CONNECT_PRIVILEGE},
    {"database \"*\" is not currently accepting connections", FAULT_DATABASE_NOT_ACCEPTING},
    {"sorry, too many clients already", FAULT_TOO_MANY_CONNECTIONS},
    {"remaining connection slots are reserved*", FAULT_TOO_MANY_CONNECTIONS},
    {"too many connections for role \"*", FAULT_TOO_MANY_CONNECTIONS_ROLE},
    {"too many connections for database \"*", FAULT_TOO_MANY_CONNECTIONS_DATABASE},
    {"the database system is starting up", FAULT_STARTING_UP},
    {"the database system is not yet accepting connections", FAULT_STARTING_UP},
    {"the database system is shutting down", FAULT_SHUTTING_DOWN},
    {"the database system is in recovery mode", FAULT_IN_RECOVERY},
    {"the database system is not accepting connections", FAULT_NOT_ACCEPTING},
};

/* The whole of text, * in the pattern standing for any run of characters. On a mismatch the latest
 * star takes one character more; earlier stars need no second chance. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* Odyssey begins every text with its name and its number of the client: "odyssey: c1a2b: ". */
static const char *without_prefix(const char *message)
{
    static const char name[] = "odyssey: ";
    const char *colon;

    if (strncmp(message, name, sizeof name - 1) != 0)
        return message;
    colon = strstr(message + sizeof name - 1, ": ");
    return colon ? colon + 2 : message;
}

enum fault classify_message(const struct pg_error *error)
{
    const char *message = without_prefix(error->message);

    for (size_t i = 0; i < N(rows); i++) {
        if (matches(rows[i].pattern, message))
            return rows[i].fault;
    }
    return FAULT_NONE;
}
