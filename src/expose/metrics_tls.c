/* Samples about TLS and certificates of one server. Called under the server's lock. */
#include "catalogue.h"

#include "pgtls/base/clock.h"

/* The certificate reported for a position, or NULL. */
static const struct certificate *at_position(const struct server_state *s,
                                             const struct chain *chain, enum position position)
{
    if (!server_uses_tls(s->config))
        return NULL;
    if (position == POSITION_CLIENT)
        return s->client_certificate;
    if (!chain || chain->by_position[position] < 0)
        return NULL;
    return &chain->certificates[chain->by_position[position]];
}

void emit_not_after(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < POSITION_COUNT; i++) {
        const struct certificate *c = at_position(s, s->chain, (enum position)i);

        if (c) {
            sink_begin(k);
            sink_label(k, "position", position_name((enum position)i));
            sink_i64(k, c->not_after);
        }
    }
}

void emit_not_before(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < POSITION_COUNT; i++) {
        const struct certificate *c = at_position(s, s->chain, (enum position)i);

        if (c) {
            sink_begin(k);
            sink_label(k, "position", position_name((enum position)i));
            sink_i64(k, c->not_before);
        }
    }
}

void emit_certificate_last_seen(struct sink *k, const struct server_state *s)
{
    int64_t ns = s->certificate_last_seen_realtime_ns;

    if (!s->chain || !server_uses_tls(s->config))
        return;
    sink_begin(k);
    sink_ns(k, ns - ns % NS_PER_MS);
}

/* The root is left out, for the budget: its name is the issuer of the one before it. */
void emit_certificate_info(struct sink *k, const struct server_state *s)
{
    for (size_t i = 0; i < POSITION_COUNT; i++) {
        const struct certificate *c = at_position(s, s->shown_chain, (enum position)i);

        if (!c || i == POSITION_ROOT)
            continue;
        sink_begin(k);
        sink_label(k, "position", position_name((enum position)i));
        sink_text(k, "subject", c->subject);
        sink_text(k, "issuer", c->issuer);
        sink_text(k, "serial", c->serial);
        sink_text(k, "fingerprint_sha256", c->fingerprint_sha256);
        sink_text(k, "key", c->key);
        sink_text(k, "signature", c->signature);
        sink_u64(k, 1);
    }
}

void emit_certificates_seen(struct sink *k, const struct server_state *s)
{
    if (s->n_leaves > 0 && server_uses_tls(s->config))
        sink_plain_u64(k, s->n_leaves);
}

void emit_certificate_changes(struct sink *k, const struct server_state *s)
{
    if (server_uses_tls(s->config))
        sink_plain_u64(k, s->certificate_changes);
}

static void emit_verdict(struct sink *k, const struct server_state *s, enum verdict verdict)
{
    if (verdict != VERDICT_UNKNOWN && server_uses_tls(s->config))
        sink_plain_u64(k, verdict == VERDICT_YES);
}

void emit_chain_verified(struct sink *k, const struct server_state *s)
{
    emit_verdict(k, s, s->judgement.chain);
}

void emit_hostname_verified(struct sink *k, const struct server_state *s)
{
    emit_verdict(k, s, s->judgement.hostname);
}

void emit_pin_matched(struct sink *k, const struct server_state *s)
{
    if (s->config->n_pins > 0)
        emit_verdict(k, s, s->judgement.pin);
}

void emit_tls_info(struct sink *k, const struct server_state *s)
{
    if (!s->tls || !server_uses_tls(s->config))
        return;
    sink_begin(k);
    sink_text(k, "version", s->tls_version);
    sink_text(k, "cipher", s->tls_cipher);
    sink_text(k, "group", s->tls_group);
    sink_text(k, "alpn", s->tls_alpn);
    sink_u64(k, 1);
}

void emit_hello_retries(struct sink *k, const struct server_state *s)
{
    if (server_uses_tls(s->config))
        sink_plain_u64(k, s->hello_retries);
}

/* For the budget's sake only where somebody asked for it. */
void emit_sslmode_works(struct sink *k, const struct server_state *s)
{
    struct sslmode_verdict verdicts[SSLMODE_COUNT];

    if (s->config->policy_interval_ns == 0)
        return;
    sslmodes_decide(s->config, &s->sslmodes, verdicts);
    for (size_t i = 0; i < SSLMODE_COUNT; i++) {
        if (verdicts[i].works != VERDICT_UNKNOWN)
            sink_one_u64(k, "sslmode", sslmode_name((enum sslmode)i),
                         verdicts[i].works == VERDICT_YES);
    }
}

void emit_plaintext_accepted(struct sink *k, const struct server_state *s)
{
    enum verdict in = s->sslmodes.legs[LEG_PLAIN].in;

    if (s->config->policy_interval_ns > 0 && !s->config->unix_socket && in != VERDICT_UNKNOWN)
        sink_plain_u64(k, in == VERDICT_YES);
}
