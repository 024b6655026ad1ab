/*
 * RE2 syntax over PCRE2. PCRE2 takes more than RE2: what only a backtracking matcher can do (back references, look-around, atomic and
 * possessive groups, recursion) is refused before it is compiled. The rest runs in PCRE2's DFA matcher, which follows all alternatives
 * at once: its work per character is bounded by the states that fit its workspace, whatever the pattern.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "lib/base/regex.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#define COMPILED_MAX 4096          /* bytes: as much memory as RE2 gets for such a pattern */
#define WORKSPACE_INTS 1000        /* for about 160 states at a time: RE2's program may have 100 steps */
#define TEXT_MAX ((size_t)1 << 16) /* longer texts match nothing */

struct regex {
        pcre2_code *code;
        pcre2_match_data *match;
        unsigned references;
};

/* ---- what RE2 does not know ---- */

/* Behind a backslash. */
static const char *check_escape(char c)
{
        if (c >= '1' && c <= '9')
                return "back references are not supported";
        if (((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) && !strchr("aAbBdDEfnpPQrsStvwWxz", c))
                return "an escape that is not known";
        return NULL;
}

/* Behind "(": p points there. */
static const char *check_group(const char *p)
{
        size_t flags;

        if (*p == '*')
                return "verbs are not supported";
        if (*p != '?' || str_has_prefix(p, "?P<"))
                return NULL;
        flags = strspn(p + 1, "imsU-");
        return p[1 + flags] == ':' || (flags > 0 && p[1 + flags] == ')')
                       ? NULL
                       : "only plain groups, (?:...), (?P<name>...) and the flags i, m, s, U are supported";
}

/* Behind "[": steps to the "]" that ends the class, or to the end of the text. */
static const char *check_class(const char **p)
{
        const char *s = *p;

        s += *s == '^';
        s += *s == ']'; /* the first one is a member */
        while (*s && *s != ']') {
                if (s[0] == '[' && s[1] == ':' && strstr(s, ":]")) {
                        s = strstr(s, ":]") + 2;
                        continue;
                }
                if (*s == '\\') {
                        const char *why = check_escape(s[1]);

                        if (why)
                                return why;
                        s += s[1] != 0;
                }
                s++;
        }
        *p = s;
        return NULL;
}

static const char *check_syntax(const char *p)
{
        const char *why = NULL, *end;

        for (; *p && !why; p++) {
                if (p[0] == '\\' && p[1] == 'Q') { /* literally, up to \E */
                        end = strstr(p, "\\E");
                        p = end ? end + 1 : p + strlen(p) - 1;
                } else if (*p == '\\') {
                        why = check_escape(p[1]);
                        p += p[1] != 0;
                } else if (*p == '(') {
                        why = check_group(p + 1);
                } else if (*p == '[') {
                        p++;
                        why = check_class(&p);
                        p -= *p == 0;
                } else if (strchr("*+?}", *p) && p[1] == '+') {
                        why = "possessive repetition is not supported";
                }
        }
        return why;
}

/* ---- compiling ---- */

static int compile(const char *pattern, const char *field, struct regex *r, struct error *e)
{
        const uint32_t options =
                PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY | PCRE2_NO_AUTO_CAPTURE;
        PCRE2_UCHAR text[256];
        PCRE2_SIZE at;
        size_t size = 0;
        int code;

        r->code = pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern), options, &code, &at, NULL);
        if (!r->code) {
                (void)pcre2_get_error_message(code, text, sizeof(text));
                return error_set(
                        e, -EINVAL, "%s: not a regular expression: %s at %zu", field, (char *)text, at);
        }
        if (pcre2_pattern_info(r->code, PCRE2_INFO_SIZE, &size) != 0 || size > COMPILED_MAX)
                return error_set(e, -E2BIG,
                        "%s: the regular expression needs %zu bytes, at most %d are accepted", field, size,
                        COMPILED_MAX);
        r->match = pcre2_match_data_create(1, NULL);
        return r->match ? 0 : error_set(e, -ENOMEM, "%s: out of memory", field);
}

int regex_new(const char *pattern, const char *field, struct regex **ret, struct error *e)
{
        const char *why = check_syntax(pattern);
        struct regex *r;
        int k;

        if (why)
                return error_set(e, -EINVAL, "%s: %s: the syntax of RE2 is expected", field, why);
        if (strlen(pattern) > COMPILED_MAX)
                return error_set(e, -E2BIG, "%s: %zu bytes are too long, at most %d are accepted", field,
                        strlen(pattern), COMPILED_MAX);
        r = NEW0(struct regex);
        r->references = 1;
        k = compile(pattern, field, r, e);
        if (k < 0) {
                regex_free(r);
                return k;
        }
        *ret = r;
        return 0;
}

struct regex *regex_ref(struct regex *r)
{
        if (r)
                r->references++;
        return r;
}

struct regex *regex_free(struct regex *r)
{
        if (!r || --r->references > 0)
                return NULL;
        pcre2_match_data_free(r->match);
        pcre2_code_free(r->code);
        free(r);
        return NULL;
}

bool regex_matches(struct regex *r, const char *text)
{
        size_t len = strlen(text);
        int workspace[WORKSPACE_INTS];

        /* Whatever goes wrong (too many states) is no match; a result of 0 says that only the length did not fit. */
        return len <= TEXT_MAX &&
               pcre2_dfa_match(r->code, (PCRE2_SPTR)text, len, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED,
                       r->match, NULL, workspace, ELEMENTSOF(workspace)) >= 0;
}
