#pragma once
/* Collects the messages of one loading: "name:line:column: text", in the order of the file. */
#include "pgtls/config/config.h"

/* Where something stands, both from 1; line 0: nowhere in particular. */
struct place {
    unsigned line, column;
};

struct report {
    struct config_messages *messages; /* filled from empty */
    const char *name;                 /* of the file */
    struct place places[CONFIG_MAX_MESSAGES];
};

void report_start(struct report *r, const char *name, struct config_messages *messages);

/* A message that is already there word for word is not repeated: what many endpoints inherit is
 * said once. */
void report_error(struct report *r, struct place at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_warning(struct report *r, struct place at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_no_memory(struct report *r);

/* Puts the messages in the order of the file. */
void report_finish(struct report *r);
