/* Tells results in the order of the servers. */
#include "teller.h"

#include "pgtls/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REPORT_MAX_BYTES ((size_t)4 * 1024 * 1024) /* of one server; certificates are bounded */
#define MIN_WIDTH        60
#define MAX_WIDTH        110 /* longer lines are not read better */

/* --- how it looks ----------------------------------------------------------------------------- */

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value && *value;
}

static bool wants_color(enum color_when when)
{
    const char *term = getenv("TERM");

    if (when != COLOR_AUTO)
        return when == COLOR_ALWAYS;
    return isatty(STDOUT_FILENO) && !is_set("NO_COLOR") && !(term && strcmp(term, "dumb") == 0);
}

/* By the environment alone: setlocale() would change libpq's texts and the way numbers are read. */
static bool locale_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static size_t terminal_width(void)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 0;
    return size.ws_col < MIN_WIDTH ? MIN_WIDTH : size.ws_col > MAX_WIDTH ? MAX_WIDTH : size.ws_col;
}

struct report_style teller_style(enum color_when when)
{
    return (struct report_style){
        .color = wants_color(when), .unicode = locale_is_utf8(), .width = terminal_width()};
}

/* --- results ---------------------------------------------------------------------------------- */

bool teller_write(struct buf *text)
{
    bool ok = !text->failed && fwrite(buf_text(text), 1, text->len, stdout) == text->len &&
              fflush(stdout) == 0;

    buf_deinit(text);
    return ok;
}

bool teller_init(struct teller *t, enum teller_form form, const struct report_style *style,
                 bool named, const struct endpoint_set *set, const struct endpoint_set *left)
{
    struct buf text = BUF_INIT(REPORT_MAX_BYTES);

    *t = (struct teller){.form = form, .style = *style, .named = named, .set = set, .left = left};
    t->results = calloc(set->n_servers + 1, sizeof *t->results);
    if (!t->results)
        return false;
    for (size_t i = 0; i < set->n_servers; i++)
        report_columns_add(&t->columns, &set->servers[i]);
    for (size_t i = 0; i < left->n_servers; i++)
        report_columns_add(&t->columns, &left->servers[i]);
    if (form == TELL_TABLE)
        report_line_head(&t->columns, style, &text);
    else if (form == TELL_JSON)
        report_json_begin(&text);
    t->failed = !teller_write(&text);
    return true;
}

static void drop(struct told *told)
{
    observation_deinit(&told->inspect);
    observation_deinit(&told->login);
}

void teller_deinit(struct teller *t)
{
    for (size_t i = t->next; t->results && i < t->set->n_servers; i++)
        drop(&t->results[i]);
    free(t->results);
}

void teller_keep(struct teller *t, size_t i, const struct observation *o)
{
    struct told *told = &t->results[i];
    struct observation *to = o->probe == PROBE_LOGIN ? &told->login : &told->inspect;

    observation_deinit(to);
    *to = *o;
    to->chain = chain_ref(o->chain);
    to->certificate_file = certificate_file_ref(o->certificate_file);
    to->anchors = NULL; /* nobody is shown these */
    to->client_certificate = NULL;
    told->has_inspect |= o->probe == PROBE_INSPECT;
    told->has_login |= o->probe == PROBE_LOGIN;
}

static void tell(struct teller *t, size_t i)
{
    const struct told *told = &t->results[i];
    struct report r = {.server = &t->set->servers[i],
                       .named = t->named,
                       .inspect = &told->inspect,
                       .login = told->has_login ? &told->login : NULL,
                       .sslmodes = &told->sslmodes};
    struct buf text = BUF_INIT(REPORT_MAX_BYTES);

    memcpy(r.notes, told->notes, sizeof r.notes);
    t->counts[report_status(&r)]++;
    switch (t->form) {
    case TELL_REPORTS:
        if (i > 0)
            buf_add_str(&text, "\n\n");
        report_text(&r, &t->style, &text);
        break;
    case TELL_TABLE:
        report_line(&r, &t->columns, &t->style, &text);
        break;
    case TELL_JSON:
        t->failed |= !report_json_add(&r, i == 0, &text);
        break;
    }
    t->failed |= !teller_write(&text);
}

void teller_complete(struct teller *t, size_t i, const struct sslmode_facts *sslmodes)
{
    t->results[i].sslmodes = *sslmodes;
    t->results[i].complete = true;
    for (; t->next < t->set->n_servers && t->results[t->next].complete; t->next++) {
        tell(t, t->next);
        drop(&t->results[t->next]);
    }
}

void teller_end(struct teller *t)
{
    struct buf text = BUF_INIT(REPORT_MAX_BYTES);

    if (t->form == TELL_TABLE) {
        for (size_t i = 0; i < t->left->n_servers; i++)
            report_line_left(&t->left->servers[i], &t->columns, &t->style, &text);
        report_line_sum(t->counts, t->left->n_servers, &t->style, &text);
    } else if (t->form == TELL_JSON) {
        t->failed |= !report_json_end(t->counts, t->left, &text);
    }
    t->failed |= !teller_write(&text);
}
