#pragma once
/* Tells results on stdout in the order of the servers, each as soon as all before it are told. */
#include "pgtls/app/flags.h"
#include "pgtls/expose/report.h"

enum teller_form { TELL_REPORTS, TELL_TABLE, TELL_JSON };

/* One server's results until they are told. */
struct told {
    struct observation inspect, login;
    struct sslmode_facts sslmodes;
    bool has_inspect, has_login, complete;
    const char *notes[REPORT_MAX_NOTES]; /* borrowed */
};

struct teller {
    enum teller_form form;
    struct report_style style;
    bool named; /* servers have a cluster and an endpoint worth showing */
    const struct endpoint_set *set, *left; /* left: those that are left alone on purpose */
    struct told *results;                  /* one per server of the set */
    size_t next;                           /* the first that is not told yet */
    struct report_columns columns;
    size_t counts[STATUS_COUNT];
    bool failed; /* stdout takes no more, or out of memory */
};

/* False when out of memory. */
bool teller_init(struct teller *t, enum teller_form form, const struct report_style *style,
                 bool named, const struct endpoint_set *set, const struct endpoint_set *left);
void teller_deinit(struct teller *t);

/* Takes over what is worth keeping of an observation (references are taken). */
void teller_keep(struct teller *t, size_t i, const struct observation *o);

/* Nothing more will come of server i. */
void teller_complete(struct teller *t, size_t i, const struct sslmode_facts *sslmodes);

/* After the last one. */
void teller_end(struct teller *t);

/* How this process writes: `when` and stdout's terminal decide. */
struct report_style teller_style(enum color_when when);

/* Writes to stdout at once; false when it takes no more. */
bool teller_write(struct buf *text);
