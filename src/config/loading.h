#pragma once
/* One loading: all inputs at once, to one endpoint set. Passes over the files: what is at their
 * tops, then templates, then clusters with what was discovered for them. */
#include "building.h"
#include "names.h"
#include "pgtls/config/source.h"
#include "report.h"

struct address_book;
struct arena;
struct discovery_entry;
struct module_entry;
struct show;
struct template;

/* What there is to load: one of text, dsn, list and trouble is set. */
struct load_input {
    const char *name;
    const char *text; /* of a file */
    size_t len;
    const char *dsn;
    const struct config_target_list *list;
    const char *trouble; /* it could not even be read */
    size_t errors;       /* out: how many are about it */
    bool broken;         /* out: nothing in it could be looked at */
};

/* The set, or NULL with at least one error. Nothing is kept of the inputs. `book` has the addresses
 * of hosts that are followed; NULL: none are known. `show` sees every endpoint as it is resolved;
 * NULL: nobody does. */
struct endpoint_set *load_inputs(struct load_input *inputs, size_t n,
                                 const struct address_book *book, struct show *show,
                                 struct config_messages *messages);

/* One file within a loading. */
struct file {
    struct origin *origin;
    const struct yaml_node *root; /* NULL: it could not be parsed */
    struct layer top, defaults;
    bool has_defaults;
};

/* What was discovered for one cluster, in order. */
struct found {
    const struct config_target *target;
    const struct config_target_list *list;
    struct origin *origin;
    struct found *next;
};
struct found_cluster {
    const char *name;
    struct found *first, *last;
    bool known;                 /* a file has this cluster */
    struct found_cluster *self; /* names hand out what is const */
    struct found_cluster *next;
};

struct loading {
    struct report report;
    struct building building;
    struct endpoint_set *set;
    struct arena *scratch; /* trees, templates: what ends with the loading */
    struct file *files;
    size_t n_files;
    bool unread;                 /* some input could not be read: what is missing may be in it */
    const struct file *defaults; /* the first file that has them: they hold for all */
    struct names clusters, templates, found, endpoint_names, modules;
    struct template *first_template, *last_template;
    struct found_cluster *first_found, *last_found;
    struct discovery_entry *first_discovery, *last_discovery;
    struct module_entry *first_module, *last_module;
    struct place limits_at, buckets_at, histograms_at; /* where they are given; line 0: nowhere */
};

/* Is this node of the kind that is needed? Reports when not. */
bool expect_kind(struct loading *l, const struct yaml_node *node, enum yaml_kind kind,
                 const char *what, const char *hint);

/* "null", written out: takes away what is inherited. */
bool is_removal(const struct yaml_node *node);

#define MAX_ENDPOINT_NAME_BYTES 63

/* Keeps an endpoint's name within bounds. */
bool check_endpoint_name(struct loading *l, const struct yaml_node *key);

/* Settings of the whole exporter, in settings.c. */
void load_settings(struct loading *l, const struct file *file);

/* Where further targets come from, in discovery.c: read, and put into the set at the end. */
void load_discovery(struct loading *l, const struct file *file);
void discovery_finish(struct loading *l);

/* How targets are probed that a request names, in modules.c: the same. */
void load_modules(struct loading *l, const struct file *file);
void modules_finish(struct loading *l);

/* Clusters, in clusters.c. */
void load_clusters(struct loading *l, const struct file *file);

/* What was discovered: collected before the clusters of the files, which take theirs, and the rest
 * made into clusters of their own after them. In found.c. */
void collect_found(struct loading *l, const struct config_target_list *list, struct origin *origin);
struct found_cluster *find_found(const struct loading *l, const char *cluster);
void load_found(struct loading *l, struct found_cluster *cluster,
                const struct endpoint_source *source, const struct template *template);
void load_found_clusters(struct loading *l);
