/* An observation's life: it owns three references and nothing else. */
#include "pgtls/model/observation.h"

void observation_init(struct observation *o, enum probe_kind probe)
{
    *o = (struct observation){.probe = probe, .tls_alert = -1};
}

bool observation_entered(const struct observation *o)
{
    return o->fault == FAULT_NONE && o->expected == FAULT_NONE;
}

void observation_deinit(struct observation *o)
{
    chain_unref(o->chain);
    pem_unref(o->anchors);
    certificate_file_unref(o->certificate_file);
    o->chain = NULL;
    o->anchors = NULL;
    o->certificate_file = NULL;
}
