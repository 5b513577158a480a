/* The inputs of the configuration, what of them is good, and the sets built from them. */
#include "pgtls/config/source.h"

#include "address_book.h"
#include "content.h"
#include "pgtls/base/file.h"
#include "pgtls/base/str.h"
#include "show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum input_kind { INPUT_FILE, INPUT_DIRECTORY, INPUT_DSN, INPUT_TARGETS };

/* A message that was said of an input's present content. */
struct said {
    uint64_t hash;
    bool is_error;
};

struct input {
    enum input_kind kind;
    char *name;
    size_t path;            /* which one it comes from, of files and directories */
    struct content *latest; /* NULL: gone */
    struct content *good;   /* NULL: never was good, or good without it */
    struct content *used;   /* by the build at hand: one of the two, borrowed */
    bool valid;             /* its latest content is in force */
    bool seen;              /* by the reading at hand */
    struct said *said;
    size_t n_said;
};

struct config_source {
    char **paths;
    size_t n_paths;
    struct input *inputs; /* files in order of paths and names, then the rest */
    size_t n_inputs;
    bool built;                      /* there is a good set */
    struct show *show;               /* of the build at hand */
    struct input whole;              /* what was said of all of them together */
    struct address_book book;        /* of hosts that are followed */
    struct endpoint_set *latest_set; /* the latest good one, for what it depends on */
};

/* --- inputs ----------------------------------------------------------------------------------- */

static void input_deinit(struct input *in)
{
    content_unref(in->latest);
    content_unref(in->good);
    free(in->name);
    free(in->said);
}

static void set_latest(struct input *in, struct content *content)
{
    bool same_as_good = content && in->good && content->hash == in->good->hash;

    if (!in->latest || !content || in->latest->hash != content->hash)
        in->n_said = 0;
    content_unref(in->latest);
    in->latest = same_as_good ? content_ref(in->good) : content_ref(content);
}

/* By its name; NULL when it is not there. */
static struct input *find_input(struct config_source *s, enum input_kind kind, size_t path,
                                const char *name)
{
    for (size_t i = 0; i < s->n_inputs; i++) {
        struct input *in = &s->inputs[i];

        if (in->kind == kind && in->path == path && strcmp(in->name, name) == 0)
            return in;
    }
    return NULL;
}

/* Files stand before everything else, in the order of paths and then of names; a directory before
 * what is in it. */
static bool stands_before(const struct input *a, const struct input *b)
{
    bool a_file = a->kind <= INPUT_DIRECTORY, b_file = b->kind <= INPUT_DIRECTORY;

    if (!a_file || !b_file)
        return a_file;
    if (a->path != b->path)
        return a->path < b->path;
    if (a->kind != b->kind)
        return a->kind == INPUT_DIRECTORY;
    return strcmp(a->name, b->name) < 0;
}

/* NULL when out of memory. */
static struct input *add_input(struct config_source *s, enum input_kind kind, size_t path,
                               const char *name)
{
    struct input *grown = realloc(s->inputs, (s->n_inputs + 1) * sizeof *grown);
    struct input in = {.kind = kind, .path = path, .name = strdup(name)};
    size_t at = s->n_inputs;

    if (grown)
        s->inputs = grown;
    if (!grown || !in.name) {
        free(in.name);
        return NULL;
    }
    while (at > 0 && stands_before(&in, &s->inputs[at - 1]))
        at--;
    memmove(&s->inputs[at + 1], &s->inputs[at], (s->n_inputs - at) * sizeof in);
    s->inputs[at] = in;
    s->n_inputs++;
    return &s->inputs[at];
}

/* Gives an input its latest content, which is taken over; NULL: out of memory, and the input stays
 * what it is. */
static bool put_content(struct config_source *s, enum input_kind kind, size_t path,
                        const char *name, struct content *content)
{
    struct input *in = find_input(s, kind, path, name);

    if (content && !in)
        in = add_input(s, kind, path, name);
    if (in)
        in->seen = true;
    if (in && content)
        set_latest(in, content);
    content_unref(content);
    return in && content;
}

/* --- reading files ---------------------------------------------------------------------------- */

struct config_source *config_source_new(void)
{
    return calloc(1, sizeof(struct config_source));
}

void config_source_free(struct config_source *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_inputs; i++)
        input_deinit(&s->inputs[i]);
    for (size_t i = 0; i < s->n_paths; i++)
        free(s->paths[i]);
    input_deinit(&s->whole);
    address_book_deinit(&s->book);
    endpoint_set_unref(s->latest_set);
    free(s->inputs);
    free(s->paths);
    free(s);
}

bool config_source_add_path(struct config_source *s, const char *path)
{
    char **grown = realloc(s->paths, (s->n_paths + 1) * sizeof *grown);

    if (grown)
        s->paths = grown;
    if (!grown || !(grown[s->n_paths] = strdup(path)))
        return false;
    s->n_paths++;
    return true;
}

bool config_source_add_dsn(struct config_source *s, const char *name, const char *dsn)
{
    return put_content(s, INPUT_DSN, 0, name, content_of_dsn(dsn));
}

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A path that was a directory and is gone is still one: what was in it stays in force. */
static bool was_directory(struct config_source *s, size_t path)
{
    return find_input(s, INPUT_DIRECTORY, path, s->paths[path]) != NULL;
}

/* All that comes from this path stays as it was read last. */
static void keep_files(struct config_source *s, size_t path)
{
    for (size_t i = 0; i < s->n_inputs; i++) {
        if (s->inputs[i].kind == INPUT_FILE && s->inputs[i].path == path)
            s->inputs[i].seen = true;
    }
}

/* False when out of memory for some of it. */
static bool read_directory(struct config_source *s, size_t path)
{
    struct file_names names = directory_list(s->paths[path], CONFIG_MAX_FILES);
    bool ok =
        put_content(s, INPUT_DIRECTORY, path, s->paths[path], content_of_directory(names.trouble));

    if (names.trouble[0] != '\0')
        keep_files(s, path);
    for (size_t i = 0; names.trouble[0] == '\0' && i < names.n; i++)
        ok &= put_content(s, INPUT_FILE, path, names.items[i],
                          content_of_file(file_read(names.items[i])));
    ok = ok && !names.no_memory;
    file_names_free(&names);
    return ok;
}

bool config_source_read(struct config_source *s)
{
    bool ok = true;

    for (size_t i = 0; i < s->n_inputs; i++)
        s->inputs[i].seen = s->inputs[i].kind > INPUT_DIRECTORY;
    for (size_t i = 0; i < s->n_paths; i++) {
        if (is_directory(s->paths[i]) || was_directory(s, i))
            ok &= read_directory(s, i);
        else
            ok &=
                put_content(s, INPUT_FILE, i, s->paths[i], content_of_file(file_read(s->paths[i])));
    }
    for (size_t i = 0; i < s->n_inputs; i++) {
        if (!s->inputs[i].seen)
            set_latest(&s->inputs[i], NULL);
    }
    return ok;
}

uint64_t config_source_fingerprint(const struct config_source *s)
{
    uint64_t hash = STR_HASH_START;

    for (size_t i = 0; i < s->n_paths; i++) {
        struct file_names names = {.items = NULL};

        if (!is_directory(s->paths[i])) {
            hash = file_fingerprint(hash, s->paths[i]);
            continue;
        }
        names = directory_list(s->paths[i], CONFIG_MAX_FILES);
        for (size_t j = 0; j < names.n; j++)
            hash = file_fingerprint(hash, names.items[j]);
        hash = str_hash(hash, names.trouble);
        file_names_free(&names);
    }
    for (const struct dependency *d = s->latest_set ? s->latest_set->depends_on : NULL; d;
         d = d->next)
        hash = file_fingerprint(hash, d->path);
    return hash;
}

/* --- targets ---------------------------------------------------------------------------------- */

bool config_source_set_targets(struct config_source *s, const struct config_target_list *list)
{
    return put_content(s, INPUT_TARGETS, 0, list->name, content_of_targets(list));
}

void config_source_drop_targets(struct config_source *s, const char *name)
{
    struct input *in = find_input(s, INPUT_TARGETS, 0, name);

    if (in)
        set_latest(in, NULL);
}

bool config_source_set_addresses(struct config_source *s, const char *host,
                                 const char *const *addresses, size_t n)
{
    return address_book_set(&s->book, host, addresses, n);
}

void config_source_drop_addresses(struct config_source *s, const char *host)
{
    address_book_drop(&s->book, host);
}

/* --- messages --------------------------------------------------------------------------------- */

/* Was it said before? Remembers it if not. */
static bool was_said(struct input *in, const struct config_message *message)
{
    uint64_t hash = str_hash(STR_HASH_START, message->text);
    struct said *grown;

    for (size_t i = 0; i < in->n_said; i++) {
        if (in->said[i].hash == hash)
            return true;
    }
    grown = in->n_said < CONFIG_MAX_MESSAGES ? realloc(in->said, (in->n_said + 1) * sizeof *grown)
                                             : NULL;
    if (grown) {
        in->said = grown;
        in->said[in->n_said++] = (struct said){hash, message->severity == CONFIG_ERROR};
    }
    return false;
}

/* An error that is mended is an error again when it comes back. */
static void forget_errors(struct input *in)
{
    size_t n = 0;

    for (size_t i = 0; i < in->n_said; i++) {
        if (!in->said[i].is_error)
            in->said[n++] = in->said[i];
    }
    in->n_said = n;
}

static bool has_message(const struct config_messages *messages, const char *text)
{
    for (size_t i = 0; i < messages->n; i++) {
        if (strcmp(messages->items[i].text, text) == 0)
            return true;
    }
    return false;
}

/* Takes over the errors that only a later round of a build has found. */
static void add_errors(struct config_messages *to, struct config_messages *from)
{
    to->no_memory = to->no_memory || from->no_memory;
    for (size_t i = 0; i < from->n; i++) {
        struct config_message *m = &from->items[i];

        if (m->severity != CONFIG_ERROR || has_message(to, m->text))
            continue;
        to->errors++;
        if (to->n == CONFIG_MAX_MESSAGES)
            continue;
        to->items[to->n++] = *m;
        m->text = NULL;
    }
}

/* --- building --------------------------------------------------------------------------------- */

/* One round: a set from the contents in use. Inputs in `which` are those of `loads`. */
static struct endpoint_set *build_used(struct config_source *s, struct load_input *loads,
                                       size_t *which, size_t *n_loads,
                                       struct config_messages *messages)
{
    struct endpoint_set *set;
    size_t n = 0;

    for (size_t i = 0; i < s->n_inputs; i++) {
        if (!s->inputs[i].used || s->inputs[i].used->nothing)
            continue;
        loads[n] = content_input(s->inputs[i].used, s->inputs[i].name);
        which[n++] = i;
    }
    *n_loads = n;
    set = load_inputs(loads, n, &s->book, s->show, messages);
    for (size_t i = 0; i < messages->n; i++) {
        struct config_message *m = &messages->items[i];
        struct input *about = m->input < n ? &s->inputs[which[m->input]] : &s->whole;

        m->repeated = was_said(about, m);
    }
    return set;
}

/* What changed and has errors falls back; if nothing that changed has any, all that changed does.
 * Inputs that could not even be parsed fall back first: others may only miss what is in them.
 * False when nothing is left that could. */
static bool fall_back(struct config_source *s, const struct load_input *loads, const size_t *which,
                      size_t n)
{
    bool guilty = false, broken = false, changed = false;

    for (size_t i = 0; i < s->n_inputs; i++)
        changed = changed || s->inputs[i].used != s->inputs[i].good;
    for (size_t i = 0; i < n; i++) {
        struct input *in = &s->inputs[which[i]];

        if (loads[i].errors == 0 || in->used == in->good)
            continue;
        guilty = true;
        broken = broken || loads[i].broken;
    }
    for (size_t i = 0; i < n; i++) {
        struct input *in = &s->inputs[which[i]];

        if (guilty && loads[i].errors > 0 && (loads[i].broken || !broken))
            in->used = in->good;
    }
    for (size_t i = 0; i < s->n_inputs && !guilty; i++)
        s->inputs[i].used = s->inputs[i].good;
    return changed;
}

/* What was used is good from now on; what is gone for good is forgotten. */
static void keep_used(struct config_source *s)
{
    bool all_good = true;
    size_t n = 0;

    s->built = true;
    for (size_t i = 0; i < s->n_inputs; i++) {
        struct input *in = &s->inputs[i];
        struct content *used = content_ref(in->used);

        content_unref(in->good);
        in->good = used;
        in->valid = in->used == in->latest;
        all_good = all_good && in->valid;
        if (!in->latest && !in->good) {
            input_deinit(in);
            continue;
        }
        s->inputs[n++] = *in;
    }
    s->n_inputs = n;
    if (!all_good)
        return; /* what one input says because of another is still true */
    forget_errors(&s->whole);
    for (size_t i = 0; i < s->n_inputs; i++)
        forget_errors(&s->inputs[i]);
}

static void note_failure(struct config_source *s)
{
    for (size_t i = 0; i < s->n_inputs; i++)
        s->inputs[i].valid = s->built && s->inputs[i].latest == s->inputs[i].good;
}

struct endpoint_set *config_source_build(struct config_source *s, struct config_messages *messages)
{
    struct load_input *loads = calloc(s->n_inputs + 1, sizeof *loads);
    size_t *which = calloc(s->n_inputs + 1, sizeof *which);
    struct endpoint_set *set = NULL;
    struct report report;
    bool again = loads && which;
    size_t n = 0;

    if (!again) {
        report_start(&report, "configuration", messages);
        report_no_memory(&report);
    }
    for (size_t i = 0; i < s->n_inputs; i++)
        s->inputs[i].used = s->inputs[i].latest;
    for (size_t round = 0; again; round++) {
        struct config_messages more = {.n = 0};

        set = build_used(s, loads, which, &n, round == 0 ? messages : &more);
        add_errors(messages, &more);
        config_messages_deinit(&more);
        again = !set && s->built && fall_back(s, loads, which, n);
    }
    if (set) {
        keep_used(s);
        endpoint_set_unref(s->latest_set);
        s->latest_set = endpoint_set_ref(set);
    } else {
        note_failure(s);
    }
    free(loads);
    free(which);
    return set;
}

bool config_source_show(struct config_source *s, const char *which, struct buf *to,
                        struct config_messages *messages)
{
    struct show show = {.to = to, .which = which};
    struct endpoint_set *set;

    s->show = &show;
    set = config_source_build(s, messages);
    s->show = NULL;
    endpoint_set_unref(set);
    return set && show.n + show.n_modules > 0;
}

bool config_source_input(const struct config_source *s, size_t i, struct config_input_state *state)
{
    if (i >= s->n_inputs)
        return false;
    *state = (struct config_input_state){.name = s->inputs[i].name,
                                         .is_file = s->inputs[i].kind <= INPUT_DIRECTORY,
                                         .valid = s->inputs[i].valid};
    return true;
}
