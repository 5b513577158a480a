#pragma once
/* The fault catalogue for people: docs/faults.md, printed from the table that the program uses. */

struct buf;

/* The whole page as Markdown. Each fault has a heading of its own, so that alerts can link to it.
 */
void faults_print_reference(struct buf *to);
