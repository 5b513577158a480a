#pragma once
/* Certificates in the health document. */
#include "pgtls/model/fleet.h"

#include <jansson.h>

/* The server's certificate, and its certificate_file. Call under the lock. */
json_t *health_certificate(const struct server_state *s);
json_t *health_certificate_file(const struct server_state *s);

/* Do servers show the same certificate, and if not: which two do not? Takes their locks. */
json_t *health_agreement(const struct fleet_view *view, const struct agreement *agreement,
                         enum same_certificate among);
