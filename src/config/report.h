#pragma once
/* Collects the messages of one loading: "name:line:column: text", in the order of the files. */
#include "pgtls/config/config.h"

/* One file, or what stands for one: a connection string, a list of discovered targets. */
struct origin {
    const char *name;      /* as messages say it */
    const char *directory; /* with its slash: relative paths start there. "" if none */
    unsigned order;        /* among those of one loading */
    size_t errors;         /* reported so far */
};

/* Where something stands, line and column from 1; line 0: nowhere in particular. */
struct place {
    unsigned line, column;
    struct origin *origin; /* NULL: whatever is loaded as a whole */
};

struct report {
    struct config_messages *messages; /* filled from empty */
    const char *name;                 /* of the whole */
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

/* Where else something stands, told at `here`: "on line 3", or "in other.yml on line 3". */
#define PLACE_SIZE 256
const char *place_text(char to[PLACE_SIZE], struct place there, struct place here);

/* Puts the messages in the order of the files. */
void report_finish(struct report *r);
