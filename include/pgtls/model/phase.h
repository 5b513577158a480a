#pragma once
/* The words of a probe: its kind, its phases, how a connection closed. All are label values. */

enum probe_kind { PROBE_INSPECT, PROBE_LOGIN, PROBE_COUNT };

enum phase {
    PHASE_DNS,
    PHASE_TCP,
    PHASE_SSL_REQUEST,
    PHASE_TLS,
    PHASE_STARTUP,
    PHASE_AUTH,
    PHASE_QUERY,
    PHASE_COUNT
};

/* How the peer ended a connection. */
enum close_how {
    CLOSE_NONE, /* it did not, or we did */
    CLOSE_NOTIFY,
    CLOSE_FIN,
    CLOSE_RST,
    CLOSE_COUNT
};

const char *probe_kind_name(enum probe_kind kind); /* "inspect", "login" */
const char *phase_name(enum phase phase);          /* "dns", "tcp", "ssl_request", … */
const char *close_how_name(enum close_how how);    /* "close_notify", "fin", "rst"; "" for none */
