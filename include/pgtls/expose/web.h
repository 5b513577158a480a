#pragma once
/* Who may talk to the HTTP server: --web.config.file at work. TLS of the connections, passwords,
 * how many requests, headers.
 *
 * The file, and those with certificates and keys that it names, are looked at with every connection
 * and every request, and read again when they have changed and were left alone for a second. What
 * has errors then is not used: what was in force stays, the log says why once, and
 * pgtls_config_file_valid of the file is 0. */
#include "pgtls/config/config.h"

#include <stdbool.h>

struct self;
struct web;

/* Reads the file and all it names. NULL with at least one error in `messages`; warnings may be
 * there either way. `self` is told about the file's state and what is refused. */
struct web *web_new(const char *path, struct self *self, struct config_messages *messages);
void web_free(struct web *web); /* accepts NULL; not while a server uses it */

/* Is the server one for HTTPS? That does not change while it runs. */
bool web_has_tls(const struct web *web);
