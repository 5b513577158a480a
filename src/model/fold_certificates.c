/* Which certificates a server shows: remembered, and compared with the file that it is supposed to
 * serve.
 *
 * Behind one address several back ends may take turns, each with a certificate of its own. So
 * nothing counts as missing before a balancer has had the time to come round. */
#include "fold_parts.h"

#include <string.h>

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
    else if (missed >= (recent_leaves(s) > 1 ? LEAF_LATELY : LEAF_PATIENCE))
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
