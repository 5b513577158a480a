/* Who logs: to the queue, or straight to stderr while there is none. One write(2) for a line, so
 * that those of several threads do not interleave. */
#include "pgtls/base/log.h"

#include "log_private.h"

#include <unistd.h>

#define LINE_BYTES ((size_t)16 * 1024)

static enum log_level threshold = LOG_LEVEL_INFO;

void log_setup(enum log_level level, enum log_format format)
{
    threshold = level;
    log_line_format(format);
}

bool log_wants(enum log_level level)
{
    return level >= threshold;
}

void log_write(enum log_level level, const char *file, int line, const char *msg,
               const struct log_pair *pairs, size_t n)
{
    struct buf b = BUF_INIT(LINE_BYTES);

    log_line(&b, level, file, line, msg, pairs, n);
    if (b.failed) {
        log_queue_lose(); /* no memory for it */
    } else if (!log_queue_add(b.data, b.len)) {
        ssize_t ignored = write(STDERR_FILENO, b.data, b.len);

        (void)ignored; /* there is nobody to tell */
    }
    buf_deinit(&b);
}
