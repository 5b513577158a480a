#pragma once
/* The service manager: what it hands over in the environment, and what it is told, as sd_notify(3)
 * and sd_watchdog_enabled(3) describe. Without $NOTIFY_SOCKET nobody wants to know, and telling
 * does nothing. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct service {
    struct sockaddr_un address;
    socklen_t length;    /* of the address; 0: nobody listens */
    int64_t watchdog_ns; /* how often at least it has to hear that all is well; 0: never */
};

/* Takes what the environment says out of it; a socket of an unknown kind is complained about in the
 * log and not spoken to. Once, before the first thread. */
void service_open(struct service *service);

/* Is stderr the very stream to the journal that $JOURNAL_STREAM names? Not when it was redirected
 * since. */
bool service_reads_stderr(void);

/* Sends assignments, one per line: "READY=1\nSTATUS=…". From any thread. A manager that does not
 * take it within a second misses it. */
__attribute__((format(printf, 2, 3))) void service_tell(const struct service *service,
                                                        const char *format, ...);

/* What a variable of the environment says, which is then taken out of it; 0 when it is not there,
 * or no number from 1 to max. */
int64_t service_take_number(const char *name, int64_t max);
