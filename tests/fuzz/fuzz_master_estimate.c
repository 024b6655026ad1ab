/* What a store may hold of earlier runs: what is accepted is written as it was read, tells sane times, and can be learned from. */
#include <stdlib.h>
#include <string.h>

#include "master/queue/estimates.h"

#define NOW ((struct wall_time){UINT64_C(1700000000) * NSEC_PER_SEC})

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct estimates *s)
{
        struct estimate x;

        if (!estimates_get(s, "u", "n", NOW, &x))
                return;
        if (!(x.samples >= 0))
                abort();
        for (uint64_t ran = 1; ran < UINT64_C(1) << 62; ran *= 1000)
                (void)estimates_residual(s, "u", "n", ran, NOW);
}

/* Written and read once, it does not change any more. */
static void write_and_read(struct estimates *s)
{
        _cleanup_buffer_ struct buffer first = {}, second = {}, third = {};

        estimates_encode(s, "u", "n", &first);
        if (estimates_decode(s, "u", "n", first.data, first.len, NULL) < 0)
                abort();
        estimates_encode(s, "u", "n", &second);
        if (estimates_decode(s, "u", "n", second.data, second.len, NULL) < 0)
                abort();
        estimates_encode(s, "u", "n", &third);
        if (second.len != first.len || third.len != second.len)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct estimates *s = estimates_new();
        _cleanup_error_ struct error e = {};
        int r = estimates_decode(s, "u", "n", data, size, &e);

        if ((r < 0) != (e.message != NULL) || (r < 0 && estimates_count(s) > 0))
                abort();
        if (r >= 0) {
                look(s);
                write_and_read(s);
                look(s);
                estimates_add(s, "u", "n", 10 * NSEC_PER_SEC, NSEC_PER_SEC, NOW);
                look(s);
                write_and_read(s);
        }
        estimates_free(s);
        return 0;
}
