/*
 * The file of a container that an agent finds after a restart. What is accepted holds a container of the asked id, and its whole
 * records alone read back as the same. Byte 0 says whether the checksums of the rest are made right first.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
#include "lib/net/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_equal(const void *a, const void *b)
{
        _cleanup_buffer_ struct buffer x = {}, y = {};

        if (!a != !b)
                abort();
        if (!a)
                return;
        if (message_encode(CODEC_PROTOBUF, a, &x) < 0 || message_encode(CODEC_PROTOBUF, b, &y) < 0)
                abort();
        if (x.len != y.len || memcmp(x.data, y.data, x.len))
                abort();
}

/* As the writer makes them: without this no mutation gets past the checksum. */
static void repair_checksums(uint8_t *file, size_t size)
{
        uint32_t header[4];

        for (size_t at = 0; size - at >= sizeof(header);) {
                uint32_t sum = UINT32_C(2166136261);

                memcpy(header, file + at, sizeof(header));
                if (header[2] > size - at - sizeof(header))
                        return;
                for (size_t i = 4; i < sizeof(header) + header[2]; i++)
                        if (i < 12 || i >= sizeof(header))
                                sum = (sum ^ file[at + i]) * UINT32_C(16777619);
                memcpy(file + at + 12, &sum, sizeof(sum));
                at += sizeof(header) + header[2];
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!size--)
                return 0;
        /* Exactly as large as the input, so that one byte too far is seen. */
        _cleanup_free_ uint8_t *file = size ? xmemdup(data + 1, size) : xmalloc(1);
        _cleanup_error_ struct error e = {};
        _cleanup_checkpoint_ struct checkpoint c = {}, again = {};
        size_t whole = 0, whole_again = 0;

        if (data[0] & 1)
                repair_checksums(file, size);
        int r = checkpoint_parse("c1", file, size, &c, &whole, &e);
        if (r < 0) {
                if ((r != -ENOENT && r != -EBADMSG) || !e.message || c.container || c.updates)
                        abort();
                return 0;
        }
        if (whole > size || !str_equal(c.container->container_id, "c1") || !c.container->framework->id)
                abort();
        if (checkpoint_parse("c1", file, whole, &again, &whole_again, NULL) < 0 || whole_again != whole ||
                again.killed != c.killed)
                abort();
        must_equal(c.container, again.container);
        must_equal(c.updates, again.updates);
        return 0;
}
