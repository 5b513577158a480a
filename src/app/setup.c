/* What every command of the program begins with. */
#include "setup.h"

#include "discovery_once.h"
#include "pgtls/base/vault.h"
#include "pgtls/pg/login.h"
#include "pgtls/tls/memory.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define KEPT_BYTES (1024 * 1024) /* at the top of each thread's heap */

/* Every server in flight takes a descriptor: as many as the system lets an ordinary process have.
 */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

#ifndef PGTLS_SANITIZED
/* Where whoever started us lets us lock all of our memory, none of it, and no secret, is written to
 * swap. Only pages that are used count. A limit that is smaller than what we may come to need would
 * make us run out of memory. */
static void keep_from_swap(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
        mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}
#endif

#ifndef PGTLS_SANITIZED
/* Nor has the image that root takes by gcore any memory in it, unless root says that it shall. No
 * longer ours to write once nobody else may look at us. */
static void leave_out_of_images(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (write(fd, "0", 1) < 0)
        (void)fd; /* it is the second line of defence */
    close(fd);
}
#endif

/* Passwords pass through this memory: no core image, no look from other processes. */
static void protect_memory(void)
{
#ifndef PGTLS_SANITIZED
    const struct rlimit none = {0, 0};

    leave_out_of_images();
    prctl(PR_SET_DUMPABLE, 0);
    setrlimit(RLIMIT_CORE, &none);
    keep_from_swap();
#endif
}

/* Long steps of logins run on libuv's threads: two at a time leave the loops their cores, and are
 * soon over when the process ends, which waits for them. */
static void limit_thread_pool(void)
{
    setenv("UV_THREADPOOL_SIZE", "2", 0);
}

/* What a worker's handshakes free at the top of its heap is wanted again by the next ones: giving
 * it back each time costs two system calls and as many page faults per probe as there are pages. */
static void keep_heaps(void)
{
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
}

bool setup_process(void)
{
    signal(SIGPIPE, SIG_IGN);
    vault_environment();
    limit_thread_pool();
    keep_heaps();
    raise_descriptor_limit();
    protect_memory();
    tls_memory_watch();
    if (login_setup())
        return true;
    fputs("pgtls_exporter: out of memory\n", stderr);
    return false;
}

struct config_source *setup_source(const struct flags *flags)
{
    struct config_source *source = config_source_new();
    bool good = source != NULL;

    for (size_t i = 0; i < flags->n_config_files && good; i++)
        good = config_source_add_path(source, flags->config_files[i]);
    if (good && flags->n_config_files == 0)
        good = config_source_add_dsn(source, "DATABASE_URL", getenv("DATABASE_URL"));
    if (good)
        return source;
    config_source_free(source);
    fputs("pgtls_exporter: out of memory\n", stderr);
    return NULL;
}

struct endpoint_set *setup_load(const struct flags *flags, bool discover,
                                struct config_messages *messages)
{
    struct config_source *source = setup_source(flags);
    struct endpoint_set *set = NULL;

    if (source) {
        if (config_source_read(source))
            set = config_source_build(source, messages);
        else
            fputs("pgtls_exporter: out of memory\n", stderr);
        if (discover && set)
            set = discovery_once(source, set, messages);
    }
    config_source_free(source);
    return set;
}

bool setup_nothing_to_load(const char *config_file, const char *what)
{
    const char *dsn = getenv("DATABASE_URL");

    if (config_file || (dsn && *dsn))
        return false;
    fprintf(stderr,
            "pgtls_exporter: nothing to %s: give --config.file=FILE, or put a connection string "
            "into the environment variable DATABASE_URL\n",
            what);
    return true;
}

/* A StatefulSet's pod is called <name>-<ordinal>, and so is its host, unless it shares the node's
 * network: then only the downward API ($POD_NAME) knows. */
static bool ordinal_of_name(const struct flags *flags, unsigned *ordinal)
{
    const char *name = getenv("POD_NAME"), *from = "POD_NAME";
    struct utsname system = {0};

    if (!name || !*name) {
        name = uname(&system) == 0 ? system.nodename : "";
        from = "the host name";
    }
    if (!shard_ordinal_of(name, ordinal))
        fprintf(stderr,
                "pgtls_exporter: --shard=ordinal: %s is \"%s\", which does not end in -0, -1, … as "
                "the names of a StatefulSet's pods do; give --shard=N\n",
                from, name);
    else if (*ordinal >= flags->total_shards)
        fprintf(stderr,
                "pgtls_exporter: --shard=ordinal: %s is \"%s\", but with --total-shards=%lld the "
                "last is %lld\n",
                from, name, (long long)flags->total_shards, (long long)flags->total_shards - 1);
    else
        return true;
    return false;
}

bool setup_shard(const struct flags *flags, struct shard *shard)
{
    *shard = (struct shard){0, 1};
    if (flags->total_shards > 0)
        shard->total = (unsigned)flags->total_shards;
    if (flags->shard_of_name)
        return ordinal_of_name(flags, &shard->ordinal);
    if (flags->shard > 0)
        shard->ordinal = (unsigned)flags->shard;
    return true;
}

void setup_print_messages(const struct config_messages *messages)
{
    for (size_t i = 0; i < messages->n; i++)
        fprintf(stderr, "%s: %s\n",
                messages->items[i].severity == CONFIG_ERROR ? "error" : "warning",
                messages->items[i].text);
    if (messages->errors + messages->warnings > messages->n)
        fprintf(stderr, "… and %zu more\n", messages->errors + messages->warnings - messages->n);
}
