#pragma once
/* The sessions of one server: an array of its state's, in the order of its configuration. */
#include "pgtls/model/session.h"

#include <stdbool.h>

struct server;

/* NULL: none of the n is called so. */
struct session_state *session_states_find(struct session_state *sessions, size_t n,
                                          const char *name);

/* Room for those of `config`, NULL if it has none; false when out of memory. */
bool session_states_room(const struct server *config, struct session_state **room);

/* Makes *sessions (n_before of them, NULL and 0 at first) those of `config`, which the room is for
 * and taken over by, and returns how many they are now: those that stay keep what is known of them.
 * Call before the old configuration goes: names are its. */
size_t session_states_configure(struct session_state **sessions, size_t n_before,
                                const struct server *config, struct session_state *room);

/* Their histograms begin anew at 0. */
void session_states_forget_histograms(struct session_state *sessions, size_t n);

/* With all that belongs to them. */
void session_states_free(struct session_state *sessions, size_t n);
