#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/option.h"

struct options {
        bool detach, quiet;
        char *name, *spread;
        struct string_list env;
        uint64_t count, mem, cpus, wait;
};

static const struct option_row rows[] = {
        {"detach", 'd', OPTION_BOOL, offsetof(struct options, detach), NULL, "do not wait", 0, "Running"},
        {"quiet", 'q', OPTION_BOOL, offsetof(struct options, quiet), NULL, "say less", 0, NULL},
        {"name", 'n', OPTION_STRING, offsetof(struct options, name), "NAME", "name of the job", 0, NULL},
        {"spread", 's', OPTION_STRING_OPTIONAL, offsetof(struct options, spread), "[=WHAT]", "apart", 0,
                NULL},
        {"env", 'e', OPTION_STRINGS, offsetof(struct options, env), "NAME=VALUE", "set a variable", 0, NULL},
        {"count", 0, OPTION_U64, offsetof(struct options, count), "N", "how many", 1000, "Resources"},
        {"mem", 0, OPTION_SIZE, offsetof(struct options, mem), "SIZE", "memory", 0, NULL},
        {"cpus", 'c', OPTION_MILLI, offsetof(struct options, cpus), "N", "cores", 512000, NULL},
        {"wait", 0, OPTION_DURATION, offsetof(struct options, wait), "TIME", "how long", 0, NULL},
};

static const struct option_parser mixed = {
        .program = "mete test",
        .synopsis = "[options] WORD...",
        .summary = "Test.",
        .rows = rows,
        .count = ELEMENTSOF(rows),
};
static const struct option_parser stopping = {
        .program = "mete run",
        .synopsis = "[options] [--] COMMAND [ARG...]",
        .rows = rows,
        .count = ELEMENTSOF(rows),
        .stop_at_positional = true,
};

#define ARGV(...)                                                                                            \
        {                                                                                                    \
                (char *)(uintptr_t) "prog", __VA_ARGS__, NULL                                                \
        }
#define W(s) (char *)(uintptr_t)(s)

static void test_all_forms(void **state)
{
        char *argv[] = ARGV(W("--name=a"), W("-n"), W("b"), W("--env"), W("X=1"), W("-eY=2"), W("--count"),
                W("1000"), W("--mem=1.5G"), W("-c0.5"), W("--wait"), W("200ms"), W("-dq"), W("--no-quiet"));
        struct options o = {};
        _cleanup_error_ struct error e = {};
        int first = -1, argc = ELEMENTSOF(argv) - 1;

        (void)state;
        assert_int_equal(options_parse(&mixed, argc, argv, &o, &first, &e), 0);
        assert_int_equal(first, argc);
        assert_true(o.detach);
        assert_false(o.quiet);
        assert_string_equal(o.name, "b");
        assert_int_equal(o.env.count, 2);
        assert_string_equal(o.env.items[0], "X=1");
        assert_string_equal(o.env.items[1], "Y=2");
        assert_null(o.env.items[2]);
        assert_int_equal(o.count, 1000);
        assert_int_equal(o.mem, UINT64_C(1610612736));
        assert_int_equal(o.cpus, 500);
        assert_int_equal(o.wait, UINT64_C(200000000));
        options_done(&mixed, &o);
        assert_null(o.name);
        assert_int_equal(o.env.count, 0);
}

/* The word behind it is not its value. */
static void test_optional_value(void **state)
{
        static const struct {
                const char *word, *value;
        } cases[] = {{"--spread", ""}, {"--spread=", ""}, {"--spread=rack", "rack"}, {"-s", ""}, {"-ds", ""}};

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *argv[] = ARGV(W(cases[i].word), W("word"));
                struct options o = {};
                _cleanup_free_ char *shown = NULL;
                int first = -1;

                assert_int_equal(options_parse(&mixed, 3, argv, &o, &first, NULL), 0);
                assert_int_equal(first, 2);
                assert_string_equal(argv[2], "word");
                assert_string_equal(o.spread, cases[i].value);
                shown = option_value_text(&rows[3], &o);
                assert_string_equal(shown, cases[i].value);
                options_done(&mixed, &o);
                assert_null(o.spread);
        }
}

static void test_mixed_words(void **state)
{
        char *argv[] = ARGV(
                W("one"), W("-d"), W("-"), W("--name"), W("x"), W("two"), W("--"), W("--quiet"), W("-z"));
        struct options o = {};
        int first = -1, argc = ELEMENTSOF(argv) - 1;

        (void)state;
        assert_int_equal(options_parse(&mixed, argc, argv, &o, &first, NULL), 0);
        assert_int_equal(argc - first, 5);
        assert_string_equal(argv[first], "one");
        assert_string_equal(argv[first + 1], "-");
        assert_string_equal(argv[first + 2], "two");
        assert_string_equal(argv[first + 3], "--quiet");
        assert_string_equal(argv[first + 4], "-z");
        assert_true(o.detach);
        assert_false(o.quiet);
        options_done(&mixed, &o);
}

static void test_stop_at_word(void **state)
{
        char *a[] = ARGV(W("-d"), W("sh"), W("-c"), W("true"), W("--name"));
        char *b[] = ARGV(W("-d"), W("--"), W("--name"));
        char *c[] = ARGV(W("-d"));
        struct options o = {};
        int first = -1;

        (void)state;
        assert_int_equal(options_parse(&stopping, 6, a, &o, &first, NULL), 0);
        assert_int_equal(first, 2);
        assert_string_equal(a[2], "sh");
        assert_string_equal(a[5], "--name");
        assert_int_equal(options_parse(&stopping, 4, b, &o, &first, NULL), 0);
        assert_int_equal(first, 3);
        assert_string_equal(b[3], "--name");
        assert_int_equal(options_parse(&stopping, 2, c, &o, &first, NULL), 0);
        assert_int_equal(first, 2);
        assert_null(o.name);
}

static void test_refusals(void **state)
{
        static const struct {
                const char *words[3];
                const char *sentence; /* parts of it, in order, divided by '~' */
        } cases[] = {
                {{"--cpus", "-1"}, "--cpus '-1'~0.5"},
                {{"--cpus=1e3"}, "--cpus '1e3'"},
                {{"--cpus", "0.0001"}, "three decimals"},
                {{"-c", "513"}, "-c '513' is too large~512.000"},
                {{"--count", "1001"}, "--count '1001' is too large~1000"},
                {{"--count", "99999999999999999999"}, "too large"},
                {{"--count", ""}, "--count ''"},
                {{"--mem", "64X"}, "--mem '64X'~64M"},
                {{"--mem", "99999999E"}, "too large"},
                {{"--wait", "5 s"}, "500ms"},
                {{"--name"}, "--name needs a value~NAME"},
                {{"-n"}, "-n needs a value"},
                {{"--detach=yes"}, "--detach takes no value"},
                {{"--no-name"}, "unknown option '--no-name'"},
                {{"--nam"}, "unknown option '--nam'~did you mean --name"},
                {{"--cpu=1"}, "'--cpu'~did you mean --cpus"},
                {{"-dx"}, "unknown option '-dx'"},
                {{"--a\nb"}, "'--a\\x0ab'"},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *argv[] = {W("prog"), W(cases[i].words[0]), W(cases[i].words[1]), NULL};
                _cleanup_free_ char *parts = xstrdup(cases[i].sentence);
                char *rest = parts, *part;
                const char *at;
                struct options o = {};
                _cleanup_error_ struct error e = {};
                int first = -7;

                assert_int_equal(
                        options_parse(&mixed, cases[i].words[1] ? 3 : 2, argv, &o, &first, &e), -EINVAL);
                at = e.message;
                while ((part = strsep(&rest, "~"))) {
                        at = strstr(at, part);
                        if (!at)
                                fail_msg("'%s' is not in '%s'", part, e.message);
                }
                assert_int_equal(first, -7);
                options_done(&mixed, &o);
        }
}

static void test_help(void **state)
{
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        (void)state;
        options_print_help(&mixed, f);
        (void)fclose(f);
        assert_true(str_has_prefix(text, "Usage: mete test [options] WORD...\n\nTest.\n"));
        assert_non_null(strstr(text, "\nRunning:\n  -d, --detach              do not wait\n"));
        assert_non_null(strstr(text, "\n  -n, --name NAME           name of the job\n"));
        assert_non_null(strstr(text, "\n  -s, --spread[=WHAT]       apart\n"));
        assert_non_null(strstr(text, "\nResources:\n      --count N             how many\n"));
        assert_non_null(strstr(text, "\n  -h, --help                print this help\n"));
}

static void test_no_words(void **state)
{
        char *argv[] = {W("prog"), NULL}, *none[] = {NULL};
        struct options o = {};
        int first = -1;

        (void)state;
        assert_int_equal(options_parse(&mixed, 1, argv, &o, &first, NULL), 0);
        assert_int_equal(first, 1);
        assert_int_equal(options_parse(&mixed, 0, none, &o, &first, NULL), 0);
        assert_int_equal(first, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_forms),
                cmocka_unit_test(test_optional_value),
                cmocka_unit_test(test_mixed_words),
                cmocka_unit_test(test_stop_at_word),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_help),
                cmocka_unit_test(test_no_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
