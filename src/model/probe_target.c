/* Targets as a request names them, and the patterns for them. What is wrong is said without quoting
 * anything: whoever confuses the forms may have written a password. */
#include "pgtls/model/module.h"

#include "pgtls/base/str.h"

#include <ctype.h>
#include <string.h>

#define NAME_CHARACTERS                                                                            \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_." /* of a host */

static bool only(const char *text, size_t len, const char *characters)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\0' || !strchr(characters, text[i]))
            return false;
    }
    return true;
}

/* "127.1", "2130706433", "0x7f.1": some resolver may take it for an address, and we would not. */
static bool ends_like_an_address(const char *name, size_t len)
{
    size_t end = len > 0 && name[len - 1] == '.' ? len - 1 : len, start = end;

    while (start > 0 && name[start - 1] != '.')
        start--;
    if (end - start > 1 && name[start] == '0' && tolower((unsigned char)name[start + 1]) == 'x')
        return only(name + start + 2, end - start - 2, "0123456789abcdefABCDEF");
    return end > start && only(name + start, end - start, "0123456789");
}

/* Numeric, and not a block of addresses. */
static bool is_numeric(const char *host)
{
    struct network network;

    return !strchr(host, '/') && network_from_text(host, &network);
}

/* --- rules ------------------------------------------------------------------------------------ */

/* "5432", "5432-5440", "*". */
static bool parse_ports(const char *text, struct target_rule *rule)
{
    const char *dash = strchr(text, '-');
    char first[8];
    int64_t low, high;

    if (strcmp(text, "*") == 0) {
        rule->first_port = 1;
        rule->last_port = UINT16_MAX;
        return true;
    }
    if (dash && (size_t)(dash - text) >= sizeof first)
        return false;
    str_copy(first, dash ? (size_t)(dash - text) + 1 : sizeof first, text);
    if (!str_to_i64(first, 1, UINT16_MAX, &low) ||
        !str_to_i64(dash ? dash + 1 : text, low, UINT16_MAX, &high))
        return false;
    rule->first_port = (uint16_t)low;
    rule->last_port = (uint16_t)high;
    return true;
}

/* Cuts "host:ports" apart; an IPv6 address with ports stands in brackets. */
static const char *cut_rule(const char *text, const char **host, size_t *len, const char **ports)
{
    const char *colon = strchr(text, ':'), *end;

    *host = text;
    *len = strlen(text);
    *ports = NULL;
    if (text[0] == '[') {
        end = strchr(text, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return "has a [ without its ]";
        *host = text + 1;
        *len = (size_t)(end - text - 1);
        *ports = end[1] == ':' ? end + 2 : NULL;
    } else if (colon && !strchr(colon + 1, ':')) {
        *len = (size_t)(colon - text);
        *ports = colon + 1;
    }
    return NULL;
}

const char *target_rule_parse(const char *text, struct target_rule *rule, const char **name,
                              size_t *name_len)
{
    const char *host, *ports, *wrong;
    char copy[TARGET_HOST_SIZE];
    size_t len;

    *rule = (struct target_rule){.first_port = 0};
    *name = NULL;
    wrong = cut_rule(text, &host, &len, &ports);
    if (wrong)
        return wrong;
    if (len == 0 || len >= sizeof copy)
        return "has no host, or one that is too long";
    if (ports && !parse_ports(ports, rule))
        return "has no port between 1 and 65535, no range of them and no * behind the colon";
    str_copy(copy, len + 1, host);
    if (network_from_text(copy, &rule->network))
        return NULL;
    if (!only(host, len, NAME_CHARACTERS "*"))
        return "is neither a host's name (* stands for any characters) nor a block of addresses";
    if (ends_like_an_address(host, len) ||
        (only(host, len, "0123456789.*") && !only(host, len, ".*")))
        return "looks like an address and is none; of addresses write a block, such as "
               "192.0.2.0/24";
    *name = host;
    *name_len = len;
    return NULL;
}

/* --- targets ---------------------------------------------------------------------------------- */

static const char *take_port(const char *text, struct probe_target *target)
{
    int64_t port;

    if (!str_to_i64(text, 1, UINT16_MAX, &port))
        return "the target's port is no number between 1 and 65535";
    target->port = (uint16_t)port;
    return NULL;
}

/* "host", "host:port", "[v6]", "[v6]:port", `len` bytes of it. */
static const char *take_place(const char *text, size_t len, struct probe_target *target)
{
    char copy[TARGET_HOST_SIZE + 8], *host = copy, *colon, *end;

    if (len >= sizeof copy)
        return "the target's host is too long";
    memcpy(copy, text, len);
    copy[len] = '\0';
    colon = strchr(copy, ':');
    if (copy[0] == '[') {
        end = strchr(copy, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return "the target has a [ without its ]";
        *end = '\0';
        host++;
        colon = end[1] == ':' ? end + 1 : NULL;
        if (!strchr(host, ':') || !is_numeric(host))
            return "what stands in brackets is no IPv6 address";
    } else if (colon && strchr(colon + 1, ':')) {
        return "the target is no server; an IPv6 address is written [address]:port";
    }
    if (colon)
        *colon = '\0';
    if (*host == '\0')
        return "the target has no host";
    if (!str_copy(target->host, sizeof target->host, host))
        return "the target's host is too long";
    target->numeric = is_numeric(host);
    if (!target->numeric && !only(host, strlen(host), NAME_CHARACTERS))
        return "the target's host is neither a name nor an address";
    if (!target->numeric && ends_like_an_address(host, strlen(host)))
        return "the target's host looks like an address and is none";
    return colon ? take_port(colon + 1, target) : NULL;
}

static int hex_digit(char c)
{
    if (!isxdigit((unsigned char)c))
        return -1;
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* The path of a URL: percent-encoded. */
static const char *take_dbname(const char *text, struct probe_target *target)
{
    char decoded[TARGET_DBNAME_SIZE];
    size_t n = 0;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '%') {
            int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);

            if (low < 0)
                return "the target's database has a % without two hexadecimal digits";
            c = (unsigned char)(high << 4 | low);
            text += 2;
        }
        if (c < ' ' || c == 0x7F || c == '/')
            return "the target's database holds a / or a control character";
        if (n + 1 >= sizeof decoded)
            return "the target's database has more than 63 bytes";
        decoded[n++] = (char)c;
    }
    decoded[n] = '\0';
    str_copy(target->dbname, sizeof target->dbname, decoded);
    return NULL;
}

/* Behind the scheme. */
static const char *take_url(const char *text, struct probe_target *target)
{
    size_t len = strcspn(text, "/");
    const char *wrong;

    if (strpbrk(text, "?#"))
        return "a target has no parameters: what the probe is to do belongs into a module";
    wrong = take_place(text, len, target);
    return wrong || text[len] == '\0' ? wrong : take_dbname(text + len + 1, target);
}

const char *probe_target_parse(const char *text, struct probe_target *target)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};

    *target = (struct probe_target){.port = 0};
    if (!text || *text == '\0')
        return "Target parameter is missing";
    if (strchr(text, '@'))
        return "a target holds no credentials: user and password belong into a module";
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            return take_url(text + strlen(schemes[i]), target);
    }
    if (strstr(text, "://"))
        return "the target is a URL of another kind; write host:port or "
               "postgresql://host:port/dbname";
    if (strpbrk(text, "= \t\r\n"))
        return "the target is no server; a connection string belongs into a module, write "
               "host:port";
    if (strchr(text, ','))
        return "a target is one server; name them one by one";
    if (strchr(text, '/'))
        return "the target is no server; write host:port (Unix sockets are not probed by request)";
    return take_place(text, strlen(text), target);
}
