#pragma once
/* The table of flags and the texts of the commands, for the command line and what is printed of it:
 * help, manual, completion of shells. */
#include "pgtls/app/flags.h"

/* A reader of one value: false when it does not fit. */
typedef bool flag_reader(struct flags *flags, const char *value);

struct flag {
    const char *name;
    unsigned commands; /* that take it: bits */
    const char *value; /* what stands behind it in the help, in brackets if it may be left out;
                        * NULL: takes none */
    flag_reader *read;
    const char *wanted; /* for the error; a list of words ("a, b or c") when only those will do */
    const char *help;
};
extern const struct flag flag_table[];
extern const size_t flag_count;

struct command_text {
    const char *name, *usage, *intro, *end;
    bool takes_target;
};
extern const struct command_text command_texts[COMMAND_COUNT];

bool flag_is_of(const struct flag *flag, enum command command);
