/* pg/login_guard: whatever a server sends and however it is cut into pieces, the verdict is the
 * same, and libpq never sees a request that would show the password, nor one that its SCRAM keys
 * were not made for. The first byte chooses what the endpoint allows and whether there are keys,
 * the second how the stream is cut. */
#include "login_guard.h"

#include "pgtls/model/server.h"
#include "target.h"

#define HEAD 2

static const struct wire_scram keyed_for = {.salt = "W22ZaJ0SNY7soEsUEjb6gQ==", .iterations = 4096};

static void start(struct login_guard *g, struct evidence *e, uint8_t flags)
{
    *e = EVIDENCE_INIT;
    e->probe = PROBE_LOGIN;
    e->phase = PHASE_STARTUP;
    memset(g, 0, offsetof(struct login_guard, bytes));
    g->e = e;
    g->allow_auth = flags & (ALLOW_AUTH_PASSWORD | ALLOW_AUTH_MD5);
    g->password = flags & 4;
    g->querying = flags & 8;
    g->keyed = flags & 16;
    g->keyed_for = keyed_for;
    e->auth_ok = flags & 8; /* a query comes after the authentication */
}

/* Feeds pieces of `step` bytes. Returns how many libpq was given. */
static size_t feed(struct login_guard *g, const uint8_t *bytes, size_t len, size_t step)
{
    size_t given = 0;

    while (given < len) {
        size_t n = len - given < step ? len - given : step;

        if (!login_guard_feed(g, bytes + given, n))
            break;
        given += n;
        require(g->len < sizeof g->bytes);
    }
    return given;
}

/* Of the bytes libpq has: is one of their whole messages a request for the password? */
static bool asks_for_password(const uint8_t *bytes, size_t len, uint32_t code)
{
    struct wire_message m;

    while (wire_next(bytes, len, &m) == WIRE_OK) {
        if (m.type == 'R' && m.body_len >= 4 && m.body[0] == 0 && m.body[1] == 0 &&
            m.body[2] == 0 && m.body[3] == code)
            return true;
        bytes += m.total;
        len -= m.total;
    }
    return false;
}

/* Is one of them a question of SCRAM with another salt, or as many iterations as never before? */
static bool asks_for_other_keys(const uint8_t *bytes, size_t len)
{
    struct wire_message m;
    struct wire_scram offer;

    while (wire_next(bytes, len, &m) == WIRE_OK) {
        bool question = m.type == 'R' && m.body_len >= 4 && memcmp(m.body, "\0\0\0\x0b", 4) == 0;

        if (question &&
            !(wire_scram(m.body, m.body_len, &offer) && wire_scram_same(&offer, &keyed_for)))
            return true;
        bytes += m.total;
        len -= m.total;
    }
    return false;
}

static void check(struct login_guard *g, const uint8_t *bytes, size_t given, bool all)
{
    require(all == (g->e->end == END_NONE));
    require((g->allow_auth & ALLOW_AUTH_PASSWORD) || !asks_for_password(bytes, given, 3));
    require((g->allow_auth & ALLOW_AUTH_MD5) || !asks_for_password(bytes, given, 5));
    require(g->password || !asks_for_password(bytes, given, 10) || g->querying);
    require(!g->keyed || g->querying || !asks_for_other_keys(bytes, given));
    if (all)
        login_guard_closed(g, CLOSE_FIN);
    require(g->e->end > END_NONE && g->e->end < END_KIND_COUNT);
    require(fault_classify(g->e) != FAULT_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct login_guard whole, pieces;
    struct evidence e, f;
    const uint8_t *bytes = data + HEAD;
    size_t len, given;
    bool all;

    if (size < HEAD)
        return 0;
    len = size - HEAD;
    start(&whole, &e, data[0]);
    start(&pieces, &f, data[0]);
    given = feed(&whole, bytes, len, len ? len : 1);
    all = given == len;
    check(&whole, bytes, given, all);
    given = feed(&pieces, bytes, len, data[1] ? data[1] : 1);
    check(&pieces, bytes, given, given == len);
    require(all == (given == len));
    require(e.end == f.end && e.auth_request == f.auth_request && e.auth_ok == f.auth_ok);
    return 0;
}
