/* expect: which outcomes are the good ones. */
#include "values.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"
#include "pgtls/model/expect.h"

#include <string.h>

/* A word of a closed vocabulary into the expectation of this layer; false when it is none. */
typedef bool take_word(struct expect *expect, const char *word);

static bool take_fault(struct expect *expect, const char *word)
{
    enum fault fault;

    if (!fault_from_id(word, &fault) || !expect_possible(fault))
        return false;
    expect_fault(expect, fault);
    return true;
}

static bool class_possible(enum fault_class class)
{
    return class != FAULT_CLASS_NONE && class != FAULT_CLASS_EXPECTATION &&
           class != FAULT_CLASS_INTERNAL;
}

static bool take_class(struct expect *expect, const char *word)
{
    for (int i = 0; i < FAULT_CLASS_COUNT; i++) {
        if (class_possible((enum fault_class)i) &&
            strcmp(word, fault_class_name((enum fault_class)i)) == 0) {
            expect_class(expect, (enum fault_class)i);
            return true;
        }
    }
    return false;
}

static bool refuse_fault(const struct input *in)
{
    const char *names[FAULT_COUNT], *nearest;
    char value[SHOWN_SIZE];
    enum fault fault;
    size_t n = 0;

    if (fault_from_id(in->text, &fault))
        return refuse(in, "\"%s\" cannot be expected: it %s", shown(value, in->text),
                      fault_row(fault)->class == FAULT_CLASS_INTERNAL
                          ? "tells of the exporter's own side"
                          : "is what an expectation that fails is called");
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        if (expect_possible((enum fault)i))
            names[n++] = fault_row((enum fault)i)->id;
    }
    nearest = str_nearest(in->text, names, n);
    return refuse(in, "\"%s\" is no fault of the catalogue (docs/faults.md)%s%s%s",
                  shown(value, in->text), nearest ? "; did you mean \"" : "",
                  nearest ? nearest : "", nearest ? "\"?" : "");
}

static bool refuse_class(const struct input *in)
{
    struct buf list = BUF_INIT(256);
    char value[SHOWN_SIZE];

    for (int i = 0; i < FAULT_CLASS_COUNT; i++) {
        if (class_possible((enum fault_class)i))
            buf_addf(&list, "%s%s", list.len > 0 ? ", " : "",
                     fault_class_name((enum fault_class)i));
    }
    refuse(in, "\"%s\" is no class of faults that can be expected: %s", shown(value, in->text),
           buf_text(&list));
    buf_deinit(&list);
    return false;
}

/* One word or a list of them, into an expectation of the setting's own; its text names them. */
static bool read_words(const struct input *in, struct setting *to, take_word *take,
                       bool (*reject)(const struct input *), const char *prefix)
{
    bool is_list = in->node && in->node->kind == YAML_LIST;
    const struct yaml_entry single = {.value = in->node};
    struct expect *expect = arena_alloc(in->reader->arena, sizeof *expect);
    const char *text = "";

    if (!expect) {
        report_no_memory(in->reader->report);
        return false;
    }
    *expect = (struct expect){.text = NULL};
    if (!in->node)
        return refuse(in, "a word or a list of them is needed");
    if (is_list && in->node->n == 0)
        return refuse(in, "an empty list; name what is expected, or leave the key out");
    for (const struct yaml_entry *e = is_list ? in->node->first : &single; e; e = e->next) {
        struct input item = input_item(in, e->value);

        if (e->value->kind != YAML_TEXT)
            return refuse(&item, "%s where a word is needed", yaml_kind_name(e->value->kind));
        if (!take(expect, item.text))
            return reject(&item);
        text =
            arena_printf(in->reader->arena, "%s%s%s%s", text, *text ? ", " : "", prefix, item.text);
        if (!text) {
            report_no_memory(in->reader->report);
            return false;
        }
    }
    expect->text = text;
    to->items = expect;
    return true;
}

bool read_faults(const struct input *in, struct setting *to)
{
    return read_words(in, to, take_fault, refuse_fault, "");
}

bool read_classes(const struct input *in, struct setting *to)
{
    return read_words(in, to, take_class, refuse_class, "class ");
}

/* The mapping is one thing: what an inner level expects replaces what an outer one did, so its keys
 * are read into a layer of their own. */
bool read_expect(const struct input *in, struct setting *to)
{
    struct layer layer = {.bad = false};
    const struct setting *faults = &layer.slots[SLOT_EXPECT_FAULTS],
                         *classes = &layer.slots[SLOT_EXPECT_CLASSES];
    size_t before = in->reader->report->messages->errors;
    struct expect *expect;

    if (!in->node || in->node->kind != YAML_MAP)
        return refuse(in, "a mapping is needed; write for example {fault: hba_no_entry_ssl}");
    read_layer(in->reader, in->node, LEVEL_EXPECT, &layer);
    if (in->reader->report->messages->errors != before) {
        in->layer->bad = true;
        return false;
    }
    if (!faults->items && !classes->items)
        return refuse(in, "nothing is named; write for example {fault: hba_no_entry_ssl}");
    expect = faults->items ? faults->items : classes->items;
    if (faults->items && classes->items) {
        const struct expect *more = classes->items;

        for (size_t i = 0; i < sizeof expect->faults / sizeof *expect->faults; i++)
            expect->faults[i] |= more->faults[i];
        expect->text = arena_printf(in->reader->arena, "%s, %s", expect->text, more->text);
        if (!expect->text) {
            report_no_memory(in->reader->report);
            return false;
        }
    }
    to->items = expect;
    return true;
}
