/* Any text as a target of /probe, and as a rule of a module: it is refused with a reason that
 * quotes nothing of it ("SECRET~xyz" stands for a password), or is a host that a resolver and a log
 * may see. */
#include "pgtls/model/module.h"

#include "target.h"

static void check_target(const char *text)
{
    struct probe_target t;
    const char *wrong = probe_target_parse(text, &t);

    require(!wrong || (wrong[0] != '\0' && !strstr(wrong, SECRET)));
    if (wrong)
        return;
    require(t.host[0] != '\0' && strlen(t.host) < sizeof t.host);
    require(strlen(t.dbname) < sizeof t.dbname);
    require(!strpbrk(t.host, "@/,= \t\r\n%*[]") && !strpbrk(t.dbname, "/\r\n"));
    require(t.numeric || !strchr(t.host, ':'));
}

/* What a rule reads is what lets through: nobody without one, and no address that is denied. */
static void check_rule(const char *text)
{
    static const struct probe_target numeric = {.host = "192.0.2.7", .numeric = true};
    static const struct probe_target named = {.host = "db.example.com"};
    struct target_rule rule;
    struct module m = {.server.port = 5432, .allow = &rule, .n_allow = 1};
    const char *wrong, *name;
    char copy[TARGET_HOST_SIZE];
    size_t len = 0;

    wrong = target_rule_parse(text, &rule, &name, &len);
    require(!wrong || wrong[0] != '\0');
    if (wrong)
        return;
    if (name) {
        require(name >= text && len > 0 && len < sizeof copy);
        memcpy(copy, name, len);
        copy[len] = '\0';
        rule.name = copy;
    }
    require(rule.first_port <= rule.last_port);
    require(!name || !module_admits_address(&m, &numeric, 5432, "192.0.2.7"));
    require(!name || !module_admits_address(&m, &named, 5432, "127.0.0.1"));
    m.deny = &rule;
    m.n_deny = 1;
    require(module_refuses(&m, &numeric, 5432) ||
            !module_admits_address(&m, &numeric, 5432, "192.0.2.7"));
}

/* A line that names a target, and one that is a rule: who denies what it allows admits nobody, and
 * who allows nothing admits nobody either, by whatever name and at whatever address. */
static void check_both(const char *text, const char *rule_text)
{
    static const char *const addresses[] = {"192.0.2.7", "127.0.0.1", "2001:db8::1", "::1"};
    struct probe_target t;
    struct target_rule rule;
    struct module m = {.server.port = 5432, .allow = &rule, .n_allow = 1};
    const char *name;
    char copy[TARGET_HOST_SIZE];
    size_t len = 0;

    if (probe_target_parse(text, &t) || target_rule_parse(rule_text, &rule, &name, &len))
        return;
    if (name) {
        require(len < sizeof copy);
        memcpy(copy, name, len);
        copy[len] = '\0';
        rule.name = copy;
    }
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        const char *address = t.numeric ? t.host : addresses[i];
        uint16_t port = t.port ? t.port : 5432;
        bool admitted;

        m.deny = NULL;
        m.n_deny = 0;
        admitted = !module_refuses(&m, &t, port) && module_admits_address(&m, &t, port, address);
        m.deny = &rule;
        m.n_deny = rule.first_port != 0; /* a rule that denies always has its ports */
        require(!admitted || m.n_deny == 0 || module_refuses(&m, &t, port) ||
                !module_admits_address(&m, &t, port, address));
        m.n_allow = 0;
        require(module_refuses(&m, &t, port) || !module_admits_address(&m, &t, port, address));
        m.n_allow = 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);

    if (!text)
        return 0;
    memcpy(text, bytes, len);
    text[len] = '\0';
    check_target(text);
    check_rule(text);
    if (strchr(text, '\n')) {
        char *rest = text;
        const char *first = next_line(&rest);

        check_both(first, rest);
    }
    free(text);
    return 0;
}
