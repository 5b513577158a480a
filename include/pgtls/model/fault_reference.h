#pragma once
/* The fault catalogue for people: docs/faults.md and the heads of the pages docs/faults/<id>.md,
 * printed from the table that the program uses. */
#include "pgtls/model/fault.h"

struct buf;

/* The whole page as Markdown. Each fault has a heading of its own, so that alerts can link to it,
 * and a link to its page. */
void faults_print_reference(struct buf *to);

/* What a fault's own page begins with, from its first line to a marker line: title, meaning and a
 * table. The rest of that page is written by hand; a test compares the head. */
void fault_print_head(struct buf *to, enum fault fault);

/* The heads of all faults, one after another. */
void faults_print_heads(struct buf *to);
