#pragma once
/* Small text helpers: bounded copies, numbers and durations with bounds, cleaning what a server
 * sent before anybody sees it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* Copies as much as fits, always terminates. Returns false when something was cut. Never splits a
 * UTF-8 sequence. */
bool str_copy(char *to, size_t size, const char *from);

/* A decimal integer, nothing around it, within [low, high]. */
bool str_to_i64(const char *text, int64_t low, int64_t high, int64_t *value);

/* A duration: one or more of number + unit (ns, us, ms, s, m, h, d), as Prometheus writes them:
 * "30s", "1m30s", "500ms". A bare "0" is allowed, any other bare number is not. Nanoseconds. */
bool str_to_duration_ns(const char *text, int64_t *ns);

/* The same the other way round: "1m30s". */
void str_add_duration(struct buf *to, int64_t ns);

/* Bytes somebody else sent, made fit for logs, JSON and labels: valid UTF-8 is kept, everything
 * else and every control character becomes \xNN (or \n, \t, \\); cut at the size of `to` without
 * splitting. Always terminates. Returns the length written. */
size_t str_clean(char *to, size_t size, const void *from, size_t len);

/* Length of the valid UTF-8 sequence at p (1 to 4), or 0. */
size_t str_utf8_sequence(const unsigned char *p, size_t len);

/* 64-bit FNV-1a, stable across releases and machines: schedules and shards depend on it. */
#define STR_HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t str_hash(uint64_t start, const char *text);

/* What an enum's value is called by its table of `count` names. A value outside of it is a bug
 * elsewhere, and "": a metric of it must still be well-formed. */
const char *str_name(const char *const *names, size_t count, size_t value);

/* Which of `names` (n of them) is nearest to `word`: at most a third of its letters away, or NULL.
 * For "did you mean". */
const char *str_nearest(const char *word, const char *const *names, size_t n);

/* Unix seconds as RFC 3339 UTC ("2026-11-21T10:00:00Z"); with_ms adds milliseconds. */
#define STR_TIME_SIZE 32
void str_time(char to[STR_TIME_SIZE], int64_t realtime_ns, bool with_ms);
