/* What a login costs who asks libpq in the ordinary way: PQconnectdb, one query, PQfinish, in turn.
 * Prints JSON with the CPU per login. */
#include "bench.h"

#include <libpq-fe.h>

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void login(const char *conninfo)
{
    PGconn *connection = PQconnectdb(conninfo);
    PGresult *result;

    if (PQstatus(connection) != CONNECTION_OK)
        fprintf(stderr, "%s", PQerrorMessage(connection));
    result = PQexec(connection, "SELECT 1");
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        exit(1);
    PQclear(result);
    PQfinish(connection);
}

int main(int argc, char **argv)
{
    unsigned long logins;
    double before;

    if (argc != 3) {
        fprintf(stderr, "usage: bench_pq CONNINFO LOGINS\n");
        return 2;
    }
    logins = number(argv[2], 100000);
    login(argv[1]); /* what is done once per process is not counted */
    before = cpu_seconds();
    for (unsigned long i = 0; i < logins; i++)
        login(argv[1]);
    printf("{\"good\": %lu, \"cpu_us_per_login\": %.1f}\n", logins,
           (cpu_seconds() - before) * 1e6 / (double)logins);
    return 0;
}
