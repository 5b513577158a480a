/* What an ErrorResponse means.
 *
 * PostgreSQL says which of its functions raised the error (field R), and that is the same in every
 * language and has been stable for many releases; SQLSTATE alone is not enough, because 28000
 * stands for a pg_hba rejection, a missing client certificate, a missing role and more. So: routine
 * and SQLSTATE first, then texts that no server translates, then SQLSTATE alone. English texts only
 * refine, they never decide, except for "pg_hba.conf", which every translation keeps. */
#include "classify.h"

#include <stddef.h>
#include <string.h>

#define N(table) (sizeof(table) / sizeof *(table))

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
    size_t len = strlen(text), tail = strlen(with);

    return len >= tail && strcmp(text + len - tail, with) == 0;
}

/* The first row whose SQLSTATE prefix and text match. A NULL text matches every message; a text is
 * English, so a translated message falls through to the row without one. */
struct state_row {
    const char *sqlstate;
    const char *text;
    enum fault fault;
};

static enum fault by_state(const struct state_row *table, size_t n, const struct pg_error *error)
{
    for (size_t i = 0; i < n; i++) {
        if (starts(error->sqlstate, table[i].sqlstate) &&
            (!table[i].text || strstr(error->message, table[i].text)))
            return table[i].fault;
    }
    return FAULT_NONE;
}

static bool is_routine(const struct pg_error *error, const char *routine)
{
    return strcmp(error->routine, routine) == 0;
}

static bool is_state(const struct pg_error *error, const char *sqlstate)
{
    return strcmp(error->sqlstate, sqlstate) == 0;
}

/* A pg_hba rejection by its English beginning, or the plain fact when the text is translated. The
 * suffix comes from our own connection and not from the text: "no encryption", "SSL off" and their
 * translations all say what we know better. */
static enum fault hba_rejection(const struct evidence *e)
{
    static const struct {
        const char *prefix;
        enum fault tls, plain;
    } beginnings[] = {
        {"no pg_hba.conf entry", FAULT_HBA_NO_ENTRY_SSL, FAULT_HBA_NO_ENTRY_NOSSL},
        {"pg_hba.conf rejects", FAULT_HBA_REJECT_RULE_SSL, FAULT_HBA_REJECT_RULE_NOSSL},
        {"", FAULT_HBA_REJECTED, FAULT_HBA_REJECTED_NOSSL},
    };
    size_t i = 0;

    while (!starts(e->error.message, beginnings[i].prefix))
        i++;
    return e->tls_in_use ? beginnings[i].tls : beginnings[i].plain;
}

/* auth.c, ClientAuthentication(): before any credential was looked at. */
static enum fault from_client_authentication(const struct evidence *e)
{
    if (is_state(&e->error, "28000"))
        return strstr(e->error.message, "pg_hba.conf") ? hba_rejection(e)
                                                       : FAULT_CLIENT_CERT_REQUIRED;
    return is_state(&e->error, "F0000") ? FAULT_SERVER_NO_CLIENT_CA : FAULT_NONE;
}

/* auth.c, auth_failed(): some method said no. */
static enum fault from_auth_failed(const struct evidence *e)
{
    const int sasl_final = 12;

    /* The password was proved, so it is the certificate's name that clientcert=verify-full
     * dislikes. */
    if (is_state(&e->error, "28P01"))
        return e->auth_request == sasl_final ? FAULT_CLIENT_CERT_CN_MISMATCH
                                             : FAULT_PASSWORD_FAILED;
    if (e->auth_request < 0 && e->client_certificate && e->tls_in_use)
        return FAULT_CLIENT_CERT_CN_MISMATCH;
    return FAULT_AUTH_EXTERNAL_FAILED;
}

/* miscinit.c, InitializeSessionUserId(). */
static enum fault from_session_user(const struct evidence *e)
{
    static const struct state_row table[] = {
        {"53300", NULL, FAULT_TOO_MANY_CONNECTIONS_ROLE},
        {"28", "does not exist", FAULT_ROLE_MISSING},
        {"28", "is not permitted to log in", FAULT_ROLE_NOLOGIN},
        {"28", NULL, FAULT_ROLE_INVALID},
    };

    return by_state(table, N(table), &e->error);
}

/* postinit.c, CheckMyDatabase(). */
static enum fault from_check_database(const struct evidence *e)
{
    static const struct state_row table[] = {
        {"53300", NULL, FAULT_TOO_MANY_CONNECTIONS_DATABASE},
        {"42501", NULL, FAULT_DATABASE_NO_CONNECT_PRIVILEGE},
        {"55000", NULL, FAULT_DATABASE_NOT_ACCEPTING},
    };

    return by_state(table, N(table), &e->error);
}

/* postinit.c, InitPostgres(): privileges there are about superusers and replication. */
static enum fault from_init_postgres(const struct evidence *e)
{
    return is_state(&e->error, "42501") ? FAULT_AUTHORIZATION_REJECTED : FAULT_NONE;
}

static enum fault from_routine(const struct evidence *e)
{
    static const struct {
        const char *routine;
        enum fault (*rule)(const struct evidence *);
    } routines[] = {
        {"ClientAuthentication", from_client_authentication},
        {"auth_failed", from_auth_failed},
        {"InitializeSessionUserId", from_session_user},
        {"CheckMyDatabase", from_check_database},
        {"InitPostgres", from_init_postgres},
    };

    for (size_t i = 0; i < N(routines); i++) {
        if (is_routine(&e->error, routines[i].routine))
            return routines[i].rule(e);
    }
    return FAULT_NONE;
}

/* Where the source file says more than the function, whose name changed between releases. */
static enum fault from_file(const struct pg_error *error)
{
    if (ends(error->file, "auth-scram.c") && is_state(error, "28000"))
        return FAULT_SCRAM_CHANNEL_BINDING;
    if (ends(error->file, "guc.c") &&
        (starts(error->sqlstate, "42") || starts(error->sqlstate, "22")))
        return FAULT_STARTUP_PARAMETER_REJECTED;
    return FAULT_NONE;
}

/* Pgpool's own errors: a file of its own, no routine, and the reason in the detail. What it relays
 * from PostgreSQL carries PostgreSQL's routine and never comes here. */
static enum fault from_pgpool(const struct pg_error *error)
{
    static const struct {
        bool detail;
        const char *text;
        enum fault fault;
    } rows[] = {
        {true, "pool_hba.conf", FAULT_HBA_NO_ENTRY_POOLER},
        {true, "certificate", FAULT_CLIENT_CERT_REQUIRED},
        {true, "pool_passwd", FAULT_PASSWORD_FAILED},
        {false, "backend authentication failed", FAULT_POOLER_BACKEND_LOGIN_FAILED},
        {false, "authentication failed", FAULT_PASSWORD_FAILED},
        {false, "too many clients already", FAULT_POOLER_MAX_CLIENT_CONN},
    };

    if (!starts(error->file, "pool_") && !starts(error->file, "protocol/") &&
        !starts(error->file, "auth/pool_"))
        return FAULT_NONE;
    for (size_t i = 0; i < N(rows); i++) {
        if (strstr(rows[i].detail ? error->detail : error->message, rows[i].text))
            return rows[i].fault;
    }
    return FAULT_NONE;
}

/* The messages of managed services that authenticate as PostgreSQL does depend on our TLS as
 * pg_hba's do. */
static enum fault without_tls(enum fault fault)
{
    switch (fault) {
    case FAULT_HBA_NO_ENTRY_SSL:
        return FAULT_HBA_NO_ENTRY_NOSSL;
    case FAULT_HBA_REJECT_RULE_SSL:
        return FAULT_HBA_REJECT_RULE_NOSSL;
    default:
        return fault;
    }
}

/* Texts that are never translated: those of poolers, which send no routine, and of CockroachDB,
 * whose files end in .go. They come before the search for "pg_hba.conf" because they are anchored
 * and it is not. */
static enum fault from_untranslated(const struct evidence *e)
{
    const struct pg_error *error = &e->error;
    bool anonymous = error->routine[0] == '\0';
    enum fault fault = FAULT_NONE;

    if (anonymous)
        fault = from_pgpool(error);
    if (fault == FAULT_NONE && (anonymous || ends(error->file, ".go")))
        fault = classify_message(error);
    if (fault != FAULT_NONE)
        return e->tls_in_use ? fault : without_tls(fault);
    if (!strstr(error->message, "pg_hba.conf"))
        return FAULT_NONE;
    if (anonymous)
        return FAULT_POOLER_BACKEND_HBA_REJECTION;
    return is_state(error, "28000") ? hba_rejection(e) : FAULT_NONE; /* a fork's own routine */
}

static const struct state_row login_states[] = {
    {"28P01", NULL, FAULT_PASSWORD_FAILED},
    {"28", NULL, FAULT_AUTHORIZATION_REJECTED},
    {"3D000", NULL, FAULT_DATABASE_MISSING},
    {"42501", NULL, FAULT_DATABASE_NO_CONNECT_PRIVILEGE},
    {"53300", NULL, FAULT_TOO_MANY_CONNECTIONS},
    {"53", NULL, FAULT_SERVER_OUT_OF_RESOURCES},
    {"55", NULL, FAULT_DATABASE_NOT_ACCEPTING},
    {"57P03", "starting up", FAULT_STARTING_UP},
    {"57P03", "not yet accepting", FAULT_STARTING_UP},
    {"57P03", "shutting down", FAULT_SHUTTING_DOWN},
    {"57P03", "in recovery mode", FAULT_IN_RECOVERY},
    {"57P03", NULL, FAULT_NOT_ACCEPTING},
    {"57P04", NULL, FAULT_DATABASE_MISSING}, /* dropped while we were logging in */
    {"57P", NULL, FAULT_TERMINATED_DURING_STARTUP},
    {"57014", NULL, FAULT_AUTH_TIMEOUT_SERVER},
    {"58", NULL, FAULT_SERVER_ERROR},
    {"XX", NULL, FAULT_SERVER_ERROR},
    {"F0", NULL, FAULT_SERVER_ERROR},
    {"0A", NULL, FAULT_PROTOCOL_UNSUPPORTED},
    {"22", NULL, FAULT_STARTUP_PARAMETER_REJECTED},
    {"42", NULL, FAULT_STARTUP_PARAMETER_REJECTED},
};

/* Once a session is up, an error is about the query unless it says something greater. */
static const struct state_row query_states[] = {
    {"57014", NULL, FAULT_QUERY_CANCELED},
    {"57P", NULL, FAULT_TERMINATED_DURING_STARTUP},
    {"53", NULL, FAULT_SERVER_OUT_OF_RESOURCES},
    {"", NULL, FAULT_QUERY_FAILED},
};

/* Class 08 means little without a routine: PgBouncer uses 08P01 for everything it says itself, and
 * other poolers report by 08xxx that their server is away. */
static enum fault from_connection_class(const struct pg_error *error)
{
    bool anonymous = error->routine[0] == '\0';

    if (!starts(error->sqlstate, "08"))
        return FAULT_NONE;
    if (is_state(error, "08P01"))
        return anonymous ? FAULT_ERROR_RESPONSE_OTHER : FAULT_PROTOCOL_VIOLATION;
    return anonymous ? FAULT_POOLER_BACKEND_DOWN : FAULT_SERVER_ERROR;
}

static enum fault from_state(const struct evidence *e)
{
    enum fault fault;

    if (e->phase == PHASE_QUERY)
        return by_state(query_states, N(query_states), &e->error);
    fault = from_connection_class(&e->error);
    if (fault == FAULT_NONE)
        fault = by_state(login_states, N(login_states), &e->error);
    return fault != FAULT_NONE ? fault : FAULT_ERROR_RESPONSE_OTHER;
}

enum fault classify_error_response(const struct evidence *e)
{
    enum fault fault;

    if (e->error.v2 || e->error.sqlstate[0] == '\0')
        return e->phase <= PHASE_SSL_REQUEST ? FAULT_SSLREQ_ERROR_V2 : FAULT_ERROR_RESPONSE_V2;
    fault = from_routine(e);
    if (fault == FAULT_NONE)
        fault = from_file(&e->error);
    if (fault == FAULT_NONE)
        fault = from_untranslated(e);
    return fault != FAULT_NONE ? fault : from_state(e);
}
