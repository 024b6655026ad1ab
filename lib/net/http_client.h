/*
 * HTTP/1.1 client over libevent. One http_client is one kept-alive connection to one peer; requests on it are
 * answered in order, so a stream keeps those behind it waiting. Loop thread only. on_done is called exactly
 * once a request, never from within http_client_request(); also after an error, and from within
 * http_client_free() (status 0, error set: -ECONNREFUSED, -ECONNRESET, -ETIMEDOUT, -EPROTO, -EMSGSIZE,
 * -ECANCELED, -EINVAL for a bad method or path). Every callback may free the client.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/loop/loop.h"

struct http_client;
struct http_call;

struct http_response {
        int status;               /* 0: no answer, see error */
        const char *content_type; /* or NULL */
        const void *body;         /* whole body, or what was no record */
        size_t body_len;
        const struct error *error; /* set when status is 0 */
};
typedef void (*http_done_handler)(const struct http_response *response, void *userdata);
/* A record of a stream. Return false to cut the connection. */
typedef bool (*http_record_handler)(const void *data, size_t len, void *userdata);

/* host may be a name or a numeric address. Connects on the first request, and again after a loss. */
int http_client_new(struct loop *l, const char *host, uint16_t port, struct http_client **ret,
        struct error *e) WARN_UNUSED;
struct http_client *http_client_free(struct http_client *c);

/* As above over a unix socket. -ENAMETOOLONG when the path does not fit into a socket's address (107 bytes). */
int http_client_new_unix(
        struct loop *l, const char *path, struct http_client **ret, struct error *e) WARN_UNUSED;
/* A header of every request from here on (copied), "Host" as well; NULL takes it out again. One that breaks the line is left out. */
void http_client_set_header(struct http_client *c, const char *name, const char *value);
/* Of the answer that an on_open or on_done tells of, while it runs; NULL when there is none. */
const char *http_client_answer_header(const struct http_client *c, const char *name);

/* timeout_ns 0: 30 s. The body is copied. content_type NULL when body is empty. */
void http_client_request(struct http_client *c, const char *method, const char *path,
        const char *content_type, const char *accept, const void *body, size_t len, uint64_t timeout_ns,
        http_done_handler on_done, void *userdata);
/*
 * As above for a RecordIO answer: on_open once when a 200 head arrived (may be NULL), on_record per record
 * (bounded by max_record_bytes, 0: 8 MiB), on_done at the end (status 200 and error NULL when the peer closed
 * the stream in order). idle_timeout_ns is the longest silence tolerated (0: none). Other than 200: only
 * on_done, with the body.
 */
void http_client_stream(struct http_client *c, const char *method, const char *path, const char *content_type,
        const char *accept, const void *body, size_t len, uint64_t idle_timeout_ns,
        void (*on_open)(void *userdata), http_record_handler on_record, http_done_handler on_done,
        void *userdata);
/* "host:port" or "[v6]:port" or "host" (then default_port). -EINVAL with a sentence. */
int host_port_parse(const char *s, uint16_t default_port, char **ret_host, uint16_t *ret_port,
        struct error *e) WARN_UNUSED;
