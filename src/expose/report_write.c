/* Text for a terminal or a ticket. */
#include "report_write.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_WIDTH 80
#define RESET         "\x1b[0m"

static const char *const tints[TINT_COUNT] = {
    [TINT_GOOD] = "\x1b[32m", [TINT_BAD] = "\x1b[1;31m", [TINT_WARN] = "\x1b[33m",
    [TINT_DIM] = "\x1b[2m",   [TINT_STRONG] = "\x1b[1m",
};

static const struct {
    const char *unicode, *ascii;
    enum tint tint;
} marks[MARK_COUNT] = {
    [MARK_GOOD] = {"✓", "+", TINT_GOOD},
    [MARK_BAD] = {"✗", "x", TINT_BAD},
    [MARK_WARN] = {"!", "!", TINT_WARN},
    [MARK_NONE] = {"·", "-", TINT_DIM},
};

static void begin(const struct writer *w, enum tint tint)
{
    if (w->style->color && tints[tint])
        buf_add_str(w->to, tints[tint]);
}

static void end(const struct writer *w, enum tint tint)
{
    if (w->style->color && tints[tint])
        buf_add_str(w->to, RESET);
}

void write_text(const struct writer *w, enum tint tint, const char *text)
{
    if (*text == '\0')
        return;
    begin(w, tint);
    buf_add_str(w->to, text);
    end(w, tint);
}

void write_format(const struct writer *w, enum tint tint, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    begin(w, tint);
    buf_addv(w->to, format, args);
    end(w, tint);
    va_end(args);
}

void write_config(const struct writer *w, enum tint tint, const char *text)
{
    char cleaned[1024];

    str_clean(cleaned, sizeof cleaned, text, strlen(text));
    write_text(w, tint, cleaned);
}

enum tint mark_tint(enum mark mark)
{
    return marks[mark].tint;
}

void write_mark(const struct writer *w, enum mark mark)
{
    write_text(w, marks[mark].tint, w->style->unicode ? marks[mark].unicode : marks[mark].ascii);
}

void write_spaces(const struct writer *w, size_t n)
{
    buf_addf(w->to, "%*s", (int)n, "");
}

void write_padded(const struct writer *w, enum tint tint, const char *text, size_t columns)
{
    size_t used = text_columns(text);

    write_text(w, tint, text);
    write_spaces(w, used < columns ? columns - used : 0);
}

size_t text_columns(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

size_t style_width(const struct report_style *style)
{
    return style->width ? style->width : DEFAULT_WIDTH;
}

void write_wrapped(const struct writer *w, enum tint tint, const char *text, size_t column,
                   size_t indent)
{
    const size_t width = style_width(w->style);
    bool first = true;

    begin(w, tint);
    while (*text) {
        size_t len = strcspn(text, " "), columns = 0;

        for (size_t i = 0; i < len; i++)
            columns += ((unsigned char)text[i] & 0xC0) != 0x80;
        if (!first && column + 1 + columns > width) {
            end(w, tint);
            buf_addf(w->to, "\n%*s", (int)indent, "");
            begin(w, tint);
            column = indent;
        } else if (!first) {
            buf_add_char(w->to, ' ');
            column++;
        }
        first = false;
        buf_add(w->to, text, len);
        column += columns;
        text += len;
        text += strspn(text, " ");
    }
    end(w, tint);
    buf_add_char(w->to, '\n');
}

void duration_text(char to[DURATION_SIZE], int64_t ns)
{
    double ms = (double)ns / 1e6;

    if (ns < 0)
        ms = 0;
    if (ns >= 10 * NS_PER_S)
        snprintf(to, DURATION_SIZE, "%.1f s", ms / 1e3);
    else if (ns >= NS_PER_S)
        snprintf(to, DURATION_SIZE, "%.2f s", ms / 1e3);
    else
        snprintf(to, DURATION_SIZE, ns >= 100 * NS_PER_MS ? "%.0f ms" : "%.2f ms", ms);
}
