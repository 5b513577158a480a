#pragma once
/* The sessions of one server: an array of its state's, in the order of its configuration. */
#include "pgtls/model/session.h"

struct server;

/* NULL: none of the n is called so. */
struct session_state *session_states_find(struct session_state *sessions, size_t n,
                                          const char *name);

/* Makes *sessions (n_before of them, NULL and 0 at first) those of `config`, and returns how many
 * they are now: those that stay keep what is known of them, none is left without memory. Call
 * before the old configuration goes: names are its. */
size_t session_states_configure(struct session_state **sessions, size_t n_before,
                                const struct server *config);

/* Their histograms begin anew at 0. */
void session_states_forget_histograms(struct session_state *sessions, size_t n);

/* With all that belongs to them. */
void session_states_free(struct session_state *sessions, size_t n);
