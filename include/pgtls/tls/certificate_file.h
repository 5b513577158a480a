#pragma once
/* The certificate file that a server is supposed to serve, on a disk of ours: to see whether what
 * was renewed there has been loaded by the server, too. */
#include "pgtls/model/certificate.h"

/* Room for a long chain; with more it is not a certificate file. */
#define CERTIFICATE_FILE_MAX_BYTES ((size_t)1024 * 1024)

/* Looks at the file and reads it again if it has changed since `last`, which may be NULL and is
 * taken over. Returns a reference: `last` itself while there is nothing new; NULL when out of
 * memory. The first certificate of the PEM counts, as with PostgreSQL's ssl_cert_file; other blocks
 * are skipped. A file that cannot be read or holds none is told in `error`. Never waits: what is no
 * regular file is not read. */
struct certificate_file *certificate_file_look(struct certificate_file *last, const char *path);
