#pragma once
/* What the targets share: how they say that something must hold, and what a text that is shown must
 * be. */
#include "pgtls/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What stands for a password: nothing may ever quote it. The "~" keeps it from being the name of a
 * parameter, which may be quoted. */
#define SECRET "SECRET~xyz"

/* What must hold for any input. */
#define require(holds) ((holds) ? (void)0 : target_failed(__FILE__, __LINE__, #holds))
_Noreturn void target_failed(const char *file, int line, const char *what);

/* Fit for a label, a log line and JSON: terminated, UTF-8, no control character. */
static inline void check_text(const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t len = strnlen(text, size), step;

    require(len < size);
    for (size_t i = 0; i < len; i += step) {
        step = str_utf8_sequence(p + i, len - i);
        require(step > 0 && p[i] >= ' ' && p[i] != 0x7F);
    }
}

/* The input as a text, exactly as large, so that a sanitizer sees a read beyond it. To be freed. */
static inline char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* A text of its own up to the next line's end, which becomes its end; `*rest` is what follows, ""
 * at last. */
static inline char *next_line(char **rest)
{
    char *line = *rest, *end = line + strcspn(line, "\n");

    *rest = *end ? end + 1 : end;
    *end = '\0';
    return line;
}

/* A file in memory that has a path, for what reads files. It is made once and written anew. */
struct memory_file {
    int fd;
    char path[32];
};
void memory_file_write(struct memory_file *file, const void *bytes, size_t len);

/* What is allocated from now on, by this thread, until memory_peak() tells the most that was held
 * at one time. Only clang's address sanitizer counts; without it that is 0. */
void memory_watch(void);
size_t memory_peak(void);
