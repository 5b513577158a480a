#pragma once
/* Remembering texts without keeping them: passwords that were right. Any thread. */
#include <stdbool.h>
#include <stddef.h>

#define SEAL_BYTES 32

/* A keyed digest (HMAC-SHA-256) of some texts: equal texts, equal seal; from a seal nobody learns
 * the texts, nor tries some without the key. */
bool seal_texts(const unsigned char key[SEAL_BYTES], const char *const *texts, size_t n,
                unsigned char seal[SEAL_BYTES]);
