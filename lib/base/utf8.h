/* Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. Pure functions. */
#pragma once

#include "lib/base/util.h"

/* Decodes one character at s, of which len > 0 bytes may be read: the number of bytes used, or -EINVAL. */
int utf8_decode(const char *s, size_t len, uint32_t *ret_character) WARN_UNUSED;
bool utf8_valid(const char *s, size_t len);
/*
 * Text from outside made fit for a message: control characters and whatever is no UTF-8 become \xNN, and what
 * is longer than max_bytes is cut and ends in "...". The caller frees.
 */
char *text_for_message(const char *s, size_t max_bytes);
#define TEXT_FOR_MESSAGE_BYTES 80
