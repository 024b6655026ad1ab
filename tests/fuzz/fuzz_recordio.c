/*
 * Any bytes, in any split: no crash, records within the bound, and the same records as when fed in one piece.
 * The first byte of the input chooses the size of the pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/net/recordio.h"

#define RECORD_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct trace {
        struct buffer records;
        unsigned count;
};

static bool on_record(const void *data, size_t len, void *userdata)
{
        struct trace *t = userdata;

        if (len > RECORD_MAX)
                abort();
        buffer_printf(&t->records, "%zu:", len);
        buffer_append(&t->records, data, len);
        t->count++;
        return true;
}

static int decode(const uint8_t *data, size_t size, size_t piece, struct trace *t)
{
        struct recordio_decoder *d = recordio_decoder_new(RECORD_MAX);
        int r = 0;

        for (size_t at = 0; at < size && r == 0; at += piece)
                r = recordio_decode(d, data + at, MIN(piece, size - at), on_record, t);
        if (r != 0 && r != -EPROTO && r != -EMSGSIZE)
                abort();
        (void)recordio_decoder_free(d);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct trace whole = {}, pieces = {};

        if (size < 1)
                return 0;
        if (decode(data + 1, size - 1, size, &whole) !=
                decode(data + 1, size - 1, (size_t)data[0] % 17 + 1, &pieces))
                abort();
        if (whole.count != pieces.count || whole.records.len != pieces.records.len ||
                (whole.records.len > 0 &&
                        memcmp(whole.records.data, pieces.records.data, whole.records.len) != 0))
                abort();
        buffer_done(&whole.records);
        buffer_done(&pieces.records);
        return 0;
}
