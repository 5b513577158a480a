#pragma once
/* What text and JSON of a report both tell, derived from the observations once. */
#include "pgtls/expose/report.h"

#include <stdint.h>

/* What became of a phase. */
enum phase_end {
    PHASE_COMPLETED,
    PHASE_FAILED,
    PHASE_NOT_REACHED, /* the probe failed before it */
    PHASE_NOT_NEEDED,  /* an address needs no dns, sslmode=disable no tls */
    PHASE_NOT_TRIED,   /* no user to start up as, no login wanted */
    PHASE_END_COUNT
};
const char *phase_end_name(enum phase_end end); /* "completed", "not_reached" … */

struct phase_fact {
    enum phase_end end;
    int64_t duration_ns; /* completed, or what a failed one had taken when it failed */
};
/* dns to startup as the inspect saw them, auth and query as the login did. */
void report_phases(const struct report *r, struct phase_fact phases[PHASE_COUNT]);

/* The phase to blame. A login that our own side kept from starting has none of its own: auth. */
enum phase report_phase(const struct report *r);

/* Where it failed, for a headline: "in tls", "on our own side". */
#define WHERE_SIZE 32
void report_where(const struct report *r, char to[WHERE_SIZE]);

/* Wall time of the probes. */
int64_t report_duration_ns(const struct report *r);

/* When it was over, which is what days left are counted from. */
int64_t report_time_ns(const struct report *r);

/* The latest that is known, the login's before the inspect's; NULL when neither knows. */
const char *report_server_version(const struct report *r);
const char *report_auth_method(const struct report *r);

/* One promise: what was promised and found in words, "" where that is not known. */
struct promise_fact {
    enum verdict kept; /* UNKNOWN: not promised, or not measured */
    bool made;
    char promised[512], found[320];
};
void report_promise(const struct report *r, enum promise promise, struct promise_fact *fact);

/* "promises pooled and addresses are broken" */
#define BROKEN_SIZE 128
void report_broken(const struct report *r, char to[BROKEN_SIZE]);

/* Why a promise was not measured, for people. */
const char *report_promise_silence(const struct report *r, enum promise promise);

/* Which of several the worst is: down before unknown, as the exit status has it. */
enum status report_worst(const size_t counts[STATUS_COUNT]);

/* Which sslmodes work; all unknown when nobody asked. */
void report_sslmodes(const struct report *r, struct sslmode_verdict verdicts[SSLMODE_COUNT]);

/* What can be concluded from a failure beyond its catalogue row, or NULL. */
const char *report_conclusion(const struct report *r);

/* Days until then, negative when over. */
double days_left(const struct report *r, int64_t not_after);

/* "89 days left", "expired 2 days ago" */
#define DAYS_LEFT_SIZE 48
#define FEW_DAYS       21 /* left, at which people should look */
void days_left_text(char to[DAYS_LEFT_SIZE], double days);
