/*
 * A constraint, up to the first newline, and values of the attribute that it names, a line each. What is accepted is written as it is
 * read, is answered the same by a copy, and the opposite of "equal" is "not equal".
 */
#include <stdlib.h>
#include <string.h>

#include "master/queue/machines.h"

#define INPUT_MAX 8192
#define VALUES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool holds_for(const struct constraint *c, const char *value)
{
        struct machine_attribute attribute = {c->attribute, (char *)value};
        struct machine machine = {
                .id = "S0", .hostname = value, .attributes = &attribute, .attribute_count = 1};
        struct constraint copy, opposite;
        bool holds = constraint_holds(c, &machine);

        constraint_copy(c, &copy);
        if (constraint_holds(&copy, &machine) != holds)
                abort();
        constraint_done(&copy);
        opposite = *c;
        opposite.operator= c->operator== CONSTRAINT_EQUAL ? CONSTRAINT_NOT_EQUAL : CONSTRAINT_EQUAL;
        if ((c->operator== CONSTRAINT_EQUAL || c->operator== CONSTRAINT_NOT_EQUAL) &&
                constraint_holds(&opposite, &machine) == holds)
                abort();
        return holds;
}

static void read_again(const struct constraint *c)
{
        _cleanup_free_ char *text = constraint_to_string(c), *again = NULL;
        struct constraint other;

        if (constraint_parse(text, &other, NULL) < 0 || other.operator!= c->operator)
                abort();
        again = constraint_to_string(&other);
        if (!str_equal(text, again))
                abort();
        constraint_done(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_error_ struct error e = {};
        struct constraint c = {};
        char *rest;
        int r;

        if (size > INPUT_MAX)
                return 0;
        text = xstrndup((const char *)data, size);
        rest = text;
        r = constraint_parse(strsep(&rest, "\n"), &c, &e);
        if ((r < 0) != (e.message != NULL))
                abort();
        if (r < 0)
                return 0;
        if (!constraint_attribute_legal(c.attribute))
                abort();
        read_again(&c);
        for (int i = 0; i < VALUES_MAX && rest; i++)
                (void)holds_for(&c, strsep(&rest, "\n"));
        constraint_done(&c);
        return 0;
}
