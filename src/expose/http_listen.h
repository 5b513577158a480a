#pragma once
/* Listening addresses: "127.0.0.1:10432", "[::1]:10432", ":10432", "localhost:10432",
 * "unix:/path". */
#include <stdbool.h>
#include <stddef.h>

struct listener {
    int fd;
    char text[128];      /* as really bound */
    char unix_path[108]; /* to remove at the end; "" for TCP */
    bool adopted;        /* somebody else opened it, and may go on listening when we are gone */
};

/* Binds and listens; false with the reason in error. */
bool listener_open(struct listener *l, const char *address, char *error, size_t size);

/* Takes the i-th of those that are open already. */
struct http_listeners;
void listener_take(struct listener *l, struct http_listeners *listeners, size_t i);

/* Takes over a socket that listens already. */
void listener_adopt(struct listener *l, int fd);

/* Removes the socket file. The descriptor is left alone: by then it is somebody else's. */
void listener_forget(struct listener *l);
