#pragma once
/* The sections of a report's text, one function each; report.c puts them in order. */
#include "report_facts.h"
#include "report_write.h"

/* Everything in a section is indented by this much. */
#define REPORT_INDENT 2

void section_timeline(const struct writer *w, const struct report *r);
void section_certificates(const struct writer *w, const struct report *r);
