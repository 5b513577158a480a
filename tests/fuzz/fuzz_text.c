/* The small readers and writers of text that everything else stands on: what is read is what stands
 * there and nothing around it, what is written reads back, what is shown is fit to be. */
#include "html.h"

#include "pgtls/base/buf.h"
#include "pgtls/model/shard.h"
#include "pgtls/net/address.h"
#include "target.h"

#include <stdio.h>

/* An integer in the narrow sense, and then its value. */
static void check_number(const char *text)
{
    int64_t value = 0;
    bool read = str_to_i64(text, -1000000, 1000000, &value);
    size_t sign = text[0] == '-', digits = strspn(text + sign, "0123456789");

    require(!read || (digits > 0 && text[sign + digits] == '\0'));
    require(!read || (value >= -1000000 && value <= 1000000 && value == strtoll(text, NULL, 10)));
    require(read || digits == 0 || digits > 6 || text[sign + digits] != '\0');
}

static void check_duration(const char *text)
{
    struct buf b = BUF_INIT(200);
    int64_t ns = -1, again = -1;

    if (str_to_duration_ns(text, &ns)) {
        require(ns >= 0);
        str_add_duration(&b, ns);
        require(!b.failed && str_to_duration_ns(buf_text(&b), &again) && again == ns);
    }
    buf_deinit(&b);
}

static void check_clean(const char *text, size_t len, size_t room)
{
    char clean[300], again[300];
    size_t n = str_clean(clean, room, text, len);

    require(n < room && strlen(clean) == n);
    check_text(clean, room);
    if (!strchr(clean, '\\')) { /* nothing was to be cleaned: cleaning changes nothing */
        require(strncmp(text, clean, n) == 0);
        require(str_clean(again, sizeof again, clean, n) == n && strcmp(clean, again) == 0);
    }
}

static void check_copy(const char *text, size_t room)
{
    char copy[300];
    bool whole = str_copy(copy, room, text);

    require(whole == (strlen(text) < room) && strlen(copy) < room);
    require(strncmp(copy, text, strlen(copy)) == 0 && (!whole || strcmp(copy, text) == 0));
}

/* Nothing in it opens an element or ends an attribute, and it is UTF-8. */
static void check_markup(const char *text)
{
    struct buf html = BUF_INIT(1U << 20), url = BUF_INIT(1U << 20);
    size_t step;

    html_text(&html, text);
    require(!html.failed && !strpbrk(buf_text(&html), "<>\"'"));
    for (size_t i = 0; i < html.len; i += step) {
        step = str_utf8_sequence((const unsigned char *)html.data + i, html.len - i);
        require(step > 0);
    }
    url_add(&url, text);
    require(!url.failed && strspn(buf_text(&url), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                                                  "uvwxyz0123456789-._~:%") == url.len);
    buf_deinit(&html);
    buf_deinit(&url);
}

static void check_address(const char *text)
{
    char shown[80], twice[80];
    struct address address, again;

    if (address_from_text(text, 5432, &address)) {
        address_text(&address, shown, sizeof shown);
        require(address_from_text(shown, 5432, &again));
        address_text(&again, twice, sizeof twice);
        require(strcmp(shown, twice) == 0);
    }
    if (address_from_directory(text, 5432, &address))
        require(address.len <= sizeof address.storage);
}

static void check_names(const char *text)
{
    static const char *const names[] = {"interval", "timeout", "sslmode", "host", "hostaddr"};
    const char *nearest = str_nearest(text, names, sizeof names / sizeof *names);
    unsigned ordinal = SHARD_MAX_TOTAL;

    require(!nearest || strlen(text) <= 3 * strlen("interval"));
    require(!shard_ordinal_of(text, &ordinal) || ordinal < SHARD_MAX_TOTAL);
    require(shard_of(text, 7) < 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;
    size_t room;

    if (size == 0)
        return 0;
    room = 1 + data[0];
    text = text_of(data + 1, size - 1);
    check_number(text);
    check_duration(text);
    check_clean(text, size - 1, room);
    check_copy(text, room);
    check_markup(text);
    check_address(text);
    check_names(text);
    free(text);
    return 0;
}
