/* Completion for shells. */
#include "completion.h"

#include "flags_table.h"
#include "pgtls/base/buf.h"

#include <string.h>

enum kind { KIND_NONE, KIND_FILE, KIND_WORDS, KIND_OTHER };

/* "a, b or c" as "a b c"; false when it is anything else. */
static bool words_of(const char *wanted, struct buf *to)
{
    const char *separators[] = {", ", " or "};

    buf_reset(to);
    while (wanted && *wanted) {
        size_t len = strcspn(wanted, " ,"), skip = 0;

        buf_addf(to, "%s%.*s", to->len > 0 ? " " : "", (int)len, wanted);
        wanted += len;
        for (size_t i = 0; i < 2; i++) {
            if (strncmp(wanted, separators[i], strlen(separators[i])) == 0)
                skip = strlen(separators[i]);
        }
        if (skip == 0 && *wanted)
            return false;
        wanted += skip;
    }
    return to->len > 0;
}

static enum kind kind_of(const struct flag *flag, struct buf *words)
{
    if (!flag->value)
        return KIND_NONE;
    if (strcmp(flag->value, "FILE") == 0)
        return KIND_FILE;
    return words_of(flag->wanted, words) ? KIND_WORDS : KIND_OTHER;
}

/* The first sentence of the help, without what the shells' quoting would stumble over. */
static void add_summary(struct buf *to, const char *help)
{
    for (const char *c = help; *c && !(c[0] == '.' && (c[1] == ' ' || c[1] == '\0')); c++) {
        if (!strchr("'[]:`\"\\$", *c))
            buf_add_char(to, *c);
    }
}

/* --- bash ------------------------------------------------------------------------------------- */

static void add_bash_flags(struct buf *to, enum command command)
{
    const char *between = "";

    for (size_t i = 0; i < flag_count; i++) {
        const struct flag *flag = &flag_table[i];
        bool value = flag->value && flag->value[0] != '[';

        if (!flag_is_of(flag, command))
            continue;
        buf_addf(to, "%s--%s%s", between, flag->name, value ? "=" : "");
        between = " ";
    }
}

void completion_print_bash(struct buf *to)
{
    struct buf words = BUF_INIT(256);

    buf_add_str(to,
                "# Completion for bash, printed by pgtls_docs. A flag and its value are words of\n"
                "# their own for bash, and so is the = between them.\n"
                "_pgtls_exporter()\n{\n"
                "    local cur=${COMP_WORDS[COMP_CWORD]} flag flags\n\n"
                "    if [[ $cur == = ]]; then\n"
                "        cur=\"\" flag=${COMP_WORDS[COMP_CWORD - 1]}\n"
                "    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then\n"
                "        flag=${COMP_WORDS[COMP_CWORD - 2]}\n"
                "    else\n"
                "        flag=${COMP_WORDS[COMP_CWORD - 1]}\n"
                "    fi\n"
                "    COMPREPLY=()\n"
                "    case $flag in\n");
    for (size_t i = 0; i < flag_count; i++) {
        enum kind kind = kind_of(&flag_table[i], &words);

        if (kind == KIND_NONE)
            continue;
        buf_addf(to, "        --%s)", flag_table[i].name);
        if (kind == KIND_FILE)
            buf_add_str(to,
                        " compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"
                        "; return ;;\n");
        else if (kind == KIND_WORDS)
            buf_addf(to, " mapfile -t COMPREPLY < <(compgen -W \"%s\" -- \"$cur\"); return ;;\n",
                     buf_text(&words));
        else
            buf_add_str(to, " return ;;\n");
    }
    buf_add_str(to, "    esac\n    case ${COMP_WORDS[1]} in\n");
    for (size_t i = COMMAND_WATCH + 1; i < COMMAND_COUNT; i++) {
        buf_addf(to, "        %s) flags=\"", command_texts[i].name);
        add_bash_flags(to, (enum command)i);
        buf_add_str(to, "\" ;;\n");
    }
    buf_add_str(to, "        *)\n            flags=\"");
    add_bash_flags(to, COMMAND_WATCH);
    buf_add_str(to, "\"\n            [[ $COMP_CWORD -gt 1 ]] || flags+=\"");
    for (size_t i = COMMAND_WATCH + 1; i < COMMAND_COUNT; i++)
        buf_addf(to, " %s", command_texts[i].name);
    buf_add_str(to, "\"\n            ;;\n    esac\n"
                    "    mapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"$cur\")\n"
                    "    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace\n"
                    "}\ncomplete -F _pgtls_exporter pgtls_exporter\n");
    buf_deinit(&words);
}

/* --- zsh -------------------------------------------------------------------------------------- */

static void add_zsh_flag(struct buf *to, const struct flag *flag, struct buf *words)
{
    enum kind kind = kind_of(flag, words);
    bool again = flag->wanted && strstr(flag->wanted, "at most ");

    buf_addf(to, " \\\n                '%s--%s%s[", again ? "*" : "", flag->name,
             kind == KIND_NONE       ? ""
             : flag->value[0] == '[' ? "-"
                                     : "=");
    add_summary(to, flag->help);
    buf_add_char(to, ']');
    if (kind == KIND_FILE)
        buf_add_str(to, ":file:_files");
    else if (kind == KIND_WORDS)
        buf_addf(to, ":value:(%s)", buf_text(words));
    else if (kind == KIND_OTHER)
        buf_addf(to, "%svalue: ", flag->value[0] == '[' ? "::" : ":");
    buf_add_char(to, '\'');
}

static void add_zsh_command(struct buf *to, enum command command, struct buf *words)
{
    buf_add_str(to, "            _arguments");
    for (size_t i = 0; i < flag_count; i++) {
        if (flag_is_of(&flag_table[i], command))
            add_zsh_flag(to, &flag_table[i], words);
    }
}

void completion_print_zsh(struct buf *to)
{
    struct buf words = BUF_INIT(256);

    buf_add_str(to, "#compdef pgtls_exporter\n"
                    "# Completion for zsh, printed by pgtls_docs.\n"
                    "_pgtls_exporter() {\n    case $words[2] in\n");
    for (size_t i = COMMAND_WATCH + 1; i < COMMAND_COUNT; i++) {
        buf_addf(to, "        %s)\n            shift words\n            (( CURRENT-- ))\n",
                 command_texts[i].name);
        add_zsh_command(to, (enum command)i, &words);
        buf_add_str(to, " \\\n                ':target: '\n            ;;\n");
    }
    buf_add_str(to, "        *)\n");
    add_zsh_command(to, COMMAND_WATCH, &words);
    buf_add_str(to, " \\\n                '::command:(");
    for (size_t i = COMMAND_WATCH + 1; i < COMMAND_COUNT; i++)
        buf_addf(to, "%s%s", i > COMMAND_WATCH + 1 ? " " : "", command_texts[i].name);
    buf_add_str(to, ")'\n            ;;\n    esac\n}\n_pgtls_exporter \"$@\"\n");
    buf_deinit(&words);
}

/* --- fish ------------------------------------------------------------------------------------- */

static void add_fish_command(struct buf *to, enum command command, const char *when,
                             struct buf *words)
{
    for (size_t i = 0; i < flag_count; i++) {
        const struct flag *flag = &flag_table[i];
        enum kind kind = kind_of(flag, words);

        if (!flag_is_of(flag, command))
            continue;
        buf_addf(to, "complete -c pgtls_exporter -n '%s' -l %s", when, flag->name);
        if (kind == KIND_FILE)
            buf_add_str(to, " -r -F");
        else if (kind == KIND_WORDS)
            buf_addf(to, " -x -a '%s'", buf_text(words));
        else if (kind == KIND_OTHER && flag->value[0] != '[')
            buf_add_str(to, " -x");
        buf_add_str(to, " -d '");
        add_summary(to, flag->help);
        buf_add_str(to, "'\n");
    }
}

void completion_print_fish(struct buf *to)
{
    struct buf words = BUF_INIT(256), when = BUF_INIT(256);

    buf_add_str(to, "# Completion for fish, printed by pgtls_docs.\n"
                    "complete -c pgtls_exporter -f\n");
    buf_add_str(&when, "not __fish_seen_subcommand_from");
    for (size_t i = COMMAND_WATCH + 1; i < COMMAND_COUNT; i++)
        buf_addf(&when, " %s", command_texts[i].name);
    for (size_t i = COMMAND_WATCH + 1; i < COMMAND_COUNT; i++)
        buf_addf(to, "complete -c pgtls_exporter -n '%s' -a %s\n", buf_text(&when),
                 command_texts[i].name);
    add_fish_command(to, COMMAND_WATCH, buf_text(&when), &words);
    for (size_t i = COMMAND_WATCH + 1; i < COMMAND_COUNT; i++) {
        buf_reset(&when);
        buf_addf(&when, "__fish_seen_subcommand_from %s", command_texts[i].name);
        add_fish_command(to, (enum command)i, buf_text(&when), &words);
    }
    buf_deinit(&words);
    buf_deinit(&when);
}
