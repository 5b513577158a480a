/* pg/login_query: any row as the answer to a login's query. The first byte is the number of
 * columns, the columns follow, each up to a NUL. */
#include "login_query.h"

#include "pgtls/base/str.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *columns[LOGIN_MAX_COLUMNS];
    struct login_answer answer = {0};
    char *text, *at;
    size_t n;

    if (size == 0)
        return 0;
    n = data[0] % (LOGIN_MAX_COLUMNS + 1);
    text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    at = text;
    for (size_t i = 0; i < LOGIN_MAX_COLUMNS; i++) {
        columns[i] = at;
        at += strlen(at);
        at += at < text + size - 1;
    }
    login_answer_read(&answer, columns, n, 42);
    check_text(answer.server_version, sizeof answer.server_version);
    check_text(answer.backend, sizeof answer.backend);
    if (answer.lag_ns < 0 || (answer.lag_known && answer.pooler == VERDICT_UNKNOWN))
        abort();
    free(text);
    return 0;
}
