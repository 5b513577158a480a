#pragma once
/* The fault catalogue: why a probe failed, as one table.
 *
 * A fault is a value, not an error of ours: a database that is down is a successful measurement.
 * Ids are API: they appear in metrics, JSON, documentation and alerts, and are never renamed. */
#include "pgtls/model/phase.h"

#include <stdbool.h>
#include <stddef.h>

/* Label values of pgtls_probe_failures_total{class}; FAULT_CLASS_INTERNAL is our own side and
 * appears in pgtls_probe_internal_errors_total instead, never counted against the server. */
enum fault_class {
    FAULT_CLASS_NONE,
    FAULT_CLASS_NETWORK,
    FAULT_CLASS_PROTOCOL,
    FAULT_CLASS_SSL_CLOSE,
    FAULT_CLASS_CERTIFICATE,
    FAULT_CLASS_HBA,
    FAULT_CLASS_AUTH,
    FAULT_CLASS_CAPACITY,
    FAULT_CLASS_UNAVAILABLE,
    FAULT_CLASS_EXPECTATION, /* only where a refusal is expected: see model/expect.h */
    FAULT_CLASS_INTERNAL,
    FAULT_CLASS_COUNT
};

/* Label values of pgtls_hba_rejections_total{kind}. */
enum hba_kind {
    HBA_NONE,
    HBA_NO_ENTRY,
    HBA_REJECTED,
    HBA_NO_ENCRYPTION, /* our connection was plaintext */
    HBA_POOLER,
    HBA_UNSPECIFIED, /* the server's text is translated */
    HBA_KIND_COUNT
};

/* Label values of pgtls_probe_internal_errors_total{reason}. */
enum internal_reason {
    INTERNAL_NONE,
    INTERNAL_DESCRIPTORS,
    INTERNAL_MEMORY,
    INTERNAL_LOCAL_FILE, /* CA file, client certificate or key missing or broken */
    INTERNAL_SECRET,     /* password or user reference that cannot be read */
    INTERNAL_OTHER,
    INTERNAL_REASON_COUNT
};

/* enum fault. Each has its row in src/model/fault_rows.inc. */
#include "pgtls/model/fault_ids.h"

struct fault_row {
    const char *id;
    enum fault_class class;
    enum hba_kind hba;             /* counts as a pg_hba rejection of this kind */
    enum internal_reason internal; /* for class internal */
    const char *phases;            /* where it happens, for the reference: "startup, auth" */
    const char *meaning;           /* one sentence for people */
    const char *remedy;            /* one or two sentences: what to do */
};

/* The row of a fault; FAULT_NONE has id "" and class NONE. Never NULL. */
const struct fault_row *fault_row(enum fault fault);
/* False when there is none of this id. */
bool fault_from_id(const char *id, enum fault *fault);

const char *fault_class_name(enum fault_class class);          /* "ssl_close" … ; "" for none */
const char *hba_kind_name(enum hba_kind kind);                 /* "no_entry" … */
const char *internal_reason_name(enum internal_reason reason); /* "descriptors" … */
