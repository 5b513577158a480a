/* --config.show. */
#include "pgtls/app/commands.h"

#include "setup.h"

#include "pgtls/base/buf.h"

#include <stdio.h>

#define SHOW_MAX_BYTES ((size_t)1024 * 1024 * 1024)

int command_show(const struct flags *flags)
{
    struct config_messages messages = {.n = 0};
    struct buf text = BUF_INIT(SHOW_MAX_BYTES);
    struct config_source *source;
    bool good;

    if (setup_nothing_to_load(flags->config_file, "show"))
        return 1;
    source = setup_source(flags);
    if (!source)
        return 1;
    good = config_source_read(source);
    if (!good)
        text.failed = good = true;
    else
        good = config_source_show(source, flags->show, &text, &messages);
    setup_print_messages(&messages);
    if (good && text.failed) {
        fputs("pgtls_exporter: out of memory\n", stderr);
        good = false;
    } else if (good) {
        fwrite(text.data, 1, text.len, stdout);
    } else if (messages.errors == 0) {
        fprintf(stderr,
                "pgtls_exporter: the configuration has no \"%s\"; `pgtls_exporter list` "
                "shows what it has\n",
                flags->show);
    }
    config_messages_deinit(&messages);
    config_source_free(source);
    buf_deinit(&text);
    return good ? 0 : 1;
}
