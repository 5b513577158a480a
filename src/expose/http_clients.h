#pragma once
/* The clients connected now, and the absolute deadline each of them is under.
 *
 * libmicrohttpd's own timeout is one of inactivity: a client that sends or reads a byte now and
 * then holds its connection for ever. Here a request has until a fixed moment, from its first line
 * (or from the connection) to the last byte of the answer; then its socket is shut down, which the
 * server's loop notices like any other close. A connection between two requests has longer, but
 * goes first when too many are open. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clients;
struct client;

/* Starts the thread that watches the deadlines. NULL when that is not possible. */
struct clients *clients_new(size_t max, int64_t deadline_ns, int64_t idle_ns);
void clients_free(struct clients *clients); /* no client may be left */

/* A connection was made: its first request is due. Makes room if there are too many. NULL when out
 * of memory: the connection is then watched by libmicrohttpd's timeout only. */
struct client *clients_add(struct clients *clients, int fd);

/* The connection is about to be closed; its descriptor is not touched any more. */
void clients_remove(struct clients *clients, struct client *client);

/* A request begins, an answer is being made, a request is over. All accept NULL. */
void clients_begin(struct clients *clients, struct client *client);
void clients_answer(struct clients *clients, struct client *client);
/* The answer takes this much longer. */
void clients_patience(struct clients *clients, struct client *client, int64_t ns);
void clients_end(struct clients *clients, struct client *client);

/* Waits until no request is due or being answered, between two requests of a connection none is;
 * false when that took longer than ns. */
bool clients_wait(struct clients *clients, int64_t ns);
