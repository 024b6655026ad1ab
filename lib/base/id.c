#include "lib/base/id.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/utf8.h"
#include "lib/base/util.h"

void uuid_generate_bytes(uint8_t ret[static UUID_BYTES])
{
        size_t done = 0;

        while (done < UUID_BYTES) {
                ssize_t n = getrandom(ret + done, UUID_BYTES - done, 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        abort();
                done += (size_t)n;
        }
        ret[6] = (uint8_t)((ret[6] & 0x0f) | 0x40); /* version 4 */
        ret[8] = (uint8_t)((ret[8] & 0x3f) | 0x80); /* the variant of RFC 4122 */
}

static bool uuid_dash_at(size_t i)
{
        return i == 8 || i == 13 || i == 18 || i == 23;
}

const char *uuid_format(const uint8_t uuid[static UUID_BYTES], char buf[static UUID_TEXT_MAX])
{
        static const char digits[] = "0123456789abcdef";
        size_t at = 0;

        for (size_t i = 0; i < UUID_BYTES; i++) {
                if (uuid_dash_at(at))
                        buf[at++] = '-';
                buf[at++] = digits[uuid[i] >> 4];
                buf[at++] = digits[uuid[i] & 15];
        }
        buf[at] = '\0';
        return buf;
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -EINVAL;
}

int uuid_parse(const char *s, uint8_t ret[static UUID_BYTES])
{
        uint8_t bytes[UUID_BYTES];
        size_t at = 0;

        if (!s || strlen(s) != UUID_TEXT_MAX - 1)
                return -EINVAL;
        for (size_t i = 0; i < UUID_BYTES; i++) {
                int high, low;

                if (uuid_dash_at(at) && s[at++] != '-')
                        return -EINVAL;
                high = hex_value(s[at++]);
                low = hex_value(s[at++]);
                if (high < 0 || low < 0)
                        return -EINVAL;
                bytes[i] = (uint8_t)(high << 4 | low);
        }
        memcpy(ret, bytes, UUID_BYTES);
        return 0;
}

static bool is_white_space(uint32_t c)
{
        return c == ' ' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
               c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* What is wrong with the id, or NULL. */
static const char *id_problem(const char *id, size_t len)
{
        if (len > ID_LENGTH_MAX)
                return "is too long";
        if (str_equal(id, ".") || str_equal(id, ".."))
                return "is a directory's name for itself or its parent";
        if (id[0] == '-')
                return "begins with '-'";
        while (len > 0) {
                uint32_t c = 0;
                int n = utf8_decode(id, len, &c);

                if (n < 0)
                        return "is not valid UTF-8";
                if (c == '/')
                        return "contains '/'";
                if (c < 0x20 || (c >= 0x7f && c < 0xa0))
                        return "contains a control character";
                if (is_white_space(c))
                        return "contains white space";
                id += n;
                len -= (size_t)n;
        }
        return NULL;
}

int id_validate(const char *id, const char *field, struct error *e)
{
        _cleanup_free_ char *shown = NULL;
        const char *problem;

        if (str_empty(id))
                return error_set(e, -EINVAL, "%s is empty: expected 1 to %d bytes", field, ID_LENGTH_MAX);
        problem = id_problem(id, strlen(id));
        if (!problem)
                return 0;
        shown = text_for_message(id, TEXT_FOR_MESSAGE_BYTES);
        return error_set(e, -EINVAL,
                "%s '%s' %s: expected 1 to %d bytes of UTF-8 without '/', white space and control "
                "characters, "
                "without a leading '-', and neither '.' nor '..'",
                field, shown, problem, ID_LENGTH_MAX);
}

char *id_directory_name(const char *text)
{
        _cleanup_buffer_ struct buffer b = {0};

        buffer_puts(&b, "");
        for (const char *p = text; *p; p++) {
                unsigned char c = (unsigned char)*p;

                if (isalnum(c) || c == '_' || c == '-' || (c == '.' && p > text))
                        buffer_append(&b, p, 1);
                else
                        buffer_printf(&b, "%%%02X", c);
        }
        return buffer_take(&b);
}
