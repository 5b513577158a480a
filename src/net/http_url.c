/* A URL as it may be shown. */
#include "pgtls/net/http_client.h"

#include "pgtls/base/buf.h"
#include "pgtls/base/str.h"

#include <string.h>

/* What stands before the host: as libcurl reads it, up to the last '@' of the authority. With a '/'
 * in an unquoted password the authority seems to end there, at a port that is no number. */
static size_t userinfo_len(const char *authority)
{
    size_t len = strcspn(authority, "/?#"), whole = strcspn(authority, "?#"), at = 0;
    const char *colon = memchr(authority, ':', len);

    if (colon && !memchr(authority, '@', len) && authority[0] != '[' &&
        strspn(colon + 1, "0123456789") != (size_t)(authority + len - colon - 1))
        len = whole;
    for (size_t i = 0; i < len; i++) {
        if (authority[i] == '@')
            at = i + 1;
    }
    return at;
}

/* Where the authority begins. libcurl takes "http:/host" and "http:///host" for "http://host". */
static const char *authority_of(const char *url)
{
    static const char scheme[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-";
    const char *colon = url + strspn(url, scheme);

    return colon[0] == ':' && colon[1] == '/' ? colon + 1 + strspn(colon + 1, "/") : url;
}

void http_url_redact(char *to, size_t size, const char *url)
{
    const char *authority = authority_of(url);
    const char *host = authority + userinfo_len(authority);
    struct buf text = BUF_INIT(strlen(url) + sizeof "***@?***");

    buf_add(&text, url, (size_t)(authority - url));
    buf_add_str(&text, host > authority ? "***@" : "");
    buf_add(&text, host, strcspn(host, "?#"));
    buf_add_str(&text, host[strcspn(host, "?#")] == '?' ? "?***" : "");
    str_clean(to, size, buf_text(&text), text.len);
    buf_deinit(&text);
}
