#pragma once
/* The parts of fault_classify(), for classify*.c only. Pure; FAULT_NONE means "not decided here".
 */
#include "pgtls/model/evidence.h"

/* What an ErrorResponse says. Never FAULT_NONE. */
enum fault classify_error_response(const struct evidence *e);

/* What a message means that poolers, proxies and managed services send: they have no routine to go
 * by and often only one SQLSTATE. The texts are theirs and are never translated. */
enum fault classify_message(const struct pg_error *error);
