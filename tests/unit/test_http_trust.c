/* The HTTP client over TLS, where nothing unverified is taken, and before resolvers that are dead.
 * Certificates are made on the spot. */
#include "http_peer.h"

#include "pgtls/base/clock.h"
#include "pgtls/net/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define LONG_NS  (20 * NS_PER_S)
#define SHORT_NS (200 * NS_PER_MS)

static char directory[] = "/tmp/pgtls-http-XXXXXX";
static char right[64], wrong[64], locked[64], keys[64], resolv_conf[64];

struct seen {
    unsigned calls;
    bool ok;
    char error[HTTP_ERROR_SIZE];
};

static void on_done(void *context, const struct http_answer *a)
{
    struct seen *seen = context;

    seen->calls++;
    seen->ok = a->ok;
    snprintf(seen->error, sizeof seen->error, "%s", a->error);
}

/* --- certificates ---------------------------------------------------------------------------- */

/* A certificate that signs itself, and its key, encrypted when there is a password. */
static void write_certificate(char path[64], const char *name, const char *san,
                              const char *password)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    FILE *file;

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, subject);
    X509_set_pubkey(x, key);
    X509_add_ext(x, extension, -1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    snprintf(path, 64, "%s/%s.pem", directory, name);
    file = fopen(path, "w");
    assert_non_null(file);
    PEM_write_X509(file, x);
    PEM_write_PrivateKey(file, key, password ? EVP_aes_128_cbc() : NULL,
                         (const unsigned char *)password, password ? (int)strlen(password) : 0,
                         NULL, NULL);
    fclose(file);
    X509_EXTENSION_free(extension);
    X509_free(x);
    EVP_PKEY_free(key);
}

static SSL_CTX *server_context(const char *pem, bool wants_client)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    assert_int_equal(SSL_CTX_use_certificate_file(context, pem, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, pem, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_load_verify_locations(context, right, NULL), 1);
    if (wants_client)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return context;
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    write_certificate(right, "right", "IP:127.0.0.1", NULL);
    write_certificate(wrong, "wrong", "DNS:other.test", NULL);
    write_certificate(locked, "locked", "IP:127.0.0.1", "a password");
    snprintf(keys, sizeof keys, "%s/keys", directory);
    snprintf(resolv_conf, sizeof resolv_conf, "%s/resolv.conf", directory);
    setenv("SSLKEYLOGFILE", keys, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(right);
    unlink(wrong);
    unlink(locked);
    unlink(keys);
    unlink(resolv_conf);
    return rmdir(directory);
}

/* --- fetching -------------------------------------------------------------------------------- */

static struct seen fetch(const struct http_fetch_request *r)
{
    struct seen seen = {0};
    struct http_client *client;
    uv_loop_t loop;

    uv_loop_init(&loop);
    client = http_client_new(&loop);
    assert_non_null(http_fetch_start(client, r, on_done, &seen));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.calls, 1);
    http_client_free(client);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    print_message("%s\n", seen.error);
    return seen;
}

/* From a server that shows `pem`. */
static struct seen fetch_from(const char *pem, bool wants_client, struct http_fetch_request r,
                              const char *path)
{
    SSL_CTX *context = server_context(pem, wants_client);
    struct http_peer peer;
    struct seen seen;
    char url[128];

    http_peer_start(&peer, context);
    snprintf(url, sizeof url, "https://127.0.0.1:%u%s", peer.port, path);
    r.url = url;
    r.timeout_ns = LONG_NS;
    r.max_bytes = 65536;
    r.follow_redirects = true;
    seen = fetch(&r);
    http_peer_stop(&peer);
    SSL_CTX_free(context);
    return seen;
}

static void assert_says(const struct seen *seen, const char *text)
{
    if (seen->ok || !strstr(seen->error, text))
        fail_msg("\"%s\" does not say \"%s\"", seen->error, text);
}

static void a_named_authority_is_trusted(void **state)
{
    struct seen seen =
        fetch_from(right, false, (struct http_fetch_request){.ca_file = right}, "/json");

    (void)state;
    assert_string_equal(seen.error, "");
    assert_true(seen.ok);
    assert_int_not_equal(access(keys, F_OK), 0); /* the sessions' keys went nowhere */
}

static void nothing_unverified_is_taken(void **state)
{
    struct seen seen = fetch_from(right, false, (struct http_fetch_request){0}, "/json");

    (void)state;
    assert_says(&seen, "self-signed certificate"); /* the system knows no such authority */
    seen = fetch_from(wrong, false, (struct http_fetch_request){.ca_file = wrong}, "/json");
    assert_says(&seen, "127.0.0.1");
    seen = fetch_from(wrong, false, (struct http_fetch_request){.ca_file = right}, "/json");
    assert_says(&seen, "self-signed certificate");
    seen = fetch_from(right, false, (struct http_fetch_request){.ca_file = "/nowhere/ca.pem"},
                      "/json");
    assert_says(&seen, "/nowhere/ca.pem");
}

static void a_client_certificate_is_shown(void **state)
{
    struct http_fetch_request r = {.ca_file = right};
    struct seen seen = fetch_from(right, true, r, "/json");

    (void)state;
    assert_false(seen.ok);
    r.cert_file = right; /* the key is in there too */
    assert_true(fetch_from(right, true, r, "/json").ok);
    r.key_file = right;
    assert_true(fetch_from(right, true, r, "/json").ok);
    r.key_file = wrong;
    assert_false(fetch_from(right, true, r, "/json").ok);
    r.cert_file = r.key_file = locked; /* nobody is asked for its password */
    seen = fetch_from(right, true, r, "/json");
    assert_says(&seen, "unable to set private key file");
}

static void no_redirect_leads_out_of_tls(void **state)
{
    struct seen seen =
        fetch_from(right, false, (struct http_fetch_request){.ca_file = right}, "/downgrade");

    (void)state;
    assert_says(&seen, "from https to http (redirected to http://127.0.0.1:1/json)");
}

/* --- dead resolvers -------------------------------------------------------------------------- */

/* A resolver that never answers, in a file system of this process's own. -1: that takes root. */
static int silent_resolver(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    FILE *file;

    for (unsigned last = 1; last < 255; last++) {
        address.sin_addr.s_addr = htonl(0x7f003600U + last); /* 127.0.54.* */
        if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
            break;
    }
    file = fopen(resolv_conf, "w");
    assert_non_null(file);
    fprintf(file, "nameserver %s\n", inet_ntoa(address.sin_addr));
    fclose(file);
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount(resolv_conf, "/etc/resolv.conf", "none", MS_BIND, NULL) == 0)
        return fd;
    close(fd);
    return -1;
}

static void dead_resolvers_hold_nobody_up(void **state)
{
    const struct http_fetch_request r = {
        .url = "http://db.test/list", .timeout_ns = SHORT_NS, .max_bytes = 1000};
    int silent = silent_resolver();
    int64_t start_ns = clock_monotonic_ns();
    struct http_client *client;
    struct seen seen;
    uv_loop_t loop;

    (void)state;
    if (silent < 0)
        skip();
    seen = fetch(&r);
    assert_says(&seen, "no complete answer within 200ms");
    uv_loop_init(&loop);
    client = http_client_new(&loop);
    http_fetch_cancel(http_fetch_start(client, &r, on_done, &seen));
    http_fetch_start(client, &r, on_done, &seen);
    uv_run(&loop, UV_RUN_NOWAIT); /* a thread is asking now */
    http_client_free(client);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(seen.calls, 1);
    /* The C library gives a resolver 5 s, twice. */
    assert_true(clock_monotonic_ns() - start_ns < 4 * NS_PER_S);
    close(silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_named_authority_is_trusted),
        cmocka_unit_test(nothing_unverified_is_taken),
        cmocka_unit_test(a_client_certificate_is_shown),
        cmocka_unit_test(no_redirect_leads_out_of_tls),
        cmocka_unit_test(dead_resolvers_hold_nobody_up),
    };

    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
