/* The servers of an endpoint: lists of hosts, addresses and ports that go together, and addresses
 * that a name has at the time. */
#include "servers.h"

#include "address_book.h"
#include "check.h"
#include "pgtls/base/arena.h"
#include "pgtls/base/str.h"
#include "pgtls/config/config.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT 5432

/* A comma list taken apart. */
struct list {
    char **items;
    size_t n;
};

static struct list split(struct building *b, const char *text)
{
    struct list list = {.n = 0};
    size_t n = 1;

    if (!text)
        return list;
    for (const char *p = text; *p; p++)
        n += *p == ',';
    list.items = arena_alloc(b->reader.arena, n * sizeof *list.items);
    while (list.items && list.n < n) {
        size_t len = strcspn(text, ",");

        list.items[list.n] = arena_strndup(b->reader.arena, text, len);
        if (!list.items[list.n++])
            list.items = NULL;
        text += len + 1;
    }
    if (!list.items) {
        building_no_memory(b);
        list.n = 0;
    }
    return list;
}

bool resolves_all(const struct endpoint_source *source)
{
    return number_in_force(source, SLOT_RESOLVE, 0) != 0;
}

/* By its host; by its address where that is what tells it from the others. */
static bool name_server(struct building *b, const struct endpoint_source *source, struct server *s)
{
    struct arena *arena = b->reader.arena;
    const char *host = s->hostaddr && resolves_all(source) ? s->hostaddr : s->host;
    unsigned port = s->port;

    if (s->unix_socket)
        s->name = arena_printf(arena, "%s/.s.PGSQL.%u", s->host, port);
    else if (strchr(host, ':'))
        s->name = arena_printf(arena, "[%s]:%u", host, port);
    else
        s->name = arena_printf(arena, "%s:%u", host, port);
    if (!s->name)
        building_no_memory(b);
    return s->name != NULL;
}

static void add_server(struct building *b, const struct endpoint_source *source, struct server *s)
{
    const struct setting *host = in_force(source, SLOT_HOST);
    struct place at = host ? host->at : place_in_force(source, SLOT_HOSTADDR);
    void *servers = b->servers;

    if (!check_tls(b->reader.report, source, s) || !name_server(b, source, s))
        return;
    if (names_add(&b->server_names, s->name, s->name, &b->failed)) {
        if (resolves_all(source))
            return; /* two names of one address: nobody wrote that */
        /* What came from a connection string is not quoted, see dsn.c. */
        report_error(b->reader.report, at, "host: \"%s\" is there twice",
                     host && !host->from_dsn ? s->name : "…");
        return;
    }
    if (b->failed) {
        report_no_memory(b->reader.report);
        return;
    }
    if (b->n_servers == CONFIG_MAX_SERVERS) {
        report_error(b->reader.report, source->at, "more than %d servers in all",
                     CONFIG_MAX_SERVERS);
        b->failed = true;
        return;
    }
    s->key_hash = server_key_hash(s->cluster, s->endpoint, s->name);
    if (!building_grow(b, &servers, &b->servers_size, b->n_servers, sizeof *b->servers))
        return;
    b->servers = servers;
    b->servers[b->n_servers++] = *s;
}

/* Do the lists of hosts, addresses and ports go together? */
static bool check_lists(struct building *b, const struct endpoint_source *source, size_t hosts,
                        size_t addresses, size_t ports)
{
    size_t n = addresses ? addresses : hosts;

    for (size_t i = 0; n == 0 && i < source->n_layers; i++) {
        if (source->layers[i]->host_misspelt)
            return false;
    }
    if (n == 0) {
        report_error(b->reader.report, source->at,
                     "endpoint \"%s\" of cluster \"%s\" has no host; give \"host\" or \"dsn\" (for "
                     "a Unix socket its directory: libpq's default one is not assumed)",
                     source->name, source->cluster);
        return false;
    }
    if (hosts && addresses && hosts != addresses) {
        report_error(b->reader.report, place_in_force(source, SLOT_HOSTADDR),
                     "hostaddr: %zu addresses for %zu hosts; as many are needed", addresses, hosts);
        return false;
    }
    if (ports > 1 && ports != n) {
        report_error(b->reader.report, place_in_force(source, SLOT_PORT),
                     "port: %zu ports for %zu hosts; give one for all or one for each", ports, n);
        return false;
    }
    return true;
}

/* Whoever resolves names will want to know. */
static void follow(struct building *b, const char *host)
{
    struct follow *one = b->follows ? arena_alloc(b->reader.arena, sizeof *one) : NULL;

    if (!one) {
        building_no_memory(b);
        return;
    }
    *one = (struct follow){host, *b->follows};
    *b->follows = one;
}

static bool is_numeric(const char *host)
{
    struct network unused;

    return network_from_text(host, &unused);
}

/* A host whose addresses are servers of their own: as many as are known, or itself. */
static void add_followed(struct building *b, const struct endpoint_source *source, struct server *s)
{
    const struct book_entry *known = address_book_find(b->book, s->host);

    follow(b, s->host);
    if (!known)
        add_server(b, source, s);
    for (size_t i = 0; known && i < known->n && !b->failed; i++) {
        struct server one = *s;

        one.hostaddr = arena_strdup(b->reader.arena, known->addresses[i]);
        if (!one.hostaddr)
            building_no_memory(b);
        else
            add_server(b, source, &one);
    }
}

void add_servers(struct building *b, const struct endpoint_source *source,
                 const struct server *common)
{
    struct list hosts = split(b, text_in_force(source, SLOT_HOST));
    struct list addresses = split(b, text_in_force(source, SLOT_HOSTADDR));
    struct list ports = split(b, text_in_force(source, SLOT_PORT));

    if (b->failed || !check_lists(b, source, hosts.n, addresses.n, ports.n))
        return;
    check_common(b->reader.report, source, common);
    names_clear(&b->server_names);
    for (size_t i = 0; i < (addresses.n ? addresses.n : hosts.n) && !b->failed; i++) {
        const char *port = ports.n == 0 ? "" : ports.items[ports.n == 1 ? 0 : i];
        struct server s = *common;
        int64_t number = DEFAULT_PORT;

        if (port[0] != '\0')
            str_to_i64(port, 1, UINT16_MAX, &number);
        s.port = (uint16_t)number;
        s.hostaddr = addresses.n ? addresses.items[i] : NULL;
        s.host = hosts.n ? hosts.items[i] : s.hostaddr;
        s.nameless = hosts.n == 0;
        s.unix_socket = s.host[0] == '/' && !s.hostaddr;
        if (resolves_all(source) && !s.hostaddr && !s.unix_socket && !is_numeric(s.host))
            add_followed(b, source, &s);
        else
            add_server(b, source, &s);
    }
}
