/* A DNS server on loopback that answers by the first label of the name. */
#include "dns_peer.h"

#include "pgtls/base/buf.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER      12
#define TYPE_A      1
#define TYPE_CNAME  5
#define TYPE_SRV    33
#define MAX_MESSAGE ((size_t)65535)
#define MAX_UDP     512
#define MANY        1200
#define CROWD       20

struct question {
    const unsigned char *bytes;
    size_t len; /* up to the end of the question section */
    unsigned type;
    char label[64];
};

static bool read_question(const unsigned char *bytes, size_t len, struct question *q)
{
    size_t at = HEADER;

    *q = (struct question){.bytes = bytes};
    if (len < HEADER + 6 || bytes[HEADER] >= sizeof q->label)
        return false;
    while (at < len && bytes[at])
        at += 1U + bytes[at];
    q->len = at + 5;
    if (q->len > len)
        return false;
    memcpy(q->label, bytes + HEADER + 1, bytes[HEADER]);
    q->type = (unsigned)bytes[at + 1] << 8 | bytes[at + 2];
    return true;
}

static void add16(struct buf *to, unsigned value)
{
    buf_add_char(to, (char)(value >> 8));
    buf_add_char(to, (char)value);
}

/* A record of the name in the question. */
static void add_record(struct buf *to, unsigned type, unsigned ttl, const void *data, size_t len)
{
    add16(to, 0xc000 | HEADER);
    add16(to, type);
    add16(to, 1);
    add16(to, ttl >> 16);
    add16(to, ttl & 0xffff);
    add16(to, (unsigned)len);
    buf_add(to, data, len);
}

static void add_srv(struct buf *to, unsigned ttl, unsigned priority, unsigned weight, unsigned port,
                    const char *label)
{
    struct buf data = BUF_INIT(128);

    add16(&data, priority);
    add16(&data, weight);
    add16(&data, port);
    if (*label) {
        buf_add_char(&data, (char)strlen(label));
        buf_add_str(&data, label);
        buf_add(&data, "\4test", 5);
    }
    buf_add_char(&data, '\0');
    add_record(to, TYPE_SRV, ttl, data.data, data.len);
    buf_deinit(&data);
}

static unsigned answer_srv(struct buf *to)
{
    add_record(to, TYPE_CNAME, 200, "\xc0\x0c", 2);
    add_srv(to, 300, 20, 0, 5432, "spare");
    add_srv(to, 30, 10, 1, 5433, "small");
    add_srv(to, 60, 10, 9, 5432, "large");
    return 4;
}

static unsigned answer_many(struct buf *to)
{
    char label[16];

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(label, sizeof label, "db%04u", MANY - i);
        add_srv(to, 60, MANY - i, 0, 5432, label);
    }
    return MANY;
}

static unsigned answer_root(struct buf *to)
{
    add_srv(to, 60, 0, 0, 0, "");
    return 1;
}

static unsigned answer_a(struct buf *to)
{
    add_record(to, TYPE_A, 45, "\xc0\x00\x02\x07", 4);
    return 1;
}

static unsigned answer_alias(struct buf *to)
{
    add_record(to, TYPE_CNAME, 20, "\xc0\x0c", 2);
    return 1 + answer_a(to);
}

static unsigned answer_crowd(struct buf *to)
{
    for (unsigned i = 0; i < CROWD; i++) {
        const unsigned char address[] = {192, 0, 2, (unsigned char)(100 + i)};

        add_record(to, TYPE_A, 45, address, sizeof address);
    }
    return CROWD;
}

static unsigned answer_nothing(struct buf *to)
{
    (void)to;
    return 0;
}

static const struct {
    const char *label;
    unsigned type;
    unsigned (*answer)(struct buf *to);
} zone[] = {
    {"srv", TYPE_SRV, answer_srv},   {"many", TYPE_SRV, answer_many},
    {"root", TYPE_SRV, answer_root}, {"a", TYPE_A, answer_a},
    {"a", 0, answer_nothing},        {"nodata", 0, answer_nothing},
    {"alias", TYPE_A, answer_alias}, {"alias", 0, answer_nothing},
    {"later", TYPE_A, answer_a},     {"later", 0, answer_nothing},
    {"crowd", TYPE_A, answer_crowd}, {"crowd", 0, answer_nothing},
};

/* Empty: no answer. Cut for UDP, when it is too long. */
static void answer(const struct dns_peer *peer, const unsigned char *bytes, size_t len, bool tcp,
                   struct buf *to)
{
    struct question q;
    unsigned flags = 0x8583, n = 0; /* no such name */

    buf_reset(to);
    if (!read_question(bytes, len, &q) || strcmp(q.label, "silent") == 0 ||
        (strcmp(q.label, "later") == 0 && !peer->later))
        return;
    buf_add(to, bytes, 2);
    if (strcmp(q.label, "garbage") == 0) {
        buf_add(to, "\x85\x80\0\1\0\7\0\0\0\0", 10);
        buf_add(to, bytes + HEADER, q.len - HEADER);
        buf_add(to, "\xff\xff\xff", 3);
        return;
    }
    buf_add(to, "\0\0\0\1\0\0\0\0\0\0", 10);
    buf_add(to, bytes + HEADER, q.len - HEADER);
    for (size_t i = 0; i < sizeof zone / sizeof *zone; i++) {
        if (strcmp(zone[i].label, q.label) == 0 && (!zone[i].type || zone[i].type == q.type)) {
            flags = 0x8580;
            n = zone[i].answer(to);
            break;
        }
    }
    if (!tcp && to->len > MAX_UDP) {
        to->len = q.len;
        flags |= 0x0200;
        n = 0;
    }
    to->data[2] = (char)(flags >> 8);
    to->data[3] = (char)flags;
    to->data[6] = (char)(n >> 8);
    to->data[7] = (char)n;
}

/* --- sockets --------------------------------------------------------------------------------- */

static void serve_udp(struct dns_peer *peer, struct buf *to)
{
    unsigned char question[MAX_UDP];
    struct sockaddr_in client;
    socklen_t client_len = sizeof client;
    ssize_t n =
        recvfrom(peer->udp, question, sizeof question, 0, (struct sockaddr *)&client, &client_len);

    if (n <= 0)
        return;
    peer->questions++;
    answer(peer, question, (size_t)n, false, to);
    if (to->len > 0)
        sendto(peer->udp, to->data, to->len, 0, (struct sockaddr *)&client, client_len);
}

static void serve_tcp(struct dns_peer *peer, struct buf *to)
{
    struct timeval limit = {.tv_sec = 5};
    int fd = accept(peer->tcp, NULL, NULL);
    unsigned char question[2 + MAX_UDP];
    ssize_t n;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    n = recv(fd, question, sizeof question, 0);
    if (n > 2) {
        unsigned char size[2];

        peer->by_tcp++;
        answer(peer, question + 2, (size_t)n - 2, true, to);
        size[0] = (unsigned char)(to->len >> 8);
        size[1] = (unsigned char)to->len;
        if (send(fd, size, 2, MSG_NOSIGNAL) == 2)
            send(fd, to->data, to->len, MSG_NOSIGNAL);
        recv(fd, question, 1, 0); /* the client closes first */
    }
    close(fd);
}

static void *serve(void *argument)
{
    struct dns_peer *peer = argument;
    struct pollfd fds[] = {{.fd = peer->udp, .events = POLLIN},
                           {.fd = peer->tcp, .events = POLLIN},
                           {.fd = peer->stop[0], .events = POLLIN}};
    struct buf to = BUF_INIT(MAX_MESSAGE);

    while (poll(fds, 3, -1) > 0 && !fds[2].revents) {
        if (fds[0].revents)
            serve_udp(peer, &to);
        if (fds[1].revents)
            serve_tcp(peer, &to);
    }
    buf_deinit(&to);
    return NULL;
}

/* The kernel's port for TCP may be taken for UDP. */
static bool bind_both(struct dns_peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    peer->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    peer->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(peer->tcp, (struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(peer->tcp, (struct sockaddr *)&address, &len) == 0 &&
        listen(peer->tcp, 8) == 0 &&
        bind(peer->udp, (struct sockaddr *)&address, sizeof address) == 0) {
        snprintf(peer->servers, sizeof peer->servers, "127.0.0.1:%u", ntohs(address.sin_port));
        return true;
    }
    close(peer->udp);
    close(peer->tcp);
    return false;
}

void dns_peer_start(struct dns_peer *peer)
{
    unsigned tries = 20;

    *peer = (struct dns_peer){0};
    while (!bind_both(peer))
        assert_true(--tries > 0);
    assert_int_equal(pipe(peer->stop), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

void dns_peer_stop(struct dns_peer *peer)
{
    close(peer->stop[1]);
    pthread_join(peer->thread, NULL);
    close(peer->stop[0]);
    close(peer->udp);
    close(peer->tcp);
}
