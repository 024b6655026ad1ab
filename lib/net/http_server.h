/*
 * HTTP/1.1 server over libevent's evhttp: keep-alive, longest-prefix routes, bounded bodies, and streams that
 * write exactly one HTTP chunk per RecordIO record. Loop thread only.
 *
 * A handler gets a request with its whole body read and must, now or later, answer it exactly once:
 * http_respond*(), or http_stream_open(). The answer frees the request. When the peer goes away first (or the
 * server is freed), the request stays readable, and its answer only frees it. Bounds: headers 64 KiB (400
 * beyond), body `max_body_bytes` (413 beyond), idle 60 s, connections `max_connections`: beyond, the one that has
 * waited longest without a whole request is closed (those first that never sent any), and 503 when all are being
 * answered. GET routes answer HEAD too. The server is not freed from within a handler.
 */
#pragma once

#include <netinet/in.h>

#include "lib/base/error.h"
#include "lib/loop/loop.h"

struct http_server;
struct http_request;
struct http_stream;

struct http_server_options {
        size_t max_body_bytes;    /* 0: 8 MiB */
        size_t max_connections;   /* 0: 4096 */
        uint64_t idle_timeout_ns; /* 0: 60 s */
};

/* For a route whose handler decides about methods itself: where something else is to be checked before them. */
#define HTTP_METHODS_ALL "GET,HEAD,POST,PUT,DELETE,OPTIONS,TRACE,CONNECT,PATCH"

typedef void (*http_handler)(struct http_request *req, void *userdata);

int http_server_new(struct loop *l, const struct http_server_options *o, struct http_server **ret,
        struct error *e) WARN_UNUSED;
/* Numeric address ("127.0.0.1", "::1"). Port 0 picks one. *ret_port (may be NULL) is the port bound. */
int http_server_listen(struct http_server *s, const char *address, uint16_t port, uint16_t *ret_port,
        struct error *e) WARN_UNUSED;
/*
 * A stream socket in the file system with these permissions, absolute path of less than 108 characters. A socket file that nobody
 * serves any more is replaced. Removed by http_server_free().
 */
int http_server_listen_unix(
        struct http_server *s, const char *path, unsigned mode, struct error *e) WARN_UNUSED;
struct http_server *http_server_free(struct http_server *s); /* closes every connection and stream */

/*
 * Longest registered prefix at '/' boundaries wins; trailing slash fine; a path with ".." is 404. `methods`
 * is a comma list ("GET,POST"); others get 405 with Allow.
 */
void http_server_route(
        struct http_server *s, const char *prefix, const char *methods, http_handler handler, void *userdata);
/*
 * What is asked there first on a connection is answered before calls that came earlier and still wait for their turn: for what costs next
 * to nothing and tells whether the process lives. `prefix` as it was registered, without a slash at its end.
 */
void http_server_route_is_prompt(struct http_server *s, const char *prefix);
/*
 * The same below the name of the process too: "slave(1)" and "/state" make "/state" and "/slave(1)/state". Paths are compared
 * decoded, so "/slave%281%29/state" is the latter.
 */
void http_server_route_process(struct http_server *s, const char *process, const char *prefix,
        const char *methods, http_handler handler, void *userdata);
/* Is the address (text) one of 127.0.0.0/8, ::1? */
bool address_is_loopback(const char *address);

/* ---- request ---- */
const char *http_request_method(const struct http_request *r);
const char *http_request_path(const struct http_request *r);    /* decoded, without the query */
const char *http_request_subpath(const struct http_request *r); /* behind the matched prefix, "" or "/..." */
const char *http_request_query(struct http_request *r, const char *name);        /* decoded value or NULL */
const char *http_request_header(const struct http_request *r, const char *name); /* or NULL */
/*
 * Does the Host header (if any) name this machine: an address, "localhost", a name without dots, the host's own? A browser that was led
 * here by a name that somebody else's DNS gave our address sends that name: such a page speaks with its user's rights otherwise.
 */
bool http_request_host_is_own(const struct http_request *r);
/* Did a page of another site make its visitor's browser send this? (Browsers say so; nobody else does.) */
bool http_request_is_cross_site(const struct http_request *r);
const void *http_request_body(const struct http_request *r, size_t *ret_len);
const struct sockaddr *http_request_peer(const struct http_request *r);  /* the client's address and port */
const struct sockaddr *http_request_local(const struct http_request *r); /* our end of the connection */

/*
 * Who connected over a unix socket, as the kernel noted it then. pidfd is that very process (the request's; -1 when it was gone
 * before we looked): what is read by pid counts only if the pidfd says afterwards that it still lives. -ENOTCONN over TCP.
 */
struct http_unix_peer {
        pid_t pid;
        uid_t uid;
        gid_t gid;
        int pidfd;
};
int http_request_unix_peer(const struct http_request *r, struct http_unix_peer *ret) WARN_UNUSED;

void http_request_add_header(struct http_request *r, const char *name, const char *value); /* of the answer */
/* Compressed when it has 1024 bytes or more and the request accepts gzip (not beyond 4 MiB: that would hold up the loop). */
void http_respond(struct http_request *r, int status, const char *content_type, const void *body, size_t len);
/* 405 with Allow. */
void http_respond_method_not_allowed(struct http_request *r, const char *allow);
/* A text/plain answer, one sentence and a newline. */
void http_respond_text(struct http_request *r, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * application/json, or for a GET with ?jsonp=NAME text/javascript "NAME(...);". A name that is no dotted path of identifiers (at most
 * 128 characters) is 400.
 */
void http_respond_json(struct http_request *r, int status, const void *body, size_t len);
/* Value of a header like Accept-Encoding: does it take gzip? NULL does not. */
bool http_accepts_gzip(const char *accept_encoding);
bool http_jsonp_name_valid(const char *name);

/* ---- streams ---- */
/* Answers 200, chunked. on_close (may be NULL) fires once when the peer goes; the stream is freed right after
 * it returns. */
struct http_stream *http_stream_open(struct http_request *r, const char *content_type,
        void (*on_close)(struct http_stream *s, void *userdata), void *userdata);
/* One RecordIO record as one chunk. -EPIPE when closed; -ENOBUFS when more than the bound (16 MiB) waits for
 * a slow peer: close it then. */
int http_stream_record(struct http_stream *s, const void *data, size_t len) WARN_UNUSED;
/* Bytes as they are, for long answers that are no records: as one chunk; len > 0. */
int http_stream_write(struct http_stream *s, const void *data, size_t len) WARN_UNUSED;
/* Bytes that wait for the peer. */
size_t http_stream_pending(const struct http_stream *s);
/* Called whenever the pending bytes have drained to zero: for back-pressure on long sources (log follow).
 * NULL removes. */
void http_stream_on_drain(struct http_stream *s, void (*on_drain)(struct http_stream *s, void *userdata));
/* Ends with the zero chunk. on_close does not fire. Frees the stream. */
void http_stream_close(struct http_stream *s);
