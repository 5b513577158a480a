/* The list of what is watched, swapped whole.
 *
 * A view is immutable and counted; the fleet's own lock guards nothing but the pointer to the
 * present one, so nobody waits for anybody's work under it. */
#include "pgtls/model/fleet.h"

#include "fold_parts.h"
#include "pgtls/base/clock.h"
#include "session_states.h"

#include <stdlib.h>

struct fleet {
    pthread_mutex_t lock;
    struct fleet_view *view;
};

static struct fleet_view *view_new(struct endpoint_set *set)
{
    struct fleet_view *view = calloc(1, sizeof *view + set->n_servers * sizeof view->servers[0]);

    if (!view)
        return NULL;
    view->references = 1;
    view->set = endpoint_set_ref(set);
    view->n = set->n_servers;
    return view;
}

void fleet_view_unref(struct fleet_view *view)
{
    if (!view || __atomic_sub_fetch(&view->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t i = 0; i < view->n; i++)
        server_state_unref(view->servers[i]);
    endpoint_set_unref(view->set);
    free(view);
}

/* The servers of a view by identity: open addressing, at most half full. */
struct table {
    struct server_state **slots;
    size_t mask;
};

static bool table_init(struct table *table, const struct fleet_view *view)
{
    size_t size = 16, n = view ? view->n : 0;

    while (size < 2 * n)
        size *= 2;
    table->slots = calloc(size, sizeof(struct server_state *));
    if (!table->slots)
        return false;
    table->mask = size - 1;
    for (size_t i = 0; i < n; i++) {
        size_t at = view->servers[i]->config->key_hash & table->mask;

        while (table->slots[at])
            at = (at + 1) & table->mask;
        table->slots[at] = view->servers[i];
    }
    return true;
}

static struct server_state *table_find(const struct table *table, const struct server *server)
{
    size_t at = server->key_hash & table->mask;

    for (; table->slots[at]; at = (at + 1) & table->mask) {
        if (server_same(table->slots[at]->config, server))
            return table->slots[at];
    }
    return NULL;
}

/* Fills the new view from the old servers and new ones; changes nothing that is in force. */
static bool fill_view(struct fleet_view *view, const struct table *old, int64_t now_ns)
{
    for (size_t i = 0; i < view->n; i++) {
        const struct server *config = &view->set->servers[i];
        struct server_state *kept = table_find(old, config);

        view->servers[i] =
            kept ? server_state_ref(kept) : server_state_new(view->set, config, now_ns);
        if (!view->servers[i])
            return false;
    }
    return true;
}

struct fleet *fleet_new(void)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);

    if (fleet && pthread_mutex_init(&fleet->lock, NULL) != 0) {
        free(fleet);
        return NULL;
    }
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    if (!fleet)
        return;
    fleet_view_unref(fleet->view);
    pthread_mutex_destroy(&fleet->lock);
    free(fleet);
}

static void free_rooms(struct session_state **rooms, size_t n)
{
    for (size_t i = 0; rooms && i < n; i++)
        free(rooms[i]);
    free(rooms);
}

/* Room for every server's sessions, before anything is changed. NULL when out of memory. */
static struct session_state **make_rooms(const struct endpoint_set *set)
{
    struct session_state **rooms = calloc(set->n_servers + 1, sizeof(struct session_state *));

    for (size_t i = 0; rooms && i < set->n_servers; i++) {
        if (!session_states_room(&set->servers[i], &rooms[i])) {
            free_rooms(rooms, i);
            return NULL;
        }
    }
    return rooms;
}

/* A view of the new set with the servers that stay; NULL when out of memory. */
static struct fleet_view *make_view(struct endpoint_set *set, const struct fleet_view *old,
                                    int64_t now_ns)
{
    struct fleet_view *view = view_new(set);
    struct table table = {.slots = NULL};
    bool filled = view && table_init(&table, old) && fill_view(view, &table, now_ns);

    free(table.slots);
    if (filled)
        return view;
    fleet_view_unref(view);
    return NULL;
}

bool fleet_set(struct fleet *fleet, struct endpoint_set *set)
{
    int64_t now_ns = clock_monotonic_ns();
    struct fleet_view *old = fleet->view, *view = make_view(set, old, now_ns);
    struct session_state **rooms = view ? make_rooms(set) : NULL;

    if (!rooms) {
        fleet_view_unref(view);
        return false;
    }
    for (size_t i = 0; i < view->n; i++)
        fold_configuration(view->servers[i], set, &set->servers[i], rooms[i], now_ns);
    free(rooms); /* what was in them is the servers' now */
    pthread_mutex_lock(&fleet->lock);
    fleet->view = view;
    pthread_mutex_unlock(&fleet->lock);
    fleet_view_unref(old);
    return true;
}

struct fleet_view *fleet_view(struct fleet *fleet)
{
    struct fleet_view *view;

    pthread_mutex_lock(&fleet->lock);
    view = fleet->view;
    if (view)
        __atomic_add_fetch(&view->references, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&fleet->lock);
    return view;
}
