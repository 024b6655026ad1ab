/*
 * Enums and their names from one table: `static const char *const x_names[X_MAX] = {[X_A] = "a", ...};`
 * then DEFINE_STRING_TABLE(x, enum x). to_string gives NULL for a value outside, from_string gives -EINVAL.
 */
#pragma once

#include "lib/base/util.h"

const char *table_to_string(const char *const *names, size_t count, int value);
int table_from_string(const char *const *names, size_t count, const char *s);

#define DEFINE_STRING_TABLE(prefix, type)                                                                    \
        const char *prefix##_to_string(type value)                                                           \
        {                                                                                                    \
                return table_to_string(prefix##_names, ELEMENTSOF(prefix##_names), (int)value);              \
        }                                                                                                    \
        type prefix##_from_string(const char *s)                                                             \
        {                                                                                                    \
                return (type)table_from_string(prefix##_names, ELEMENTSOF(prefix##_names), s);               \
        }
