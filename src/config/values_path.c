/* Paths, relative ones from the directory of the file in which they stand. */
#include "values.h"

#include "pgtls/base/arena.h"

#include <string.h>

bool is_path(const struct key *key)
{
    size_t len = strlen(key->name);

    return key->type == KEY_PATH || (len >= 4 && strcmp(key->name + len - 4, "file") == 0);
}

static bool is_system(const struct input *in)
{
    return in->key->slot == SLOT_SSLROOTCERT && strcmp(in->text, "system") == 0;
}

bool note_path(const struct input *in, const char *path)
{
    const char *directory = in->at.origin && path[0] != '/' ? in->at.origin->directory : "";
    size_t sure = strcspn(path, in->key->type == KEY_PATHS ? "{*?[" : "{");
    struct named_path *named;

    if (is_system(in))
        return true;
    while (path[sure] && sure > 0 && path[sure - 1] != '/')
        sure--;
    named = arena_alloc(in->reader->arena, sizeof *named);
    if (named)
        *named = (struct named_path){
            arena_printf(in->reader->arena, "%s%.*s", directory, (int)sure, path),
            *in->reader->named_paths};
    if (named && named->path) {
        *in->reader->named_paths = named;
        return true;
    }
    report_no_memory(in->reader->report);
    return !(in->layer->bad = true);
}

/* A path of one endpoint was noted before, as it was written for all of them, unless it came out of
 * a connection string. */
static bool is_noted(const struct input *in)
{
    return in->reader->cluster && !in->from_dsn;
}

bool read_path(const struct input *in, struct setting *to)
{
    bool relative = in->text[0] != '/' && !is_system(in);
    const char *directory = in->at.origin ? in->at.origin->directory : "";

    if (!check_text(in, (size_t)in->key->high))
        return false;
    if (in->text[0] == '~' && (in->text[1] == '/' || in->text[1] == '\0'))
        return refuse(in, "\"~\" is not expanded; write the path out");
    if (!is_noted(in) && !note_path(in, in->text))
        return false;
    return keep_text(in, to,
                     arena_printf(in->reader->arena, "%s%s", relative ? directory : "", in->text));
}
