/* Who may be probed by a module: names by patterns, addresses by blocks. Pure. */
#include "pgtls/model/module.h"

#include <ctype.h>
#include <string.h>

const struct module *module_find(const struct endpoint_set *set, const char *name)
{
    for (size_t i = 0; i < set->n_modules; i++) {
        if (strcmp(set->modules[i].name, name) == 0)
            return &set->modules[i];
    }
    return NULL;
}

/* --- rules ------------------------------------------------------------------------------------ */

/* A name's closing dot says nothing about which name it is. */
static size_t name_length(const char *name)
{
    size_t len = strlen(name);

    return len > 1 && name[len - 1] == '.' ? len - 1 : len;
}

/* "*" stands for any run of characters, dots included. */
static bool name_matches(const char *pattern, const char *name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, from = 0;
    size_t pattern_len = name_length(pattern), name_len = name_length(name);

    while (n < name_len) {
        if (p < pattern_len && pattern[p] == '*') {
            star = p++;
            from = n;
        } else if (p < pattern_len &&
                   tolower((unsigned char)pattern[p]) == tolower((unsigned char)name[n])) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern_len && pattern[p] == '*')
        p++;
    return p == pattern_len;
}

static bool port_matches(const struct module *m, const struct target_rule *rule, uint16_t port)
{
    if (rule->first_port == 0)
        return port == m->server.port;
    return port >= rule->first_port && port <= rule->last_port;
}

/* Does one of the rules for addresses hold for this one? `port` 0: whatever the port. */
static bool block_holds(const struct module *m, const struct target_rule *rules, size_t n,
                        uint16_t port, const char *address)
{
    for (size_t i = 0; i < n; i++) {
        if (!rules[i].name && (port == 0 || port_matches(m, &rules[i], port)) &&
            network_contains(&rules[i].network, address))
            return true;
    }
    return false;
}

static bool name_holds(const struct module *m, const struct target_rule *rules, size_t n,
                       uint16_t port, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (rules[i].name && (port == 0 || port_matches(m, &rules[i], port)) &&
            name_matches(rules[i].name, name))
            return true;
    }
    return false;
}

/* Is there a block at all that the addresses of a name could be in? */
static bool has_block(const struct module *m, uint16_t port)
{
    for (size_t i = 0; i < m->n_allow; i++) {
        if (!m->allow[i].name && (port == 0 || port_matches(m, &m->allow[i], port)))
            return true;
    }
    return false;
}

static bool allowed(const struct module *m, const struct probe_target *t, uint16_t port)
{
    if (t->numeric)
        return block_holds(m, m->allow, m->n_allow, port, t->host);
    return name_holds(m, m->allow, m->n_allow, port, t->host) || has_block(m, port);
}

const char *module_refuses(const struct module *m, const struct probe_target *t, uint16_t port)
{
    if (m->n_allow == 0)
        return "the module allows no target: it has no allow_targets";
    if (t->numeric ? block_holds(m, m->deny, m->n_deny, port, t->host)
                   : name_holds(m, m->deny, m->n_deny, port, t->host))
        return "the module's deny_targets name the target";
    if (allowed(m, t, port))
        return NULL;
    if (allowed(m, t, 0))
        return "the module's allow_targets have this host, but not at this port";
    return t->numeric ? "no block of addresses in the module's allow_targets has the target"
                      : "no name in the module's allow_targets fits the target, and there is no "
                        "block of addresses for its port";
}

/* Where a name that somebody else may point anywhere must not lead by itself: this host, its
 * neighbours on the wire (a cloud's metadata service among them), whoever listens, and IPv4
 * addresses in IPv6 clothes. */
static const char *const special[] = {
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",  "240.0.0.0/4",
    "::/96",     "fe80::/10",   "ff00::/8",       "64:ff9b::/96", "64:ff9b:1::/48",
    "2001::/32", "2002::/16",   "::ffff:0:0:0/96"};

static bool is_special(const char *address)
{
    struct network network;

    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        if (network_from_text(special[i], &network) && network_contains(&network, address))
            return true;
    }
    return false;
}

bool module_admits_address(const struct module *m, const struct probe_target *t, uint16_t port,
                           const char *address)
{
    if (block_holds(m, m->deny, m->n_deny, port, address))
        return false;
    if (block_holds(m, m->allow, m->n_allow, port, address))
        return true;
    return !t->numeric && !is_special(address) &&
           name_holds(m, m->allow, m->n_allow, port, t->host);
}
