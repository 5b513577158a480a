#pragma once
/* The end of accepting, with what libmicrohttpd needs to survive it. */

struct MHD_Daemon;

/* Accepts nobody any more; those who are in go on. The listening socket, which is the caller's from
 * then on (its threads may look at it until MHD_stop_daemon()); -1: there is none. */
int http_quiesce(struct MHD_Daemon *daemon);
