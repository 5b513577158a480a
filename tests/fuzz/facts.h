#pragma once
/* What holds for the facts of any certificate, wherever it came from. */
#include "pgtls/model/certificate.h"

#include "target.h"

static inline void check_facts(const struct certificate *c)
{
    check_text(c->subject, sizeof c->subject);
    check_text(c->issuer, sizeof c->issuer);
    check_text(c->serial, sizeof c->serial);
    check_text(c->key, sizeof c->key);
    check_text(c->signature, sizeof c->signature);
    check_text(c->sans, sizeof c->sans);
    require(strlen(c->fingerprint_sha256) == 64);
    require(strlen(c->public_key_sha256) == 64 || c->public_key_sha256[0] == '\0');
    require(c->position < POSITION_COUNT);
}
