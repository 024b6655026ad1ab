#include "lib/base/role.h"

#include <string.h>

#include "lib/base/utf8.h"

/* What is wrong with one component, or NULL. */
static const char *component_problem(const char *s, size_t len)
{
        if (len == 0)
                return "has an empty component";
        if ((len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
                return "has '.' or '..' as a component";
        if (len == 1 && s[0] == '*')
                return "has '*' as a component";
        if (s[0] == '-')
                return "has a component that begins with '-'";
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f)
                        return "has white space or a control character";
        return NULL;
}

static const char *role_problem(const char *role)
{
        const char *problem = NULL, *p = role;

        if (str_equal(role, "*"))
                return NULL;
        if (strlen(role) > ROLE_LENGTH_MAX)
                return "is too long";
        while (!problem) {
                size_t len = strcspn(p, "/");

                problem = component_problem(p, len);
                if (!p[len])
                        break;
                p += len + 1;
        }
        return problem;
}

int role_validate(const char *role, const char *field, struct error *e)
{
        const char *problem = role_problem(role);
        _cleanup_free_ char *shown = NULL;

        if (!problem)
                return 0;
        shown = text_for_message(role, TEXT_FOR_MESSAGE_BYTES);
        return error_set(e, -EINVAL,
                "%s: the role '%s' %s: expected '*', or names of at most %d bytes separated by single '/'",
                field, shown, problem, ROLE_LENGTH_MAX);
}

bool role_is_within(const char *role, const char *above)
{
        size_t len = strlen(above);

        return strncmp(role, above, len) == 0 && (role[len] == '\0' || role[len] == '/');
}
