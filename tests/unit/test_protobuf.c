/* expose/: the protobuf exposition, unpacked and compared with the text series by series. */
#include "scrape.h"
#include "slower.h"

#include "metrics.pb-c.h"

typedef Io__Prometheus__Client__MetricFamily family_message;
typedef Io__Prometheus__Client__Metric metric_message;
typedef Io__Prometheus__Client__Histogram histogram_message;

/* --- protobuf as text ------------------------------------------------------------------------- */

/* Where the next message is; NULL at the end. */
static family_message *next_message(const struct buf *body, size_t *at)
{
    uint64_t len = 0;
    family_message *family;
    int shift = 0;

    if (*at == body->len)
        return NULL;
    for (unsigned char byte = 0x80; byte & 0x80; shift += 7) {
        assert_true(*at < body->len && shift < 64);
        byte = (unsigned char)body->data[(*at)++];
        len |= (uint64_t)(byte & 0x7F) << shift;
    }
    assert_true(len <= body->len - *at);
    family =
        io__prometheus__client__metric_family__unpack(NULL, len, (const uint8_t *)body->data + *at);
    assert_non_null(family);
    *at += len;
    return family;
}

static void add_label(struct buf *to, bool first, const char *name, const char *value)
{
    buf_addf(to, "%c%s=\"", first ? '{' : ',', name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\' || *value == '\n')
            buf_add_char(to, '\\');
        buf_add_char(to, *value == '\n' ? 'n' : *value);
    }
    buf_add_char(to, '"');
}

/* "name_suffix{labels,le=…} ", le NULL for none. */
static void add_series(struct buf *to, const family_message *f, const metric_message *m,
                       const char *suffix, const char *le)
{
    buf_addf(to, "%s%s", f->name, suffix);
    for (size_t i = 0; i < m->n_label; i++)
        add_label(to, i == 0, m->label[i]->name, m->label[i]->value);
    if (le)
        add_label(to, m->n_label == 0, "le", le);
    buf_add_str(to, m->n_label > 0 || le ? "} " : " ");
}

static void add_value(struct buf *to, double value)
{
    buf_add_double(to, value);
    buf_add_char(to, '\n');
}

static void add_histogram(struct buf *to, const family_message *f, const metric_message *m)
{
    const histogram_message *h = m->histogram;

    for (size_t i = 0; i < h->n_bucket; i++) {
        struct buf le = BUF_INIT(100);

        buf_add_double(&le, h->bucket[i]->upper_bound);
        if (!strpbrk(buf_text(&le), ".e"))
            buf_add_str(&le, ".0");
        add_series(to, f, m, "_bucket", buf_text(&le));
        add_value(to, (double)h->bucket[i]->cumulative_count);
        buf_deinit(&le);
    }
    add_series(to, f, m, "_bucket", "+Inf");
    add_value(to, (double)h->sample_count);
    add_series(to, f, m, "_sum", NULL);
    add_value(to, h->sample_sum);
    add_series(to, f, m, "_count", NULL);
    add_value(to, (double)h->sample_count);
}

static void add_metric(struct buf *to, const family_message *f, const metric_message *m)
{
    bool counter = f->type == IO__PROMETHEUS__CLIENT__METRIC_TYPE__COUNTER;

    assert_int_equal(!!m->counter + !!m->gauge + !!m->histogram, 1);
    if (f->type == IO__PROMETHEUS__CLIENT__METRIC_TYPE__HISTOGRAM) {
        assert_non_null(m->histogram);
        add_histogram(to, f, m);
        return;
    }
    assert_non_null(counter ? (const void *)m->counter : m->gauge);
    add_series(to, f, m, "", NULL);
    add_value(to, counter ? m->counter->value : m->gauge->value);
}

/* The whole body as the text exposition has it; families without a metric are in none of them. */
static struct buf as_text(const struct buf *body)
{
    struct buf text = BUF_INIT(BODY_MAX);
    char before[128] = "";
    family_message *f;
    size_t at = 0;

    while ((f = next_message(body, &at)) != NULL) {
        static const char *const types[] = {"counter", "gauge", "", "", "histogram"};

        assert_true(f->n_metric > 0);
        if (strcmp(before, f->name) != 0)
            buf_addf(&text, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name,
                     types[f->type]);
        snprintf(before, sizeof before, "%s", f->name);
        for (size_t i = 0; i < f->n_metric; i++)
            add_metric(&text, f, f->metric[i]);
        io__prometheus__client__metric_family__free_unpacked(f, NULL);
    }
    return text;
}

/* --- comparing -------------------------------------------------------------------------------- */

static bool is_of_the_moment(const char *line)
{
    return strncmp(line, "process_", 8) == 0 || strncmp(line, "pgtls_state_seconds_total", 25) == 0;
}

/* Up to the value, which is behind the last space. */
static size_t series_len(const char *line, size_t len)
{
    while (len > 0 && line[len - 1] != ' ')
        len--;
    return len;
}

static const char *skip_empty_family(const char *line)
{
    const char *type, *next;

    while (strncmp(line, "# HELP", 6) == 0) {
        type = strchr(line, '\n') + 1;
        next = strchr(type, '\n') + 1;
        if (*next != '#' && *next != '\0')
            break;
        line = next;
    }
    return line;
}

/* Line for line; values as numbers. */
static void assert_same_series(const char *text, const char *other)
{
    size_t n = 0;

    for (text = skip_empty_family(text); *text; text = skip_empty_family(text), n++) {
        size_t len = strcspn(text, "\n"), other_len = strcspn(other, "\n"), series;

        series = *text == '#' ? len : series_len(text, len);
        if (strncmp(text, other, series) != 0 ||
            (*text != '#' && !is_of_the_moment(text) &&
             (strtod(text + series, NULL) < strtod(other + series, NULL) ||
              strtod(text + series, NULL) > strtod(other + series, NULL))))
            fail_msg("text:     %.*s\nprotobuf: %.*s", (int)len, text, (int)other_len, other);
        text += len + 1;
        other += other_len + 1;
    }
    assert_string_equal(other, "");
    assert_true(n > 100);
}

/* --- a fleet that has everything -------------------------------------------------------------- */

static const struct label labels[] = {{"team", "a\"b\\c\nd"}};
static const struct session_config sessions[] = {{"1m", 60 * NS_PER_S, 0}, {"x\"y", NS_PER_S, 0}};

static struct endpoint_set *everything(enum histograms histograms, size_t n)
{
    struct server *servers = calloc(n, sizeof *servers);
    static char names[1000][32];
    struct endpoint_set *set;

    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "db\\%zu:5432", i);
        servers[i] = fixture_server("c", i % 2 ? "read" : "write", names[i]);
        servers[i].labels = labels;
        servers[i].n_labels = 1;
        servers[i].sessions = sessions;
        servers[i].n_sessions = 2;
    }
    set = fixture_set(servers, n, REQUIRE_ANY);
    set->settings.histograms = histograms;
    free(servers);
    return set;
}

/* In milliseconds, as it is told: divided as nanoseconds it would come out as another double. */
#define A_MOMENT_NS (INT64_C(1700000000002) * NS_PER_MS)

static void live(struct fleet *fleet)
{
    struct fleet_view *view = fleet_view(fleet);

    for (size_t i = 0; i < view->n; i++) {
        struct session_drop drop = {SESSION_END_FIN, 70 * NS_PER_S, 2 * NS_PER_S, "", ""};
        struct observation inspect = fixture_inspect();

        inspect.finished_realtime_ns = A_MOMENT_NS;
        fixture_apply(view->servers[i], inspect);
        fixture_apply(view->servers[i], fixture_login());
        fixture_apply(view->servers[i],
                      i % 2 ? fixture_failure(PROBE_INSPECT, FAULT_LOCAL_DESCRIPTORS, PHASE_TCP)
                            : fixture_failure(PROBE_LOGIN, FAULT_PASSWORD_FAILED, PHASE_AUTH));
        fleet_session_dropped(view->servers[i], "1m", &drop);
        fleet_session_opened(view->servers[i], "x\"y");
    }
    fleet_view_unref(view);
}

static struct fleet *fleet_of(enum histograms histograms, size_t n)
{
    struct fleet *fleet = fleet_new();

    assert_true(fixture_watch(fleet, everything(histograms, n)));
    live(fleet);
    return fleet;
}

static void test_the_same_series_as_the_text(void **state)
{
    static const enum histograms kinds[] = {HISTOGRAMS_CLASSIC, HISTOGRAMS_BOTH, HISTOGRAMS_NATIVE};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fleet *fleet = fleet_of(kinds[i], 3);
        struct buf text = scrape(fleet, METRICS_TEXT), body = scrape(fleet, METRICS_PROTOBUF);
        struct buf other = as_text(&body);

        assert_same_series(buf_text(&text), buf_text(&other));
        buf_deinit(&text);
        buf_deinit(&body);
        buf_deinit(&other);
        fleet_free(fleet);
    }
}

/* A large family comes in several messages; nothing is lost between them. */
static void test_a_family_in_pieces(void **state)
{
    const size_t n = slower() > 1 ? 150 : 500;
    struct fleet *fleet = fleet_of(HISTOGRAMS_CLASSIC, n);
    struct buf text = scrape(fleet, METRICS_TEXT), body = scrape(fleet, METRICS_PROTOBUF);
    struct buf other = as_text(&body);
    size_t at = 0, pieces = 0;
    family_message *f;

    (void)state;
    assert_same_series(buf_text(&text), buf_text(&other));
    while ((f = next_message(&body, &at)) != NULL) {
        pieces += strcmp(f->name, "pgtls_phase_duration_seconds") == 0;
        io__prometheus__client__metric_family__free_unpacked(f, NULL);
    }
    assert_true(pieces > n / 100);
    buf_deinit(&text);
    buf_deinit(&body);
    buf_deinit(&other);
    fleet_free(fleet);
}

/* --- native histograms ------------------------------------------------------------------------ */

/* The only metric of a family with this label; to be freed by its family. */
static const metric_message *find(const struct buf *body, const char *name, const char *label,
                                  family_message **family)
{
    size_t at = 0;

    while ((*family = next_message(body, &at)) != NULL) {
        for (size_t i = 0; strcmp((*family)->name, name) == 0 && i < (*family)->n_metric; i++) {
            const metric_message *m = (*family)->metric[i];

            if (m->n_label == 0 || strcmp(m->label[m->n_label - 1]->value, label) == 0)
                return m;
        }
        io__prometheus__client__metric_family__free_unpacked(*family, NULL);
    }
    fail_msg("no %s of %s", name, label);
    return NULL;
}

/* Index and count of each bucket that is not empty, as a text. */
static void assert_buckets(const histogram_message *h, const char *expected)
{
    struct buf found = BUF_INIT(1000);
    size_t at = 0;
    int64_t count = 0;
    int32_t index = 0;

    for (size_t s = 0; s < h->n_positive_span; s++) {
        index += h->positive_span[s]->offset;
        for (uint32_t i = 0; i < h->positive_span[s]->length; i++, index++) {
            assert_true(at < h->n_positive_delta);
            count += h->positive_delta[at++];
            if (count > 0)
                buf_addf(&found, "%d:%d ", index, (int)count);
        }
    }
    assert_int_equal(at, h->n_positive_delta);
    assert_string_equal(buf_text(&found), expected);
    buf_deinit(&found);
}

static void add_phase(struct fleet *fleet, int64_t ns)
{
    struct fleet_view *view = fleet_view(fleet);
    struct observation o = fixture_inspect();

    o.phases[PHASE_TLS].duration_ns = ns;
    fixture_apply(view->servers[0], o);
    fleet_view_unref(view);
}

static const histogram_message *phase_of(struct fleet *fleet, const char *phase,
                                         family_message **family)
{
    struct buf body = scrape(fleet, METRICS_PROTOBUF);
    const metric_message *m = find(&body, "pgtls_phase_duration_seconds", phase, family);

    buf_deinit(&body);
    return m->histogram;
}

static void let_go(family_message *family)
{
    io__prometheus__client__metric_family__free_unpacked(family, NULL);
}

static void test_native_buckets(void **state)
{
    struct fleet *fleet = fleet_new();
    const histogram_message *h;
    family_message *family;

    (void)state;
    assert_true(fixture_watch(fleet, everything(HISTOGRAMS_NATIVE, 1)));
    h = phase_of(fleet, "tls", &family); /* empty, and yet a native histogram */
    assert_int_equal(h->schema, NATIVE_SCHEMA);
    assert_true(h->zero_threshold >= NATIVE_ZERO_THRESHOLD);
    assert_int_equal(h->sample_count, 0);
    assert_int_equal(h->n_positive_span, 0);
    let_go(family);
    add_phase(fleet, NS_PER_S);         /* 0 */
    add_phase(fleet, NS_PER_S);         /* 0 */
    add_phase(fleet, NS_PER_S * 5 / 4); /* 2^(3/8) = 1.297: 3, a gap of two */
    add_phase(fleet, NS_PER_S * 7 / 4); /* 7, a gap of three: another span */
    add_phase(fleet, NS_PER_S / 2);     /* -8 */
    add_phase(fleet, 1000);             /* zero bucket's end is 954 ns: 2^-19.9 */
    add_phase(fleet, 900);
    h = phase_of(fleet, "tls", &family);
    assert_buckets(h, "-159:1 -8:1 0:2 3:1 7:1 ");
    assert_int_equal(h->n_positive_span, 4);
    assert_int_equal(h->zero_count, 1);
    assert_int_equal(h->sample_count, 7);
    assert_true(h->sample_sum > 5.5 && h->sample_sum < 5.5001);
    assert_int_equal(h->n_bucket, 0);
    let_go(family);
    fleet_free(fleet);
}

static void test_which_kinds_are_told(void **state)
{
    static const struct {
        enum histograms kinds;
        size_t classic;
        bool native;
    } rows[] = {
        {HISTOGRAMS_CLASSIC, 7, false}, {HISTOGRAMS_BOTH, 7, true}, {HISTOGRAMS_NATIVE, 0, true}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fleet *fleet = fleet_of(rows[i].kinds, 1);
        struct buf body = scrape(fleet, METRICS_PROTOBUF);
        family_message *family;
        const histogram_message *h = phase_of(fleet, "tls", &family);

        assert_int_equal(h->n_bucket, rows[i].classic);
        assert_int_equal(h->has_schema, rows[i].native);
        assert_int_equal(h->n_positive_span, rows[i].native ? 1 : 0);
        let_go(family);
        h = find(&body, "pgtls_session_lifetime_seconds", "1m", &family)->histogram;
        assert_int_equal(h->n_positive_span, rows[i].native ? 1 : 0);
        assert_int_equal(h->sample_count, 1);
        let_go(family);
        h = find(&body, "pgtls_scheduler_lag_seconds", "", &family)->histogram;
        assert_int_equal(h->n_bucket, LAG_BUCKETS); /* one of it in all: always classic */
        assert_false(h->has_schema);
        let_go(family);
        buf_deinit(&body);
        fleet_free(fleet);
    }
}

/* Kinds that begin to be kept begin together, so that one count is true of both. */
static void test_another_setting(void **state)
{
    struct fleet *fleet = fleet_of(HISTOGRAMS_CLASSIC, 1);
    family_message *family;
    const histogram_message *h;
    struct buf body;

    (void)state;
    assert_true(fixture_watch(fleet, everything(HISTOGRAMS_BOTH, 1)));
    h = phase_of(fleet, "tls", &family);
    assert_int_equal(h->sample_count, 0);
    let_go(family);
    body = scrape(fleet, METRICS_PROTOBUF);
    h = find(&body, "pgtls_session_lifetime_seconds", "1m", &family)->histogram;
    assert_int_equal(h->sample_count, 0);
    let_go(family);
    buf_deinit(&body);
    live(fleet);
    assert_true(fixture_watch(fleet, everything(HISTOGRAMS_NATIVE, 1))); /* both were kept */
    h = phase_of(fleet, "tls", &family);
    assert_int_equal(h->sample_count, 1);
    assert_int_equal(h->n_positive_span, 1);
    let_go(family);
    assert_true(fixture_watch(fleet, everything(HISTOGRAMS_CLASSIC, 1)));
    h = phase_of(fleet, "tls", &family);
    assert_int_equal(h->sample_count, 0);
    let_go(family);
    fleet_free(fleet);
}

static size_t count_series(const char *text, const char *needle)
{
    size_t n = 0;

    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        const char *found = *line == '#' ? NULL : strstr(line, needle);

        n += found && found < strchr(line, '\n');
    }
    return n;
}

/* What Prometheus stores of one server: each native histogram is one series. */
static void test_about_70_series(void **state)
{
    struct server server = fixture_server("c", "write", "db.example:5432");
    struct endpoint_set *set = fixture_set(&server, 1, REQUIRE_ALL);
    struct fleet *fleet = fleet_new();
    struct fleet_view *view;
    struct buf body;
    family_message *f;
    size_t at = 0, n = 0;

    (void)state;
    set->settings.histograms = HISTOGRAMS_NATIVE;
    assert_true(fixture_watch(fleet, set));
    view = fleet_view(fleet);
    fixture_apply(view->servers[0], fixture_inspect());
    fixture_apply(view->servers[0], fixture_login());
    fleet_view_unref(view);
    body = scrape(fleet, METRICS_PROTOBUF);
    while ((f = next_message(&body, &at)) != NULL) {
        for (size_t i = 0; i < f->n_metric; i++)
            n += f->metric[i]->n_label > 2 && strcmp(f->metric[i]->label[2]->name, "server") == 0;
        let_go(f);
    }
    print_message("%zu series of one server\n", n);
    assert_in_range(n, 60, 75);
    buf_deinit(&body);
    body = scrape(fleet, METRICS_TEXT);
    assert_int_equal(count_series(buf_text(&body), "pgtls_phase_duration_seconds_bucket{"), 7);
    assert_int_equal(count_series(buf_text(&body), "le=\"+Inf\"} 1"), 9);
    buf_deinit(&body);
    fleet_free(fleet);
}

static void test_a_full_buffer_ends_the_scrape(void **state)
{
    struct fleet *fleet = fleet_of(HISTOGRAMS_BOTH, 1);

    (void)state;
    assert_a_full_buffer_ends_the_scrape(fleet, METRICS_PROTOBUF);
    fleet_free(fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_series_as_the_text),
        cmocka_unit_test(test_a_family_in_pieces),
        cmocka_unit_test(test_native_buckets),
        cmocka_unit_test(test_which_kinds_are_told),
        cmocka_unit_test(test_another_setting),
        cmocka_unit_test(test_about_70_series),
        cmocka_unit_test(test_a_full_buffer_ends_the_scrape),
    };

    self_init(&self);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
