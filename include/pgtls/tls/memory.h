#pragma once
/* When OpenSSL has no memory. What it then answers is often something else: a handshake that is
 * broken, a signature that is wrong, a name that no certificate has, an extension that was not
 * sent. So its allocations are watched: whatever it said in a step in which one has failed says
 * nothing of the server. */
#include <stdint.h>

/* Call once, before OpenSSL is used. Without it, and where somebody was first, none ever fails. */
void tls_memory_watch(void);

/* OpenSSL's allocations in this thread that have failed so far: to be compared with an earlier
 * count. */
uint64_t tls_memory_failures(void);
