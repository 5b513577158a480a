#pragma once
/* The sections of a report's text, one function each; report.c puts them in order. */
#include "report_facts.h"
#include "report_write.h"

/* Everything in a section is indented by this much. */
#define REPORT_INDENT 2

/* "  label      value", wrapped. `columns`: the width of labels. */
void section_pair(const struct writer *w, const char *label, size_t columns, enum tint tint,
                  const char *value);

void section_timeline(const struct writer *w, const struct report *r);
void section_certificates(const struct writer *w, const struct report *r);
