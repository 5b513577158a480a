/* Any bytes as a libpq passfile: what is found in it is what libpq finds. Three lines, the host,
 * the database and the user that are looked for, then the file. */
#include "passfile.h"

#include "target.h"

#include <libpq-fe.h>

#define PORT "6543"
#define ROOM 4096 /* a longer password is refused here, and not in libpq */

/* What libpq would log in with. It looks into the passfile before it connects, and never connects:
 * the address is none. */
static char *of_libpq(const char *path, const char *host, const char *dbname, const char *user)
{
    const char *const keys[] = {"host", "hostaddr", "port", "dbname", "user", "passfile", NULL};
    const char *const values[] = {host, "no-address", PORT, dbname, user, path, NULL};
    PGconn *conn = PQconnectStartParams(keys, values, 0);
    char *password;

    require(conn != NULL);
    password = strdup(PQpass(conn) ? PQpass(conn) : "");
    PQfinish(conn);
    require(password != NULL);
    return password;
}

/* What libpq takes for a list, a default, or a connection string is not what is tried here. */
static bool is_plain(const char *text)
{
    return text[0] != '\0' && !strpbrk(text, ",@/") && strlen(text) < 200;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory_file file;
    char *text = text_of(data, size), *rest = text;
    const char *host = next_line(&rest), *dbname = next_line(&rest), *user = next_line(&rest);
    const char *const fields[4] = {host, PORT, dbname, user};
    size_t len = size - (size_t)(rest - text);
    char password[ROOM + 1], *theirs;
    bool found, too_long;

    /* An exact copy, so that a read beyond it is seen. */
    char *bytes = malloc(len ? len : 1), *file_bytes = malloc(len + 1);

    require(bytes != NULL && file_bytes != NULL);
    memcpy(bytes, rest, len);
    /* libpq loses a last line without an end that just fills its buffer. */
    memcpy(file_bytes, rest, len);
    file_bytes[len] = '\n';
    found = passfile_find(bytes, len, fields, password, sizeof password, &too_long);
    require(found == (password[0] != '\0') && strlen(password) < sizeof password);
    require(!found || !too_long);
    if (is_plain(host) && is_plain(dbname) && is_plain(user) && !memchr(bytes, '\0', len) &&
        !too_long) {
        memory_file_write(&file, file_bytes, len + 1);
        theirs = of_libpq(file.path, host, dbname, user);
        require(strcmp(theirs, password) == 0);
        free(theirs);
    }
    free(file_bytes);
    free(bytes);
    free(text);
    return 0;
}
