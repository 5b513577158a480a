/* What every page begins and ends with. Links are relative, so that they work behind a proxy that
 * adds a prefix. */
#include "assets.h"
#include "html.h"
#include "page.h"
#include "pgtls_version.h"

static void asset_path(struct buf *to, const char *name)
{
    const struct asset *asset = asset_find(name);

    html_addf(to, "assets/%s?v=%s", name, asset ? asset->id : "");
}

void frame_head(struct buf *to, const char *title)
{
    html_addf(to,
              "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
              "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
              "<meta name=\"color-scheme\" content=\"light dark\">\n<title>%s</title>\n"
              "<link rel=\"icon\" type=\"image/svg+xml\" href=\"",
              title);
    asset_path(to, "favicon.svg");
    buf_add_str(to, "\">\n<link rel=\"stylesheet\" href=\"");
    asset_path(to, "page.css");
    buf_add_str(to, "\">\n<script defer src=\"");
    asset_path(to, "page.js");
    buf_add_str(to, "\"></script>\n</head>\n<body>\n<a class=\"skip\" href=\"#live\">Skip to the "
                    "status</a>\n");
}

void frame_begin(struct buf *to, int refresh_s)
{
    html_addf(to, "<main id=\"live\" tabindex=\"-1\" data-refresh=\"%d\">\n", refresh_s);
}

void frame_end(struct buf *to)
{
    buf_add_str(to, "</main>\n");
}

void frame_foot(struct buf *to, const struct page_site *site)
{
    const struct shard *shard = &site->self->shard;

    buf_add_str(to, "<footer>\n<nav aria-label=\"Machine-readable\"><ul>\n");
    html_addf(to, "<li><a href=\"%s\">Metrics</a></li>\n", site->telemetry_path + 1);
    html_addf(to, "<li><a href=\"%s\">Health, as JSON</a></li>\n", site->health_path + 1);
    buf_add_str(to, "<li><a href=\"-/healthy\">Liveness</a></li>\n"
                    "<li><a href=\"-/ready\">Readiness</a></li>\n"
                    "</ul></nav>\n");
    html_addf(to, "<p>pgtls_exporter %s, revision %s", PGTLS_VERSION, PGTLS_REVISION);
    if (shard->total > 1)
        html_addf(to, ", shard %d of %d", (int)shard->ordinal, (int)shard->total);
    buf_add_str(to, "</p>\n</footer>\n</body>\n</html>\n");
}
