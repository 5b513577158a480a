/* expose/: what the health document tells of certificates: servers that show different ones, and
 * files that are not served. */
#include "health_answer.h"

/* Two endpoints of two servers each, which show these leaves. */
static struct answer ask_shown(const unsigned char ids[4], enum same_certificate same,
                               bool with_file)
{
    static const char *const names[] = {"a:1", "b:1", "c:1", "d:1"};
    struct server servers[4];
    struct fleet *fleet = fleet_new();
    struct fleet_view *view;
    struct answer answer;

    for (size_t i = 0; i < 4; i++) {
        servers[i] = fixture_server("c", i < 2 ? "direct" : "pooled", names[i]);
        servers[i].login = false;
        servers[i].promises.same_certificate = same;
        servers[i].promises.certificate_file = with_file ? "/etc/server.crt" : NULL;
    }
    assert_true(fixture_watch(fleet, fixture_set(servers, 4, REQUIRE_ALL)));
    view = fleet_view(fleet);
    for (size_t i = 0; i < 4; i++)
        show(view->servers[i], ids[i], 1);
    fleet_view_unref(view);
    answer = ask(fleet, everything);
    fleet_free(fleet);
    return answer;
}

static void test_servers_that_show_different_certificates(void **state)
{
    static const unsigned char ids[] = {1, 2, 3, 3}, legs[] = {1, 1, 2, 2}, same[] = {5, 5, 5, 5};
    char fingerprint[65];
    struct answer answer = ask_shown(ids, SAME_NOBODY, false);

    (void)state;
    assert_text(answer.json, "status", "ok"); /* told, and no fault: it is not promised */
    assert_true(json_is_false(at(answer.json, "endpoints.0.certificates.same")));
    assert_text(answer.json, "endpoints.0.certificates.among", "endpoint");
    assert_text(answer.json, "endpoints.0.certificates.since", "2023-11-14T22:13:22.000Z");
    assert_text(answer.json, "endpoints.0.certificates.between.0.server", "a:1");
    assert_text(answer.json, "endpoints.0.certificates.between.1.server", "b:1");
    snprintf(fingerprint, sizeof fingerprint, "02%062x", 0U);
    assert_text(answer.json, "endpoints.0.certificates.between.1.fingerprints_sha256.0",
                fingerprint);
    assert_true(json_is_true(at(answer.json, "endpoints.1.certificates.same")));
    assert_text(answer.json, "endpoints.1.certificates.since", NULL);
    assert_true(json_is_null(at(answer.json, "endpoints.0.promises.same_certificate")));
    json_decref(answer.json);

    answer = ask_shown(ids, SAME_ENDPOINT, false);
    assert_text(answer.json, "status", "degraded");
    assert_int_equal(answer.status, 200);
    assert_text(answer.json, "endpoints.0.endpoint", "direct");
    assert_text(answer.json, "endpoints.0.status", "degraded");
    assert_text(answer.json, "endpoints.0.since", "2023-11-14T22:13:22.000Z");
    assert_true(json_is_false(at(answer.json, "endpoints.0.promises.same_certificate")));
    assert_text(answer.json, "endpoints.1.status", "ok");
    assert_true(json_is_true(at(answer.json, "endpoints.1.promises.same_certificate")));
    json_decref(answer.json);

    answer = ask_shown(legs, SAME_CLUSTER, false);
    for (int i = 0; i < 2; i++)
        assert_text(answer.json, i ? "endpoints.1.status" : "endpoints.0.status", "degraded");
    assert_text(answer.json, "endpoints.1.certificates.among", "cluster");
    assert_text(answer.json, "endpoints.1.certificates.between.0.endpoint", "direct");
    assert_text(answer.json, "endpoints.1.certificates.between.1.endpoint", "pooled");
    json_decref(answer.json);

    answer = ask_shown(same, SAME_CLUSTER, false);
    assert_text(answer.json, "status", "ok");
    assert_true(json_is_true(at(answer.json, "endpoints.1.promises.same_certificate")));
    json_decref(answer.json);
}

#define FIRST_FILE "endpoints.0.servers.0.certificate_file."

static void test_a_certificate_file(void **state)
{
    static const unsigned char ids[] = {2, 1, 1, 1};
    struct answer answer = ask_shown(ids, SAME_NOBODY, true);
    char fingerprint[65];

    (void)state;
    assert_text(answer.json, "endpoints.0.endpoint", "direct");
    assert_text(answer.json, "endpoints.0.status", "degraded"); /* one is one too many */
    assert_true(json_is_false(at(answer.json, "endpoints.0.promises.certificate_file")));
    assert_text(answer.json, FIRST_FILE "path", "/etc/server.crt");
    assert_text(answer.json, FIRST_FILE "error", NULL);
    assert_text(answer.json, FIRST_FILE "modified", "2023-11-14T22:13:20.000Z");
    assert_text(answer.json, FIRST_FILE "unserved_since", "2023-11-14T22:13:22.000Z");
    snprintf(fingerprint, sizeof fingerprint, "01%062x", 0U);
    assert_text(answer.json, FIRST_FILE "fingerprint_sha256", fingerprint);
    assert_true(json_is_false(at(answer.json, FIRST_FILE "served")));
    assert_true(json_is_true(at(answer.json, "endpoints.1.servers.0.certificate_file.served")));
    assert_text(answer.json, "endpoints.1.servers.0.certificate_file.unserved_since", NULL);
    json_decref(answer.json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_servers_that_show_different_certificates),
        cmocka_unit_test(test_a_certificate_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
