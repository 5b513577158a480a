#pragma once
/* Configuration: YAML (docs/configuration.md) or DATABASE_URL, to an endpoint set.
 *
 * Loading never stops at the first error: every error of a file is reported at once, each as
 * "file:line:column: what is wrong; what to do".
 *
 * Here it is loaded once, from one place. What a running exporter watches comes from several, and
 * falls back where they are wrong: config/source.h. */
#include "pgtls/model/server.h"

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Bounds on what a configuration may hold. */
#define CONFIG_MAX_BYTES    ((size_t)16 * 1024 * 1024)
#define CONFIG_MAX_SERVERS  100000
#define CONFIG_MAX_MESSAGES 200 /* kept; further ones are only counted */

#define CONFIG_ALL_INPUTS (~0U)

enum config_severity { CONFIG_ERROR, CONFIG_WARNING };

/* Messages of one loading, in the order of the file. */
struct config_messages {
    struct config_message {
        enum config_severity severity;
        char *text; /* "pgtls.yml:12:5: unknown key \"intervall\"; did you mean \"interval\"?" */
        unsigned input; /* which file it is about, in their order from 0, or CONFIG_ALL_INPUTS */
        bool repeated;  /* said before of the same content, see config/source.h */
    } items[CONFIG_MAX_MESSAGES];
    size_t n, errors, warnings; /* errors and warnings count also those not kept */
    bool no_memory;             /* one of the errors is that there was none */
};
void config_messages_deinit(struct config_messages *messages);

/* Loads a file. Returns a set of one reference, or NULL with at least one error in `messages`
 * (running out of memory included). Warnings may be there either way. Never touches the network
 * and never needs a secret or a CA file to exist. */
struct endpoint_set *config_load_file(const char *path, struct config_messages *messages);

/* The same from memory; `name` stands where the file's would. */
struct endpoint_set *config_load_text(const char *name, const char *text, size_t len,
                                      struct config_messages *messages);

/* One cluster "default" with one endpoint "default" from a connection string, as DATABASE_URL or
 * the quickstart give it; `name` is what messages call it. */
struct endpoint_set *config_load_dsn(const char *name, const char *dsn,
                                     struct config_messages *messages);

/* Prints the reference (Markdown) from the table of keys. */
void config_print_reference(struct buf *to);

/* Prints every key with the places where it may stand and, of those that have a vocabulary, its
 * words, a line each: names that are API. A test diffs them with docs/api-names.txt. */
void config_print_names(struct buf *to);

/* Prints docs/connection-strings.md from the tables of dialects and keywords. */
void config_print_connection_strings(struct buf *to);
