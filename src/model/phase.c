/* The words of a probe. Every one is a label value. */
#include "pgtls/model/phase.h"

#include "pgtls/base/str.h"

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

const char *probe_kind_name(enum probe_kind kind)
{
    return str_name(probe_kind_names, PROBE_COUNT, (size_t)kind);
}

const char *phase_name(enum phase phase)
{
    return str_name(phase_names, PHASE_COUNT, (size_t)phase);
}

const char *close_how_name(enum close_how how)
{
    return str_name(close_how_names, CLOSE_COUNT, (size_t)how);
}
