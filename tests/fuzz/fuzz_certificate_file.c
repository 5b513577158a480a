/* Any bytes as the certificate file that a server is supposed to serve: the facts of its first
 * certificate, or what is wrong with it. A private key may stand in it, which nobody is told. */
#include "pgtls/tls/certificate_file.h"

#include "target.h"

static void check_facts(const struct certificate *c)
{
    check_text(c->subject, sizeof c->subject);
    check_text(c->issuer, sizeof c->issuer);
    check_text(c->serial, sizeof c->serial);
    check_text(c->key, sizeof c->key);
    check_text(c->signature, sizeof c->signature);
    check_text(c->sans, sizeof c->sans);
    require(strlen(c->fingerprint_sha256) == 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory_file memory;
    struct certificate_file *file;

    memory_file_write(&memory, data, size);
    file = certificate_file_look(NULL, memory.path);
    require(file != NULL);
    check_text(file->error, sizeof file->error);
    if (file->error[0] == '\0')
        check_facts(&file->leaf);
    else
        require(file->leaf.fingerprint_sha256[0] == '\0');
    require(file->error[0] != '\0' || certificate_file_look(file, memory.path) == file);
    certificate_file_unref(file);
    return 0;
}
