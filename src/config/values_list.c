/* Lists of one kind of thing: addresses, and fingerprints in the forms that tools print. */
#include "values.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"
#include "pgtls/config/config.h"
#include "pgtls/model/module.h"
#include "pgtls/model/promise.h"
#include "pgtls/model/session.h"

#include <string.h>
#include <strings.h>

#define DIGEST_BYTES 32

/* Calls `read` on every item of a list, or on a single text. False after an error. */
static bool each_item(const struct input *in, size_t max, size_t size, void **items, size_t *n,
                      bool (*read)(const struct input *item, void *to))
{
    bool is_list = in->node && in->node->kind == YAML_LIST;
    bool is_text = in->node && in->node->kind == YAML_TEXT;
    const struct yaml_entry single = {.value = in->node};
    size_t wanted = is_list ? in->node->n : 1;

    if (!is_list && !is_text)
        return refuse(in, "a list is needed");
    if (wanted == 0)
        return refuse(in, "an empty list; leave the key out");
    if (wanted > max)
        return refuse(in, "%zu of them; at most %zu are allowed", wanted, max);
    *items = arena_alloc(in->reader->arena, wanted * size);
    if (!*items) {
        report_no_memory(in->reader->report);
        in->layer->bad = true;
        return false;
    }
    for (const struct yaml_entry *e = is_list ? in->node->first : &single; e; e = e->next) {
        struct input item = input_item(in, e->value);

        if (e->value->kind != YAML_TEXT)
            return refuse(&item, "%s where a text is needed", yaml_kind_name(e->value->kind));
        if (!read(&item, (char *)*items + *n * size))
            return false;
        (*n)++;
    }
    return true;
}

static bool read_network(const struct input *in, void *to)
{
    char value[SHOWN_SIZE];

    if (!check_text(in, 63))
        return false;
    if (network_from_text(in->text, to))
        return true;
    return refuse(in,
                  "\"%s\" is neither a numeric address nor a block of them; write for example "
                  "192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
                  shown(value, in->text));
}

bool read_networks(const struct input *in, struct setting *to)
{
    return each_item(in, MAX_NETWORKS, sizeof(struct network), &to->items, &to->n_items,
                     read_network);
}

static bool read_target(const struct input *in, void *to)
{
    struct target_rule *rule = to;
    char value[SHOWN_SIZE];
    const char *wrong, *name;
    size_t len;

    if (!check_text(in, TARGET_HOST_SIZE + 16))
        return false;
    wrong = target_rule_parse(in->text, rule, &name, &len);
    if (wrong)
        return refuse(in, "\"%s\" %s", shown(value, in->text), wrong);
    if (!name)
        return true;
    rule->name = arena_strndup(in->reader->arena, name, len);
    if (rule->name)
        return true;
    report_no_memory(in->reader->report);
    in->layer->bad = true;
    return false;
}

bool read_targets(const struct input *in, struct setting *to)
{
    return each_item(in, MAX_TARGET_RULES, sizeof(struct target_rule), &to->items, &to->n_items,
                     read_target);
}

#define MAX_TEXTS 100

static bool keep_item(const struct input *in, void *to,
                      bool (*read)(const struct input *, struct setting *))
{
    struct setting value = {.key = in->key};

    if (!read(in, &value))
        return false;
    *(const char **)to = value.text;
    return true;
}

static bool copy_text(const struct input *in, struct setting *to)
{
    return check_text(in, (size_t)in->key->high) &&
           keep_text(in, to, arena_strndup(in->reader->arena, in->text, in->len));
}

static bool read_text_item(const struct input *in, void *to)
{
    return keep_item(in, to, copy_text);
}

static bool read_path_item(const struct input *in, void *to)
{
    return keep_item(in, to, read_path);
}

bool read_texts(const struct input *in, struct setting *to)
{
    return each_item(in, MAX_TEXTS, sizeof(char *), &to->items, &to->n_items, read_text_item);
}

bool read_paths(const struct input *in, struct setting *to)
{
    return each_item(in, MAX_TEXTS, sizeof(char *), &to->items, &to->n_items, read_path_item);
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at;

    at = c ? strchr(digits, c | 0x20) : NULL;
    return at && (c >= 'A' || c <= '9') ? (int)(at - digits) : -1;
}

/* "ab12…", also with a ":" between any two bytes, as openssl prints it. */
static bool digest_from_hex(const char *text, unsigned char digest[DIGEST_BYTES])
{
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        int high, low;

        if (i > 0 && *text == ':')
            text++;
        high = hex_digit(text[0]);
        low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0)
            return false;
        digest[i] = (unsigned char)(high << 4 | low);
        text += 2;
    }
    return *text == '\0';
}

/* The 44 characters that base64 makes of 32 bytes; 43 without the padding. */
static bool digest_from_base64(const char *text, unsigned char digest[DIGEST_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(text), n = 0;
    uint32_t bits = 0;
    unsigned have = 0;

    if (len == 44 && text[43] == '=')
        len--;
    if (len != 43)
        return false;
    for (size_t i = 0; i < len; i++) {
        const char *at = memchr(digits, text[i], sizeof digits - 1);

        if (!at)
            return false;
        bits = bits << 6 | (uint32_t)(at - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            digest[n++] = (unsigned char)(bits >> have);
        }
    }
    return n == DIGEST_BYTES && (bits & 3) == 0;
}

static bool read_pin(const struct input *in, void *to)
{
    static const char *const prefixes[] = {"sha256//", "sha256:", "sha256/"}; /* curl, ssh, … */
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[DIGEST_BYTES];
    const char *text = in->text;
    struct pin *pin = to;

    if (!check_text(in, 127))
        return false;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes && text == in->text; i++) {
        if (strncasecmp(text, prefixes[i], strlen(prefixes[i])) == 0)
            text += strlen(prefixes[i]);
    }
    if (!digest_from_hex(text, digest) && !digest_from_base64(text, digest))
        return refuse(in, "not a SHA-256: 64 hexadecimal digits, or 44 characters of base64");
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        pin->hex[2 * i] = digits[digest[i] >> 4];
        pin->hex[2 * i + 1] = digits[digest[i] & 15];
    }
    pin->hex[2 * DIGEST_BYTES] = '\0';
    return true;
}

bool read_pins(const struct input *in, struct setting *to)
{
    return each_item(in, MAX_PINS, sizeof(struct pin), &to->items, &to->n_items, read_pin);
}

/* One mapping of level session; a layer of its own says what is set in it. */
static bool read_session(const struct input *in, struct session_config *to)
{
    struct layer layer = {.bad = false};
    size_t before = in->reader->report->messages->errors;
    const struct setting *idle = &layer.slots[SLOT_SESSION_IDLE], *name = &layer.slots[SLOT_NAME],
                         *keepalives = &layer.slots[SLOT_SESSION_KEEPALIVES];

    if (in->node->kind != YAML_MAP)
        return refuse(in, "%s where a mapping is needed; write for example {idle: 5m}",
                      yaml_kind_name(in->node->kind));
    read_layer(in->reader, in->node, LEVEL_SESSION, &layer);
    if (in->reader->report->messages->errors != before) {
        in->layer->bad = true; /* also after an unknown key: it may have been meant to be idle */
        return false;
    }
    if (!idle->key)
        return refuse(in, "no idle time; write for example {idle: 5m}");
    to->idle_ns = idle->number;
    to->keepalives_idle_ns = keepalives->key ? keepalives->number : 0;
    to->name = name->key ? name->text : NULL;
    for (const struct yaml_entry *e = in->node->first; e && !to->name; e = e->next) {
        if (strcmp(e->key->text, idle->key->name) == 0)
            to->name = arena_strdup(in->reader->arena, e->value->text);
    }
    if (to->name)
        return true;
    report_no_memory(in->reader->report);
    in->layer->bad = true;
    return false;
}

bool read_sessions(const struct input *in, struct setting *to)
{
    struct session_config *sessions;

    if (!in->node || in->node->kind != YAML_LIST)
        return refuse(in, "a list is needed; write for example [{idle: 60s}, {idle: 5m}]");
    if (in->node->n > MAX_SESSIONS)
        return refuse(in, "%zu of them; at most %d are allowed", in->node->n, MAX_SESSIONS);
    sessions = arena_alloc(in->reader->arena, (in->node->n + 1) * sizeof *sessions);
    to->items = sessions;
    if (!sessions) {
        report_no_memory(in->reader->report);
        in->layer->bad = true;
        return false;
    }
    for (const struct yaml_entry *e = in->node->first; e; e = e->next) {
        struct input item = *in;

        item.at = e->value->at;
        item.node = e->value;
        if (!read_session(&item, &sessions[to->n_items]))
            return false;
        for (size_t i = 0; i < to->n_items; i++) {
            if (strcmp(sessions[i].name, sessions[to->n_items].name) == 0)
                return refuse(&item, "two are called \"%s\"; give one of them a name of its own",
                              sessions[i].name);
        }
        to->n_items++;
    }
    return true;
}
