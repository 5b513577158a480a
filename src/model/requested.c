/* Answers: an endpoint set of one server, and a fleet of it that nobody else sees. So what is told
 * of a target is told by the same code as of any server, and is gone with the answer. */
#include "pgtls/model/requested.h"

#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"
#include "pgtls/model/fold.h"
#include "pgtls/model/module.h"

#include <stdlib.h>
#include <string.h>

static const char *const outcome_names[REQUEST_OUTCOME_COUNT] = {
    [REQUEST_SUCCESS] = "success",     [REQUEST_FAILURE] = "failure",
    [REQUEST_INVALID] = "invalid",     [REQUEST_UNKNOWN_MODULE] = "unknown_module",
    [REQUEST_FORBIDDEN] = "forbidden", [REQUEST_BUSY] = "busy",
    [REQUEST_ERROR] = "error",
};

const char *request_outcome_name(enum request_outcome outcome)
{
    return str_name(outcome_names, REQUEST_OUTCOME_COUNT, (size_t)outcome);
}

struct probe_answer *probe_answer_new(void)
{
    struct probe_answer *answer = calloc(1, sizeof *answer);

    if (answer)
        answer->references = 1;
    return answer;
}

struct probe_answer *probe_answer_ref(struct probe_answer *answer)
{
    __atomic_add_fetch(&answer->references, 1, __ATOMIC_RELAXED);
    return answer;
}

void probe_answer_unref(struct probe_answer *answer)
{
    if (!answer || __atomic_sub_fetch(&answer->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    observation_deinit(&answer->inspect);
    observation_deinit(&answer->login);
    fleet_view_unref(answer->view);
    endpoint_set_unref(answer->modules);
    free(answer);
}

/* The module's server at the target's place; false when out of memory. */
static bool place_server(struct arena *arena, const struct module *module,
                         const struct probe_target *target, struct server *s)
{
    bool v6 = strchr(target->host, ':') != NULL;

    *s = module->server;
    s->port = target->port ? target->port : module->server.port;
    s->host = arena_strdup(arena, target->host);
    s->name = arena_printf(arena, v6 ? "[%s]:%u" : "%s:%u", target->host, (unsigned)s->port);
    if (target->dbname[0])
        s->dbname = arena_strdup(arena, target->dbname);
    s->endpoint_index = 0;
    return s->host && s->name && (!target->dbname[0] || s->dbname);
}

/* NULL when out of memory. */
static struct endpoint_set *set_of_one(const struct endpoint_set *modules,
                                       const struct module *module,
                                       const struct probe_target *target, struct server **server)
{
    struct arena *arena = arena_new();
    struct server *s = arena ? arena_alloc(arena, sizeof *s) : NULL;
    struct endpoint *endpoint = s ? arena_alloc(arena, sizeof *endpoint) : NULL;
    struct endpoint_set *set = NULL;

    if (endpoint && place_server(arena, module, target, s))
        set = endpoint_set_new(arena);
    if (!set) {
        arena_free(arena);
        return NULL;
    }
    *endpoint = (struct endpoint){.cluster = s->cluster, .name = s->endpoint, .n_servers = 1};
    s->key_hash = server_key_hash(s->cluster, s->endpoint, s->name);
    set->settings = modules->settings;
    set->servers = *server = s;
    set->n_servers = 1;
    set->endpoints = endpoint;
    set->n_endpoints = 1;
    return set;
}

bool probe_answer_about(struct probe_answer *answer, struct endpoint_set *modules,
                        const struct module *module, const struct probe_target *target,
                        struct server **server)
{
    struct endpoint_set *set = set_of_one(modules, module, target, server);
    struct fleet *fleet = fleet_new();

    if (set && fleet && fleet_set(fleet, set))
        answer->view = fleet_view(fleet);
    fleet_free(fleet);
    if (answer->view) {
        answer->modules = endpoint_set_ref(modules);
        answer->server = *server;
    }
    endpoint_set_unref(set);
    return answer->view != NULL;
}

void probe_answer_take(struct probe_answer *answer, struct observation *o)
{
    bool login = o->probe == PROBE_LOGIN;
    struct observation *to = login ? &answer->login : &answer->inspect;

    fleet_apply(answer->view->servers[0], o, 0);
    *to = *o;
    to->client_certificate = NULL; /* borrowed; the state has its own copy */
    answer->has_login = answer->has_login || login;
    answer->duration_ns += o->duration_ns;
    observation_init(o, o->probe);
}
