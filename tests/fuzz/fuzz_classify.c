/* model/classify: any evidence, with the fields of any ErrorResponse, gets a name of the catalogue.
 * The first bytes of the input choose how the connection ended, the rest is what the server sent.
 */
#include "pgtls/model/evidence.h"

#include "pgtls/pg/wire.h"
#include "target.h"

#define HEAD 12

static struct evidence evidence_of(const uint8_t *data, size_t size)
{
    struct evidence e = EVIDENCE_INIT;
    uint8_t flags = data[11];

    e.end = (enum end_kind)(data[0] % (END_KIND_COUNT + 2)); /* also beyond the last */
    e.phase = (enum phase)(data[1] % (PHASE_COUNT + 2));
    e.how = (enum close_how)(data[2] % (CLOSE_COUNT + 2));
    e.local = (enum internal_reason)(data[3] % (INTERNAL_REASON_COUNT + 2));
    e.resolve = (enum resolve_status)(data[4] % 8);
    e.ssl_reason = (enum tls_reason)(data[5] % 8);
    e.auth_client = (enum auth_client_error)(data[6] % 8);
    e.sys_errno = data[7];
    e.tls_alert = (int)data[8] - 1;
    e.verify_code = data[9];
    e.auth_request = (int)data[10] - 1;
    e.ssl_answer = data[7];
    e.ssl_answer_seen = flags & 1;
    e.extra_after_answer = flags & 2;
    e.tls_in_use = flags & 4;
    e.client_certificate = flags & 8;
    e.certificate_requested = flags & 16;
    e.auth_ok = flags & 32;
    e.hostname_mismatch = flags & 64;
    e.verify_depth = flags >> 7;
    wire_error_fields(data + HEAD, size - HEAD, &e.error);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct evidence e;
    enum fault fault, again;

    if (size < HEAD)
        return 0;
    e = evidence_of(data, size);
    fault = fault_classify(&e);
    if ((size_t)fault >= FAULT_COUNT || (fault == FAULT_NONE) != (e.end == END_NONE))
        abort();
    /* One name, and always the same: what is told of it is found by it. */
    require(fault_classify(&e) == fault && fault_row(fault)->id);
    require(fault == FAULT_NONE || (fault_from_id(fault_row(fault)->id, &again) && again == fault &&
                                    fault_class_name(fault_row(fault)->class)[0] != '\0'));
    return 0;
}
