#pragma once
/* The addresses of hosts that are followed (`resolve: all`), as somebody has found them. */
#include <stdbool.h>
#include <stddef.h>

#define BOOK_MAX_ADDRESSES 64 /* of one host; further ones are left out */

struct address_book {
    struct book_entry {
        char *host;
        char **addresses; /* numeric, sorted */
        size_t n;
    } * entries;
    size_t n;
};

/* NULL when nothing is known of it. Accepts no book. */
const struct book_entry *address_book_find(const struct address_book *book, const char *host);

/* Replaces what is known of a host. True when that is anything else than before. */
bool address_book_set(struct address_book *book, const char *host, const char *const *addresses,
                      size_t n);
/* Nothing is known of it any more. */
void address_book_drop(struct address_book *book, const char *host);
void address_book_deinit(struct address_book *book);
