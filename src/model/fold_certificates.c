/* Which certificates a server shows: remembered, compared with the file that it is supposed to
 * serve, and with what other servers show.
 *
 * Behind one address several back ends may take turns, each with a certificate of its own. So it is
 * sets of what was seen lately that are compared, and nothing counts as missing before a balancer
 * has had the time to come round. */
#include "fold.h"

#include <string.h>

/* Handshakes without a certificate before it counts as not shown, on a server that has shown a
 * single one lately; otherwise LEAF_LATELY. Reloading a renewed certificate may take a moment. */
#define PATIENCE 3

/* --- what was seen ---------------------------------------------------------------------------- */

static unsigned hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return (unsigned)((c | 0x20) - 'a' + 10) & 0xF;
}

static void fingerprint_of(const struct certificate *c, unsigned char id[32])
{
    memset(id, 0, 32);
    for (size_t i = 0; i < 32 && c->fingerprint_sha256[2 * i]; i++)
        id[i] = (unsigned char)(hex_digit(c->fingerprint_sha256[2 * i]) << 4 |
                                hex_digit(c->fingerprint_sha256[2 * i + 1]));
}

static bool is_recent(const struct server_state *s, const struct leaf_seen *leaf)
{
    return s->sightings - leaf->sighting < LEAF_LATELY;
}

bool server_leaf_is_recent(const struct server_state *s, size_t i)
{
    return is_recent(s, &s->leaves[i]);
}

/* Its place among the remembered ones, n_leaves if it is none of them. */
static size_t find_leaf(const struct server_state *s, const unsigned char id[32])
{
    size_t i = 0;

    while (i < s->n_leaves && memcmp(s->leaves[i].fingerprint, id, 32) != 0)
        i++;
    return i;
}

/* Only a fingerprint that is not among the remembered ones is a change; the very first is none. */
static struct leaf_seen *add_leaf(struct server_state *s, const unsigned char id[32])
{
    struct leaf_seen *place = &s->leaves[0];

    for (size_t i = 1; i < s->n_leaves; i++) {
        if (s->leaves[i].sighting < place->sighting)
            place = &s->leaves[i];
    }
    if (s->n_leaves > 0)
        s->certificate_changes++;
    if (s->n_leaves < MAX_LEAVES)
        place = &s->leaves[s->n_leaves++];
    *place = (struct leaf_seen){.sighting = 0};
    memcpy(place->fingerprint, id, sizeof place->fingerprint);
    return place;
}

void fold_leaf(struct server_state *s, const struct certificate *leaf, int64_t realtime_ns)
{
    unsigned char id[32];
    struct leaf_seen *seen;
    size_t i;

    fingerprint_of(leaf, id);
    i = find_leaf(s, id);
    seen = i < s->n_leaves ? &s->leaves[i] : add_leaf(s, id);
    if (seen->sighting == 0 || !is_recent(s, seen))
        seen->first_seen_realtime_ns = realtime_ns;
    seen->last_seen_realtime_ns = realtime_ns;
    seen->sighting = ++s->sightings;
}

/* --- the file that it is supposed to serve ---------------------------------------------------- */

void fold_forget_certificate_file(struct server_state *s)
{
    certificate_file_unref(s->certificate_file.file);
    s->certificate_file = (struct file_seen){.file = NULL};
}

void fold_certificate_file(struct server_state *s, const struct observation *o)
{
    struct file_seen *seen = &s->certificate_file;
    const char *path = s->config->promises.certificate_file;
    unsigned char id[32];

    if (!path || strcmp(path, o->certificate_file->path) != 0)
        return; /* the configuration has changed under this probe */
    if (seen->file != o->certificate_file) {
        certificate_file_unref(seen->file);
        seen->file = certificate_file_ref(o->certificate_file);
    }
    if (seen->file->error[0] != '\0')
        return;
    fingerprint_of(&seen->file->leaf, id);
    if (seen->known && memcmp(seen->fingerprint, id, sizeof id) == 0)
        return;
    seen->known = true;
    memcpy(seen->fingerprint, id, sizeof id);
    seen->since_realtime_ns = o->finished_realtime_ns;
    seen->sightings = s->sightings;
}

static size_t recent_leaves(const struct server_state *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_leaves; i++)
        n += is_recent(s, &s->leaves[i]);
    return n;
}

/* The file's certificate, if it was shown since the file holds it. */
static const struct leaf_seen *served_leaf(const struct server_state *s)
{
    const struct file_seen *file = &s->certificate_file;
    size_t i = find_leaf(s, file->fingerprint);

    return i < s->n_leaves && s->leaves[i].sighting > file->sightings ? &s->leaves[i] : NULL;
}

void fold_file_served(struct server_state *s)
{
    struct file_seen *file = &s->certificate_file;
    const struct leaf_seen *leaf;
    uint64_t missed;

    if (!file->known || file->file->error[0] != '\0') {
        file->served = VERDICT_UNKNOWN;
        return;
    }
    leaf = served_leaf(s);
    missed = s->sightings - (leaf ? leaf->sighting : file->sightings);
    if (leaf && is_recent(s, leaf))
        file->served = VERDICT_YES;
    else if (missed >= (recent_leaves(s) > 1 ? LEAF_LATELY : PATIENCE))
        file->served = VERDICT_NO;
}

int64_t server_file_unserved_since(const struct server_state *s)
{
    const struct file_seen *file = &s->certificate_file;
    const struct leaf_seen *leaf;

    if (file->served != VERDICT_NO)
        return 0;
    leaf = served_leaf(s);
    return leaf ? leaf->last_seen_realtime_ns : file->since_realtime_ns;
}

/* --- what others show ------------------------------------------------------------------------- */

/* What all servers that were looked at have in common. */
struct common {
    unsigned char fingerprints[MAX_LEAVES][32];
    size_t n;
    bool pending; /* somebody has not been seen often enough */
};

static bool holds(const struct common *c, const unsigned char fingerprint[32])
{
    for (size_t i = 0; i < c->n; i++) {
        if (memcmp(c->fingerprints[i], fingerprint, 32) == 0)
            return true;
    }
    return false;
}

/* Narrows down what is common to what this one has shown lately. */
static void narrow(struct common *c, const struct server_state *s, bool first)
{
    struct common both = {.pending = c->pending};

    for (size_t i = 0; i < s->n_leaves; i++) {
        const struct leaf_seen *leaf = &s->leaves[i];

        if (is_recent(s, leaf) && (first || holds(c, leaf->fingerprint)))
            memcpy(both.fingerprints[both.n++], leaf->fingerprint, sizeof leaf->fingerprint);
    }
    *c = both;
}

static int64_t newest_leaf_since(const struct server_state *s)
{
    int64_t newest = 0;

    for (size_t i = 0; i < s->n_leaves; i++) {
        if (is_recent(s, &s->leaves[i]) && s->leaves[i].first_seen_realtime_ns > newest)
            newest = s->leaves[i].first_seen_realtime_ns;
    }
    return newest;
}

/* Has it something to say? One that is down, or left alone on purpose, is left out; one that is not
 * known yet is waited for. */
static bool takes_part(const struct server_state *s, struct common *common)
{
    const struct probe_state *inspect = &s->probes[PROBE_INSPECT];

    if (!server_uses_tls(s->config) || server_pause(s->config) ||
        (inspect->ran && !inspect->internal && !inspect->good))
        return false;
    if (inspect->ran && !inspect->internal && s->sightings >= PATIENCE)
        return true;
    /* Good without a certificate: TLS is not what it speaks. */
    common->pending |= !inspect->ran || inspect->internal || s->sightings > 0;
    return false;
}

static void compare(struct agreement *a, struct common *common, struct server_state *s, size_t at)
{
    int64_t since;

    server_state_lock(s);
    if (takes_part(s, common)) {
        since = newest_leaf_since(s);
        if (since > a->since_realtime_ns)
            a->since_realtime_ns = since;
        if (a->same != VERDICT_NO) {
            narrow(common, s, a->compared == 0);
            a->between[a->compared == 0 ? 0 : 1] = at;
            a->same = common->n > 0 ? VERDICT_YES : VERDICT_NO;
        }
        a->compared++;
    }
    server_state_unlock(s);
}

/* Endpoints of one cluster stand together. */
static bool in_cluster(const struct fleet_view *view, size_t i, const char *cluster)
{
    return i < view->set->n_endpoints && strcmp(view->set->endpoints[i].cluster, cluster) == 0;
}

struct agreement fleet_agreement(const struct fleet_view *view, const struct endpoint *e,
                                 enum same_certificate among)
{
    const struct endpoint *endpoints = view->set->endpoints;
    size_t first = (size_t)(e - endpoints), end = first + 1;
    struct agreement a = {.same = VERDICT_UNKNOWN};
    struct common common = {.n = 0};

    while (among == SAME_CLUSTER && first > 0 && in_cluster(view, first - 1, e->cluster))
        first--;
    while (among == SAME_CLUSTER && in_cluster(view, end, e->cluster))
        end++;
    for (size_t i = first; i < end; i++) {
        for (size_t j = 0; j < endpoints[i].n_servers; j++) {
            size_t at = endpoints[i].first_server + j;

            if (among != SAME_CLUSTER ||
                view->set->servers[at].promises.same_certificate == SAME_CLUSTER)
                compare(&a, &common, view->servers[at], at);
        }
    }
    if (a.same == VERDICT_YES && (a.compared < 2 || common.pending))
        a.same = VERDICT_UNKNOWN;
    if (a.same != VERDICT_NO)
        a.since_realtime_ns = 0;
    return a;
}

void agreement_tally(const struct agreement *a, struct promise_tally *t)
{
    *t = (struct promise_tally){.kept = a->same == VERDICT_YES,
                                .broken = a->same == VERDICT_NO,
                                .unknown = a->same == VERDICT_UNKNOWN,
                                .first_broken = a->since_realtime_ns,
                                .last_broken = a->since_realtime_ns};
}
