#pragma once
/* bcrypt: the hashes of passwords in the web configuration. Any thread. */
enum bcrypt_answer {
    BCRYPT_NO_HASH, /* it is none: nothing was computed */
    BCRYPT_WRONG,
    BCRYPT_RIGHT
};

/* Is this the password of this bcrypt hash? As Go's bcrypt has it: the letter behind "$2" changes
 * nothing, the first 72 bytes of a password count. Takes as long as the hash's cost says. */
enum bcrypt_answer bcrypt_check(const char *hash, const char *password);
