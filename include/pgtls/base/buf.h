#pragma once
/* A growing text buffer with a maximum. Nothing in the program grows without one.
 *
 * Appending past the maximum, or running out of memory, sets `failed`, keeps what was there and
 * makes every later append a no-op: callers append freely and look once, at the end. `data` is
 * NUL-terminated whenever it is not NULL. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max; /* bytes that len may reach */
    bool failed;
    bool no_memory; /* that is why */
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

/* Frees the memory; the buffer is empty and usable again with the same maximum. */
void buf_deinit(struct buf *b);

/* Empties the buffer, keeps the memory, clears `failed`. */
void buf_reset(struct buf *b);

/* Room for `more` further bytes; false (and failed) when the maximum or memory forbids it. */
bool buf_reserve(struct buf *b, size_t more);

/* The same as buf_add, for when there may be no room yet. */
void buf_add_growing(struct buf *b, const void *bytes, size_t n);

/* Appending is inline: a scrape does it a million times, mostly with room, and with lengths that
 * the compiler knows. */
static inline void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (n >= b->cap - b->len || b->failed) {
        buf_add_growing(b, bytes, n);
        return;
    }
    if (n > 0)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

static inline void buf_add_str(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

static inline void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_add_u64(struct buf *b, uint64_t value);

/* The shortest decimal that reads back as the same double; +Inf, -Inf and NaN as Prometheus
 * writes them. Integers below 2^53 carry no fraction. */
void buf_add_double(struct buf *b, double value);

void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_addv(struct buf *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* What was composed apart to be a part of it. Cut at its maximum it may be; without memory it fails
 * the whole. */
static inline void buf_take_failure(struct buf *b, const struct buf *part)
{
    b->failed = b->failed || part->no_memory;
    b->no_memory = b->no_memory || part->no_memory;
}

/* The text, never NULL. */
static inline const char *buf_text(const struct buf *b)
{
    return b->data ? b->data : "";
}
