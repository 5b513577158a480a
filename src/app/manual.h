#pragma once
/* Manual pages, printed from the tables in the code: section 8 from that of the flags, section 5
 * from docs/configuration.md, which is itself printed from the table of keys. */
struct buf;

void manual_print_program(struct buf *to);       /* pgtls_exporter.8 */
void manual_print_configuration(struct buf *to); /* pgtls_exporter.yml.5 */
