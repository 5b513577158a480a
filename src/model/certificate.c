/* Counted, immutable certificate facts. A chain is shared by every observation that saw the same
 * bytes, by the fleet and by its readers: the last one to let go frees it. */
#include "pgtls/model/certificate.h"

#include "pgtls/base/str.h"

#include <stdlib.h>
#include <string.h>

static const char *const position_names[POSITION_COUNT] = {
    [POSITION_LEAF] = "leaf",
    [POSITION_INTERMEDIATE] = "intermediate",
    [POSITION_ROOT] = "root",
    [POSITION_CLIENT] = "client",
};

const char *position_name(enum position position)
{
    return str_name(position_names, POSITION_COUNT, (size_t)position);
}

struct chain *chain_new(size_t count)
{
    struct chain *chain;

    if (count > MAX_CHAIN)
        return NULL;
    chain = calloc(1, sizeof *chain + count * sizeof chain->certificates[0]);
    if (!chain)
        return NULL;
    chain->references = 1;
    chain->count = count;
    for (size_t i = 0; i < POSITION_COUNT; i++)
        chain->by_position[i] = -1;
    return chain;
}

struct chain *chain_ref(struct chain *chain)
{
    if (chain)
        __atomic_add_fetch(&chain->references, 1, __ATOMIC_RELAXED);
    return chain;
}

void chain_unref(struct chain *chain)
{
    if (chain && __atomic_sub_fetch(&chain->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(chain);
}

struct pem *pem_new(const char *text, size_t len)
{
    struct pem *pem = malloc(sizeof *pem + len + 1);

    if (!pem)
        return NULL;
    pem->references = 1;
    pem->len = len;
    memcpy(pem->text, text, len);
    pem->text[len] = '\0';
    return pem;
}

struct pem *pem_ref(struct pem *pem)
{
    if (pem)
        __atomic_add_fetch(&pem->references, 1, __ATOMIC_RELAXED);
    return pem;
}

void pem_unref(struct pem *pem)
{
    if (pem && __atomic_sub_fetch(&pem->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(pem);
}

struct certificate_file *certificate_file_new(const char *path)
{
    size_t size = strlen(path) + 1;
    struct certificate_file *file = calloc(1, sizeof *file + size);

    if (!file)
        return NULL;
    file->references = 1;
    memcpy(file->path, path, size);
    return file;
}

struct certificate_file *certificate_file_ref(struct certificate_file *file)
{
    if (file)
        __atomic_add_fetch(&file->references, 1, __ATOMIC_RELAXED);
    return file;
}

void certificate_file_unref(struct certificate_file *file)
{
    if (file && __atomic_sub_fetch(&file->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(file);
}
