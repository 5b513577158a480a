#pragma once
/* Sockets that systemd has opened for us, as sd_listen_fds(3) describes how they are handed over.
 */
#include <stdbool.h>
#include <stddef.h>

/* Are there any? Not any more after activation_sockets. */
bool activation_offered(void);

/* The listening stream sockets, close-on-exec from now on. False with the reason in error when
 * there are none, more than max, or others. Once: the environment does not say it a second time. */
bool activation_sockets(int *sockets, size_t max, size_t *n, char *error, size_t size);
