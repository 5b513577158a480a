#pragma once
/* What is watched: clusters, their endpoints, the servers of each endpoint.
 *
 * An endpoint set is one configuration generation: immutable once built (by config/), shared by
 * reference count, every string and array in one arena. Probes, fleet and pages borrow from it and
 * hold a reference as long as they do. */
#include "pgtls/model/expect.h"
#include "pgtls/model/promise.h"
#include "pgtls/model/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* libpq's sslmode, same names, same order of strictness. */
enum sslmode {
    SSLMODE_DISABLE,
    SSLMODE_ALLOW,
    SSLMODE_PREFER,
    SSLMODE_REQUIRE,
    SSLMODE_VERIFY_CA,
    SSLMODE_VERIFY_FULL,
    SSLMODE_COUNT
};

/* How TLS starts: SSLRequest first, or at once (libpq's sslnegotiation=direct, PostgreSQL >= 17).
 */
enum negotiation { NEGOTIATION_POSTGRES, NEGOTIATION_DIRECT, NEGOTIATION_COUNT };

enum channel_binding { CHANNEL_BINDING_DISABLE, CHANNEL_BINDING_PREFER, CHANNEL_BINDING_REQUIRE };

/* Where a secret comes from. It is read when needed, wiped after use, and has no printer. */
enum secret_source {
    SECRET_NONE,
    SECRET_INLINE,      /* value = the secret itself (warned about) */
    SECRET_FILE,        /* value = path; one trailing newline is dropped */
    SECRET_ENVIRONMENT, /* value = name of the variable */
    SECRET_PASSFILE     /* value = path of a libpq passfile */
};
struct secret_ref {
    enum secret_source source;
    const char *value;
};

/* Authentication methods an endpoint may allow although they show the password, or something worth
 * as much, to the server that asks: `allow_auth: [password, md5]`. */
#define ALLOW_AUTH_PASSWORD 0x1u
#define ALLOW_AUTH_MD5      0x2u

struct label {
    const char *name, *value;
};

/* SHA-256, as lower-case hex, of a pinned certificate's DER or of its public key (SPKI). */
#define MAX_PINS 16
struct pin {
    char hex[65];
};

/* One host:port of an endpoint, with everything a probe needs. Strings are NULL when unset. */
struct server {
    const char *cluster, *endpoint;
    const char *name;     /* label value: "host:port", "[v6]:port" or "/dir/.s.PGSQL.port" */
    const char *host;     /* name, address or absolute directory of a Unix socket */
    const char *hostaddr; /* numeric address that replaces resolution */
    bool nameless; /* hostaddr stands for host, too: verify-full would have nothing to compare */
    uint16_t port;
    bool unix_socket; /* plaintext whatever sslmode says, as in libpq; no tcp and no TLS phases */

    enum sslmode sslmode;
    enum negotiation negotiation;
    const char *sslrootcert; /* a path, "system", or NULL (facts are judged against system) */
    const char *sslcrl;
    const char *sslcert, *sslkey;
    struct secret_ref sslpassword;
    const char *ssl_min_protocol_version; /* "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" or NULL */
    const char *ssl_max_protocol_version;
    bool sslsni;
    const struct pin *pins; /* one of them must match, beside what sslmode demands */
    size_t n_pins;

    const char *user; /* NULL: the probe ends after tls, and there is no login */
    const char *dbname;
    const char *options;
    const char *application_name;
    struct secret_ref password;
    enum channel_binding channel_binding;
    unsigned allow_auth; /* ALLOW_AUTH_* */

    int64_t interval_ns;        /* of inspect */
    int64_t timeout_ns;         /* of one probe, whole */
    bool login;                 /* is there a login probe at all */
    int64_t login_interval_ns;  /* of login */
    int64_t policy_interval_ns; /* of side attempts, see model/sslmode_works.h; 0: none */

    const struct label *labels; /* for pgtls_server_labels_info */
    size_t n_labels;
    struct promises promises;
    struct expect expect;    /* the refusal that is the good outcome */
    bool disabled;           /* `enabled: false` */
    const char *maintenance; /* why it is left alone for now; NULL: it is not */

    const struct session_config *sessions; /* kept open beside the probes; none without login */
    size_t n_sessions;

    size_t endpoint_index; /* in the set's endpoints */
    uint64_t key_hash;     /* of cluster, endpoint and name: schedule and worker follow from it */
};

/* When an endpoint of several servers counts as up. */
enum require { REQUIRE_ANY, REQUIRE_ALL };

struct endpoint {
    const char *cluster, *name;
    enum require require;
    size_t first_server, n_servers; /* a slice of the set's servers */
};

/* Which kinds of histograms are kept and told. */
enum histograms { HISTOGRAMS_CLASSIC, HISTOGRAMS_BOTH, HISTOGRAMS_NATIVE };

/* Settings of the whole exporter that come from the configuration file. */
#define MAX_BUCKETS 16
struct settings {
    double buckets[MAX_BUCKETS]; /* upper bounds in seconds, ascending, without +Inf */
    size_t n_buckets;
    enum histograms histograms;
    size_t max_in_flight;              /* probes, in all */
    size_t max_in_flight_per_address;  /* 0: no cap */
    size_t max_connections_per_second; /* new ones; 0: no cap */
};

/* A file beside the configuration's own that shaped the set (dsn_file, user_file): when it changes,
 * reading the configuration again makes another set. Not secrets, which are read when needed. */
struct dependency {
    const char *path;
    const struct dependency *next;
};

/* A file that the configuration names, or, ending in "/", a directory in which it names some by
 * placeholders or patterns: where there may be something to read while this set is in force. */
struct named_path {
    const char *path;
    const struct named_path *next;
};

/* A host whose addresses are servers of their own (`resolve: all`): whoever knows them tells them
 * to the configuration, see config/source.h. */
struct follow {
    const char *host;
    const struct follow *next;
};

struct module;

struct endpoint_set {
    struct arena *arena;
    const struct dependency *depends_on;  /* one may be there twice */
    const struct named_path *named_paths; /* one may be there twice */
    struct settings settings;
    const struct discovery *discoveries; /* where more of it comes from, see config/discovery.h */
    size_t n_discoveries;
    const struct follow *follows; /* one may be there twice */
    const struct module *modules; /* for targets that a request names, see model/module.h */
    size_t n_modules;
    const struct server *servers; /* grouped by endpoint, in the order of the configuration */
    size_t n_servers;
    const struct endpoint *endpoints;
    size_t n_endpoints;
    uint64_t generation; /* 1, 2, 3, … */
    int references;      /* atomic; through the two functions below only */
};

/* An empty set of one reference around an arena, which it owns from now on. NULL when out of
 * memory (the arena is then still the caller's). */
struct endpoint_set *endpoint_set_new(struct arena *arena);
struct endpoint_set *endpoint_set_ref(struct endpoint_set *set);
void endpoint_set_unref(struct endpoint_set *set); /* accepts NULL */

/* Takes the login away from server i: this libpq cannot do it. For whoever builds a generation,
 * before it is shared. */
void endpoint_set_drop_login(struct endpoint_set *set, size_t i);
/* The same of module i. */
void endpoint_set_drop_module_login(struct endpoint_set *set, size_t i);

/* "verify-full" …; the names are libpq's. */
const char *sslmode_name(enum sslmode mode);
const char *negotiation_name(enum negotiation n);

/* Identity: same cluster, endpoint and name. Counters survive a reload by it. */
bool server_same(const struct server *a, const struct server *b);

/* What a probe of one has learned is true of the other: whom to connect to, and how, and as whom.
 * Of two generations of the same server. */
bool server_connects_alike(const struct server *a, const struct server *b);

/* The same sessions are asked for, in the same order. */
bool server_sessions_alike(const struct server *a, const struct server *b);
uint64_t server_key_hash(const char *cluster, const char *endpoint, const char *name);

/* Left alone on purpose: nothing connects to it, and its state is unknown. Why, for people; NULL
 * when it is watched. */
const char *server_pause(const struct server *s);

/* TLS is spoken on this server's connections. */
bool server_uses_tls(const struct server *s);

/* What this sslmode demands of the certificate, as libpq decides it (fe-secure-openssl.c,
 * initialize_SSL and pq_verify_peer_name_matches_certificate): the chain is verified by verify-ca
 * and verify-full, and by any other mode when an sslrootcert file is given; the name by
 * verify-full. */
bool server_demands_chain(const struct server *s);
bool server_demands_hostname(const struct server *s);
