/* What a request is in libcurl's options, and what is refused before libcurl sees it. */
#include "http_setup.h"

#include "pgtls/base/clock.h"
#include "pgtls/net/http_client.h"
#include "pgtls_version.h"

#include <curl/curl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

static bool has_scheme(const char *url, const char *scheme)
{
    size_t len = strlen(scheme);

    return strncasecmp(url, scheme, len) == 0 && strncmp(url + len, "://", 3) == 0;
}

static bool has_control(const char *text)
{
    for (; text && *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    }
    return false;
}

/* What libcurl would take, and we do not; NULL: nothing. */
static const char *refusal(const struct http_fetch_request *r)
{
    static const char *const proxies[] = {"http", "https", "socks5", "socks5h"};
    bool proxy = !r->proxy_url;

    for (size_t i = 0; !proxy && i < sizeof proxies / sizeof *proxies; i++)
        proxy = has_scheme(r->proxy_url, proxies[i]);
    if (!has_scheme(r->url, "http") && !has_scheme(r->url, "https"))
        return "the URL has to begin with http:// or https://";
    if (has_control(r->url))
        return "the URL has a control character (a newline?) in it";
    if (has_control(r->bearer)) /* it would begin another header */
        return "the bearer token has a control character (a newline?) in it";
    if (!proxy)
        return "the proxy's URL has to begin with http://, https://, socks5:// or socks5h://";
    return NULL;
}

struct text_option {
    CURLoption option;
    const char *value;
};

struct long_option {
    CURLoption option;
    long value;
};

static CURLcode set_texts(CURL *easy, const struct text_option *options, size_t n)
{
    CURLcode code = CURLE_OK;

    for (size_t i = 0; i < n && code == CURLE_OK; i++)
        code = curl_easy_setopt(easy, options[i].option, options[i].value);
    return code;
}

static CURLcode set_longs(CURL *easy, const struct long_option *options, size_t n)
{
    CURLcode code = CURLE_OK;

    for (size_t i = 0; i < n && code == CURLE_OK; i++)
        code = curl_easy_setopt(easy, options[i].option, options[i].value);
    return code;
}

/* Where to, through what, and as whom. */
static CURLcode set_request(CURL *easy, const struct http_fetch_request *r)
{
    const bool secure = has_scheme(r->url, "https");
    const struct text_option texts[] = {
        {CURLOPT_URL, r->url},
        {CURLOPT_PROTOCOLS_STR, "http,https"},
        {CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https"},
        {CURLOPT_USERAGENT, "pgtls_exporter/" PGTLS_VERSION},
        {CURLOPT_ACCEPT_ENCODING, "gzip"},
        {CURLOPT_SSLCERT, r->cert_file},
        {CURLOPT_SSLKEY, r->key_file},
        {CURLOPT_KEYPASSWD, ""}, /* without it OpenSSL asks the terminal */
        {CURLOPT_XOAUTH2_BEARER, r->bearer},
        {CURLOPT_USERNAME, r->bearer ? NULL : r->username},
        {CURLOPT_PASSWORD, r->bearer ? NULL : r->password},
    };
    const struct text_option trust[] = {
        {CURLOPT_CAINFO, r->ca_file},
        {CURLOPT_CAPATH, NULL},
        {CURLOPT_PROXY_CAINFO, r->ca_file},
        {CURLOPT_PROXY_CAPATH, NULL},
    };
    const struct text_option proxy[] = {
        {CURLOPT_PROXY, r->proxy_url ? r->proxy_url : ""}, /* "": not the environment's either */
        {CURLOPT_NOPROXY, r->no_proxy ? r->no_proxy : ""},
    };
    CURLcode code = set_texts(easy, texts, sizeof texts / sizeof *texts);

    if (code == CURLE_OK && r->ca_file)
        code = set_texts(easy, trust, sizeof trust / sizeof *trust);
    if (code == CURLE_OK && !r->proxy_from_environment)
        code = set_texts(easy, proxy, sizeof proxy / sizeof *proxy);
    return code;
}

static CURLcode set_rules(CURL *easy, const struct http_fetch_request *r)
{
    const long timeout_ms =
        r->timeout_ns / NS_PER_MS >= LONG_MAX ? LONG_MAX : (long)(r->timeout_ns / NS_PER_MS) + 1;
    const struct long_option longs[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_QUICK_EXIT, 1}, /* waits for no resolving thread: dead resolvers would block */
        {CURLOPT_TIMEOUT_MS, timeout_ms},
        {CURLOPT_FOLLOWLOCATION, r->follow_redirects},
        {CURLOPT_MAXREDIRS, HTTP_MAX_REDIRECTS},
        {CURLOPT_UNRESTRICTED_AUTH, 0},
        {CURLOPT_HTTPAUTH, (long)(r->bearer ? CURLAUTH_BEARER : CURLAUTH_BASIC)},
        {CURLOPT_NETRC, CURL_NETRC_IGNORED},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
        {CURLOPT_FRESH_CONNECT, 1},
        {CURLOPT_FORBID_REUSE, 1},
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 2},
        {CURLOPT_PROXY_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
        {CURLOPT_PROXY_SSL_VERIFYPEER, 1},
        {CURLOPT_PROXY_SSL_VERIFYHOST, 2},
    };

    return set_longs(easy, longs, sizeof longs / sizeof *longs);
}

const char *http_setup(void *easy, const struct http_fetch_request *r)
{
    const char *why = refusal(r);
    CURLcode code = why ? CURLE_OK : set_rules(easy, r);

    if (!why && code == CURLE_OK)
        code = set_request(easy, r);
    return code == CURLE_OK ? why : curl_easy_strerror(code);
}
