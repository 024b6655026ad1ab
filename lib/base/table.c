#include "lib/base/table.h"

const char *table_to_string(const char *const *names, size_t count, int value)
{
        return value >= 0 && (size_t)value < count ? names[value] : NULL;
}

int table_from_string(const char *const *names, size_t count, const char *s)
{
        for (size_t i = 0; s && i < count; i++)
                if (names[i] && str_equal(names[i], s))
                        return (int)i;
        return -EINVAL;
}
