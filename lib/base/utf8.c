#include "lib/base/utf8.h"

#include <string.h>

int utf8_decode(const char *s, size_t len, uint32_t *ret_character)
{
        static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
        const unsigned char *p = (const unsigned char *)s;
        uint32_t c;
        size_t n;

        assert(len > 0);
        if (p[0] < 0x80) {
                *ret_character = p[0];
                return 1;
        }
        n = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
        if (n == 0 || n > len)
                return -EINVAL;
        c = p[0] & (0x7fU >> n);
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return -EINVAL;
                c = c << 6 | (p[i] & 0x3f);
        }
        if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return -EINVAL;
        *ret_character = c;
        return (int)n;
}

bool utf8_valid(const char *s, size_t len)
{
        uint32_t c;
        int n;

        for (; len > 0; s += n, len -= (size_t)n) {
                n = utf8_decode(s, len, &c);
                if (n < 0)
                        return false;
        }
        return true;
}

char *text_for_message(const char *s, size_t max_bytes)
{
        _cleanup_buffer_ struct buffer b = {};
        size_t len = strlen(s);

        while (len > 0) {
                uint32_t c = 0;
                int n = utf8_decode(s, len, &c);

                if (n < 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029) {
                        n = 1;
                        if (b.len + 4 > max_bytes)
                                break;
                        buffer_printf(&b, "\\x%02x", (unsigned char)*s);
                } else {
                        if (b.len + (size_t)n > max_bytes)
                                break;
                        buffer_append(&b, s, (size_t)n);
                }
                s += n;
                len -= (size_t)n;
        }
        if (len > 0)
                buffer_puts(&b, "...");
        return buffer_take(&b);
}
