/* Any bytes as the certificate file that a server is supposed to serve: the facts of its first
 * certificate, or what is wrong with it. A private key may stand in it, which nobody is told. */
#include "pgtls/tls/certificate_file.h"

#include "facts.h"

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
