#include "agent/checkpoint_record.h"

#include <string.h>

#include "agent/checkpoint.h"

#define RECORD_MAGIC UINT32_C(0x4b43454d) /* "MECK" */

/* FNV-1a, 32 bits (Fowler, Noll, Vo): every single changed byte changes the sum. It finds accidents, not forgers. */
static uint32_t fnv1a(uint32_t sum, const void *data, size_t len)
{
        const uint8_t *p = data;

        for (size_t i = 0; i < len; i++)
                sum = (sum ^ p[i]) * UINT32_C(16777619);
        return sum;
}

static uint32_t record_checksum(const struct record_header *h, const void *message)
{
        uint32_t sum = fnv1a(UINT32_C(2166136261), &h->type, sizeof(h->type));

        sum = fnv1a(sum, &h->length, sizeof(h->length));
        return fnv1a(sum, message, h->length);
}

int record_append(enum record_type type, const ProtobufCMessage *m, struct buffer *b)
{
        size_t n = protobuf_c_message_get_packed_size(m);

        if (n > CHECKPOINT_SIZE_MAX)
                return -EFBIG;
        _cleanup_free_ uint8_t *message = xmalloc(n + 1);
        (void)protobuf_c_message_pack(m, message);
        struct record_header h = {.magic = RECORD_MAGIC, .type = type, .length = (uint32_t)n};
        h.checksum = record_checksum(&h, message);
        buffer_append(b, &h, sizeof(h));
        buffer_append(b, message, n);
        return 0;
}

ssize_t record_at(const char *data, size_t len, struct record_header *ret)
{
        struct record_header h;

        if (len < sizeof(h))
                return -ENOENT;
        memcpy(&h, data, sizeof(h));
        if (h.magic != RECORD_MAGIC || h.length > CHECKPOINT_SIZE_MAX)
                return -EBADMSG;
        if (h.length > len - sizeof(h))
                return -ENOENT;
        if (h.checksum != record_checksum(&h, data + sizeof(h)))
                return -EBADMSG;
        *ret = h;
        return (ssize_t)(sizeof(h) + h.length);
}
