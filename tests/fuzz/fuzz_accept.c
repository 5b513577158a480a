/* Content negotiation: any header leads to a format that exists, and one that names none of them to
 * the text. What is asked for is not decided by what stands behind a comma that follows. */
#include "negotiate.h"

#include "pgtls/expose/metrics.h"
#include "target.h"

#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *header = malloc(size + 2);
    enum metrics_format format;

    if (!header)
        return 0;
    memcpy(header, data, size);
    header[size] = '\0';
    format = metrics_negotiate(header);
    if (format > METRICS_PROTOBUF || !metrics_content_type(format))
        abort();
    if (format == METRICS_OPENMETRICS && !strcasestr(header, "application/openmetrics-text"))
        abort();
    if (format == METRICS_PROTOBUF && (!strcasestr(header, "application/vnd.google.protobuf") ||
                                       !strcasestr(header, "delimited")))
        abort();
    if (negotiate_gzip(header) && !strcasestr(header, "gzip") && !strchr(header, '*'))
        abort();
    header[strlen(header) + 1] = '\0';
    header[strlen(header)] = ',';
    if (!memchr(header, '"', size) && metrics_negotiate(header) != format)
        abort();
    free(header);
    return 0;
}
