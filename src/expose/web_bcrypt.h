#pragma once
#include <stdbool.h>

/* Is this the password of this bcrypt hash? As Go's bcrypt has it: the letter behind "$2" changes
 * nothing, the first 72 bytes of a password count. Takes as long as the hash's cost says. */
bool bcrypt_matches(const char *hash, const char *password);
