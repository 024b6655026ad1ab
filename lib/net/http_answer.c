/* What an answer may be wrapped in: gzip, and a script for pages of another origin (JSONP). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "lib/net/http_internal.h"

#define GZIP_MIN_BYTES 1024
/* Some 30 ms at level 1, in which nobody else is served. */
#define GZIP_MAX_BYTES (4u << 20)
#define GZIP_WINDOW (15 + 16) /* 16: gzip's header in place of zlib's */
#define GZIP_LEVEL 1
#define GZIP_MEMORY 8
#define JSONP_NAME_MAX 128

/* ---- gzip ---- */

/* ";q=0", ";q=0.0": a refusal. Other weights do not matter. */
static bool is_refused(const char *parameters, size_t len)
{
        const char *end = parameters + len;
        const char *p = memchr(parameters, '=', len);

        if (!p)
                return false;
        for (p++; p < end && *p == ' '; p++)
                ;
        if (p == end || *p != '0')
                return false;
        for (p++; p < end && strchr(".0 \t", *p); p++)
                ;
        return p == end;
}

bool http_accepts_gzip(const char *accept_encoding)
{
        bool any = false;

        for (const char *p = accept_encoding; p && *p; p += strspn(p, ",")) {
                size_t len, name;

                p += strspn(p, " \t");
                len = strcspn(p, ",");
                name = MIN(strcspn(p, "; \t,"), len);
                bool refused = is_refused(p + name, len - name);
                if ((name == 4 && strncasecmp(p, "gzip", 4) == 0) ||
                        (name == 6 && strncasecmp(p, "x-gzip", 6) == 0))
                        return !refused;
                if (name == 1 && *p == '*')
                        any = !refused;
                p += len;
        }
        return any;
}

static void *gzip(const void *data, size_t *len)
{
        z_stream z = {0};
        void *out;

        if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
                return NULL;
        uLong bound = deflateBound(&z, (uLong)*len);
        out = xmalloc(bound);
        z.next_in = (Bytef *)(uintptr_t)data;
        z.avail_in = (uInt)*len;
        z.next_out = out;
        z.avail_out = (uInt)bound;
        int r = deflate(&z, Z_FINISH);
        *len = r == Z_STREAM_END ? z.total_out : *len;
        (void)deflateEnd(&z);
        if (r == Z_STREAM_END)
                return out;
        free(out);
        return NULL;
}

void *http_answer_compress(struct http_request *r, const void *body, size_t *len)
{
        void *packed;

        if (*len < GZIP_MIN_BYTES || *len > GZIP_MAX_BYTES)
                return NULL;
        http_request_add_header(r, "Vary", "Accept-Encoding");
        if (!http_accepts_gzip(http_request_header(r, "Accept-Encoding")))
                return NULL;
        packed = gzip(body, len);
        if (packed)
                http_request_add_header(r, "Content-Encoding", "gzip");
        return packed;
}

/* ---- JSONP ---- */

bool http_jsonp_name_valid(const char *name)
{
        bool begins = true;
        size_t len = strlen(name);

        if (len == 0 || len > JSONP_NAME_MAX)
                return false;
        for (const char *p = name; *p; p++) {
                unsigned char c = (unsigned char)*p;

                if (c >= 0x80 ||
                        !(isalpha(c) || c == '_' || c == '$' || (!begins && (isdigit(c) || c == '.'))))
                        return false;
                begins = c == '.';
        }
        return !begins;
}

void http_respond_json(struct http_request *r, int status, const void *body, size_t len)
{
        const char *name = str_equal(http_request_method(r), "POST") ? NULL : http_request_query(r, "jsonp");
        _cleanup_buffer_ struct buffer b = {0};

        if (!name) {
                http_respond(r, status, "application/json", body, len);
                return;
        }
        if (!http_jsonp_name_valid(name)) {
                http_respond_text(r, 400,
                        "jsonp: expected the name of a function, such as \"callbacks._0\", of at most %d "
                        "characters",
                        JSONP_NAME_MAX);
                return;
        }
        buffer_puts(&b, name);
        buffer_puts(&b, "(");
        buffer_append(&b, body, len);
        buffer_puts(&b, ");");
        http_request_add_header(r, "X-Content-Type-Options", "nosniff");
        http_respond(r, status, "text/javascript", b.data, b.len);
}
