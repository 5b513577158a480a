/* How a line of the log is written: logfmt or JSON. */
#include "log_private.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static enum log_format style = LOG_FORMAT_LOGFMT;
static bool priority_shown;

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
static const char *const priorities[] = {"<7>", "<6>", "<4>", "<3>"}; /* syslog(3) */

void log_line_format(enum log_format format)
{
    style = format;
}

void log_show_priority(bool shown)
{
    priority_shown = shown;
}

bool log_level_from_name(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_from_name(const char *name, enum log_format *format)
{
    if (strcasecmp(name, "logfmt") == 0)
        *format = LOG_FORMAT_LOGFMT;
    else if (strcasecmp(name, "json") == 0)
        *format = LOG_FORMAT_JSON;
    else
        return false;
    return true;
}

/* A quoted string that both logfmt and JSON readers take. */
static void add_quoted(struct buf *b, const char *text)
{
    buf_add_char(b, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = str_utf8_sequence(p, strlen((const char *)p));

        if (*p == '"' || *p == '\\')
            buf_addf(b, "\\%c", *p);
        else if (*p == '\n')
            buf_add_str(b, "\\n");
        else if (*p < 0x20 || *p == 0x7F)
            buf_addf(b, "\\u%04x", *p);
        else if (n == 0)
            buf_add_str(b, "\\ufffd");
        else
            buf_add(b, p, n);
        p += n ? n : 1;
    }
    buf_add_char(b, '"');
}

static void add_logfmt_value(struct buf *b, const char *text)
{
    bool plain = *text != '\0';

    for (const char *p = text; *p && plain; p++)
        plain = (unsigned char)*p > 0x20 && (unsigned char)*p < 0x7F && !strchr("\"=\\", *p);
    if (plain)
        buf_add_str(b, text);
    else
        add_quoted(b, text);
}

static void add_first_pair(struct buf *b, const char *key, const char *value)
{
    if (style == LOG_FORMAT_JSON) {
        add_quoted(b, key);
        buf_add_char(b, ':');
        add_quoted(b, value);
        return;
    }
    buf_add_str(b, key);
    buf_add_char(b, '=');
    add_logfmt_value(b, value);
}

static void add_pair(struct buf *b, const char *key, const char *value)
{
    buf_add_char(b, style == LOG_FORMAT_JSON ? ',' : ' ');
    add_first_pair(b, key, value);
}

void log_line(struct buf *to, enum log_level level, const char *file, int line, const char *msg,
              const struct log_pair *pairs, size_t n)
{
    const char *slash = strrchr(file, '/');
    char when[STR_TIME_SIZE], source[128];

    str_time(when, clock_realtime_ns(), true);
    snprintf(source, sizeof source, "%s:%d", slash ? slash + 1 : file, line);
    if (priority_shown)
        buf_add_str(to, priorities[level]);
    if (style == LOG_FORMAT_JSON)
        buf_add_char(to, '{');
    add_first_pair(to, "time", when);
    add_pair(to, "level", level_names[level]);
    add_pair(to, "source", source);
    add_pair(to, "msg", msg);
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].value)
            add_pair(to, pairs[i].key, pairs[i].value);
    }
    buf_add_str(to, style == LOG_FORMAT_JSON ? "}\n" : "\n");
}
