#include "lib/net/codec_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void codec_reserve(struct buffer *out, size_t n)
{
        if (out->allocated > out->len && out->allocated - out->len > n)
                return;
        size_t want = MAX(out->len + n + 1, out->allocated * 2);
        out->data = xrealloc(out->data, want);
        out->allocated = want;
}

/* Numbers with up to three decimals are what resources are made of: integer arithmetic instead of printf. */
static size_t format_milli(double d, char *buf)
{
        double scaled = d * 1000.0;
        if (!(fabs(scaled) < 1e15))
                return 0;
        double rounded = rint(scaled);
        if (rounded / 1000.0 != d)
                return 0;
        uint64_t milli = (uint64_t)fabs(rounded);
        uint64_t whole = milli / 1000;
        unsigned rest = (unsigned)(milli % 1000);
        char digits[24];
        size_t n = 0, len = 0;
        do
                digits[n++] = (char)('0' + whole % 10);
        while (whole /= 10);
        if (signbit(d))
                buf[len++] = '-';
        while (n)
                buf[len++] = digits[--n];
        buf[len++] = '.';
        buf[len++] = (char)('0' + rest / 100);
        if (rest % 100)
                buf[len++] = (char)('0' + rest / 10 % 10);
        if (rest % 10)
                buf[len++] = (char)('0' + rest % 10);
        buf[len] = 0;
        return len;
}

/* digits * 10^(exponent - count + 1), written plainly where that is readable. */
static size_t format_digits(bool negative, const char *digits, int count, int exponent, char *buf)
{
        char *p = buf;
        if (negative)
                *p++ = '-';
        if (exponent >= 0 && exponent < 21) {
                for (int i = 0; i <= exponent; i++)
                        *p++ = i < count ? digits[i] : '0';
                *p++ = '.';
                if (count <= exponent + 1)
                        *p++ = '0';
                for (int i = exponent + 1; i < count; i++)
                        *p++ = digits[i];
        } else if (exponent < 0 && exponent >= -6) {
                *p++ = '0';
                *p++ = '.';
                for (int i = -1; i > exponent; i--)
                        *p++ = '0';
                for (int i = 0; i < count; i++)
                        *p++ = digits[i];
        } else {
                *p++ = digits[0];
                if (count > 1)
                        *p++ = '.';
                for (int i = 1; i < count; i++)
                        *p++ = digits[i];
                p += sprintf(p, "e%d", exponent);
        }
        *p = 0;
        return (size_t)(p - buf);
}

size_t double_format(double d, char buf[static DOUBLE_TEXT_MAX])
{
        size_t len = format_milli(d, buf);
        if (len)
                return len;
        char text[40];
        /* 15 digits name every normal number that so few can name; the smallest ones hold less. */
        for (int precision = fabs(d) < 1e-290 ? 1 : 15; precision <= 17; precision++) {
                (void)snprintf(text, sizeof(text), "%.*e", precision - 1, d);
                if (strtod(text, NULL) == d)
                        break;
        }
        /* "-d.ddde-xx" */
        char digits[20];
        int count = 0;
        const char *p = text + (text[0] == '-');
        for (; *p != 'e'; p++)
                if (*p != '.')
                        digits[count++] = *p;
        while (count > 1 && digits[count - 1] == '0')
                count--;
        return format_digits(text[0] == '-', digits, count, atoi(p + 1), buf);
}

static const char *skip_digits(const char *p, const char *end)
{
        while (p < end && *p >= '0' && *p <= '9')
                p++;
        return p;
}

bool number_text_valid(const char *s, size_t n)
{
        const char *p = s, *end = s + n, *q;
        if (p < end && *p == '-')
                p++;
        q = skip_digits(p, end);
        if (q == p)
                return false;
        p = q;
        if (p < end && *p == '.') {
                q = skip_digits(++p, end);
                if (q == p)
                        return false;
                p = q;
        }
        if (p < end && (*p == 'e' || *p == 'E')) {
                p++;
                if (p < end && (*p == '+' || *p == '-'))
                        p++;
                q = skip_digits(p, end);
                if (q == p)
                        return false;
                p = q;
        }
        return p == end;
}

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_append(struct buffer *out, const uint8_t *data, size_t len)
{
        codec_reserve(out, (len + 2) / 3 * 4);
        char *p = out->data + out->len;
        for (size_t i = 0; i < len; i += 3) {
                uint32_t bits = (uint32_t)data[i] << 16;
                if (i + 1 < len)
                        bits |= (uint32_t)data[i + 1] << 8;
                if (i + 2 < len)
                        bits |= data[i + 2];
                *p++ = base64_alphabet[bits >> 18];
                *p++ = base64_alphabet[bits >> 12 & 63];
                *p++ = i + 1 < len ? base64_alphabet[bits >> 6 & 63] : '=';
                *p++ = i + 2 < len ? base64_alphabet[bits & 63] : '=';
        }
        *p = 0;
        out->len = (size_t)(p - out->data);
}

static int base64_digit(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(const char *s, size_t n, uint8_t **ret, size_t *ret_len)
{
        if (n % 4)
                return -EINVAL;
        size_t padding = 0;
        while (padding < 2 && padding < n && s[n - 1 - padding] == '=')
                padding++;
        size_t len = n / 4 * 3 - padding;
        if (!len) {
                *ret = NULL;
                *ret_len = 0;
                return 0;
        }
        _cleanup_free_ uint8_t *bytes = malloc(len);
        if (!bytes)
                return -ENOMEM;
        size_t at = 0;
        uint32_t bits = 0;
        for (size_t i = 0; i < n; i++) {
                int digit = i >= n - padding ? 0 : base64_digit(s[i]);
                if (digit < 0)
                        return -EINVAL;
                bits = bits << 6 | (uint32_t)digit;
                if (i % 4 != 3)
                        continue;
                /* Bits below the padding must be zero, so that every byte string has one text. */
                if (i == n - 1 && padding && (bits & (padding == 1 ? 0xff : 0xffff)))
                        return -EINVAL;
                for (int shift = 16; shift >= 0 && at < len; shift -= 8)
                        bytes[at++] = (uint8_t)(bits >> shift);
                bits = 0;
        }
        *ret = TAKE_PTR(bytes);
        *ret_len = len;
        return 0;
}
