/* One reader per type of value. */
#include "values.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"
#include "pgtls/config/dsn.h"
#include "pgtls/model/server.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define MAX_HOST_BYTES 255

static bool read_text(const struct input *in, struct setting *to)
{
    if (in->key->source == SECRET_FILE)
        return read_text_file(in, to);
    if (!check_text(in, (size_t)in->key->high))
        return false;
    /* What an address asks for may be a secret: ?token=… */
    return keep_text(in, to,
                     in->key->slot == SLOT_URL
                         ? arena_strndup_secret(in->reader->arena, in->text, in->len)
                         : arena_strndup(in->reader->arena, in->text, in->len));
}

/* Numbers. */

static bool read_duration(const struct input *in, struct setting *to)
{
    char value[SHOWN_SIZE];
    struct buf b = BUF_INIT(128);
    int64_t ns;

    shown(value, in->text);
    if (in->len > 0 && strspn(in->text, "0123456789") == in->len && strcmp(in->text, "0") != 0)
        return refuse(in, "%s has no unit; write %ss for seconds, %sms for milliseconds", value,
                      value, value);
    if (!str_to_duration_ns(in->text, &ns))
        return refuse(in, "\"%s\" is not a duration; write for example 500ms, 30s or 1m30s",
                      shown(value, in->text));
    if (ns < in->key->low || ns > in->key->high) {
        str_add_duration(&b, in->key->low);
        buf_add_str(&b, " and ");
        str_add_duration(&b, in->key->high);
        refuse(in, "%s is out of bounds; it must be between %s", value, buf_text(&b));
        buf_deinit(&b);
        return false;
    }
    to->number = ns;
    return true;
}

static bool read_integer(const struct input *in, struct setting *to)
{
    char value[SHOWN_SIZE];

    if (str_to_i64(in->text, in->key->low, in->key->high, &to->number))
        return true;
    return refuse(in, "\"%s\" is not a whole number between %lld and %lld", shown(value, in->text),
                  (long long)in->key->low, (long long)in->key->high);
}

static bool read_bool(const struct input *in, struct setting *to)
{
    static const struct {
        const char *word;
        int value;
    } words[] = {{"true", 1}, {"false", 0}, {"True", 1}, {"False", 0}, {"TRUE", 1}, {"FALSE", 0}};
    char value[SHOWN_SIZE];

    if (in->from_dsn && (strcmp(in->text, "1") == 0 || strcmp(in->text, "0") == 0)) {
        to->number = in->text[0] == '1';
        return true;
    }
    if (in->from_dsn)
        return refuse(in, "neither 0 nor 1");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(in->text, words[i].word) != 0)
            continue;
        if (in->quoted)
            return refuse(in, "\"%s\" in quotes is text; write it without them", in->text);
        to->number = words[i].value;
        return true;
    }
    return refuse(in, "\"%s\" is neither true nor false", shown(value, in->text));
}

/* A text that says why, or false where an outer level says one. */
static bool read_reason(const struct input *in, struct setting *to)
{
    bool answers =
        !in->quoted && (strcasecmp(in->text, "false") == 0 || strcasecmp(in->text, "true") == 0);

    if (!answers)
        return read_text(in, to);
    return strcasecmp(in->text, "false") == 0 ||
           refuse(in, "say why, for whoever sees it; for example \"moving to new storage\"");
}

/* Words of a closed list. */

static void add_names(struct buf *to, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        buf_add_str(to, i == 0 ? "" : names[i + 1] ? ", " : " or ");
        buf_add_str(to, names[i]);
    }
}

/* The index of a word among the key's names, or -1 with an error. */
static int find_name(const struct input *in, const char *word)
{
    const char *const *names = in->key->names, *nearest;
    bool fold = in->key->slot == SLOT_SSL_MIN || in->key->slot == SLOT_SSL_MAX; /* as libpq */
    struct buf list = BUF_INIT(256);
    char value[SHOWN_SIZE];
    size_t n = 0;

    for (; names[n]; n++) {
        if (strcmp(names[n], word) == 0 || (fold && strcasecmp(names[n], word) == 0))
            return (int)n;
    }
    add_names(&list, names);
    nearest = str_nearest(word, names, n);
    /* In a connection string it may be the rest of a password. */
    refuse(in, "\"%s\" is not %s%s%s%s%s", in->from_dsn ? "…" : shown(value, word),
           n > 2 ? "one of " : "", buf_text(&list), nearest ? "; did you mean \"" : "",
           nearest ? nearest : "", nearest ? "\"?" : "");
    buf_deinit(&list);
    return -1;
}

static bool read_enum(const struct input *in, struct setting *to)
{
    int i = find_name(in, in->text);

    if (i < 0)
        return false;
    to->number = i;
    to->text = in->key->names[i];
    return true;
}

static bool read_flags(const struct input *in, struct setting *to)
{
    struct input item = *in;
    char value[SHOWN_SIZE];

    if (!in->node || in->node->kind != YAML_LIST)
        return refuse(in, "a list is needed; write it in brackets: [%s]",
                      in->node && in->node->kind == YAML_TEXT ? shown(value, in->text)
                                                              : in->key->names[0]);
    for (const struct yaml_entry *e = in->node->first; e; e = e->next) {
        int i;

        item.at = e->value->at;
        if (e->value->kind != YAML_TEXT)
            return refuse(&item, "%s where a word is needed", yaml_kind_name(e->value->kind));
        i = find_name(&item, e->value->text);
        if (i < 0)
            return false;
        to->number |= (int64_t)1 << i;
    }
    return true;
}

/* Hosts and ports. */

static bool is_address(const char *text)
{
    unsigned char binary[sizeof(struct in6_addr)];
    char without_zone[INET6_ADDRSTRLEN + 1];
    const char *zone = strchr(text, '%');
    size_t len = zone ? (size_t)(zone - text) : strlen(text);

    if (inet_pton(AF_INET, text, binary) == 1)
        return true;
    if (len >= sizeof without_zone || (zone && zone[1] == '\0'))
        return false;
    memcpy(without_zone, text, len);
    without_zone[len] = '\0';
    return inet_pton(AF_INET6, without_zone, binary) == 1;
}

static bool check_socket_directory(const struct input *in, const char *host)
{
    const size_t longest = sizeof((struct sockaddr_un *)NULL)->sun_path - sizeof "/.s.PGSQL.65535";

    if (host[0] == '@')
        return refuse(in, "abstract Unix sockets are not supported; give a directory");
    if (strlen(host) > longest)
        return refuse(in, "this directory is too long for a Unix socket: %zu bytes, at most %zu",
                      strlen(host), longest);
    return true;
}

static bool check_host(const struct input *in, const char *host)
{
    const char *odd;

    if (host[0] == '\0')
        return refuse(in, "a host is empty; libpq would take its default Unix socket there, "
                          "here the socket's directory must be named");
    if (host[0] == '/' || host[0] == '@')
        return check_socket_directory(in, host);
    if (is_address(host))
        return true;
    if (in->key->slot == SLOT_HOSTADDR)
        return refuse(in, "not a numeric address; names belong under \"host\"");
    if (strstr(host, "://"))
        return refuse(in, "this looks like a connection string; give it as \"dsn\"");
    if (strlen(host) > MAX_HOST_BYTES)
        return refuse(in, "a name of %zu bytes; at most %d are allowed", strlen(host),
                      MAX_HOST_BYTES);
    odd = host + strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
    if (*odd == '[' || *odd == ']')
        return refuse(in, "an IPv6 address is written without brackets here");
    if (*odd == ':')
        return refuse(in, "\":\" does not belong into a name; the port is given as \"port\"");
    if (*odd == ' ')
        return refuse(in, "a space does not belong into a name; several hosts are separated by "
                          "\",\" alone");
    if ((unsigned char)*odd >= 0x80)
        return refuse(in, "not an ASCII name; write its xn-- form");
    if (*odd)
        return refuse(in, "\"%c\" does not belong into a name", *odd);
    return true;
}

static bool check_port(const struct input *in, const char *port)
{
    char value[SHOWN_SIZE];
    int64_t number;

    if (port[0] == '\0' || str_to_i64(port, in->key->low, in->key->high, &number))
        return true;
    /* In a URI this may be the rest of a password. */
    if (in->from_dsn)
        return refuse(in, "not a number between 1 and 65535; in a password \"/\", \":\", \"@\" and "
                          "\"?\" are written %%2F, %%3A, %%40 and %%3F");
    return refuse(in, "\"%s\" is not a number between 1 and 65535", shown(value, port));
}

/* Each element of a comma list by the key's own check; the list is kept as it is. */
static bool read_list(const struct input *in, struct setting *to)
{
    const char *at = in->text;
    char *copy;

    if (!check_text(in, in->key->type == KEY_HOSTS ? (size_t)in->key->high : 4096))
        return false;
    copy = arena_strndup(in->reader->arena, in->text, in->len);
    if (!keep_text(in, to, copy))
        return false;
    for (;;) {
        size_t len = strcspn(at, ",");
        char *element = arena_strndup(in->reader->arena, at, len);

        if (!keep_text(in, to, element))
            return false;
        if (!(in->key->type == KEY_HOSTS ? check_host(in, element) : check_port(in, element)))
            return false;
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    to->text = copy;
    return true;
}

/* Secrets. */

static bool read_secret(const struct input *in, struct setting *to)
{
    enum secret_source source = (enum secret_source)in->key->source;

    if (source == SECRET_FILE || source == SECRET_PASSFILE)
        return read_path(in, to);
    if (source == SECRET_ENVIRONMENT)
        return check_variable(in) && read_text(in, to);
    if (in->len == 0 || in->len > (size_t)in->key->high || memchr(in->text, '\0', in->len))
        return refuse(in, "a secret is 1 to %lld bytes long and holds no NUL",
                      (long long)in->key->high);
    if (!in->reader->secrets_are_private)
        report_warning(in->reader->report, in->at,
                       "%s: a secret stands in the file itself; keep it in a file or the "
                       "environment: %s_file, %s_env",
                       in->what, in->key->name, in->key->name);
    return keep_text(in, to, arena_strndup_secret(in->reader->arena, in->text, in->len));
}

/* True, false, or the keys of a level of its own, which mean true. */
static bool read_switch(const struct input *in, struct setting *to, enum level level)
{
    to->number = 1;
    if (!in->node || in->node->kind == YAML_TEXT)
        return read_bool(in, to);
    if (in->node->kind != YAML_MAP)
        return refuse(in, "%s where true, false or a mapping is needed",
                      yaml_kind_name(in->node->kind));
    if (level == LEVEL_LOGIN)
        to->key = NULL; /* the keys inside claim the same slots */
    read_layer(in->reader, in->node, level, in->layer);
    return true;
}

static bool read_login(const struct input *in, struct setting *to)
{
    return read_switch(in, to, LEVEL_LOGIN);
}

static bool read_policy(const struct input *in, struct setting *to)
{
    return read_switch(in, to, LEVEL_POLICY);
}

/* The keys inside have slots of their own, so that each is inherited by itself. */
static bool read_promise(const struct input *in, struct setting *to)
{
    (void)to;
    if (!in->node || in->node->kind != YAML_MAP)
        return refuse(in, "a mapping is needed; write for example {read_only: true}");
    read_layer(in->reader, in->node, LEVEL_PROMISE, in->layer);
    return true;
}

static bool read_node(const struct input *in, struct setting *to)
{
    (void)in;
    (void)to; /* has its node already */
    return true;
}

void read_value(const struct input *in, struct setting *to)
{
    static bool (*const readers[])(const struct input *, struct setting *) = {
        [KEY_TEXT] = read_text,         [KEY_PATH] = read_path,
        [KEY_HOSTS] = read_list,        [KEY_PORTS] = read_list,
        [KEY_DURATION] = read_duration, [KEY_INTEGER] = read_integer,
        [KEY_BOOL] = read_bool,         [KEY_ENUM] = read_enum,
        [KEY_FLAGS] = read_flags,       [KEY_SECRET] = read_secret,
        [KEY_LABELS] = read_labels,     [KEY_DSN] = read_dsn_value,
        [KEY_LOGIN] = read_login,       [KEY_NODE] = read_node,
        [KEY_NETWORKS] = read_networks, [KEY_PINS] = read_pins,
        [KEY_PROMISE] = read_promise,   [KEY_POLICY] = read_policy,
        [KEY_SESSIONS] = read_sessions, [KEY_EXPECT] = read_expect,
        [KEY_FAULTS] = read_faults,     [KEY_CLASSES] = read_classes,
        [KEY_VARS] = read_vars,         [KEY_REASON] = read_reason,
        [KEY_TEXTS] = read_texts,       [KEY_PATHS] = read_paths,
        [KEY_TARGETS] = read_targets,
    };
    static const unsigned structured =
        1U << KEY_FLAGS | 1U << KEY_LABELS | 1U << KEY_NETWORKS | 1U << KEY_PINS | 1U << KEY_LOGIN |
        1U << KEY_PROMISE | 1U << KEY_POLICY | 1U << KEY_NODE | 1U << KEY_SESSIONS |
        1U << KEY_EXPECT | 1U << KEY_FAULTS | 1U << KEY_CLASSES | 1U << KEY_VARS | 1U << KEY_TEXTS |
        1U << KEY_PATHS | 1U << KEY_TARGETS;

    if (in->node && in->node->kind == YAML_NULL)
        refuse(in, "no value; leave the key out or give one");
    else if (in->node && in->node->kind != YAML_TEXT && !(structured & 1U << in->key->type))
        refuse(in, "%s where a single value is needed", yaml_kind_name(in->node->kind));
    else
        readers[in->key->type](in, to);
}
