#pragma once
/* A server on loopback that plays a script to one client: what the login tests talk to. */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum action {
    END,   /* closes when the client has */
    SEND,  /* `bytes` at once */
    DRIP,  /* `bytes` one by one */
    AWAIT, /* something of the client */
    CLOSE,
    RESET,
    FLOOD /* `bytes` again and again, until the client goes */
};

struct step {
    enum action action;
    const char *bytes;
    size_t len;
};

#define BYTES(text) (text), sizeof(text) - 1

struct script {
    const char *name;
    struct step steps[8];
    bool ssl_request; /* the client begins with SSLRequest, not with a StartupMessage */
};

struct server_thread {
    const struct script *script;
    int listener;
    pthread_t thread;
    char got[8192]; /* what the client sent behind its first message */
    size_t got_len;
    bool clean_end; /* the client closed, and did not reset */
};

/* A listening socket on a port of the kernel's choice, which is returned. */
uint16_t listen_on_loopback(int *listener);

/* The thread's function: accepts one client and plays the script; its argument is a server_thread.
 */
void *serve(void *argument);
