/* The fault catalogue: one row per id of model/fault_ids.h, held together at compile time.
 *
 * The rows are in fault_rows.inc, read twice: once to count them, once to build the table. A
 * missing row breaks the count, a row given twice overrides an initializer, which is an error
 * under this project's warnings, and a row without an id does not compile. */
#include "pgtls/model/fault.h"

#include "pgtls/base/str.h"

#include <string.h>

/* The ids as members, because the address of one is a constant that a static table may hold. */
static const struct {
#define FAULT_MEMBER(name, text) char name[sizeof text];
    FAULT_IDS(FAULT_MEMBER)
#undef FAULT_MEMBER
} ids = {
#define FAULT_TEXT(name, text) text,
    FAULT_IDS(FAULT_TEXT)
#undef FAULT_TEXT
};

enum {
    ROW_COUNT = 0
#define ROW(...)     +1
#define HBA_ROW(...) +1
#define OWN_ROW(...) +1
#include "fault_rows.inc"
#undef ROW
#undef HBA_ROW
#undef OWN_ROW
};
_Static_assert(ROW_COUNT == FAULT_COUNT - 1, "every id of fault_ids.h has a row, and no other");

/* ROW(name, class, phases, meaning, remedy): a fault of the server or on the way to it.
 * HBA_ROW(name, kind, …): the same, counted as a pg_hba rejection of that kind.
 * OWN_ROW(name, reason, meaning, remedy): our own side; possible in any phase. */
#define ROW(name, which, where, what, how)                                                         \
    [FAULT_##name] = {.id = ids.name,                                                              \
                      .class = FAULT_CLASS_##which,                                                \
                      .phases = where,                                                             \
                      .meaning = what,                                                             \
                      .remedy = how},
#define HBA_ROW(name, kind, where, what, how)                                                      \
    [FAULT_##name] = {.id = ids.name,                                                              \
                      .class = FAULT_CLASS_HBA,                                                    \
                      .hba = HBA_##kind,                                                           \
                      .phases = where,                                                             \
                      .meaning = what,                                                             \
                      .remedy = how},
#define OWN_ROW(name, reason, what, how)                                                           \
    [FAULT_##name] = {.id = ids.name,                                                              \
                      .class = FAULT_CLASS_INTERNAL,                                               \
                      .internal = INTERNAL_##reason,                                               \
                      .phases = "any",                                                             \
                      .meaning = what,                                                             \
                      .remedy = how},
static const struct fault_row rows[FAULT_COUNT] = {
    [FAULT_NONE] = {.id = "", .phases = "", .meaning = "", .remedy = ""},
#include "fault_rows.inc"
};
#undef ROW
#undef HBA_ROW
#undef OWN_ROW

static const char *const class_names[FAULT_CLASS_COUNT] = {
    [FAULT_CLASS_NONE] = "",
    [FAULT_CLASS_NETWORK] = "network",
    [FAULT_CLASS_PROTOCOL] = "protocol",
    [FAULT_CLASS_SSL_CLOSE] = "ssl_close",
    [FAULT_CLASS_CERTIFICATE] = "certificate",
    [FAULT_CLASS_HBA] = "hba",
    [FAULT_CLASS_AUTH] = "auth",
    [FAULT_CLASS_CAPACITY] = "capacity",
    [FAULT_CLASS_UNAVAILABLE] = "unavailable",
    [FAULT_CLASS_EXPECTATION] = "expectation",
    [FAULT_CLASS_INTERNAL] = "internal",
};

static const char *const hba_kind_names[HBA_KIND_COUNT] = {
    [HBA_NONE] = "",
    [HBA_NO_ENTRY] = "no_entry",
    [HBA_REJECTED] = "rejected",
    [HBA_NO_ENCRYPTION] = "no_encryption",
    [HBA_POOLER] = "pooler",
    [HBA_UNSPECIFIED] = "unspecified",
};

static const char *const internal_reason_names[INTERNAL_REASON_COUNT] = {
    [INTERNAL_NONE] = "",         [INTERNAL_DESCRIPTORS] = "descriptors",
    [INTERNAL_MEMORY] = "memory", [INTERNAL_LOCAL_FILE] = "local_file",
    [INTERNAL_SECRET] = "secret", [INTERNAL_OTHER] = "other",
};

const struct fault_row *fault_row(enum fault fault)
{
    return &rows[(size_t)fault < FAULT_COUNT ? (size_t)fault : FAULT_NONE];
}

bool fault_from_id(const char *id, enum fault *fault)
{
    for (size_t i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        if (strcmp(rows[i].id, id) == 0) {
            *fault = (enum fault)i;
            return true;
        }
    }
    return false;
}

const char *fault_class_name(enum fault_class class)
{
    return str_name(class_names, FAULT_CLASS_COUNT, (size_t) class);
}

const char *hba_kind_name(enum hba_kind kind)
{
    return str_name(hba_kind_names, HBA_KIND_COUNT, (size_t)kind);
}

const char *internal_reason_name(enum internal_reason reason)
{
    return str_name(internal_reason_names, INTERNAL_REASON_COUNT, (size_t)reason);
}
