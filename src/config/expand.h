#pragma once
/* Placeholders: "{cluster}" in a value stands for what is in force at the endpoint at hand.
 *
 * The names are cluster, endpoint, host, port, dbname, user and the user's own (`vars`); "{{" and
 * "}}" are braces themselves. What a placeholder stands for may hold placeholders again. A value
 * that names itself (user: "{user}_ro") means what the outer levels say. */
#include "keys.h"

struct building;
struct endpoint_source;

/* Reads what is deferred at this endpoint: into `own`, a zeroed layer that is added as the
 * innermost one; a connection string into a copy of its layer, which takes its place until the next
 * endpoint is expanded. Every error is reported, and some layer is bad then. */
void expand_endpoint(struct building *b, struct endpoint_source *source, struct layer *own);

/* The value of a label of layer `layer`, expanded; NULL after an error, which is reported. */
const char *expand_label(struct building *b, struct endpoint_source *source,
                         const struct named_text *text, const struct setting *labels, size_t layer);
