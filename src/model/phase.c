/* The words of a probe. Every one is a label value. */
#include "pgtls/model/phase.h"

#include <stddef.h>

static const char *const probe_kind_names[PROBE_COUNT] = {
    [PROBE_INSPECT] = "inspect",
    [PROBE_LOGIN] = "login",
};

static const char *const phase_names[PHASE_COUNT] = {
    [PHASE_DNS] = "dns",     [PHASE_TCP] = "tcp",         [PHASE_SSL_REQUEST] = "ssl_request",
    [PHASE_TLS] = "tls",     [PHASE_STARTUP] = "startup", [PHASE_AUTH] = "auth",
    [PHASE_QUERY] = "query",
};

static const char *const close_how_names[CLOSE_COUNT] = {
    [CLOSE_NONE] = "",
    [CLOSE_NOTIFY] = "close_notify",
    [CLOSE_FIN] = "fin",
    [CLOSE_RST] = "rst",
};

/* A value outside its enum is a bug elsewhere; a metric of it must still be well-formed. */
static const char *name_of(const char *const *names, size_t count, size_t value)
{
    return value < count ? names[value] : "";
}

const char *probe_kind_name(enum probe_kind kind)
{
    return name_of(probe_kind_names, PROBE_COUNT, (size_t)kind);
}

const char *phase_name(enum phase phase)
{
    return name_of(phase_names, PHASE_COUNT, (size_t)phase);
}

const char *close_how_name(enum close_how how)
{
    return name_of(close_how_names, CLOSE_COUNT, (size_t)how);
}
