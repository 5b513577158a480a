/* Collects the messages of one loading. */
#include "report.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX_BYTES ((size_t)2048)

void config_messages_deinit(struct config_messages *messages)
{
    for (size_t i = 0; i < messages->n; i++)
        free(messages->items[i].text);
    messages->n = messages->errors = messages->warnings = 0;
    messages->no_memory = false;
}

void report_start(struct report *r, const char *name, struct config_messages *messages)
{
    messages->n = messages->errors = messages->warnings = 0;
    messages->no_memory = false;
    r->messages = messages;
    r->name = name;
}

const char *place_text(char to[PLACE_SIZE], struct place there, struct place here)
{
    struct buf b = BUF_INIT(PLACE_SIZE - 1);

    if (there.origin != here.origin && there.origin)
        buf_addf(&b, "in %s", there.origin->name);
    if (there.line > 0)
        buf_addf(&b, "%son line %u", b.len ? " " : "", there.line);
    str_copy(to, PLACE_SIZE, buf_text(&b));
    buf_deinit(&b);
    return to;
}

static bool already_said(const struct config_messages *messages, const char *text)
{
    for (size_t i = 0; i < messages->n; i++) {
        if (strcmp(messages->items[i].text, text) == 0)
            return true;
    }
    return false;
}

/* Takes over the text in `b`. */
static void keep(struct report *r, enum config_severity severity, struct place at, struct buf *b)
{
    struct config_messages *messages = r->messages;

    if (b->data && already_said(messages, b->data)) {
        buf_deinit(b);
        return;
    }
    ++*(severity == CONFIG_ERROR ? &messages->errors : &messages->warnings);
    if (severity == CONFIG_ERROR && at.origin)
        at.origin->errors++;
    if (b->data && messages->n < CONFIG_MAX_MESSAGES) {
        r->places[messages->n] = at;
        messages->items[messages->n++] = (struct config_message){
            severity, b->data, at.origin ? at.origin->order : CONFIG_ALL_INPUTS, false};
    } else {
        buf_deinit(b);
    }
}

__attribute__((format(printf, 4, 0))) static void report(struct report *r,
                                                         enum config_severity severity,
                                                         struct place at, const char *format,
                                                         va_list args)
{
    struct buf b = BUF_INIT(MESSAGE_MAX_BYTES);

    buf_add_str(&b, at.origin ? at.origin->name : r->name);
    if (at.line > 0)
        buf_addf(&b, ":%u:%u", at.line, at.column);
    buf_add_str(&b, ": ");
    buf_addv(&b, format, args);
    keep(r, severity, at, &b);
}

void report_error(struct report *r, struct place at, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(r, CONFIG_ERROR, at, format, args);
    va_end(args);
}

void report_warning(struct report *r, struct place at, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(r, CONFIG_WARNING, at, format, args);
    va_end(args);
}

void report_no_memory(struct report *r)
{
    r->messages->no_memory = true;
    report_error(r, (struct place){0}, "out of memory");
}

static unsigned order_of(struct place place)
{
    return place.origin ? place.origin->order : 0;
}

static bool comes_after(struct place a, struct place b)
{
    if (order_of(a) != order_of(b))
        return order_of(a) > order_of(b);
    return a.line != b.line ? a.line > b.line : a.column > b.column;
}

/* Insertion sort: stable, and at most CONFIG_MAX_MESSAGES. */
void report_finish(struct report *r)
{
    struct config_message *items = r->messages->items;

    for (size_t i = 1; i < r->messages->n; i++) {
        struct config_message item = items[i];
        struct place at = r->places[i];
        size_t j = i;

        for (; j > 0 && comes_after(r->places[j - 1], at); j--) {
            items[j] = items[j - 1];
            r->places[j] = r->places[j - 1];
        }
        items[j] = item;
        r->places[j] = at;
    }
}
