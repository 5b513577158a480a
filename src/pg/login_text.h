#pragma once
/* What libpq's error text tells, where nothing better is left: a handshake that failed inside libpq
 * (the SSL object is gone by then), a local file, a refusal of libpq's own. The texts are libpq's
 * sources', in English as long as nobody calls setlocale(); a server cannot write them, because its
 * messages end a login before libpq sees them. */
#include "pgtls/model/evidence.h"

#include <stdbool.h>

/* Fills end and what belongs to it, by e->phase and the text. END_CLOSED without a `how`: ask the
 * socket. */
void login_explain(const char *text, struct evidence *e);
