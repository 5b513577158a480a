#pragma once
/* The table of configuration keys, and the values of one level read by it.
 *
 * A level is a mapping of a certain kind (the file's top, defaults, a cluster, an endpoint …); a
 * layer holds what one such mapping sets. New levels are further rows.
 *
 * What a new type of value gets for nothing: `null` takes away what is inherited, and a value that
 * holds a placeholder ("{cluster}") waits as it was written (`deferred`) until an endpoint is
 * resolved, and is read then: its reader in values.c never sees a placeholder. */
#include "pgtls/model/server.h"
#include "report.h"
#include "yaml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

#define MAX_LABELS 10
#define MAX_VARS   32 /* at one level */

enum level {
    LEVEL_TOP,
    LEVEL_DEFAULTS,
    LEVEL_TEMPLATE,
    LEVEL_CLUSTER,
    LEVEL_ENDPOINT,
    LEVEL_MODULE,
    LEVEL_LOGIN,
    LEVEL_PROMISE,
    LEVEL_POLICY,
    LEVEL_SESSION,
    LEVEL_EXPECT,
    LEVEL_LIMITS,
    LEVEL_DISCOVERY,
    LEVEL_FILE_SD,
    LEVEL_HTTP_SD,
    LEVEL_DNS_SD,
    LEVEL_COUNT
};
#define LEVEL_BIT(level) (1u << (level))
#define ANY_SERVER_LEVEL                                                                           \
    (LEVEL_BIT(LEVEL_DEFAULTS) | LEVEL_BIT(LEVEL_TEMPLATE) | LEVEL_BIT(LEVEL_CLUSTER) |            \
     LEVEL_BIT(LEVEL_ENDPOINT))
#define ANY_SERVER_OR_MODULE (ANY_SERVER_LEVEL | LEVEL_BIT(LEVEL_MODULE))

enum key_type {
    KEY_TEXT,
    KEY_PATH,
    KEY_HOSTS,    /* comma list */
    KEY_PORTS,    /* comma list */
    KEY_DURATION, /* nanoseconds */
    KEY_INTEGER,
    KEY_BOOL,
    KEY_ENUM,   /* one of names */
    KEY_FLAGS,  /* a list of names, as bits */
    KEY_SECRET, /* a reference of kind source */
    KEY_LABELS,
    KEY_VARS,     /* a mapping of placeholders of one's own */
    KEY_NETWORKS, /* a list of addresses and blocks of them */
    KEY_PINS,     /* a list of SHA-256 fingerprints */
    KEY_TARGETS,  /* a list of hosts and blocks of addresses, with ports */
    KEY_DSN,      /* sets other slots of its level */
    KEY_LOGIN,    /* true, false or a mapping of level login */
    KEY_POLICY,   /* true, false or a mapping of level policy */
    KEY_PROMISE,  /* a mapping of level promise */
    KEY_SESSIONS, /* a list of mappings of level session */
    KEY_EXPECT,   /* a mapping of level expect */
    KEY_FAULTS,   /* a list of fault ids, or a single one */
    KEY_CLASSES,  /* the same of their classes */
    KEY_REASON,   /* a text, or false */
    KEY_TEXTS,    /* a list of texts */
    KEY_PATHS,    /* a list of paths */
    KEY_NODE      /* structure, walked by the caller */
};

/* What is set. Keys that are different ways to say one thing share a slot. */
enum slot {
    SLOT_DSN,
    SLOT_HOST,
    SLOT_HOSTADDR,
    SLOT_PORT,
    SLOT_USER,
    SLOT_DBNAME,
    SLOT_PASSWORD,
    SLOT_SSLMODE,
    SLOT_NEGOTIATION,
    SLOT_SSLROOTCERT,
    SLOT_SSLCRL,
    SLOT_SSLCERT,
    SLOT_SSLKEY,
    SLOT_SSLPASSWORD,
    SLOT_SSL_MIN,
    SLOT_SSL_MAX,
    SLOT_SSLSNI,
    SLOT_PINS,
    SLOT_OPTIONS,
    SLOT_APPLICATION_NAME,
    SLOT_CHANNEL_BINDING,
    SLOT_ALLOW_AUTH,
    SLOT_INTERVAL,
    SLOT_TIMEOUT,
    SLOT_LOGIN,
    SLOT_LOGIN_INTERVAL,
    SLOT_REQUIRE,
    SLOT_LABELS,
    SLOT_VARS,
    SLOT_POLICY,
    SLOT_POLICY_INTERVAL,
    SLOT_PROMISE,
    SLOT_ROLE,
    SLOT_POOLED,
    SLOT_MAX_LAG,
    SLOT_ADDRESSES,
    SLOT_SAME_CERTIFICATE,
    SLOT_CERTIFICATE_FILE,
    SLOT_SESSIONS,
    SLOT_ENABLED,
    SLOT_MAINTENANCE,
    SLOT_EXPECT,
    SLOT_EXPECT_FAULTS,
    SLOT_EXPECT_CLASSES,
    SLOT_RESOLVE,
    SLOT_SESSION_IDLE,
    SLOT_SESSION_KEEPALIVES,
    SLOT_NAME,
    SLOT_ENDPOINTS,
    SLOT_TEMPLATE,
    SLOT_TEMPLATES,
    SLOT_MODULES,
    SLOT_ALLOW_TARGETS,
    SLOT_DENY_TARGETS,
    SLOT_DEFAULTS,
    SLOT_CLUSTERS,
    SLOT_LIMITS,
    SLOT_BUCKETS,
    SLOT_HISTOGRAMS,
    SLOT_IN_FLIGHT,
    SLOT_IN_FLIGHT_PER_ADDRESS,
    SLOT_CONNECTIONS_PER_SECOND,
    SLOT_DISCOVERY,
    SLOT_FILE_SD,
    SLOT_HTTP_SD,
    SLOT_DNS_SD,
    SLOT_CLUSTER,
    SLOT_ENDPOINT,
    SLOT_FILES,
    SLOT_URL,
    SLOT_NAMES,
    SLOT_REFRESH,
    SLOT_BEARER,
    SLOT_COUNT
};

struct key {
    const char *name;
    enum slot slot;
    enum key_type type;
    unsigned levels;          /* LEVEL_BITs where it may stand */
    int64_t low, high;        /* bounds of a number or duration; high: most bytes of a text */
    const char *const *names; /* of KEY_ENUM and KEY_FLAGS, NULL-terminated */
    int source;               /* enum secret_source: where the value is, if not here */
    const char *dsn_name;     /* the libpq keyword that sets it, NULL: none */
    const char *fallback;     /* the default, for the reference */
    const char *help;
};
extern const struct key config_keys[];
extern const size_t n_config_keys;
extern const char *const level_names[LEVEL_COUNT]; /* "defaults", "a cluster" … */

/* One entry of KEY_LABELS and KEY_VARS: each is inherited by itself. */
struct named_text {
    struct label label;
    struct place at;
    bool none, deferred; /* as in a setting */
};

struct setting {
    const struct key *key; /* NULL: not set */
    struct place at;
    bool from_dsn;
    bool none;        /* null: what is inherited is taken away */
    bool deferred;    /* `node` holds placeholders: read when an endpoint is resolved, expand.h */
    const char *text; /* texts, lists, secrets: in the set's arena */
    int64_t number;   /* numbers, durations, booleans, index or bits of names */
    const struct named_text *labels;
    size_t n_labels;
    void *items; /* of KEY_NETWORKS, KEY_PINS, KEY_TARGETS, KEY_SESSIONS, KEY_EXPECT and lists of
                    texts */
    size_t n_items;
    const struct yaml_node *node; /* as it was written; NULL: from a connection string */
};
struct layer {
    struct setting slots[SLOT_COUNT];
    bool bad; /* a value in it was refused: what depends on it is not worth a further message */
    bool host_misspelt; /* the same of a host that may be missing for that reason alone */
    bool deferred;      /* some setting in it is */
};

struct reader {
    struct report *report;
    struct arena *arena;      /* of the endpoint set: every value is copied there */
    bool secrets_are_private; /* the whole text is a secret of its own: no warning for passwords */
    const struct dependency **depends_on;  /* of the set: files that were read for it */
    const struct named_path **named_paths; /* of the set */
    bool literal;                          /* braces are braces: no placeholder is looked for */
    const char *cluster, *endpoint; /* whose values are read, for messages; NULL: not known yet */
};

/* Reads one mapping into a zeroed layer. Every error goes to the report. */
void read_layer(const struct reader *r, const struct yaml_node *map, enum level level,
                struct layer *layer);

/* The level of the mapping that a key of this type takes, whose keys are inherited one by one;
 * LEVEL_COUNT: none. */
enum level level_within(enum key_type type);

/* Reads a connection string into a layer, as if it stood at `at`. */
void read_dsn(const struct reader *r, const struct key *key, struct place at, const char *text,
              struct layer *layer);
