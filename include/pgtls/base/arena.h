#pragma once
/* Memory that lives and dies together: a configuration generation is one arena. */
#include <stddef.h>

struct arena;

/* NULL when out of memory. */
struct arena *arena_new(void);
void arena_free(struct arena *a); /* accepts NULL */

/* Zeroed, aligned for any type; NULL when out of memory. */
void *arena_alloc(struct arena *a, size_t size);

/* A copy; NULL when out of memory or when text is NULL. */
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *text, size_t len);

/* A copy of a secret, or of what may hold one, kept in the vault (vault.h) for as long as the arena
 * lives; NULL when out of memory. */
char *arena_strndup_secret(struct arena *a, const char *text, size_t len);

char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
