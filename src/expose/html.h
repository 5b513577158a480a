#pragma once
/* Markup: text is escaped unless it is ours. Whatever a server, a certificate or a configuration
 * says reaches a page through one of these, as text that is seen, never as markup. */
#include "pgtls/base/buf.h"

/* Text, for element contents and quoted attributes: markup is escaped, control characters and those
 * that turn the direction of writing or have no width show as \x1b or \u202e, bytes that are no
 * UTF-8 as \xff. NULL is "". */
void html_text(struct buf *to, const char *text);

/* Markup with values in it, as printf has them: %s is a text (escaped as above), and there are %d,
 * %zu, %lld, %.1f and %%; nothing else. */
void html_addf(struct buf *to, const char *markup, ...) __attribute__((format(printf, 2, 3)));

/* A value for the query of a URL, percent-encoded but for letters, digits and "-._~:". */
void url_add(struct buf *to, const char *text);
