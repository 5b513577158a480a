/* model/fault and model/phase: every row is complete and consistent, names are well-formed label
 * values, and the printed reference holds them all. */
#include "pgtls/base/buf.h"
#include "pgtls/model/fault.h"
#include "pgtls/model/fault_reference.h"
#include "pgtls/model/phase.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const expected_ids[] = {"",
#define ID(name, text) text,
                                           FAULT_IDS(ID)
#undef ID
};

static bool is_label_value(const char *text)
{
    if (!islower((unsigned char)*text))
        return false;
    for (; *text; text++) {
        if (!islower((unsigned char)*text) && !isdigit((unsigned char)*text) && *text != '_')
            return false;
    }
    return true;
}

/* Starts large, ends with a full stop, one line. */
static bool is_sentence(const char *text)
{
    size_t len = strlen(text);

    return len > 20 && len < 400 && !islower((unsigned char)text[0]) && text[len - 1] == '.' &&
           !strchr(text, '\n') && !strstr(text, "  ");
}

static void test_every_row_is_complete(void **state)
{
    (void)state;
    assert_int_equal(sizeof expected_ids / sizeof *expected_ids, FAULT_COUNT);
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        const struct fault_row *row = fault_row((enum fault)i);

        assert_string_equal(row->id, expected_ids[i]);
        assert_true(is_label_value(row->id));
        assert_true(row->class > FAULT_CLASS_NONE && row->class < FAULT_CLASS_COUNT);
        assert_int_equal(row->class == FAULT_CLASS_HBA, row->hba != HBA_NONE);
        assert_int_equal(row->class == FAULT_CLASS_INTERNAL, row->internal != INTERNAL_NONE);
        if (!is_sentence(row->meaning) || !is_sentence(row->remedy))
            fail_msg("%s: \"%s\" / \"%s\"", row->id, row->meaning, row->remedy);
    }
}

/* Texts that differ in nothing mean that two rows should be one. */
static void test_no_two_rows_say_the_same(void **state)
{
    (void)state;
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        for (int j = i + 1; j < FAULT_COUNT; j++) {
            const struct fault_row *a = fault_row((enum fault)i), *b = fault_row((enum fault)j);

            assert_string_not_equal(a->id, b->id);
            assert_string_not_equal(a->meaning, b->meaning);
        }
    }
}

static void test_phases_are_phases(void **state)
{
    (void)state;
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        char text[128], *save = NULL;
        const char *word;

        if (strcmp(fault_row((enum fault)i)->phases, "any") == 0)
            continue;
        assert_true(snprintf(text, sizeof text, "%s", fault_row((enum fault)i)->phases) > 0);
        for (word = strtok_r(text, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
            int phase = 0;

            while (phase < PHASE_COUNT && strcmp(phase_name((enum phase)phase), word) != 0)
                phase++;
            assert_true(phase < PHASE_COUNT);
        }
    }
}

static void test_ids_both_ways(void **state)
{
    enum fault fault;

    (void)state;
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        assert_true(fault_from_id(expected_ids[i], &fault));
        assert_int_equal(fault, i);
    }
    assert_false(fault_from_id("", &fault));
    assert_false(fault_from_id("hba", &fault));
    assert_false(fault_from_id("hba_no_entry_ssl ", &fault));
}

static void test_no_fault_and_no_such_fault(void **state)
{
    (void)state;
    assert_string_equal(fault_row(FAULT_NONE)->id, "");
    assert_int_equal(fault_row(FAULT_NONE)->class, FAULT_CLASS_NONE);
    assert_string_equal(fault_row(FAULT_COUNT)->id, "");
    assert_string_equal(fault_row(FAULT_NONE)->meaning, "");
}

static void test_names_are_label_values(void **state)
{
    (void)state;
    for (int i = FAULT_CLASS_NONE + 1; i < FAULT_CLASS_COUNT; i++)
        assert_true(is_label_value(fault_class_name((enum fault_class)i)));
    for (int i = HBA_NONE + 1; i < HBA_KIND_COUNT; i++)
        assert_true(is_label_value(hba_kind_name((enum hba_kind)i)));
    for (int i = INTERNAL_NONE + 1; i < INTERNAL_REASON_COUNT; i++)
        assert_true(is_label_value(internal_reason_name((enum internal_reason)i)));
    for (int i = 0; i < PHASE_COUNT; i++)
        assert_true(is_label_value(phase_name((enum phase)i)));
    for (int i = 0; i < PROBE_COUNT; i++)
        assert_true(is_label_value(probe_kind_name((enum probe_kind)i)));
    for (int i = CLOSE_NONE + 1; i < CLOSE_COUNT; i++)
        assert_true(is_label_value(close_how_name((enum close_how)i)));
    assert_string_equal(fault_class_name(FAULT_CLASS_NONE), "");
    assert_string_equal(hba_kind_name(HBA_NONE), "");
    assert_string_equal(internal_reason_name(INTERNAL_NONE), "");
    assert_string_equal(close_how_name(CLOSE_NONE), "");
    assert_string_equal(phase_name(PHASE_COUNT), "");
}

/* The contract of dashboards: these are spelled out in design and alerts. */
static void test_names_that_others_rely_on(void **state)
{
    (void)state;
    assert_string_equal(fault_class_name(FAULT_CLASS_SSL_CLOSE), "ssl_close");
    assert_string_equal(fault_class_name(FAULT_CLASS_HBA), "hba");
    assert_string_equal(hba_kind_name(HBA_NO_ENCRYPTION), "no_encryption");
    assert_string_equal(internal_reason_name(INTERNAL_DESCRIPTORS), "descriptors");
    assert_string_equal(phase_name(PHASE_SSL_REQUEST), "ssl_request");
    assert_string_equal(close_how_name(CLOSE_NOTIFY), "close_notify");
    assert_string_equal(close_how_name(CLOSE_FIN), "fin");
    assert_string_equal(close_how_name(CLOSE_RST), "rst");
    assert_string_equal(probe_kind_name(PROBE_INSPECT), "inspect");
    assert_string_equal(probe_kind_name(PROBE_LOGIN), "login");
    assert_int_equal(fault_row(FAULT_HBA_NO_ENTRY_SSL)->hba, HBA_NO_ENTRY);
    assert_int_equal(fault_row(FAULT_HBA_NO_ENTRY_NOSSL)->hba, HBA_NO_ENCRYPTION);
    assert_int_equal(fault_row(FAULT_HBA_REJECT_RULE_SSL)->hba, HBA_REJECTED);
    assert_int_equal(fault_row(FAULT_HBA_REJECTED)->hba, HBA_UNSPECIFIED);
    assert_int_equal(fault_row(FAULT_SSL_REQUIRED_BY_POOLER)->hba, HBA_POOLER);
    assert_int_equal(fault_row(FAULT_CLIENT_CERT_REQUIRED)->class, FAULT_CLASS_CERTIFICATE);
}

static void test_reference_holds_every_row(void **state)
{
    struct buf page = BUF_INIT(256 * 1024);

    (void)state;
    faults_print_reference(&page);
    assert_false(page.failed);
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        const struct fault_row *row = fault_row((enum fault)i);
        char heading[80];

        assert_true(snprintf(heading, sizeof heading, "\n### %s\n", row->id) > 0);
        assert_non_null(strstr(buf_text(&page), heading));
        assert_non_null(strstr(buf_text(&page), row->meaning));
        assert_non_null(strstr(buf_text(&page), row->remedy));
    }
    assert_non_null(strstr(buf_text(&page), "pg_hba rejection of kind `no_entry`"));
    buf_deinit(&page);
}

static void test_head_of_a_page(void **state)
{
    static const struct {
        enum fault fault;
        const char *metric;
    } heads[] = {
        {FAULT_TCP_REFUSED, "`pgtls_probe_failures_total{class=\"network\"}` |"},
        {FAULT_HBA_NO_ENTRY_SSL, "`pgtls_hba_rejections_total{kind=\"no_entry\"}`"},
        {FAULT_SSL_EOF_AFTER_HANDSHAKE, "`pgtls_ssl_closes_total`"},
        {FAULT_LOCAL_FILE, "| `pgtls_probe_internal_errors_total{reason=\"local_file\"}` |"},
    };
    struct buf all = BUF_INIT(256 * 1024), one = BUF_INIT(8192);

    (void)state;
    faults_print_heads(&all);
    assert_false(all.failed);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        const struct fault_row *row = fault_row(heads[i].fault);

        buf_reset(&one);
        fault_print_head(&one, heads[i].fault);
        assert_false(one.failed);
        assert_non_null(strstr(buf_text(&one), row->meaning));
        assert_non_null(strstr(buf_text(&one), row->remedy));
        assert_non_null(strstr(buf_text(&one), fault_class_name(row->class)));
        assert_non_null(strstr(buf_text(&one), heads[i].metric));
        assert_non_null(strstr(buf_text(&all), buf_text(&one)));
    }
    buf_deinit(&all);
    buf_deinit(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_complete),
        cmocka_unit_test(test_no_two_rows_say_the_same),
        cmocka_unit_test(test_phases_are_phases),
        cmocka_unit_test(test_ids_both_ways),
        cmocka_unit_test(test_no_fault_and_no_such_fault),
        cmocka_unit_test(test_names_are_label_values),
        cmocka_unit_test(test_names_that_others_rely_on),
        cmocka_unit_test(test_reference_holds_every_row),
        cmocka_unit_test(test_head_of_a_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
