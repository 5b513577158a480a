#pragma once
/* Modules: how a target is probed that a request names (`/probe?target=…&module=…`), and which
 * targets it may name. Whoever can reach /probe chooses where the exporter connects to and to whom
 * it logs in, so a module admits nobody unless it says so: by the name that was asked for, and by
 * every address that is about to be connected to, which is what a name is worth in the end. */
#include "pgtls/model/network.h"
#include "pgtls/model/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One item of allow_targets or deny_targets. */
struct target_rule {
    const char *name;       /* a host's name, "*" stands for any characters; NULL: a block */
    struct network network; /* of a block */
    /* 0 and 0: the module's own port and no other; in `deny` always given. */
    uint16_t first_port, last_port;
};

#define MAX_TARGET_RULES 256

/* Strings, rules and the server live in the endpoint set. */
struct module {
    const char *name;
    struct server server; /* all but where: no host, no name; its port is for targets without one */
    const struct target_rule *allow, *deny;
    size_t n_allow, n_deny;
};

/* The module of this name, NULL when the set has none. */
const struct module *module_find(const struct endpoint_set *set, const char *name);

/* "db.example.com", "*.example.com:5432", "10.0.0.0/8:5432-5440", "[2001:db8::/32]:*". On success
 * `name_len` bytes of the text from `*name` are the name, or *name is NULL for a block; the rule's
 * own name is the caller's to set. Returns NULL, or what is wrong with it. */
const char *target_rule_parse(const char *text, struct target_rule *rule, const char **name,
                              size_t *name_len);

/* What a request names. */
#define TARGET_HOST_SIZE   254
#define TARGET_DBNAME_SIZE 64
struct probe_target {
    char host[TARGET_HOST_SIZE];
    uint16_t port;                   /* 0: it names none */
    char dbname[TARGET_DBNAME_SIZE]; /* "": it names none */
    bool numeric;                    /* host is an address */
};

/* "host", "host:port", "[v6]:port", "postgresql://host:port/dbname". Returns NULL, or what is wrong
 * with it: a text that quotes nothing of the target, in which a password may stand. */
const char *probe_target_parse(const char *text, struct probe_target *target);

/* May this be probed at this port, as far as can be told before its name is resolved? Returns NULL
 * for yes (which module_admits_address still has to confirm for each address), or the rule that
 * says no. */
const char *module_refuses(const struct module *module, const struct probe_target *target,
                           uint16_t port);

/* May this numeric address be connected to for the target? What a name alone has allowed leads to
 * no address that is special (loopback, link-local, multicast …): those take a block. */
bool module_admits_address(const struct module *module, const struct probe_target *target,
                           uint16_t port, const char *address);
