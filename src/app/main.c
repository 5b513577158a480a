/* The thin main: everything else is in the core library. */
#include "pgtls/app/commands.h"
#include "pgtls/app/daemon.h"
#include "pgtls/app/flags.h"

#include "service.h"

#include "pgtls/base/log.h"
#include "pgtls/base/wipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What looks like a connection string may hold a password, which is nobody's who lists processes.
 */
static int probe(struct flags *flags, int argc, char **argv)
{
    char *target = NULL;
    int status;

    for (int i = 1; i < argc && !target; i++) {
        if (argv[i] == flags->target && strpbrk(argv[i], "=@"))
            target = wipe_argument(argv[i]);
    }
    if (target)
        flags->target = target;
    status = command_probe(flags);
    free(target);
    return status;
}

int main(int argc, char **argv)
{
    struct flags flags;

    if (!flags_parse(&flags, argc, argv, stderr))
        return 2;
    if (flags.help) {
        flags_print_help(flags.command, stdout);
        return 0;
    }
    if (flags.version) {
        flags_print_version(stdout);
        return 0;
    }
    if (flags.command == COMMAND_PROBE)
        return probe(&flags, argc, argv);
    if (flags.command == COMMAND_LIST)
        return command_list(&flags);
    if (flags.config_show)
        return command_show(&flags);
    log_setup(flags.log_level, flags.log_format);
    log_show_priority(service_reads_stderr());
    return flags.config_check ? daemon_check(&flags) : daemon_run(&flags);
}
