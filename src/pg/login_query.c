/* What a login asks. */
#include "login_query.h"

#include "pgtls/base/clock.h"
#include "pgtls/base/str.h"

#include <string.h>

#define PLAIN_COLUMNS                                                                              \
    "SELECT pg_backend_pid(), current_setting('server_version'), pg_is_in_recovery(), "            \
    "current_setting('transaction_read_only')"

enum column {
    COLUMN_PID,
    COLUMN_VERSION,
    COLUMN_IN_RECOVERY,
    COLUMN_READ_ONLY,
    N_PLAIN_COLUMNS,
    COLUMN_BACKEND = N_PLAIN_COLUMNS,
    COLUMN_LAG,
    N_WHOLE_COLUMNS
};
_Static_assert(N_WHOLE_COLUMNS <= LOGIN_MAX_COLUMNS, "room for the whole answer");

#define MAX_LAG_US (INT64_MAX / NS_PER_US)

const char *const login_plain_query = PLAIN_COLUMNS;

/* The lag is in microseconds. A standby is not behind while a WAL receiver runs and all it has
 * received is replayed: while its primary is idle, the age of the latest transaction would grow.
 * (A receiver just started says the start of a segment, hence <=. Its pid is for everybody to see.)
 * One that has replayed no transaction since it was started is behind at least since then. */
const char *const login_whole_query =
    PLAIN_COLUMNS ", host(inet_server_addr()) || ' ' || inet_server_port(), "
                  "CASE WHEN NOT pg_is_in_recovery() THEN NULL "
                  "WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() "
                  "AND EXISTS (SELECT FROM pg_stat_get_wal_receiver() WHERE pid IS NOT NULL) "
                  "THEN 0 ELSE (extract(epoch FROM clock_timestamp() "
                  "- coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) "
                  "* 1000000)::bigint END";

void login_answer_read(struct login_answer *a, const char *const *columns, size_t n,
                       int backend_pid)
{
    int64_t number;

    if ((n != N_PLAIN_COLUMNS && n != N_WHOLE_COLUMNS) ||
        !str_to_i64(columns[COLUMN_PID], 0, INT32_MAX, &number))
        return;
    a->pooler = number == backend_pid ? VERDICT_NO : VERDICT_YES;
    str_clean(a->server_version, sizeof a->server_version, columns[COLUMN_VERSION],
              strlen(columns[COLUMN_VERSION]));
    a->in_recovery = *columns[COLUMN_IN_RECOVERY] == 't' ? VERDICT_YES : VERDICT_NO;
    a->read_only = strcmp(columns[COLUMN_READ_ONLY], "on") == 0 ? VERDICT_YES : VERDICT_NO;
    if (n != N_WHOLE_COLUMNS)
        return;
    str_clean(a->backend, sizeof a->backend, columns[COLUMN_BACKEND],
              strlen(columns[COLUMN_BACKEND]));
    a->lag_known = str_to_i64(columns[COLUMN_LAG], -MAX_LAG_US, MAX_LAG_US, &number);
    if (a->lag_known) /* a clock that is behind the primary's makes it negative */
        a->lag_ns = number > 0 ? number * NS_PER_US : 0;
}
