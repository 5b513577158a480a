/* The addresses of hosts that are followed. */
#include "address_book.h"

#include <stdlib.h>
#include <string.h>

/* Entries are sorted by host. Where it is, or would be. */
static size_t place_of(const struct address_book *book, const char *host)
{
    size_t low = 0, high = book->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(book->entries[middle].host, host) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct book_entry *address_book_find(const struct address_book *book, const char *host)
{
    size_t at = book ? place_of(book, host) : 0;

    return book && at < book->n && strcmp(book->entries[at].host, host) == 0 ? &book->entries[at]
                                                                             : NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_entry(struct book_entry *entry)
{
    for (size_t i = 0; i < entry->n; i++)
        free(entry->addresses[i]);
    free(entry->addresses);
    free(entry->host);
}

/* False when out of memory. */
static bool make_entry(struct book_entry *entry, const char *host, const char *const *addresses,
                       size_t n)
{
    *entry = (struct book_entry){.host = strdup(host), .addresses = calloc(n, sizeof(char *))};
    while (entry->host && entry->addresses && entry->n < n) {
        entry->addresses[entry->n] = strdup(addresses[entry->n]);
        if (!entry->addresses[entry->n])
            break;
        entry->n++;
    }
    if (!entry->host || !entry->addresses || entry->n < n) {
        free_entry(entry);
        return false;
    }
    qsort(entry->addresses, n, sizeof *entry->addresses, compare);
    return true;
}

static bool same(const struct book_entry *a, const struct book_entry *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->addresses[i], b->addresses[i]) != 0)
            return false;
    }
    return true;
}

bool address_book_set(struct address_book *book, const char *host, const char *const *addresses,
                      size_t n)
{
    size_t at = place_of(book, host);
    bool known = at < book->n && strcmp(book->entries[at].host, host) == 0;
    struct book_entry entry, *grown;

    n = n > BOOK_MAX_ADDRESSES ? BOOK_MAX_ADDRESSES : n;
    if (n == 0 || !make_entry(&entry, host, addresses, n))
        return false;
    if (known && same(&book->entries[at], &entry)) {
        free_entry(&entry);
        return false;
    }
    if (known) {
        free_entry(&book->entries[at]);
        book->entries[at] = entry;
        return true;
    }
    grown = realloc(book->entries, (book->n + 1) * sizeof *grown);
    if (!grown) {
        free_entry(&entry);
        return false;
    }
    book->entries = grown;
    memmove(&grown[at + 1], &grown[at], (book->n - at) * sizeof *grown);
    grown[at] = entry;
    book->n++;
    return true;
}

void address_book_drop(struct address_book *book, const char *host)
{
    size_t at = place_of(book, host);

    if (at == book->n || strcmp(book->entries[at].host, host) != 0)
        return;
    free_entry(&book->entries[at]);
    book->n--;
    memmove(&book->entries[at], &book->entries[at + 1], (book->n - at) * sizeof *book->entries);
}

void address_book_deinit(struct address_book *book)
{
    for (size_t i = 0; i < book->n; i++)
        free_entry(&book->entries[i]);
    free(book->entries);
}
