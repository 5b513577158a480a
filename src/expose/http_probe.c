/* /probe: a request to a question, an answer to a reply. Parameters, statuses and the deadline are
 * blackbox_exporter's; what it would guess at is refused here. */
#include "http_routes.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"
#include "pgtls/expose/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Requests that wait for a probe at one time: each holds one of http.c's 512 connections, of which
 * a quarter is left to everybody else. */
#define MAX_WAITING        384
#define DEFAULT_TIMEOUT_NS (120 * NS_PER_S) /* of who tells no scrape timeout */
#define REPORT_WIDTH       100

struct parameters {
    const char *target, *module;
    bool debug;
};

/* NULL, or what is wrong. */
static const char *set_text(const char **to, const char *value, const char *twice)
{
    if (*to)
        return twice;
    *to = value ? value : "";
    return NULL;
}

static const char *set_parameter(struct parameters *p, const struct argument *a)
{
    if (strcmp(a->key, "target") == 0)
        return set_text(&p->target, a->value, "target is named twice: one target at a time");
    if (strcmp(a->key, "module") == 0)
        return set_text(&p->module, a->value, "module is named twice");
    if (strcmp(a->key, "debug") != 0)
        return "the parameters are target, module and debug";
    p->debug = a->value && strcmp(a->value, "true") == 0;
    return p->debug || (a->value && strcmp(a->value, "false") == 0) ? NULL
                                                                    : "debug must be true or false";
}

static const char *read_parameters(const struct request *request, struct parameters *p)
{
    const char *wrong = request->too_many_arguments ? "too many parameters" : NULL;

    for (size_t i = 0; i < request->n_arguments && !wrong; i++)
        wrong = set_parameter(p, &request->arguments[i]);
    return wrong;
}

/* Prometheus tells how long it will wait; an answer takes its way, too. False: not a number of
 * seconds. */
static bool read_timeout(const struct site *site, const char *header, int64_t *timeout_ns)
{
    int64_t offset_ns = site->options->timeout_offset_ns;
    double seconds;
    char *end;

    *timeout_ns = DEFAULT_TIMEOUT_NS;
    if (!header)
        return true;
    seconds = strtod(header, &end);
    if (end == header || *end != '\0' || !isfinite(seconds) || seconds < 0)
        return false;
    if (seconds <= 0 || seconds >= (double)DEFAULT_TIMEOUT_NS / NS_PER_S)
        return true; /* as good as none */
    *timeout_ns = (int64_t)(seconds * NS_PER_S);
    /* Who waits hardly longer than that gets half of it. */
    *timeout_ns -= *timeout_ns >= 2 * offset_ns ? offset_ns : *timeout_ns / 2;
    return true;
}

void answer_probe(struct site *site, const struct request *request, struct reply *reply)
{
    struct parameters p = {.debug = false};
    const char *wrong = read_parameters(request, &p);

    if (!wrong && (!p.target || p.target[0] == '\0'))
        wrong = "Target parameter is missing";
    if (!wrong && !read_timeout(site, request->scrape_timeout, &reply->question.timeout_ns))
        wrong = "X-Prometheus-Scrape-Timeout-Seconds is no number of seconds";
    if (wrong) {
        reply_text(reply, 400, wrong);
        return;
    }
    if (!reply_take_place(reply, &site->probes, MAX_WAITING)) {
        reply_refuse(reply, "Too many requests wait for probes.");
        return;
    }
    reply->question.target = p.target;
    reply->question.module = p.module;
    reply->awaits = AWAITS_PROBE;
}

/* What `pgtls_exporter probe` would print. */
static void add_report(const struct probe_answer *answer, struct buf *to)
{
    const struct report_style style = {.unicode = true, .width = REPORT_WIDTH};
    const struct report report = {.server = answer->server,
                                  .inspect = &answer->inspect,
                                  .login = answer->has_login ? &answer->login : NULL};

    report_text(&report, &style, to);
    buf_add_str(to, "\nMetrics that would have been returned:\n");
    probe_metrics(answer, METRICS_TEXT, to);
}

void answer_probed(const struct request *request, const struct probe_answer *answer,
                   struct reply *reply)
{
    static const unsigned statuses[REQUEST_OUTCOME_COUNT] = {
        [REQUEST_SUCCESS] = 200,        [REQUEST_FAILURE] = 200,   [REQUEST_INVALID] = 400,
        [REQUEST_UNKNOWN_MODULE] = 400, [REQUEST_FORBIDDEN] = 403, [REQUEST_BUSY] = 503,
        [REQUEST_ERROR] = 503,
    };
    enum request_outcome outcome = answer ? answer->outcome : REQUEST_ERROR;
    enum metrics_format format = metrics_negotiate(request->accept);
    struct parameters p = {.debug = false};

    read_parameters(request, &p); /* were good when the question was asked */
    if (outcome == REQUEST_ERROR) {
        reply_refuse(reply, "Nothing can be probed at the moment.");
    } else if (outcome == REQUEST_BUSY) {
        reply_refuse(reply, answer->message);
    } else if (statuses[outcome] != 200) {
        reply_text(reply, statuses[outcome], answer->message);
    } else {
        reply->status = 200;
        reply->vary = "Accept, Accept-Encoding";
        if (!p.debug)
            reply->type = metrics_type_for(format, request->accept);
        if (p.debug)
            add_report(answer, &reply->text);
        else
            probe_metrics(answer, format, &reply->text);
    }
}
