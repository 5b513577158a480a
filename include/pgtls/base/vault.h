#pragma once
/* Memory for what stays secret for as long as we run: passwords that stand in the configuration or
 * in the environment, connection strings, password hashes. What is read for one use and wiped after
 * it need not be here.
 *
 * As hidden as the kernel makes it: memory that is in our page table alone, so that not even root
 * reads it through /proc/PID/mem or a debugger (memfd_secret(2): Linux 5.14, switched on from 6.5),
 * else memory that is locked. Neither is ever written to swap or to a core image. Where
 * RLIMIT_MEMLOCK is too small for more, the rest is memory that core images leave out, but that may
 * be swapped: see vault_kind.
 *
 * Any thread. */
#include <stddef.h>

/* From the best to the worst. */
enum vault_kind { VAULT_HIDDEN, VAULT_LOCKED, VAULT_UNLOCKED };

/* Zeroed, aligned for any type; NULL when out of memory. */
void *vault_alloc(size_t size);

/* Wipes it. Accepts NULL. */
void vault_free(void *memory);

/* A copy; NULL when out of memory. */
char *vault_strdup(const char *text);

/* The worst kind that has been given out so far. */
enum vault_kind vault_kind(void);

/* Moves the environment here, out of the block that the kernel shows as /proc/PID/environ, which is
 * overwritten; getenv() works as before. What there is no memory for stays where it was. Call once,
 * before the first thread. */
void vault_environment(void);
