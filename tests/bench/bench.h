#pragma once
/* What the two programs of the benchmark share: giving up, the connection's first bytes. */
#include <errno.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* SSLRequest: length 8, code 80877103. */
#define SSL_REQUEST      "\x00\x00\x00\x08\x04\xd2\x16\x2f"
#define SSL_REQUEST_SIZE 8

/* Ends the program: a benchmark that half works measures nothing. */
static inline _Noreturn void die(const char *what)
{
    unsigned long error = ERR_peek_last_error();

    fprintf(stderr, "%s: %s\n", what, error ? ERR_reason_error_string(error) : strerror(errno));
    exit(1);
}

/* A number of the command line. */
static inline unsigned long number(const char *text, unsigned long most)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno || *text == '\0' || *end != '\0' || value == 0 || value > most) {
        fprintf(stderr, "\"%s\" is not a number from 1 to %lu\n", text, most);
        exit(2);
    }
    return value;
}

/* As many descriptors as we are allowed to have; a peer that left is no reason to end. */
static inline void prepare(void)
{
    struct rlimit limit;

    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
