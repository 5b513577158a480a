#pragma once
/* Where the configuration of a running exporter comes from, and what of it is good.
 *
 * A source holds *inputs*: files, and lists of discovered targets. Each has its latest content and
 * its last good one. Every build makes the whole set from all inputs:
 *
 *  - All latest contents together are good: they are in force, and each becomes the last good one.
 *  - Some have errors: of the inputs that changed, those with errors fall back to their last good
 *    content while the others apply; if only unchanged ones have errors (somebody else's change
 *    broke them), all that changed fall back. A file that was never good counts as absent then.
 *  - An input that is gone applies like any change: a file of a directory, or a list that was
 *    dropped, takes its clusters with it, unless others break by it.
 *
 * So one bad input never holds back the others, and what is in force was always valid as a whole.
 * The first build has nothing to fall back to: any error of a file is final.
 *
 * One thread owns a source (the daemon's main thread: signals, HTTP's reloads, the watch and
 * discovery all meet there). The configuration's own files are read in config_source_read() only,
 * those that a dsn_file or user_file names when building; the network is never touched. How it
 * goes:
 *
 *     source = config_source_new();
 *     config_source_add_path(source, "pgtls.yml");          every --config.file
 *     config_source_read(source);                           start, SIGHUP, POST /-/reload, watch
 *     set = config_source_build(source, &messages);
 *     …
 *     config_source_set_targets(source, &list);             whenever a discovery has news
 *     set = config_source_build(source, &messages);
 */
#include "pgtls/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct label;
struct config_source;

#define CONFIG_MAX_FILES 1000 /* of one directory */

/* NULL when out of memory. */
struct config_source *config_source_new(void);
void config_source_free(struct config_source *source); /* accepts NULL */

/* A file, or a directory: then all its *.yml and *.yaml in the order of their names, hidden ones
 * and directories in it left out. False when out of memory. */
bool config_source_add_path(struct config_source *source, const char *path);

/* One connection string that stands for the whole configuration, as DATABASE_URL does; `name` is
 * what messages call it. False when out of memory. */
bool config_source_add_dsn(struct config_source *source, const char *name, const char *dsn);

/* Reads all files anew: what they hold now are the latest contents. A file that cannot be read,
 * and a directory that cannot be listed or has no file, is an input with an error: the next build
 * says so, and what it was before stays in force. False when there was no memory for all of it:
 * what there was none for is what it was. */
bool config_source_read(struct config_source *source);

/* Did any file change (inode, size, mtime, names in a directory) since config_source_read()? Also
 * those that the latest good set depends on (dsn_file, user_file). Only looks, and remembers
 * nothing: for --config.watch. A value to be compared with the one before. */
uint64_t config_source_fingerprint(const struct config_source *source);

/* --- discovery ------------------------------------------------------------------------------ */

/* One discovered endpoint. Its keys are those of an endpoint in YAML, each with a single value as
 * text, checked and bounded as there ("host": "a,b" makes two servers); no placeholder is expanded
 * in them. What holds beneath them, outermost first: defaults; the template and cluster of the
 * file if there is a cluster of this name, else the list's template; that template's endpoint of
 * this name. An endpoint that a file itself defines wins: a discovered one of the same name is left
 * out with a warning, and so is all but the first of two that were discovered. */
struct config_pair {
    const char *key, *value;
};
struct config_target {
    const char *cluster, *endpoint;
    const struct config_pair *keys;
    size_t n_keys;
    const struct label *labels; /* added to those of the levels beneath, at most 10 in all */
    size_t n_labels;
    unsigned line, column; /* in what it was read from, for messages; 0: not known */
};
struct config_target_list {
    const char *name;     /* which list this is, and what messages call it */
    const char *template; /* NULL: none */
    const struct config_target *targets;
    size_t n;
};

/* The latest content of a list of targets: replaces the one of this name, or adds it. Everything is
 * copied. A list that does not come (a broken file, an error 500) is simply not set: the one before
 * stays. An error in one target is an error of the whole list, which then falls back. False when
 * out of memory: nothing is changed then. */
bool config_source_set_targets(struct config_source *source, const struct config_target_list *list);

/* The list is no longer asked for. */
void config_source_drop_targets(struct config_source *source, const char *name);

/* The addresses that a host of `endpoint_set.follows` has now (`resolve: all`), numeric: each
 * becomes a server of its own with the next build, at most 64. Until there are any, and after an
 * answer without any, which need not be told, the host is one server, or what it was. True when
 * that changed anything. */
bool config_source_set_addresses(struct config_source *source, const char *host,
                                 const char *const *addresses, size_t n);

/* The host is not followed any more. */
void config_source_drop_addresses(struct config_source *source, const char *host);

/* --- building ------------------------------------------------------------------------------- */

/* Builds the set as told above. NULL when there is none: at the first build after any error, later
 * only when even what was in force before cannot be built any more. `messages` has the errors of
 * all inputs with their places either way; `repeated` is set in those that were already said of the
 * same content. */
struct endpoint_set *config_source_build(struct config_source *source,
                                         struct config_messages *messages);

/* Builds, and writes what is in force at each endpoint of `which` ("cluster" or "cluster/endpoint",
 * NULL: all), as YAML that could be loaded again: placeholders and inheritance are resolved, and
 * behind each value stands where it comes from. What is secret and stands in a file or connection
 * string is named and left out; references to secrets are shown. False with errors in `messages`,
 * or without any when there is no such endpoint. For a source that was not built before. */
bool config_source_show(struct config_source *source, const char *which, struct buf *to,
                        struct config_messages *messages);

/* The inputs in order, for pgtls_config_file_valid: every file and named directory. `valid`: its
 * latest content is in force. False when i is past the last one. */
struct config_input_state {
    const char *name; /* borrowed: until the source changes */
    bool is_file;     /* false: a list of targets */
    bool valid;
};
bool config_source_input(const struct config_source *source, size_t i,
                         struct config_input_state *state);
