#pragma once
/* The log: one line per event on stderr, logfmt or JSON, with the keys of Prometheus's own
 * (time, level, source, msg, then pairs). Values are escaped; callers never log a secret.
 * Any thread may log; lines do not interleave. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_pair {
    const char *key;
    const char *value; /* NULL: the pair is left out */
};

/* Call once, before the first thread. */
void log_setup(enum log_level level, enum log_format format);

/* Whether each line begins with its priority as the journal takes it off again, "<4>" for WARN
 * (sd-daemon(3)); at first none does. Like log_setup. */
void log_show_priority(bool shown);

/* From now on lines wait in memory for a thread that writes them, and nobody who logs waits for
 * whoever reads. When so many bytes wait, or stderr takes no more, further lines are lost: they are
 * counted, and their number is a line before the next one that gets out. False without memory or a
 * thread: whoever logs goes on writing itself. Call it after sandbox_enter, before other threads;
 * again only after a log_stop that returned true. */
#define LOG_QUEUE_BYTES ((size_t)1024 * 1024)
bool log_start(void);

/* Lets what waits out, for at most so long; false when that was not enough. Afterwards as before
 * log_start. */
bool log_stop(int64_t grace_ns);

/* Lines lost since the start of the process. Any thread. */
uint64_t log_lost(void);

/* In any case: "INFO" and "info". */
bool log_level_from_name(const char *name, enum log_level *level);
bool log_format_from_name(const char *name, enum log_format *format);

/* Would a line of this level be written? */
bool log_wants(enum log_level level);

void log_write(enum log_level level, const char *file, int line, const char *msg,
               const struct log_pair *pairs, size_t n);

/* LOG(INFO, "Listening", {"address", text}, {"scheme", "http"}); */
#define LOG(level, msg, ...)                                                                       \
    do {                                                                                           \
        if (log_wants(LOG_LEVEL_##level)) {                                                        \
            const struct log_pair log_pairs_[] = {{NULL, NULL}, __VA_ARGS__};                      \
            log_write(LOG_LEVEL_##level, __FILE__, __LINE__, msg, log_pairs_ + 1,                  \
                      sizeof log_pairs_ / sizeof *log_pairs_ - 1);                                 \
        }                                                                                          \
    } while (0)
