/* Any arguments, a line each: they are read, or what is wrong with them is said, without repeating
 * the password of a connection string, wherever somebody may have put one. */
#include "pgtls/app/flags.h"

#include "target.h"

#include <stdio.h>

#define MOST 200

/* Flags without a value: what follows is none. */
static bool is_switch(const char *arg)
{
    static const char *const switches[] = {"--all",  "--config.check", "--config.watch",
                                           "--json", "--no-login",     "--no-sandbox"};
    size_t i = 0;

    while (i < sizeof switches / sizeof *switches && strcmp(switches[i], arg) != 0)
        i++;
    return i < sizeof switches / sizeof *switches;
}

/* A connection string with a password, and not the value of a flag, of which none is a secret. What
 * stands before "://" is a scheme, whatever it holds. */
static bool is_secret(char *const *argv, int i)
{
    const char *scheme = strstr(argv[i], "://"), *first = strstr(argv[i], SECRET);

    return argv[i][0] != '-' && (argv[i - 1][0] != '-' || is_switch(argv[i - 1])) && scheme &&
           first > scheme;
}

static void check_said(const char *said, int argc, char *const *argv)
{
    bool secret = false, other = false;

    for (int i = 1; i < argc; i++) {
        secret = secret || is_secret(argv, i);
        other = other || (!is_secret(argv, i) && strstr(argv[i], SECRET));
    }
    require(!secret || other || !strstr(said, SECRET));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[] = "pgtls_exporter";
    char *text = text_of(data, size), *rest = text, *said = NULL, *argv[MOST + 2] = {name};
    size_t len = 0;
    struct flags flags;
    int argc = 1;
    bool ok;
    FILE *err = open_memstream(&said, &len);

    require(err != NULL);
    while (*rest && argc <= MOST)
        argv[argc++] = next_line(&rest);
    ok = flags_parse(&flags, argc, argv, err);
    fclose(err);
    require(said && ok == (len == 0));
    check_said(said, argc, argv);
    if (ok) {
        require(flags.command < COMMAND_COUNT && flags.n_listen <= FLAGS_MAX_LISTEN &&
                flags.n_config_files <= FLAGS_MAX_FILES);
        require(flags.timeout_ns >= 0 && flags.timeout_offset_ns >= 0 && flags.workers >= 0 &&
                flags.max_requests >= 0 && flags.shard >= -1 && flags.total_shards >= 0);
    }
    free(said);
    free(text);
    return 0;
}
