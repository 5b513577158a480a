/* Escaping by default. */
#include "html.h"

#include "pgtls/base/str.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *entity(unsigned char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static uint32_t code_point(const unsigned char *p, size_t len)
{
    uint32_t code = len == 1 ? p[0] : p[0] & (0x7Fu >> len);

    for (size_t i = 1; i < len; i++)
        code = code << 6 | (p[i] & 0x3Fu);
    return code;
}

/* Characters that are not seen themselves, but change how others are. */
static const struct {
    uint32_t first, last;
} unseen[] = {
    {0x80, 0x9F},     /* C1 controls */
    {0xAD, 0xAD},     /* soft hyphen */
    {0x61C, 0x61C},   /* direction marks, embeddings, overrides, isolates: */
    {0x200B, 0x200F}, /* and zero widths */
    {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F},
};

static bool is_unseen(uint32_t code)
{
    for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++) {
        if (code >= unseen[i].first && code <= unseen[i].last)
            return true;
    }
    return false;
}

static void add_character(struct buf *to, const unsigned char *p, size_t len)
{
    uint32_t code = code_point(p, len);
    const char *escaped = len == 1 ? entity(p[0]) : NULL;

    if (escaped)
        buf_add_str(to, escaped);
    else if (code < 0x20 || code == 0x7F)
        buf_addf(to, "\\x%02x", (unsigned)code);
    else if (is_unseen(code))
        buf_addf(to, code > 0xFFFF ? "\\U%08x" : "\\u%04x", (unsigned)code);
    else
        buf_add(to, p, len);
}

void html_text(struct buf *to, const char *text)
{
    const unsigned char *p = (const unsigned char *)(text ? text : "");
    size_t left = strlen((const char *)p);

    while (left > 0) {
        size_t len = str_utf8_sequence(p, left);

        if (len > 0)
            add_character(to, p, len);
        else
            buf_addf(to, "\\x%02x", *p);
        p += len > 0 ? len : 1;
        left -= len > 0 ? len : 1;
    }
}

/* Adds the value of the conversion at `p` (behind its %); returns what follows it. */
#define STARTS(p, what) (strncmp(p, what, sizeof what - 1) == 0)
static const char *add_value(struct buf *to, const char *p, va_list *args)
{
    if (*p == 's') {
        html_text(to, va_arg(*args, const char *));
        return p + 1;
    }
    if (*p == 'd') {
        buf_addf(to, "%d", va_arg(*args, int));
        return p + 1;
    }
    if (*p == '%') {
        buf_add_char(to, '%');
        return p + 1;
    }
    if (STARTS(p, "zu")) {
        buf_add_u64(to, va_arg(*args, size_t));
        return p + 2;
    }
    if (STARTS(p, ".1f")) {
        buf_addf(to, "%.1f", va_arg(*args, double));
        return p + 3;
    }
    if (STARTS(p, "lld")) {
        buf_addf(to, "%lld", va_arg(*args, long long));
        return p + 3;
    }
    abort(); /* a template of ours that says something else: no test lets it pass */
}

void html_addf(struct buf *to, const char *markup, ...)
{
    va_list args;

    va_start(args, markup);
    while (*markup) {
        size_t plain = strcspn(markup, "%");

        buf_add(to, markup, plain);
        markup += plain;
        if (*markup)
            markup = add_value(to, markup + 1, &args);
    }
    va_end(args);
}

void url_add(struct buf *to, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~:";

    for (; *text; text++) {
        if (strchr(plain, *text))
            buf_add_char(to, *text);
        else
            buf_addf(to, "%%%02X", (unsigned)(unsigned char)*text);
    }
}
