#pragma once
/* Between a line and the descriptor it goes to. */
#include "pgtls/base/buf.h"
#include "pgtls/base/log.h"

/* How lines look from now on: log_setup's. */
void log_line_format(enum log_format format);

/* Appends a whole line, its end included. */
void log_line(struct buf *to, enum log_level level, const char *file, int line, const char *msg,
              const struct log_pair *pairs, size_t n);

/* Takes a line for the thread; false when there is none, and the caller writes. */
bool log_queue_add(const char *line, size_t len);

/* A line that could not even be composed is counted as lost. */
void log_queue_lose(void);
