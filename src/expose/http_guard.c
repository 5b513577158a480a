/* The door of the HTTP server. */
#include "http_guard.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { UNAUTHORIZED = 401, TOO_MANY = 429 };

bool guard_connection(struct web *web, struct MHD_Connection *connection, struct web_state **state)
{
    const union MHD_ConnectionInfo *info;

    *state = NULL;
    if (!web || !web_has_tls(web))
        return true;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (!info || !info->tls_session)
        return false;
    *state = web_take(web);
    return web_begin_tls(*state, info->tls_session);
}

/* What watches over us must not be turned away because somebody else asks too often, and has no
 * password. Nothing of a database is told there. */
static bool is_open(const char *path)
{
    return strcmp(path, "/-/healthy") == 0 || strcmp(path, "/-/ready") == 0;
}

/* Where a request comes from: an IPv4 address, the network of an IPv6 one (whoever has one has all
 * of it), or one number for all local sockets. */
static uint64_t place_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    uint64_t network = 0;

    if (address && address->sa_family == AF_INET) {
        network = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr);
    } else if (address && address->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;

        memcpy(&network, six->s6_addr + (IN6_IS_ADDR_V4MAPPED(six) ? 8 : 0), sizeof network);
    }
    return network;
}

static void on_verdict(void *context, enum web_verdict verdict)
{
    struct visit *visit = context;

    visit->verdict = verdict;
    MHD_resume_connection(visit->connection);
}

/* Who is it? What has to be computed first is not waited for. */
static enum web_verdict judge(struct web *web, const struct web_state *state, struct visit *visit)
{
    struct web_visitor visitor = {.from = place_of(visit->connection)};
    enum web_verdict verdict;
    char *user, *password = NULL;

    user = MHD_basic_auth_get_username_password(visit->connection, &password);
    visitor.user = user;
    visitor.password = password;
    verdict = web_recall(web, state, &visitor);
    if (verdict == WEB_UNDECIDED) {
        MHD_suspend_connection(visit->connection);
        web_ask(web, state, &visitor, on_verdict, visit);
    }
    MHD_free(user);
    MHD_free(password);
    return verdict;
}

static enum entry refuse(struct web *web, struct reply *reply, enum web_verdict verdict)
{
    reply_init(reply);
    if (verdict == WEB_BUSY) {
        web_count_refusal(web, WEB_REFUSED_BUSY);
        reply_refuse(reply, "Too many passwords are being checked.");
    } else {
        web_count_refusal(web, WEB_REFUSED_PASSWORD);
        reply->challenge = "Basic realm=\"pgtls_exporter\", charset=\"UTF-8\"";
        reply_text(reply, UNAUTHORIZED, "Unauthorized");
    }
    return ENTRY_REFUSED;
}

enum entry guard_request(struct web *web, const struct web_state *state, struct visit *visit,
                         const char *path, struct reply *reply)
{
    if (!web || is_open(path))
        return ENTRY_OPEN;
    if (!visit->admitted && !web_allows_one(web, state)) {
        web_count_refusal(web, WEB_REFUSED_RATE);
        reply_init(reply);
        reply->retry_after = "1";
        reply_text(reply, TOO_MANY, "Too Many Requests");
        return ENTRY_REFUSED;
    }
    visit->admitted = true;
    if (visit->verdict == WEB_UNDECIDED) {
        enum web_verdict verdict = judge(web, state, visit);

        /* Who waits is told in `visit`, by another thread: it is not touched any more. */
        if (verdict == WEB_UNDECIDED)
            return ENTRY_WAITS;
        visit->verdict = verdict;
    }
    return visit->verdict == WEB_WELCOME ? ENTRY_OPEN : refuse(web, reply, visit->verdict);
}
