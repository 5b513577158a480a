/* Prints one page of docs/ from the tables in the code: pgtls_docs
 * configuration|connection-strings| metrics|faults, or docs/api-names.txt: pgtls_docs names, or the
 * printed head of docs/faults/<id>.md: pgtls_docs fault <id>; without an id those of all faults; or
 * what packages hold: man8 and man5, the manual pages, and the completion of three shells. */
#include "completion.h"
#include "manual.h"

#include "pgtls/base/buf.h"
#include "pgtls/config/config.h"
#include "pgtls/expose/metrics.h"
#include "pgtls/model/fault_reference.h"

#include <stdio.h>
#include <string.h>

#define PAGE_MAX_BYTES ((size_t)4 * 1024 * 1024)

static void print_names(struct buf *to)
{
    expose_print_names(to);
    config_print_names(to);
}

static const struct {
    const char *name;
    void (*print)(struct buf *to);
} pages[] = {
    {"configuration", config_print_reference},
    {"connection-strings", config_print_connection_strings},
    {"metrics", metrics_print_reference},
    {"faults", faults_print_reference},
    {"names", print_names},
    {"fault", faults_print_heads},
    {"man8", manual_print_program},
    {"man5", manual_print_configuration},
    {"bash", completion_print_bash},
    {"zsh", completion_print_zsh},
    {"fish", completion_print_fish},
};
#define N_PAGES (sizeof pages / sizeof *pages)

static int usage(void)
{
    fputs("usage: pgtls_docs configuration|connection-strings|metrics|faults|names|fault [id]|\n"
          "                  man8|man5|bash|zsh|fish\n",
          stderr);
    return 2;
}

static bool print(struct buf *to, int argc, char **argv)
{
    enum fault fault;

    if (argc == 3 && strcmp(argv[1], "fault") == 0 && fault_from_id(argv[2], &fault)) {
        fault_print_head(to, fault);
        return true;
    }
    for (size_t i = 0; argc == 2 && i < N_PAGES; i++) {
        if (strcmp(pages[i].name, argv[1]) == 0) {
            pages[i].print(to);
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    struct buf page = BUF_INIT(PAGE_MAX_BYTES);
    bool ok;

    if (!print(&page, argc, argv))
        return usage();
    ok = !page.failed && fwrite(buf_text(&page), 1, page.len, stdout) == page.len &&
         fflush(stdout) == 0;
    buf_deinit(&page);
    return ok ? 0 : 3;
}
