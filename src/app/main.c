/* The thin main: everything else is in the core library. */
#include "pgtls/app/commands.h"
#include "pgtls/app/daemon.h"
#include "pgtls/app/flags.h"

#include <stdio.h>

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
        return command_probe(&flags);
    if (flags.command == COMMAND_LIST)
        return command_list(&flags);
    if (flags.config_show)
        return command_show(&flags);
    log_setup(flags.log_level, flags.log_format);
    return flags.config_check ? daemon_check(&flags) : daemon_run(&flags);
}
