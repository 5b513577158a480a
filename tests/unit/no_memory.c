/* Allocations that fail, on command. */
#include "no_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MAX_WALK 20000 /* allocations: what takes more does not end */

size_t no_memory_countdown;
static bool all_further; /* and those behind it */
size_t no_memory_failed;

static bool fails(void)
{
    if (no_memory_countdown == 0 || (no_memory_countdown > 1 && --no_memory_countdown > 0))
        return false;
    no_memory_countdown = all_further ? 1 : 0;
    no_memory_failed++;
    return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl*): the linker's names */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *no_memory_malloc(size_t size)
{
    return __wrap_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
    return fails() ? NULL : __real_strndup(text, n);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl*) */

/* Runs the action with the first allocation failing, the second …, until none is left to fail. */
void no_memory_walk(void (*action)(void *of), void *of)
{
    for (int mode = 0; mode < 2; mode++) {
        size_t n = 0;

        do {
            all_further = mode == 1;
            no_memory_failed = 0;
            no_memory_countdown = ++n;
            action(of);
            no_memory_countdown = 0;
            assert_true(n < MAX_WALK);
        } while (no_memory_failed > 0);
        assert_true(n > 1); /* there was something to fail */
    }
}

/* What is measured and what the time is differ from one telling to the next. */
bool no_memory_same_words(const char *a, const char *b)
{
    static const char numbers[] = "0123456789.-+e";

    for (;;) {
        a += strspn(a, numbers);
        b += strspn(b, numbers);
        if (*a != *b) {
            print_error("here: %.60s\nelse: %.60s\n", a, b);
            return false;
        }
        if (*a == '\0')
            return true;
        a++;
        b++;
    }
}

const char no_memory_config[] =
    "defaults:\n"
    "  interval: 10s\n"
    "  sslmode: verify-full\n"
    "  sslrootcert: /etc/ssl/some.pem\n"
    "  login: {interval: 60s}\n"
    "  labels: &labels {team: platform}\n"
    "templates:\n"
    "  pooled:\n"
    "    user: \"{dbname}\"\n"
    "    password_file: \"/run/secrets/{user}.{cluster}/password\"\n"
    "    endpoints:\n"
    "      write: {host: \"{cluster}-write.example\", promise: {read_only: false, pooled: true, "
    "addresses: [192.0.2.1, 192.0.2.2]}}\n"
    "      read: {host: \"a.example,b.example\", promise: {read_only: true, max_lag: 30s}}\n"
    "      admin: {host: \"{cluster}.example\", user: \"admin of {cluster}\", "
    "session: [{idle: 60s}, {idle: 300s, name: long}]}\n"
    "clusters:\n"
    "  - {name: one, template: pooled, port: 5432, dbname: orders, labels: *labels}\n"
    "  - {name: two, template: pooled, port: 5433, dbname: stock, endpoints: {read: null}}\n"
    "  - name: three\n"
    "    endpoints:\n"
    "      u: {dsn: \"postgresql+asyncpg://app@h.example:5432/app?ssl=require\"}\n"
    "      j: {dsn: \"jdbc:postgresql://a,b:5433/app?user=me&sslmode=require\"}\n"
    "      k: {dsn: \"host=h user='a b' application_name=x\", maintenance: \"till noon\"}\n"
    "      x: {host: x.example, user: app, expect: {fault: [hba_no_entry_ssl]}, "
    "intervall: 3s}\n"
    "discovery:\n"
    "  - {file_sd: {files: [\"targets/*.json\"]}, template: pooled, cluster: \"{pg_cluster}\"}\n"
    "modules:\n"
    "  default: {sslmode: require, allow_targets: [\"*.example:5432-5434\"]}\n";
