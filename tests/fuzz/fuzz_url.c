/* Any URL as it may be shown: one line, and nothing in it of what libcurl, which would fetch it,
 * takes for user, password or query (a token may stand there). */
#include "pgtls/net/http_client.h"

#include "target.h"

#include <curl/curl.h>
#include <string.h>

/* What stands for a secret here: it can be written in any part of a URL as it is, and is not what
 * the digits of an escaped byte become with what follows it. */
#define TOKEN "SECRET"

static bool holds_token(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool holds = curl_url_get(url, part, &text, 0) == CURLUE_OK && strstr(text, TOKEN);

    curl_free(text);
    return holds;
}

/* Does libcurl find the token in a secret part, and in no other? */
static bool is_secret(const char *text)
{
    static const CURLUPart open[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT,
                                     CURLUPART_PATH};
    CURLU *url = curl_url();
    bool secret = url && curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS) == CURLUE_OK;

    for (size_t i = 0; secret && i < sizeof open / sizeof *open; i++)
        secret = !holds_token(url, open[i]);
    secret = secret && (holds_token(url, CURLUPART_PASSWORD) || holds_token(url, CURLUPART_USER) ||
                        holds_token(url, CURLUPART_QUERY) || holds_token(url, CURLUPART_FRAGMENT));
    curl_url_cleanup(url);
    return secret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text, shown[HTTP_URL_SIZE];
    size_t room;

    if (size == 0)
        return 0;
    room = data[0] < 128 ? sizeof shown : (size_t)data[0] - 127;
    text = text_of(data + 1, size - 1);
    http_url_redact(shown, room, text);
    check_text(shown, room);
    if (strstr(shown, TOKEN))
        require(!is_secret(text));
    free(text);
    return 0;
}
