/* What every reader of values asks of its input. */
#include "input.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"

#include <stdarg.h>
#include <string.h>

bool refuse(const struct input *in, const char *format, ...)
{
    struct buf b = BUF_INIT(1024);
    va_list args;

    va_start(args, format);
    buf_addv(&b, format, args);
    va_end(args);
    if (in->reader->cluster)
        buf_addf(&b, " (endpoint \"%s\" of cluster \"%s\")", in->reader->endpoint,
                 in->reader->cluster);
    report_error(in->reader->report, in->at, "%s: %s", in->what, buf_text(&b));
    buf_deinit(&b);
    in->layer->bad = true;
    return false;
}

const char *shown(char to[SHOWN_SIZE], const char *text)
{
    if (strstr(text, "://") || strstr(text, "password") || strchr(text, '@'))
        return "…";
    str_clean(to, SHOWN_SIZE, text, strlen(text));
    return to;
}

bool check_text(const struct input *in, size_t max)
{
    const unsigned char *p = (const unsigned char *)in->text;
    size_t step;

    if (in->len == 0)
        return refuse(in, "empty; leave it out or give a value");
    if (in->len > max)
        return refuse(in, "%zu bytes long; at most %zu are allowed", in->len, max);
    for (size_t i = 0; i < in->len; i += step) {
        step = str_utf8_sequence(p + i, in->len - i);
        if (step == 0)
            return refuse(in, "not UTF-8 at byte %zu", i + 1);
        if (p[i] < ' ' || p[i] == 0x7F || (p[i] == 0xC2 && p[i + 1] < 0xA0))
            return refuse(in, "a control character at byte %zu", i + 1);
    }
    return true;
}

bool keep_text(const struct input *in, struct setting *to, const char *text)
{
    to->text = text;
    if (text)
        return true;
    report_no_memory(in->reader->report);
    in->layer->bad = true;
    return false;
}

bool check_variable(const struct input *in)
{
    const char *name = in->text;

    if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") !=
            in->len ||
        in->len == 0 || (name[0] >= '0' && name[0] <= '9'))
        return refuse(in, "not the name of an environment variable; write it without \"$\"");
    return true;
}
