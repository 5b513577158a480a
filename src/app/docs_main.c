/* Prints one page of docs/ from the tables in the code: pgtls_docs configuration|metrics|faults,
 * or docs/api-names.txt: pgtls_docs names. */
#include "pgtls/base/buf.h"
#include "pgtls/config/config.h"
#include "pgtls/expose/metrics.h"
#include "pgtls/model/fault_reference.h"

#include <stdio.h>
#include <string.h>

#define PAGE_MAX_BYTES ((size_t)4 * 1024 * 1024)

static const struct {
    const char *name;
    void (*print)(struct buf *to);
} pages[] = {
    {"configuration", config_print_reference},
    {"metrics", metrics_print_reference},
    {"faults", faults_print_reference},
    {"names", expose_print_names},
};
#define N_PAGES (sizeof pages / sizeof *pages)

int main(int argc, char **argv)
{
    struct buf page = BUF_INIT(PAGE_MAX_BYTES);
    size_t which = 0;
    bool ok;

    while (argc == 2 && which < N_PAGES && strcmp(pages[which].name, argv[1]) != 0)
        which++;
    if (argc != 2 || which == N_PAGES) {
        fputs("usage: pgtls_docs configuration|metrics|faults|names\n", stderr);
        return 2;
    }
    pages[which].print(&page);
    ok = !page.failed && fwrite(buf_text(&page), 1, page.len, stdout) == page.len &&
         fflush(stdout) == 0;
    buf_deinit(&page);
    return ok ? 0 : 3;
}
