#include <inttypes.h>

#include "lib/base/option.h"
#include "lib/base/time.h"

static char *join(const struct string_list *l)
{
        _cleanup_buffer_ struct buffer b = {};

        for (size_t i = 0; i < l->count; i++)
                buffer_printf(&b, "%s%s", i > 0 ? "," : "", l->items[i]);
        return buffer_take(&b);
}

char *option_value_text(const struct option_row *row, const void *target)
{
        const void *at = (const char *)target + row->offset;
        char duration[DURATION_TEXT_MAX];

        switch (row->type) {
        case OPTION_BOOL:
                return xstrdup(*(const bool *)at ? "true" : "false");
        case OPTION_STRING:
        case OPTION_STRING_OPTIONAL:
                return xstrdup(*(char *const *)at);
        case OPTION_STRINGS:
                return join(at);
        case OPTION_MILLI:
                return xasprintf("%" PRIu64 ".%03u", *(const uint64_t *)at / 1000,
                        (unsigned)(*(const uint64_t *)at % 1000));
        case OPTION_DURATION:
                return xstrdup(duration_format(*(const uint64_t *)at, duration));
        case OPTION_U64:
        case OPTION_SIZE:
                break;
        }
        return xasprintf("%" PRIu64, *(const uint64_t *)at);
}
