#pragma once
/* Discovery: where lists of targets come from, and what is made of their documents.
 *
 * A document is what one file, one answer of an HTTP service or one answer of the DNS holds, in the
 * format of Prometheus's file_sd and http_sd (its documentation, "<file_sd_config>"), JSON or YAML:
 *
 *     [{"targets": ["db1.example.com:5432"], "labels": {"pg_cluster": "orders", "team": "shop"}}]
 *
 * Targets of one cluster and endpoint make one endpoint of several servers. Of the labels
 * `__pgtls_<key>` sets a key of the endpoint (discovery_keys() lists which: none that names a
 * secret or a file, or that loosens what is verified), other `__…` are left out, `pg_cluster` and
 * `pg_endpoint` are taken by default for the names, and the rest goes to pgtls_server_labels_info.
 */
#include "pgtls/config/source.h"

#include <stddef.h>
#include <stdint.h>

struct arena;

enum discovery_kind { DISCOVERY_FILE, DISCOVERY_HTTP, DISCOVERY_DNS, DISCOVERY_KIND_COUNT };

/* One entry of `discovery:`, in the arena of its endpoint set. */
struct discovery {
    enum discovery_kind kind;
    const char *template;           /* NULL: none */
    const char *cluster, *endpoint; /* texts with placeholders for labels: "{pg_cluster}" */
    const char *const *items;       /* patterns of files, one URL, or names of SRV records */
    size_t n_items;
    int64_t refresh_interval_ns;
    int64_t timeout_ns;                                /* of DISCOVERY_HTTP */
    const char *ca_file, *cert_file, *key_file, *user; /* NULL: not given */
    struct secret_ref password, bearer;
};

/* A document to a list of targets named `name`, memory from `arena`, which the list borrows from as
 * from `d`. False with at least one error in `messages`, each with its place in the document. */
bool discovery_parse(const struct discovery *d, const char *name, const char *text, size_t len,
                     struct arena *arena, struct config_target_list *list,
                     struct config_messages *messages);

/* The keys of an endpoint that a label `__pgtls_<key>` may set, NULL-terminated. */
const char *const *discovery_keys(void);

/* The same answer however it is asked for: equal discoveries of two generations go on undisturbed.
 */
bool discovery_same(const struct discovery *a, const struct discovery *b);
