#pragma once
/* For tests of the exposition: whole scrapes of a fleet. */
#include "fleet_fixture.h"

#include "pgtls/base/buf.h"
#include "pgtls/expose/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define BODY_MAX ((size_t)64 * 1024 * 1024)

static struct self self;

static inline struct buf scrape(struct fleet *fleet, enum metrics_format format)
{
    struct fleet_view *seen = fleet_view(fleet);
    struct exposition *e = exposition_new(seen, &self, format);
    struct buf body = BUF_INIT(BODY_MAX);

    fleet_view_unref(seen); /* the exposition holds its own */
    while (exposition_next(e, &body))
        ;
    assert_false(body.failed);
    exposition_free(e);
    return body;
}

static inline void assert_a_full_buffer_ends_the_scrape(struct fleet *fleet,
                                                        enum metrics_format format)
{
    struct fleet_view *seen = fleet_view(fleet);
    struct exposition *e = exposition_new(seen, &self, format);
    struct buf body = BUF_INIT(1000);
    size_t rounds = 0;

    while (exposition_next(e, &body))
        assert_true(++rounds < 10);
    assert_true(body.failed);
    buf_deinit(&body);
    exposition_free(e);
    fleet_view_unref(seen);
}
