#pragma once
/* From a request to libcurl's options. */

struct http_fetch_request;

/* Sets everything but what the answer goes to and the headers. `easy` is a CURL, whose header ends
 * in the two files that use it. NULL when it can be started, else why not: a fixed text. */
const char *http_setup(void *easy, const struct http_fetch_request *request);
