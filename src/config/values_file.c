/* Values that stand elsewhere: dsn_file, dsn_env, user_file. Unlike secrets they shape the set of
 * endpoints, so they are read when the configuration is. */
#include "values.h"

#include "pgtls/base/arena.h"
#include "pgtls/config/secret.h"
#include "pgtls/model/server.h"

#include <string.h>

#define MAX_USER_BYTES 255

/* What changes there makes another set. */
static bool depend_on(const struct input *in, const char *path)
{
    struct dependency *dependency = arena_alloc(in->reader->arena, sizeof *dependency);
    struct setting unused = {0};

    if (!keep_text(in, &unused, dependency ? path : NULL) || !dependency)
        return false;
    *dependency = (struct dependency){path, *in->reader->depends_on};
    *in->reader->depends_on = dependency;
    return true;
}

/* The content of the file or variable that the key names; to be wiped. */
static bool read_content(const struct input *in, struct secret *content)
{
    struct secret_ref ref = {(enum secret_source)in->key->source, in->text};
    struct setting path = {.key = in->key};
    char error[512];

    if (ref.source == SECRET_ENVIRONMENT && !check_variable(in))
        return false;
    if (ref.source == SECRET_FILE) {
        if (!read_path(in, &path) || !depend_on(in, path.text))
            return false;
        ref.value = path.text;
    }
    return secret_read(&ref, NULL, content, error, sizeof error) || refuse(in, "%s", error);
}

bool read_text_file(const struct input *in, struct setting *to)
{
    struct input there = *in;
    struct secret content;
    bool ok;

    if (!read_content(in, &content))
        return false;
    there.text = content.text;
    there.len = strlen(content.text);
    ok = check_text(&there, MAX_USER_BYTES) &&
         keep_text(in, to, arena_strndup(in->reader->arena, there.text, there.len));
    secret_wipe(&content);
    return ok;
}

bool read_dsn_value(const struct input *in, struct setting *to)
{
    struct reader elsewhere = *in->reader;
    struct secret content;

    (void)to;
    if (memchr(in->text, '\0', in->len))
        return refuse(in, "holds a NUL");
    if (in->key->source == SECRET_NONE) {
        read_dsn(in->reader, in->key, in->at, in->text, in->layer);
        return true;
    }
    if (!read_content(in, &content))
        return false;
    elsewhere.secrets_are_private = true;
    read_dsn(&elsewhere, in->key, in->at, content.text, in->layer);
    secret_wipe(&content);
    return true;
}
