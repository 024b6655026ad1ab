/* A plan as the shim maps it: whatever plan_check accepts can be walked to the end without leaving the buffer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "isolators/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* Exactly as large as the input and aligned, so that one byte too far is seen. */
        _cleanup_free_ char *plan = xmemdup(data, size ? size : 1);
        struct plan_view v;
        size_t cursor = 0, sum = 0;

        if (plan_check(plan, size) < 0)
                return 0;
        while (plan_next(plan, &cursor, &v)) {
                if ((const char *)v.data + v.length > plan + size || !plan_step_to_string(v.step))
                        abort();
                for (uint32_t i = 0; i < v.string_count && i < 64; i++)
                        sum += strlen(plan_string(&v, i));
        }
        if (cursor != size || sum > size)
                abort();
        return 0;
}
