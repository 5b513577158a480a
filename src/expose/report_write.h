#pragma once
/* Text for a terminal or a ticket: colours, marks, wrapping, columns. */
#include "pgtls/expose/report.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

enum tint { TINT_NONE, TINT_GOOD, TINT_BAD, TINT_WARN, TINT_DIM, TINT_STRONG, TINT_COUNT };
enum mark { MARK_GOOD, MARK_BAD, MARK_WARN, MARK_NONE, MARK_COUNT };

struct writer {
    struct buf *to;
    const struct report_style *style;
};

void write_text(const struct writer *w, enum tint tint, const char *text);
void write_format(const struct writer *w, enum tint tint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Text of the configuration, which may hold anything. */
void write_config(const struct writer *w, enum tint tint, const char *text);

/* One column: the mark of a line that is good, bad, worth a look, or none of these. */
void write_mark(const struct writer *w, enum mark mark);
enum tint mark_tint(enum mark mark);

void write_spaces(const struct writer *w, size_t n);
/* The text, then spaces up to `columns`. */
void write_padded(const struct writer *w, enum tint tint, const char *text, size_t columns);

/* Words from the present column on; further lines begin at `indent`. Ends in a newline. */
void write_wrapped(const struct writer *w, enum tint tint, const char *text, size_t column,
                   size_t indent);

/* "0.92 ms", "5.00 s" */
#define DURATION_SIZE 24
void duration_text(char to[DURATION_SIZE], int64_t ns);

/* Columns a text takes on a terminal: its code points. */
size_t text_columns(const char *text);
size_t style_width(const struct report_style *style);
