#pragma once
/* The files of src/expose/assets/, part of the program since it was built. */
#include <stddef.h>

struct asset {
    const char *name; /* "page.css" */
    const char *type; /* Content-Type */
    const char *id;   /* of its content: a page asks for it under another name when it changed */
    const unsigned char *bytes;
    size_t len;
};

/* NULL: no such file. */
const struct asset *asset_find(const char *name);
