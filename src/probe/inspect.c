/* The inspect probe's stages up to the verdict on the certificate: resolve, connect, SSLRequest,
 * handshake, judge. It never sends a credential. */
#include "probe.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/net/arrival.h"
#include "pgtls/net/socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ADDRESS_SHARE_NS NS_PER_S

/* --- dns -------------------------------------------------------------------------------------- */

static bool keep_addresses(struct probe *p, const struct address *addresses, size_t n)
{
    p->addresses = calloc(n, sizeof *addresses);
    if (!p->addresses)
        return false;
    memcpy(p->addresses, addresses, n * sizeof *addresses);
    p->n_addresses = n;
    return true;
}

static void on_resolved(struct resolve_request *request, const struct resolution *answer)
{
    struct probe *p = (struct probe *)((char *)request - offsetof(struct probe, request));

    p->resolving = false;
    if (!p->advancing)
        stopwatch_arrived(&p->watch, clock_monotonic_ns());
    p->evidence.resolve = answer->status;
    if (answer->status == RESOLVE_OK)
        keep_addresses(p, answer->addresses, answer->n);
    probe_advance(p); /* does nothing when the answer came at once: the stage then looks itself */
}

/* Addresses that need no look-up: hostaddr, a numeric host, a Unix socket's directory. */
static bool literal_address(const struct server *s, struct address *address)
{
    if (s->unix_socket)
        return address_from_directory(s->host, s->port, address);
    return address_from_text(s->hostaddr ? s->hostaddr : s->host, s->port, address);
}

/* Before the handshake: what the file holds by then is what the server may be expected to show. */
static void look_at_certificate_file(struct probe *p)
{
    const char *path = p->server->promises.certificate_file;
    struct learned *learned = p->learned;

    if (!path)
        return;
    learned->certificate_file = certificate_file_look(learned->certificate_file, path);
    p->observation.certificate_file = certificate_file_ref(learned->certificate_file);
}

/* A trust store that cannot be read must not cost the server a connection that is broken off, which
 * it would log. Reading one takes longer than a handshake: it is in no phase. */
enum step inspect_prepare(struct probe *p)
{
    enum internal_reason reason = INTERNAL_OTHER;
    char text[256] = "";

    if (server_uses_tls(p->server)) {
        look_at_certificate_file(p);
        p->trust = trust_get(p->host->trusts, p->server, &reason, text, sizeof text);
    }
    p->cpu_mark_ns = clock_thread_cpu_ns();
    if (p->trust || !server_uses_tls(p->server))
        return STEP_NEXT;
    p->phase = PHASE_TLS; /* that is what it keeps from happening */
    return probe_fail_local(p, reason, text);
}

static enum step resolved(struct probe *p)
{
    if (p->evidence.resolve != RESOLVE_OK)
        return probe_fail(p, END_RESOLVER);
    return p->addresses ? STEP_NEXT : probe_fail_local(p, INTERNAL_MEMORY, "out of memory");
}

enum step inspect_resolve(struct probe *p)
{
    struct address literal;

    if (p->request.done)
        return p->resolving ? STEP_WAIT : resolved(p);
    if (literal_address(p->server, &literal)) {
        p->skip_phase = true;
        p->evidence.resolve = RESOLVE_OK;
        keep_addresses(p, &literal, 1);
        return resolved(p);
    }
    p->resolving = true;
    p->request.done = on_resolved;
    resolver_ask(p->host->resolver, &p->request, p->server->host, p->server->port);
    return p->resolving ? STEP_WAIT : resolved(p);
}

/* --- tcp -------------------------------------------------------------------------------------- */

/* The share of one address: a second, or an even part of what is left if that is less. The last one
 * has all that is left: a lost SYN is sent again after a second, and that is not "down". */
static int64_t address_deadline_ns(const struct probe *p, int64_t now_ns)
{
    size_t left = p->n_addresses - p->next_address + 1;
    int64_t share_ns = (p->deadline_ns - now_ns) / (int64_t)left;

    if (left == 1)
        return 0;
    return now_ns + (share_ns < ADDRESS_SHARE_NS ? share_ns : ADDRESS_SHARE_NS);
}

/* The errno to report when no address works: the first that says more than "no route". */
static void remember_errno(struct probe *p, int number)
{
    if (p->connect_errno == 0 || p->connect_errno == ENETUNREACH ||
        p->connect_errno == EADDRNOTAVAIL)
        p->connect_errno = number;
}

bool inspect_next_address(struct probe *p)
{
    if (p->stage != STAGE_CONNECTED || p->next_address >= p->n_addresses)
        return false;
    remember_errno(p, ETIMEDOUT);
    probe_close_socket(p);
    return true;
}

enum step inspect_connect(struct probe *p)
{
    while (p->next_address < p->n_addresses) {
        const struct address *a = &p->addresses[p->next_address++];

        address_text(a, p->observation.address, sizeof p->observation.address);
        if (p->host->admits && !p->host->admits(p->owner, p->observation.address))
            continue;
        stopwatch_start(&p->watch, clock_monotonic_ns());
        p->fd = socket_connect(a);
        if (p->fd >= 0)
            return STEP_NEXT;
        remember_errno(p, errno);
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            break;
    }
    return probe_fail_errno(p, p->connect_errno ? p->connect_errno : ETIMEDOUT);
}

static enum stage first_stage(const struct probe *p)
{
    if (!p->tls)
        return STAGE_STARTUP;
    return p->server->negotiation == NEGOTIATION_DIRECT ? STAGE_HANDSHAKE : STAGE_SSL_REQUEST;
}

enum step inspect_connected(struct probe *p)
{
    int64_t rtt_ns;
    int number = socket_connect_result(p->fd, &rtt_ns);

    if (number == EINPROGRESS) {
        if (!p->server->unix_socket && p->stage_deadline_ns == 0) /* its share begins */
            p->stage_deadline_ns = address_deadline_ns(p, clock_monotonic_ns());
        return STEP_WRITE;
    }
    if (number != 0) {
        remember_errno(p, number);
        probe_close_socket(p);
        p->next = STAGE_CONNECT;
        p->skip_phase = true;
        return p->next_address < p->n_addresses ? STEP_NEXT : probe_fail_errno(p, p->connect_errno);
    }
    stopwatch_arrived(&p->watch, clock_monotonic_ns());
    if (rtt_ns > 0) { /* instead of all that our side took for it */
        p->watch = (struct stopwatch){.wait_ns = rtt_ns};
        p->cpu_mark_ns = clock_thread_cpu_ns();
    }
    p->skip_phase = p->server->unix_socket;
    if (!p->second_leg)
        p->tls = server_uses_tls(p->server) && p->server->sslmode != SSLMODE_ALLOW;
    p->next = first_stage(p);
    if (p->next == STAGE_STARTUP && !p->server->user)
        return STEP_GOOD;
    return STEP_NEXT;
}

/* --- ssl_request ------------------------------------------------------------------------------ */

enum step inspect_ssl_request(struct probe *p)
{
    ssize_t n = send(p->fd, wire_ssl_request, WIRE_SSL_REQUEST_SIZE, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return STEP_WRITE;
    stopwatch_sent(&p->watch, clock_monotonic_ns());
    /* A failed write is not the end: the peer may have said why before it closed. */
    return STEP_NEXT;
}

enum step inspect_ssl_answer(struct probe *p)
{
    struct arrival arrival;
    unsigned char byte;
    char extra;
    ssize_t n, behind;

    if (p->evidence.ssl_answer_seen)
        return inspect_early_error(p);
    n = arrival_recv(p->fd, &byte, 1, 0, p->watch.sent_ns, &arrival);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return STEP_READ;
    if (n <= 0)
        return probe_fail_closed(p, n < 0 ? errno : 0);
    stopwatch_arrived(&p->watch, arrival.at_ns);
    p->observation.missing_timestamps += !arrival.stamped;
    p->evidence.ssl_answer_seen = true;
    p->evidence.ssl_answer = byte;
    if (byte == 'E')
        return inspect_early_error(p);
    if (byte == 'N' && p->server->sslmode < SSLMODE_REQUIRE) {
        p->observation.legs[LEG_TLS] =
            leg_failed(FAULT_SSL_NOT_SUPPORTED, PHASE_SSL_REQUEST, false);
        p->tls = false;
        p->next = STAGE_STARTUP;
        return p->server->user ? STEP_NEXT : STEP_GOOD;
    }
    /* Nothing may stand behind the answer: it would be plaintext taken for TLS (CVE-2021-23222). */
    behind = recv(p->fd, &extra, 1, MSG_PEEK | MSG_DONTWAIT);
    p->evidence.extra_after_answer = behind > 0;
    if (behind < 0 && errno != EAGAIN && errno != EINTR)
        p->peeked_errno = errno; /* the look has taken the reset away from the handshake */
    if (byte != 'S' || p->evidence.extra_after_answer)
        return probe_fail(p, END_BAD_BYTES);
    return STEP_NEXT;
}

/* --- tls -------------------------------------------------------------------------------------- */

static enum step start_handshake(struct probe *p)
{
    p->conn = tls_conn_new(p->fd, p->server, p->trust, &p->learned->memory, &p->watch);
    if (!p->conn)
        return probe_fail_local(p, INTERNAL_MEMORY, "out of memory for a TLS connection");
    return STEP_NEXT;
}

enum step inspect_handshake(struct probe *p)
{
    enum tls_want want;

    if (p->peeked_errno)
        return probe_fail_closed(p, p->peeked_errno);
    if (!p->conn && start_handshake(p) == STEP_FAIL)
        return STEP_FAIL;
    want = tls_conn_handshake(p->conn);
    if (want == TLS_WANT_READ)
        return STEP_READ;
    if (want == TLS_WANT_WRITE)
        return STEP_WRITE;
    if (want == TLS_FAILED) {
        tls_conn_evidence(p->conn, &p->evidence);
        return STEP_FAIL;
    }
    p->evidence.tls_in_use = true;
    p->evidence.client_certificate = trust_client_certificate(p->trust) != NULL;
    return STEP_NEXT;
}

/* What was found against what was asked for; the catalogue cannot know. */
static void tell_chain(struct probe *p)
{
    char text[VERIFY_TEXT_SIZE];

    snprintf(p->observation.error, sizeof p->observation.error, "%s at depth %d",
             verify_text(p->evidence.verify_code, text), p->evidence.verify_depth);
}

static void tell_names(struct probe *p)
{
    const struct chain *chain = p->learned->memory.chain;
    const struct certificate *leaf = chain && chain->count > 0 ? &chain->certificates[0] : NULL;

    if (!leaf)
        return;
    snprintf(p->observation.error, sizeof p->observation.error,
             "%s is not named by the certificate, which names %s", p->server->host,
             leaf->sans[0] ? leaf->sans : leaf->subject);
}

static void tell_pins(struct probe *p)
{
    const struct chain *chain = p->learned->memory.chain;
    const struct server *s = p->server;

    if (!chain || chain->count == 0)
        return;
    snprintf(p->observation.error, sizeof p->observation.error,
             "SHA-256 of the public key is %s, of the certificate %s; pinned: %s%s",
             chain->certificates[0].public_key_sha256, chain->certificates[0].fingerprint_sha256,
             s->pins[0].hex, s->n_pins > 1 ? " and others" : "");
}

/* Would an application with this sslmode go on after this certificate? */
enum step inspect_judge(struct probe *p)
{
    const struct judgement *j = &p->learned->memory.judgement;

    if (server_demands_chain(p->server) && (j->chain != VERDICT_YES || j->dates != VERDICT_YES)) {
        p->evidence.verify_code = j->verify_code;
        p->evidence.verify_depth = j->verify_depth;
        tell_chain(p);
        return probe_fail(p, END_CERTIFICATE);
    }
    if (server_demands_hostname(p->server) && j->hostname != VERDICT_YES) {
        p->evidence.hostname_mismatch = true;
        tell_names(p);
        return probe_fail(p, END_CERTIFICATE);
    }
    if (p->server->n_pins > 0 && j->pin != VERDICT_YES) {
        p->evidence.pin_mismatch = true;
        tell_pins(p);
        return probe_fail(p, END_CERTIFICATE);
    }
    return p->server->user ? STEP_NEXT : STEP_GOOD;
}

/* --- prefer and allow ------------------------------------------------------------------------- */

bool inspect_has_second_leg(const struct probe *p)
{
    enum sslmode mode = p->server->sslmode;
    bool refused = p->evidence.end == END_ERROR_RESPONSE && p->phase == PHASE_STARTUP;
    bool again = mode == SSLMODE_PREFER ? p->tls && (p->phase == PHASE_TLS || refused)
                                        : mode == SSLMODE_ALLOW && !p->tls && refused;

    return again && !p->second_leg && !p->login && !p->concluded && !p->server->unix_socket &&
           p->evidence.end != END_LOCAL;
}

void inspect_second_leg(struct probe *p)
{
    if (p->conn) {
        tls_conn_observe(p->conn, &p->observation); /* facts of the leg that was refused */
        tls_conn_close_notify(p->conn, false);
    }
    probe_close_socket(p);
    p->second_leg = true;
    p->tls = p->server->sslmode == SSLMODE_ALLOW;
    p->next_address--; /* the same one again */
    p->evidence = EVIDENCE_INIT;
    p->observation.error[0] = '\0'; /* of the leg before */
    p->in_len = 0;
    p->sent = 0;
    p->messages = 0;
    p->peeked_errno = 0;
}
