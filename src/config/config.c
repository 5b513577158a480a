/* Configuration files, connection strings and discovered targets to one endpoint set. */
#include "pgtls/config/config.h"

#include "files.h"
#include "loading.h"
#include "pgtls/base/arena.h"
#include "resolve.h"
#include "show.h"
#include "template.h"

#include <stdatomic.h>
#include <string.h>

static const struct settings default_settings = {
    .buckets = {0.001, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5},
    .n_buckets = 8,
    .max_in_flight = 1024,
    .max_in_flight_per_address = 100,
};

/* --- files ------------------------------------------------------------------------------------ */

static void parse_file(struct loading *l, struct file *file, const struct load_input *input)
{
    struct yaml_node *nothing;

    if (input->len > CONFIG_MAX_BYTES) {
        report_error(&l->report, (struct place){.origin = file->origin}, "larger than %zu MiB",
                     CONFIG_MAX_BYTES / 1024 / 1024);
        return;
    }
    file->root = yaml_parse(input->text, input->len, l->scratch, &l->report, file->origin);
    if (file->root || file->origin->errors > 0)
        return;
    nothing = arena_alloc(l->scratch, sizeof *nothing);
    if (!nothing) {
        report_no_memory(&l->report);
        return;
    }
    *nothing = (struct yaml_node){.kind = YAML_NULL, .at = {1, 1, file->origin}};
    file->root = nothing;
}

static void load_top(struct loading *l, struct file *file)
{
    const struct setting *defaults = &file->top.slots[SLOT_DEFAULTS];

    if (!file->root || !expect_kind(l, file->root, YAML_MAP, "configuration",
                                    "it begins with a key, such as \"clusters:\""))
        return;
    read_layer(&l->building.reader, file->root, LEVEL_TOP, &file->top);
    load_settings(l, file);
    if (defaults->key && defaults->node->kind != YAML_NULL &&
        expect_kind(l, defaults->node, YAML_MAP, "defaults", "write for example {interval: 30s}")) {
        read_layer(&l->building.reader, defaults->node, LEVEL_DEFAULTS, &file->defaults);
        file->has_defaults = true;
        if (!l->defaults)
            l->defaults = file;
    }
    templates_collect(l, file);
}

/* Said once, where it can be mended: in the only file, or of all of them. */
static void check_any_clusters(struct loading *l)
{
    const struct place at = {1, 1, l->n_files == 1 ? l->files->origin : NULL};

    if (l->unread)
        return;
    for (size_t i = 0; i < l->n_files; i++) {
        const struct file *file = &l->files[i];

        if (!file->root || file->root->kind != YAML_MAP || file->top.slots[SLOT_CLUSTERS].key ||
            file->top.slots[SLOT_DISCOVERY].key || file->top.slots[SLOT_MODULES].key)
            return; /* there are some, or will be, or another error is in the way */
    }
    if (l->n_files > 0 && !l->first_found)
        report_error(&l->report, l->n_files == 1 ? at : (struct place){0},
                     "no clusters: there is nothing to watch; give \"clusters\", \"discovery\" or "
                     "\"modules\"");
}

static void load_dsn(struct loading *l, const struct load_input *input, struct origin *origin)
{
    struct layer layer = {.bad = false};
    struct endpoint_source source = {
        .cluster = "default", .name = "default", .layers = {&layer}, .n_layers = 1};
    struct reader reader = l->building.reader;

    reader.secrets_are_private = true;
    source.at.origin = origin;
    read_dsn(&reader, NULL, source.at, input->dsn, &layer);
    resolve_endpoint(&l->building, &source);
}

static void load_files(struct loading *l)
{
    for (size_t i = 0; i < l->n_files; i++)
        load_top(l, &l->files[i]);
    templates_read(l);
    for (size_t i = 0; i < l->n_files; i++)
        load_discovery(l, &l->files[i]);
    for (size_t i = 0; i < l->n_files; i++)
        load_modules(l, &l->files[i]);
    check_any_clusters(l);
    for (size_t i = 0; i < l->n_files && !l->building.failed; i++)
        load_clusters(l, &l->files[i]);
    load_found_clusters(l);
    for (size_t i = 0; i < l->n_files && l->building.show && !l->building.show->which; i++)
        show_modules(l->building.show, &l->files[i].top.slots[SLOT_MODULES]);
    for (size_t i = 0; i < l->n_files && l->building.show && !l->building.show->which; i++) {
        show_setting(l->building.show, &l->files[i].top.slots[SLOT_LIMITS]);
        show_setting(l->building.show, &l->files[i].top.slots[SLOT_BUCKETS]);
        show_setting(l->building.show, &l->files[i].top.slots[SLOT_HISTOGRAMS]);
    }
}

/* --- one loading, from start to end ----------------------------------------------------------- */

static bool loading_start(struct loading *l, const struct load_input *inputs, size_t n,
                          struct config_messages *messages)
{
    struct arena *arena = arena_new();

    report_start(&l->report, n == 1 ? inputs->name : "configuration", messages);
    l->scratch = arena_new();
    l->files = l->scratch ? arena_alloc(l->scratch, (n + 1) * sizeof *l->files) : NULL;
    l->set = arena && l->files ? endpoint_set_new(arena) : NULL;
    if (!l->set) {
        arena_free(arena);
        arena_free(l->scratch);
        report_no_memory(&l->report);
        return false;
    }
    l->set->settings = default_settings;
    l->building.reader.report = &l->report;
    l->building.reader.arena = arena;
    l->building.reader.depends_on = &l->set->depends_on;
    l->building.reader.named_paths = &l->set->named_paths;
    l->building.follows = &l->set->follows;
    return true;
}

/* Where an input's relative paths start: the directory of the file, with its slash. */
static struct origin origin_of(struct loading *l, const struct load_input *input, unsigned order)
{
    const char *slash = input->text ? strrchr(input->name, '/') : NULL;
    struct origin origin = {.name = input->name, .directory = "", .order = order};

    if (slash)
        origin.directory =
            arena_strndup(l->scratch, input->name, (size_t)(slash - input->name) + 1);
    if (!origin.directory) {
        origin.directory = "";
        report_no_memory(&l->report);
    }
    return origin;
}

static void loading_run(struct loading *l, struct load_input *inputs, struct origin *origins,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct file *file = &l->files[l->n_files];

        origins[i] = origin_of(l, &inputs[i], (unsigned)i);
        inputs[i].broken = inputs[i].trouble != NULL;
        l->unread = l->unread || inputs[i].trouble;
        if (inputs[i].trouble) {
            report_error(&l->report, (struct place){.origin = &origins[i]}, "%s",
                         inputs[i].trouble);
        } else if (inputs[i].dsn) {
            load_dsn(l, &inputs[i], &origins[i]);
        } else if (inputs[i].list) {
            collect_found(l, inputs[i].list, &origins[i]);
        } else {
            file->origin = &origins[i];
            parse_file(l, file, &inputs[i]);
            inputs[i].broken = !file->root || file->root->kind != YAML_MAP;
            l->n_files++;
        }
    }
    load_files(l);
}

/* The set, or NULL when there was any error. */
static struct endpoint_set *loading_finish(struct loading *l)
{
    static _Atomic uint64_t generations;
    struct endpoint_set *set = l->set;

    if (l->report.messages->errors == 0 && building_finish(&l->building, set)) {
        discovery_finish(l);
        modules_finish(l);
    }
    building_deinit(&l->building);
    templates_deinit(l);
    names_deinit(&l->clusters);
    names_deinit(&l->found);
    names_deinit(&l->endpoint_names);
    names_deinit(&l->modules);
    report_finish(&l->report);
    arena_free(l->scratch);
    if (l->report.messages->errors > 0) {
        endpoint_set_unref(set);
        return NULL;
    }
    set->generation = atomic_fetch_add(&generations, 1) + 1;
    return set;
}

struct endpoint_set *load_inputs(struct load_input *inputs, size_t n,
                                 const struct address_book *book, struct show *show,
                                 struct config_messages *messages)
{
    struct loading l = {.n_files = 0};
    struct origin *origins;

    if (!loading_start(&l, inputs, n, messages))
        return NULL;
    l.building.show = show;
    l.building.book = book;
    origins = arena_alloc(l.scratch, (n + 1) * sizeof *origins);
    if (origins)
        loading_run(&l, inputs, origins, n);
    else
        report_no_memory(&l.report);
    for (size_t i = 0; i < n; i++)
        inputs[i].errors = origins ? origins[i].errors : 0;
    return loading_finish(&l);
}

/* --- the simple doors ------------------------------------------------------------------------- */

struct endpoint_set *config_load_text(const char *name, const char *text, size_t len,
                                      struct config_messages *messages)
{
    struct load_input input = {.name = name, .text = text, .len = len};

    return load_inputs(&input, 1, NULL, NULL, messages);
}

struct endpoint_set *config_load_dsn(const char *name, const char *dsn,
                                     struct config_messages *messages)
{
    struct load_input input = {.name = name, .dsn = dsn};

    return load_inputs(&input, 1, NULL, NULL, messages);
}

struct endpoint_set *config_load_file(const char *path, struct config_messages *messages)
{
    struct bytes bytes = file_read(path);
    struct load_input input = {.name = path,
                               .text = bytes.text,
                               .len = bytes.len,
                               .trouble = bytes.text ? NULL : bytes.trouble};
    struct endpoint_set *set = load_inputs(&input, 1, NULL, NULL, messages);

    bytes_free(&bytes);
    return set;
}
