/* Values of the web configuration. What is a boolean, a text, nothing is decided as Prometheus's
 * YAML reader does (gopkg.in/yaml.v2, YAML 1.1). */
#include "web_values.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/buf.h"
#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <ctype.h>
#include <string.h>

#define MAX_INTERVAL_NS (24 * 3600 * NS_PER_S)
#define MAX_BURST       1000000
#define SHOWN           64
#define FEW             8

/* bcrypt: "$2y$10$", 22 letters of salt, 31 of hash. */
#define BCRYPT_MIN_BYTES 59
#define BCRYPT_REST      53 /* behind the cost */
#define BCRYPT_LOW_COST  4
#define BCRYPT_HIGH_COST 31
/* Each step doubles the work; at this one a check takes about as long as Prometheus waits. */
#define BCRYPT_SLOW_COST 15

static bool refuse_kind(struct web_reading *r, const char *what, const struct yaml_node *node,
                        enum yaml_kind wanted)
{
    report_error(r->report, node->at, "%s: %s where %s is needed", what, yaml_kind_name(node->kind),
                 yaml_kind_name(wanted));
    return false;
}

bool web_opens(struct web_reading *r, const char *what, const struct yaml_node *node,
               enum yaml_kind kind)
{
    if (node->kind == YAML_NULL)
        return false;
    return node->kind == kind || refuse_kind(r, what, node, kind);
}

bool web_text(struct web_reading *r, const char *what, const struct yaml_node *node,
              const char **to)
{
    *to = "";
    if (node->kind == YAML_NULL)
        return true;
    if (node->kind != YAML_TEXT)
        return refuse_kind(r, what, node, YAML_TEXT);
    if (strlen(node->text) != node->len) {
        report_error(r->report, node->at, "%s: a NUL character", what);
        return false;
    }
    *to = arena_strndup_secret(r->arena, node->text, node->len); /* a hash, a key, or no secret */
    if (*to)
        return true;
    *to = "";
    report_no_memory(r->report);
    return false;
}

bool web_bool(struct web_reading *r, const char *what, const struct yaml_node *node, bool *to)
{
    static const char *const words[][2] = {
        {"n", "y"}, {"no", "yes"}, {"off", "on"}, {"false", "true"}};
    char lower[8];
    size_t len = node->len;

    if (node->kind == YAML_NULL) {
        *to = false;
        return true;
    }
    if (node->kind != YAML_TEXT)
        return refuse_kind(r, what, node, YAML_TEXT);
    /* "yes", "Yes" and "YES", but not "yEs". */
    for (size_t i = 0; len < sizeof lower && i <= len; i++)
        lower[i] = (char)tolower((unsigned char)node->text[i]);
    for (size_t i = 0; len < sizeof lower && !node->quoted && i < 4; i++) {
        for (size_t value = 0; value < 2; value++) {
            const char *rest = node->text + 1;

            if (strcmp(lower, words[i][value]) != 0 ||
                (strspn(rest, "abcdefghijklmnopqrstuvwxyz") != len - 1 &&
                 strspn(node->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != len))
                continue;
            *to = value == 1;
            return true;
        }
    }
    report_error(r->report, node->at, "%s: neither true nor false", what);
    return false;
}

bool web_duration(struct web_reading *r, const char *what, const struct yaml_node *node,
                  int64_t *to)
{
    const char *text;

    if (!web_text(r, what, node, &text))
        return false;
    *to = 0;
    if (*text == '\0' || (str_to_duration_ns(text, to) && *to >= 0 && *to <= MAX_INTERVAL_NS))
        return true;
    report_error(r->report, node->at, "%s: a duration from 0 to 24h is needed, such as 100ms",
                 what);
    return false;
}

bool web_count(struct web_reading *r, const char *what, const struct yaml_node *node, int64_t *to)
{
    const char *text;

    if (!web_text(r, what, node, &text))
        return false;
    *to = 0;
    if (*text == '\0' || str_to_i64(text, 0, MAX_BURST, to))
        return true;
    report_error(r->report, node->at, "%s: a number from 0 to %d is needed", what, MAX_BURST);
    return false;
}

/* Says what is near, or all there are if they are few. */
static void refuse_name(struct web_reading *r, const char *what, const struct yaml_node *node,
                        const char *const *names, size_t n)
{
    struct buf b = BUF_INIT(512);
    const char *nearest = str_nearest(node->text, names, n);
    char shown[SHOWN];

    str_clean(shown, sizeof shown, node->text, node->len);
    if (nearest)
        buf_addf(&b, "; did you mean \"%s\"?", nearest);
    for (size_t i = 0; !nearest && i < n && n <= FEW; i++)
        buf_addf(&b, "%s%s", i > 0 ? ", " : "; there are ", names[i]);
    report_error(r->report, node->at, "%s: \"%s\" is not known here%s", what, shown, buf_text(&b));
    buf_deinit(&b);
}

bool web_name(struct web_reading *r, const char *what, const struct yaml_node *node,
              const char *const *names, size_t n, size_t *to)
{
    const char *text;

    if (!web_text(r, what, node, &text))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], text) == 0) {
            *to = i;
            return true;
        }
    }
    refuse_name(r, what, node, names, n);
    return false;
}

static const char *wrong_hash(const char *hash, unsigned *cost, bool *can_match)
{
    const char *at = hash + 3;

    if (strlen(hash) < BCRYPT_MIN_BYTES)
        return "too short to be a bcrypt hash";
    if (strlen(hash) >= WEB_HASH_MAX)
        return "too long to be a bcrypt hash";
    if (hash[0] != '$' || hash[1] != '2')
        return "not a bcrypt hash, which begins with $2";
    at += hash[2] != '$';
    if (!isdigit((unsigned char)at[0]) || !isdigit((unsigned char)at[1]))
        return "a bcrypt hash without a cost of two digits";
    *can_match = at[2] == '$' && strlen(at + 3) == BCRYPT_REST;
    *cost = (unsigned)((at[0] - '0') * 10 + at[1] - '0');
    if (*cost < BCRYPT_LOW_COST || *cost > BCRYPT_HIGH_COST)
        return "a bcrypt hash whose cost is not between 4 and 31";
    return NULL;
}

/* The hash is never repeated in a message. */
bool web_hash(struct web_reading *r, const struct yaml_node *user, const struct yaml_node *node,
              const char **to)
{
    char shown[SHOWN];
    const char *wrong;
    bool can_match = true;
    unsigned cost = 0;

    str_clean(shown, sizeof shown, user->text, user->len);
    if (!web_text(r, "the hash of a password", node, to))
        return false;
    wrong = wrong_hash(*to, &cost, &can_match);
    if (wrong) {
        report_error(r->report, node->at,
                     "the password of \"%s\": %s; make one with: htpasswd -nBC 10 \"\" | tr -d "
                     "':\\n'",
                     shown, wrong);
        return false;
    }
    if (!can_match)
        report_warning(r->report, node->at,
                       "the password of \"%s\": its hash is not complete, no password will do",
                       shown);
    if (cost >= BCRYPT_SLOW_COST)
        report_warning(r->report, node->at,
                       "the password of \"%s\": its hash has cost %u, and to check it takes "
                       "seconds; 10 is usual",
                       shown, cost);
    return true;
}
