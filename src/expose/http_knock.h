#pragma once
/* Does the HTTP server still turn? A connection of our own is put into it, past the network, the
 * other end of which has nothing to say: a loop that turns notices and closes it. */
#include <stdbool.h>

struct MHD_Daemon;

struct knock {
    int ours;   /* our end; -1: none */
    bool other; /* which end the server gets next time */
};

void knock_init(struct knock *knock);
void knock_deinit(struct knock *knock);

/* Knocks, and forgets the time before. One that cannot even be tried, because there are no
 * descriptors, says nothing about the server and counts as answered. */
void knock_at(struct knock *knock, struct MHD_Daemon *daemon);

/* Has the server not answered the latest knock? */
bool knock_unanswered(const struct knock *knock);
