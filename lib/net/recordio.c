#include "lib/net/recordio.h"

#include <stdlib.h>
#include <string.h>

/* Digits of the largest 64-bit length: a peer that sends more of them, zeros too, is not speaking RecordIO.
 */
#define LENGTH_DIGITS_MAX 20

struct recordio_decoder {
        size_t max_record_bytes;
        int error; /* sticky: behind a malformed length nothing can be trusted */
        bool in_body;
        unsigned digits;
        uint64_t length;    /* announced; counts up while digits arrive */
        struct buffer body; /* the part that arrived, when a record spans several calls */
};

struct recordio_decoder *recordio_decoder_new(size_t max_record_bytes)
{
        struct recordio_decoder *d = NEW0(struct recordio_decoder);

        d->max_record_bytes = max_record_bytes;
        return d;
}

struct recordio_decoder *recordio_decoder_free(struct recordio_decoder *d)
{
        if (d) {
                buffer_done(&d->body);
                free(d);
        }
        return NULL;
}

bool recordio_decoder_partial(const struct recordio_decoder *d)
{
        return d->in_body || d->digits > 0;
}

static int take_length_byte(struct recordio_decoder *d, char c)
{
        if (c == '\n' && d->digits > 0) {
                d->in_body = true;
                return 0;
        }
        if (c < '0' || c > '9' || d->digits == LENGTH_DIGITS_MAX)
                return -EPROTO;
        d->digits++;
        /* The bound is checked at each digit, so the sum cannot overflow. */
        d->length = d->length * 10 + (uint64_t)(c - '0');
        return d->length > d->max_record_bytes ? -EMSGSIZE : 0;
}

/* Consumes body bytes; *ret_record is the whole record once it is there, and points into data where it can.
 */
static size_t take_body(struct recordio_decoder *d, const char *data, size_t len, const char **ret_record)
{
        size_t missing = (size_t)d->length - d->body.len;
        size_t n = MIN(missing, len);

        *ret_record = NULL;
        if (d->body.len == 0 && n == missing) {
                *ret_record = data;
                return n;
        }
        buffer_append(&d->body, data, n);
        if (n == missing)
                *ret_record = d->body.data;
        return n;
}

static void next_record(struct recordio_decoder *d)
{
        d->in_body = false;
        d->digits = 0;
        d->length = 0;
        d->body.len = 0;
        /* One large record must not hold its memory for the life of a stream of small ones. */
        if (d->body.allocated > 64 * 1024)
                buffer_done(&d->body);
}

int recordio_decode(struct recordio_decoder *d, const void *data, size_t len,
        bool (*on_record)(const void *data, size_t len, void *userdata), void *userdata)
{
        const char *p = data, *end = p + len;

        while (d->error == 0 && (p < end || (d->in_body && d->length == 0))) {
                const char *record;
                size_t length = (size_t)d->length;

                if (!d->in_body) {
                        d->error = take_length_byte(d, *p++);
                        continue;
                }
                p += take_body(d, p, (size_t)(end - p), &record);
                if (!record)
                        continue;
                if (!on_record(record, length, userdata))
                        d->error = -ECANCELED;
                next_record(d);
        }
        return d->error;
}
