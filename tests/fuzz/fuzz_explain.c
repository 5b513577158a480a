/* Any text as libpq's reason for a login that failed, in any phase: it becomes an evidence, and the
 * evidence one name of the catalogue, always the same. */
#include "login_text.h"

#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0)
        return 0;
    text = text_of(data + 1, size - 1);
    for (int twice = 0; twice < 2; twice++) {
        static enum fault first;
        struct evidence e = EVIDENCE_INIT;
        enum fault fault, again;

        e.probe = PROBE_LOGIN;
        e.phase = (enum phase)(data[0] % PHASE_COUNT);
        login_explain(text, &e);
        require(e.end != END_NONE && e.end < END_KIND_COUNT && e.tls_alert < 256);
        fault = fault_classify(&e);
        require(fault != FAULT_NONE && (size_t)fault < FAULT_COUNT);
        require(fault_from_id(fault_row(fault)->id, &again) && again == fault);
        require(twice == 0 || fault == first);
        first = fault;
    }
    free(text);
    return 0;
}
