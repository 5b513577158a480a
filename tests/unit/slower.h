#pragma once
/* How a test that counts rounds, or waits for an answer, learns that it runs where everything takes
 * longer. */
#include <stdlib.h>

/* How many times longer than usual: what ctest says in PGTLS_SLOWER where valgrind runs a test; 1
 * elsewhere. */
static inline unsigned slower(void)
{
    const char *said = getenv("PGTLS_SLOWER");
    unsigned long times = said ? strtoul(said, NULL, 10) : 1;

    return times >= 1 && times <= 1000 ? (unsigned)times : 1;
}
