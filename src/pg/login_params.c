/* The keywords of a login. A NULL or empty value would send libpq to its environment and defaults,
 * so what is unset is named as something that does not exist. */
#include "login_params.h"

#include "pgtls/base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOWHERE "/nonexistent/pgtls"

#define MAX_FILE_BYTES ((size_t)16 * 1024 * 1024)

/* Stands where libpq would look for a password elsewhere. Never sent: a login without a password
 * ends when a server asks for one, before libpq answers. */
#define NO_PASSWORD "(none)"

static void set(struct login_conninfo *c, const char *keyword, const char *value)
{
    if (c->n + 1 < LOGIN_MAX_KEYWORDS) {
        c->keywords[c->n] = keyword;
        c->values[c->n] = value;
        c->n++;
        c->keywords[c->n] = NULL;
        c->values[c->n] = NULL;
    }
}

static void set_or(struct login_conninfo *c, const char *keyword, const char *value,
                   const char *otherwise)
{
    set(c, keyword, value && *value ? value : otherwise);
}

static bool refuse(struct login_conninfo *c, enum internal_reason reason, const char *what,
                   const char *name, int error)
{
    c->reason = reason;
    snprintf(c->error, sizeof c->error, "%s%s%s%s%s", what, *name ? " " : "", name,
             error ? ": " : "", error ? strerror(error) : "");
    return false;
}

static const char *secret_text(const struct secret *secret)
{
    return secret && secret->present ? secret->text : NULL;
}

/* May libpq open this file? It would wait for a pipe. */
static bool may_open(struct login_conninfo *c, const char *what, const char *path)
{
    char reason[200];

    if (!file_check(path, MAX_FILE_BYTES, reason, sizeof reason))
        return refuse(c, INTERNAL_LOCAL_FILE, what, reason, 0);
    if (access(path, R_OK) != 0)
        return refuse(c, INTERNAL_LOCAL_FILE, what, path, errno);
    return true;
}

/* The chain is verified where this sslmode demands it, and where a pin stands in for it. */
static bool verifies(const struct login_params *p)
{
    return p->tls && (server_demands_chain(p->server) || (p->pinned && p->anchors));
}

/* prefer and allow are two attempts in libpq; the caller decided which of them this is. */
static const char *wire_sslmode(const struct login_params *p)
{
    if (!p->tls)
        return "disable";
    switch (p->server->sslmode) {
    case SSLMODE_VERIFY_CA:
    case SSLMODE_VERIFY_FULL:
        return sslmode_name(p->server->sslmode);
    default:
        return verifies(p) ? "verify-ca" : "require";
    }
}

static const char *channel_binding(const struct login_params *p)
{
    if (p->server->channel_binding == CHANNEL_BINDING_DISABLE)
        return "disable";
    if (p->scram_plus || p->server->channel_binding == CHANNEL_BINDING_REQUIRE)
        return "require";
    return "prefer";
}

/* The anchors as a file that libpq can open. */
static bool trust_anchors(struct login_conninfo *c, const struct pem *anchors)
{
    size_t written = 0;

    c->trust_fd = memfd_create("pgtls-anchors", MFD_CLOEXEC);
    if (c->trust_fd < 0)
        return refuse(c, errno == ENOMEM ? INTERNAL_MEMORY : INTERNAL_DESCRIPTORS,
                      "cannot hand over trust anchors", "", errno);
    while (written < anchors->len) {
        ssize_t n = write(c->trust_fd, anchors->text + written, anchors->len - written);

        if (n <= 0)
            return refuse(c, INTERNAL_MEMORY, "cannot hand over trust anchors", "", errno);
        written += (size_t)n;
    }
    snprintf(c->trust_path, sizeof c->trust_path, "/proc/self/fd/%d", c->trust_fd);
    set(c, "sslrootcert", c->trust_path);
    return true;
}

/* libpq's require verifies when it is given a file that exists, and silently does not when it does
 * not exist: so a demanded file is looked for first, and where none is demanded none is named. */
static bool trust(struct login_conninfo *c, const struct login_params *p)
{
    const char *path = p->server->sslrootcert;

    if (!verifies(p)) {
        set(c, "sslrootcert", NOWHERE);
        return true;
    }
    if (p->anchors)
        return trust_anchors(c, p->anchors);
    if (!path || strcmp(path, "system") == 0)
        path = p->bundle_path;
    if (!path)
        return refuse(c, INTERNAL_LOCAL_FILE, "no system trust store found", "", 0);
    if (!may_open(c, "cannot read CA file", path))
        return false;
    set(c, "sslrootcert", path);
    return true;
}

static void require_auth(struct login_conninfo *c, const struct server *s)
{
    snprintf(c->require_auth, sizeof c->require_auth, "none,scram-sha-256%s%s",
             s->allow_auth & ALLOW_AUTH_PASSWORD ? ",password" : "",
             s->allow_auth & ALLOW_AUTH_MD5 ? ",md5" : "");
    set(c, "require_auth", c->require_auth);
}

static void tls(struct login_conninfo *c, const struct login_params *p,
                const struct login_features *features)
{
    const struct server *s = p->server;
    const char *passphrase = secret_text(p->sslpassword);

    set(c, "sslmode", wire_sslmode(p));
    set_or(c, "sslcrl", s->sslcrl, NOWHERE);
    set_or(c, "sslcert", s->sslcert, NOWHERE);
    set_or(c, "sslkey", s->sslkey, NOWHERE);
    if (passphrase && *passphrase)
        set(c, "sslpassword", passphrase);
    set_or(c, "ssl_min_protocol_version", s->ssl_min_protocol_version, "TLSv1.2");
    if (s->ssl_max_protocol_version)
        set(c, "ssl_max_protocol_version", s->ssl_max_protocol_version);
    set(c, "sslsni", s->sslsni ? "1" : "0");
    set(c, "channel_binding", channel_binding(p));
    if (features->direct && p->tls)
        set(c, "sslnegotiation", negotiation_name(s->negotiation));
}

static bool where(struct login_conninfo *c, const struct login_params *p)
{
    /* Without a numeric address libpq would resolve the name, and wait for it. */
    if (!p->server->unix_socket && !p->address)
        return refuse(c, INTERNAL_OTHER, "no address to log in at", "", 0);
    if (!p->server->user || !*p->server->user)
        return refuse(c, INTERNAL_OTHER, "no user to log in as", "", 0);
    set(c, "host", p->server->host);
    if (!p->server->unix_socket)
        set(c, "hostaddr", p->address);
    snprintf(c->port, sizeof c->port, "%u", (unsigned)p->server->port);
    set(c, "port", c->port);
    return true;
}

/* What libpq opens beside the trusted certificates. */
static bool may_open_all(struct login_conninfo *c, const struct login_params *p)
{
    const struct {
        const char *what, *path;
    } files[] = {{"cannot read the revocation list", p->server->sslcrl},
                 {"cannot read the client certificate", p->server->sslcert},
                 {"cannot read the client key", p->server->sslkey}};

    for (size_t i = 0; i < sizeof files / sizeof *files && p->tls; i++) {
        if (files[i].path && !may_open(c, files[i].what, files[i].path))
            return false;
    }
    return true;
}

bool login_conninfo_build(struct login_conninfo *c, const struct login_params *p,
                          const struct login_features *features)
{
    const struct server *s = p->server;

    c->n = 0;
    c->trust_fd = -1;
    if (!where(c, p) || !may_open_all(c, p))
        return false;
    set(c, "user", s->user);
    set_or(c, "dbname", s->dbname, s->user);
    set_or(c, "password", secret_text(p->password), NO_PASSWORD);
    set(c, "passfile", NOWHERE);
    /* Beside the password, which is for servers that ask for it in another way. */
    if (p->keys && features->scram_keys) {
        set(c, "scram_client_key", p->keys->client_key);
        set(c, "scram_server_key", p->keys->server_key);
    }
    tls(c, p, features);
    if (features->require_auth)
        require_auth(c, s);
    set(c, "gssencmode", "disable");
    set(c, "target_session_attrs", "any");
    set_or(c, "application_name", s->application_name, "pgtls_exporter");
    if (s->options)
        set(c, "options", s->options);
    return trust(c, p);
}
