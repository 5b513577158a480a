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

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);

    if (!text)
        return 0;
    memcpy(text, bytes, len);
    text[len] = '\0';
    check_target(text);
    check_rule(text);
    free(text);
    return 0;
}
