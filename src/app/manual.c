/* Manual pages in the man(7) macros. */
#include "manual.h"

#include "flags_table.h"
#include "pgtls/base/buf.h"
#include "pgtls/config/config.h"
#include "pgtls_version.h"

#include <string.h>

#define PAGE_MAX_BYTES ((size_t)1024 * 1024)
#define CELLS          4 /* of the widest table */
#define USAGE_INDENT   strlen("usage: ")

/* --- text ------------------------------------------------------------------------------------- */

static void add_escaped(struct buf *to, char c)
{
    if (c == '\\')
        buf_add_str(to, "\\e");
    else if (c == '-')
        buf_add_str(to, "\\-");
    else
        buf_add_char(to, c);
}

/* A line of text as it is: what looks like a macro is none. */
static void add_literal(struct buf *to, const char *text, size_t len)
{
    if (len > 0 && (text[0] == '.' || text[0] == '\''))
        buf_add_str(to, "\\&");
    for (size_t i = 0; i < len; i++)
        add_escaped(to, text[i]);
}

/* The length of "[text](target)" at the start, and of its text; 0: there is none. */
static size_t link_length(const char *text, const char *end, size_t *label)
{
    const char *middle = memchr(text, ']', (size_t)(end - text)), *close;

    if (!middle || middle + 1 >= end || middle[1] != '(')
        return 0;
    close = memchr(middle, ')', (size_t)(end - middle));
    *label = (size_t)(middle - text) - 1;
    return close ? (size_t)(close + 1 - text) : 0;
}

/* Markdown within a line: `code` becomes bold, *emphasis* italic, a link its text. */
static void add_inline(struct buf *to, const char *text, size_t len)
{
    const char *end = text + len;
    bool code = false, emphasis = false;

    if (len > 0 && (*text == '.' || *text == '\''))
        buf_add_str(to, "\\&");
    while (text < end) {
        size_t label = 0, link = *text == '[' && !code ? link_length(text, end, &label) : 0;

        if (link > 0) {
            add_inline(to, text + 1, label);
            text += link;
            continue;
        }
        if (*text == '`') {
            code = !code;
            buf_add_str(to, code ? "\\fB" : "\\fR");
        } else if (*text == '*' && !code) {
            emphasis = !emphasis;
            buf_add_str(to, emphasis ? "\\fI" : "\\fR");
        } else if (*text != '\\' || text + 1 == end || text[1] != '|') {
            add_escaped(to, *text);
        }
        text++;
    }
}

static void add_title(struct buf *to, const char *name, const char *section, const char *what)
{
    bool dated = PGTLS_BUILD_DATE[0] >= '0' && PGTLS_BUILD_DATE[0] <= '9'; /* or "unknown" */

    buf_addf(to,
             ".\\\" Printed by pgtls_docs; do not edit.\n"
             ".TH %s %s \"%s\" \"pgtls_exporter %s\" \"%s\"\n",
             name, section, dated ? PGTLS_BUILD_DATE : "", PGTLS_VERSION, what);
}

/* --- Markdown --------------------------------------------------------------------------------- */

/* All of it is bold already. */
static void add_heading(struct buf *to, const char *text, size_t len)
{
    buf_add_str(to, ".SH \"");
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '`')
            add_escaped(to, text[i]);
    }
    buf_add_str(to, "\"\n");
}

/* A row of a table: the first cell is what the others are about; the last tells it. */
static void add_row(struct buf *to, const char *line, size_t len)
{
    const char *cells[CELLS], *at = line + 1, *end = line + len;
    size_t lengths[CELLS], n = 0;

    for (const char *c = at; c < end && n < CELLS; c++) {
        if (*c != '|' || c[-1] == '\\')
            continue;
        while (at < c && *at == ' ')
            at++;
        cells[n] = at;
        lengths[n] = (size_t)(c - at);
        while (lengths[n] > 0 && at[lengths[n] - 1] == ' ')
            lengths[n]--;
        n++;
        at = c + 1;
    }
    if (n < CELLS || strncmp(cells[0], "Key ", 4) == 0 || cells[0][0] == '-')
        return;
    buf_add_str(to, ".TP\n");
    add_inline(to, cells[0], lengths[0]);
    buf_add_str(to, "\n(");
    add_inline(to, cells[1], lengths[1]);
    if (lengths[2] > 0) {
        buf_add_str(to, "; default: ");
        add_inline(to, cells[2], lengths[2]);
    }
    buf_add_str(to, ")\n");
    add_inline(to, cells[3], lengths[3]);
    buf_add_char(to, '\n');
}

/* One line; `fenced` is whether it stands in a block of code. */
static void add_line(struct buf *to, const char *line, size_t len, bool *fenced)
{
    if (strncmp(line, "```", 3) == 0) {
        *fenced = !*fenced;
        buf_add_str(to, *fenced ? ".PP\n.RS 4\n.nf\n" : ".fi\n.RE\n");
    } else if (*fenced) {
        add_literal(to, line, len);
        buf_add_char(to, '\n');
    } else if (strncmp(line, "## ", 3) == 0) {
        add_heading(to, line + 3, len - 3);
    } else if (strncmp(line, "- ", 2) == 0) {
        buf_add_str(to, ".IP \\(bu 2\n");
        add_inline(to, line + 2, len - 2);
        buf_add_char(to, '\n');
    } else if (line[0] == '|') {
        add_row(to, line, len);
    } else if (len > 0 && line[0] != '#' && line[0] != '<') {
        while (len > 0 && *line == ' ') {
            line++;
            len--;
        }
        add_inline(to, line, len);
        buf_add_char(to, '\n');
    }
}

/* An empty line in Markdown ends what stands before it. */
static bool begins_paragraph(const char *line)
{
    return line[0] != '\n' && line[0] != '-' && line[0] != '#' && line[0] != '|' &&
           strncmp(line, "```", 3) != 0;
}

static void add_markdown(struct buf *to, const char *text)
{
    bool fenced = false, heading = true; /* above; a paragraph begins by itself there */

    while (*text) {
        size_t len = strcspn(text, "\n");

        if (len == 0 && !fenced && !heading && text[1] && begins_paragraph(text + 1))
            buf_add_str(to, ".PP\n");
        else
            add_line(to, text, len, &fenced);
        if (len > 0)
            heading = text[0] == '#' || text[0] == '<';
        text += len + (text[len] == '\n');
    }
}

void manual_print_configuration(struct buf *to)
{
    struct buf page = BUF_INIT(PAGE_MAX_BYTES);

    config_print_reference(&page);
    add_title(to, "PGTLS_EXPORTER.YML", "5", "File Formats");
    buf_add_str(to, ".SH NAME\npgtls_exporter.yml \\- configuration of pgtls_exporter\n"
                    ".SH DESCRIPTION\n");
    add_markdown(to, page.failed ? "" : buf_text(&page));
    buf_add_str(to, ".SH \"SEE ALSO\"\n.BR pgtls_exporter (8)\n");
    to->failed |= page.failed;
    buf_deinit(&page);
}

/* --- the program ------------------------------------------------------------------------------ */

/* Lines of usage as they are, below each other. */
static void add_block(struct buf *to, const char *text)
{
    buf_add_str(to, ".nf\n");
    while (*text) {
        size_t len = strcspn(text, "\n");
        size_t indent = strspn(text, " ") >= USAGE_INDENT ? USAGE_INDENT : 0;

        add_literal(to, text + indent, len - indent);
        buf_add_char(to, '\n');
        text += len + (text[len] == '\n');
    }
    buf_add_str(to, ".fi\n");
}

/* Its lines are filled, but for indented ones, such as examples, which stay as they are. */
static void add_prose(struct buf *to, const char *text)
{
    bool kept = false;

    while (*text) {
        size_t len = strcspn(text, "\n");

        if (kept != (*text == ' ')) {
            kept = !kept;
            buf_add_str(to, kept ? ".nf\n" : ".fi\n");
        }
        if (len == 0) {
            buf_add_str(to, ".PP\n");
        } else {
            add_literal(to, text, len);
            buf_add_char(to, '\n');
        }
        text += len + (text[len] == '\n');
    }
    if (kept)
        buf_add_str(to, ".fi\n");
}

static void add_flags(struct buf *to, enum command command)
{
    for (size_t i = 0; i < flag_count; i++) {
        const struct flag *flag = &flag_table[i];

        if (!flag_is_of(flag, command))
            continue;
        buf_add_str(to, ".TP\n\\fB\\-\\-");
        add_literal(to, flag->name, strlen(flag->name));
        buf_add_str(to, "\\fR");
        if (flag->value) {
            buf_addf(to, "%s\\fI", flag->value[0] == '[' ? " " : "=");
            add_literal(to, flag->value, strlen(flag->value));
            buf_add_str(to, "\\fR");
        }
        buf_add_char(to, '\n');
        add_literal(to, flag->help, strlen(flag->help));
        buf_add_char(to, '\n');
    }
}

void manual_print_program(struct buf *to)
{
    add_title(to, "PGTLS_EXPORTER", "8", "System Administration");
    buf_add_str(to,
                ".SH NAME\npgtls_exporter \\- Prometheus exporter for TLS access to PostgreSQL\n"
                ".SH SYNOPSIS\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        add_block(to, command_texts[i].usage + USAGE_INDENT);
    buf_add_str(to, ".SH DESCRIPTION\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct command_text *command = &command_texts[i];

        if (i > 0)
            buf_addf(to, ".SH \"COMMAND %s\"\n", command->name);
        add_prose(to, command->intro);
        buf_addf(to, i > 0 ? ".SS Flags\n" : ".SH OPTIONS\n");
        add_flags(to, (enum command)i);
        buf_add_str(to, i > 0 ? ".SS Notes\n" : ".SH NOTES\n");
        add_prose(to, command->end + strspn(command->end, "\n"));
    }
    buf_add_str(to, ".SH ENVIRONMENT\n.TP\n.B DATABASE_URL\nThe connection string to watch without "
                    "\\fB\\-\\-config.file\\fR.\n"
                    ".SH \"SEE ALSO\"\n.BR pgtls_exporter.yml (5)\n");
}
