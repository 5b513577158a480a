#pragma once
/* The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), as far as a client can tell: every
 * password is the right one, and the proof that the server knows it too is genuine. */
#include <stddef.h>

#define SCRAM_TEXT 512

struct scram {
    char client_first_bare[SCRAM_TEXT], server_first[SCRAM_TEXT];
};

/* What the server keeps of the password; once, it takes as long as for a client. */
void scram_setup(const char *password);

/* The answer to client-first-message and to client-final-message: its length, 0 if it is none. */
size_t scram_first(struct scram *scram, const char *message, char answer[SCRAM_TEXT]);
size_t scram_final(const struct scram *scram, const char *message, char answer[SCRAM_TEXT]);
