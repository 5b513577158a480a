#pragma once
/* Every allocation of ours fails once, and once with all that follow it. The linker leads our own
 * calls to no_memory.c (--wrap); libraries keep theirs. */
#include <stdbool.h>
#include <stddef.h>

/* So many allocations from here one fails; 0: none does. */
extern size_t no_memory_countdown;

/* How many have failed in the action at hand. */
extern size_t no_memory_failed;

/* For a library that takes an allocator. */
void *no_memory_malloc(size_t size);

/* Runs the action with its first allocation failing, the second …, until none is left to fail; then
 * the same with all that follow failing, too. */
void no_memory_walk(void (*action)(void *of), void *of);

/* The same but for numbers: what is measured and what the time is differ. */
bool no_memory_same_words(const char *a, const char *b);

/* A configuration with a bit of everything, and the part of it that is an error. */
extern const char no_memory_config[];
#define NO_MEMORY_WRONG ", intervall: 3s"
