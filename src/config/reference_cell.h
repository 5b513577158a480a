#pragma once
/* A cell of a table in a printed reference, with the bar behind it: nothing in it may end it. */
#include "pgtls/base/buf.h"

static inline void reference_cell(struct buf *to, const char *text)
{
    buf_add_char(to, ' ');
    for (; *text; text++) {
        if (*text == '|')
            buf_add_char(to, '\\');
        buf_add_char(to, *text);
    }
    buf_add_str(to, " |");
}
