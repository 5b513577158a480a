#pragma once
/* Asks a small fleet for its health document and looks into the answer. */
#include "fleet_fixture.h"

#include "pgtls/base/buf.h"
#include "pgtls/expose/health.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct health_query everything __attribute__((unused)) = {.require = REQUIRE_ALL};

struct answer {
    int status;
    json_t *json;
};

static inline struct answer ask(struct fleet *fleet, struct health_query query)
{
    struct fleet_view *view = fleet_view(fleet);
    struct buf text = BUF_INIT((size_t)1 << 20);
    struct answer answer = {.status = health_document(view, &query, &text)};

    answer.json = json_loads(buf_text(&text), 0, NULL);
    assert_non_null(answer.json);
    assert_int_equal(text.data[text.len - 1], '\n');
    buf_deinit(&text);
    fleet_view_unref(view);
    return answer;
}

/* The value at a path like "endpoints.0.servers.0.fault". */
static inline json_t *at(json_t *json, const char *path)
{
    char part[64];

    while (json && *path) {
        size_t len = strcspn(path, ".");

        snprintf(part, sizeof part, "%.*s", (int)len, path);
        json = json_is_array(json) ? json_array_get(json, (size_t)strtoul(part, NULL, 10))
                                   : json_object_get(json, part);
        path += len + (path[len] == '.');
    }
    return json;
}

static inline void assert_text(json_t *json, const char *path, const char *text)
{
    json_t *found = at(json, path);

    if (!found || (text ? !json_is_string(found) : !json_is_null(found)))
        fail_msg("%s is not %s", path, text ? text : "null");
    if (text)
        assert_string_equal(json_string_value(found), text);
}

/* Three good inspects that showed the leaf numbered `id`, beside a file that holds `file`. */
static inline void show(struct server_state *s, unsigned char id, unsigned char file)
{
    for (int i = 0; i < 3; i++) {
        struct observation o = fixture_inspect();

        chain_unref(o.chain);
        o.chain = fixture_chain(id);
        o.finished_realtime_ns = FIXTURE_REALTIME_NS + id * NS_PER_S;
        if (file && s->config->promises.certificate_file) {
            o.certificate_file = certificate_file_new(s->config->promises.certificate_file);
            o.certificate_file->modified_realtime_ns = FIXTURE_REALTIME_NS;
            o.certificate_file->leaf = o.chain->certificates[0];
            snprintf(o.certificate_file->leaf.fingerprint_sha256, 65, "%02x%062x", file, 0U);
        }
        fixture_apply(s, o);
    }
}
