/* The tables of verbs and options: complete, without clashes, and the same in the manual and the completion that we ship. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/options.h"
#include "master/options.h"
#include "tools/mete/completion.h"
#include "tools/mete/job_schema.h"
#include "tools/mete/json.h"
#include "tools/mete/verb.h"

static void check_rows(const struct verb *v)
{
        const struct option_parser *p = &v->parser;

        assert_non_null(p->summary);
        assert_non_null(p->synopsis);
        assert_non_null(v->run);
        for (size_t j = 0; j < p->count; j++) {
                const struct option_row *row = &p->rows[j];

                assert_true(row->help && !isupper((unsigned char)row->help[0]));
                assert_false(str_has_suffix(row->help, "."));
                assert_true((row->type == OPTION_BOOL) == (row->value == NULL));
                assert_true(row->offset < v->options_size);
        }
}

static void rows_are_complete(void **state)
{
        for (size_t i = 0; verbs[i]; i++) {
                _cleanup_free_ char *program = xasprintf("mete %s", verbs[i]->name);

                assert_string_equal(verbs[i]->parser.program, program);
                check_rows(verbs[i]);
                for (size_t j = 0; verbs[i]->below && verbs[i]->below[j]; j++) {
                        const struct verb *below = verbs[i]->below[j];
                        _cleanup_free_ char *full = xasprintf("%s %s", program, below->name);

                        assert_string_equal(below->parser.program, full);
                        assert_null(below->below);
                        check_rows(below);
                }
        }
}

static void every_verb_is_listed(void **state)
{
        size_t count = 0;
        const struct verb *v;

        for (size_t i = 0; (v = verb_at(i)); i++) {
                const char *words = v->parser.program + strlen("mete ");
                const struct verb *above = verb_find(words);

                count++;
                if (above) {
                        assert_ptr_equal(above, v);
                        continue;
                }
                _cleanup_free_ char *first = xstrndup(words, strcspn(words, " "));
                assert_ptr_equal(verb_below(verb_find(first), v->name), v);
        }
        assert_true(count > 10);
}

static void names_do_not_clash(void **state)
{
        const struct verb *v;

        for (size_t i = 0; (v = verb_at(i)); i++) {
                const struct option_parser *p = &v->parser;

                for (size_t j = 0; j < p->count; j++)
                        for (size_t k = 0; k < j; k++) {
                                assert_string_not_equal(p->rows[j].name, p->rows[k].name);
                                assert_false(p->rows[j].letter && p->rows[j].letter == p->rows[k].letter);
                        }
        }
}

/* Each verb that prints speaks JSON. */
static void json_everywhere(void **state)
{
        static const char *const others[] = {"mete dev", "mete completion", "mete help"};
        const struct verb *v;

        for (size_t i = 0; (v = verb_at(i)); i++) {
                bool found = false;

                for (size_t j = 0; j < v->parser.count; j++)
                        found |= str_equal(v->parser.rows[j].name, "json");
                for (size_t j = 0; j < ELEMENTSOF(others); j++)
                        found |= str_equal(v->parser.program, others[j]);
                if (!found)
                        fail_msg("%s has no --json", v->parser.program);
        }
}

static char *read_text(const char *path)
{
        char *text = NULL;
        size_t len;

        if (read_file_at(AT_FDCWD, path, /* max= */ 1 << 20, &text, &len) < 0)
                fail_msg("cannot read %s: run the tests from the top of the tree", path);
        return text;
}

static void shipped_completion_is_current(void **state)
{
        _cleanup_free_ char *shipped = read_text("deploy/completion/mete.bash"), *now = NULL;
        size_t len;
        FILE *f = open_memstream(&now, &len);

        assert_int_equal(completion_print("bash", f, NULL), 0);
        fclose(f);
        if (!str_equal(shipped, now))
                fail_msg("write it again: build/release/bin/mete completion bash "
                         ">deploy/completion/mete.bash");
}

static void shipped_manual_is_current(void **state)
{
        _cleanup_free_ char *shipped = read_text("docs/man/mete.1"), *now = NULL;
        size_t len;
        FILE *f = open_memstream(&now, &len);

        man_page_print(f);
        fclose(f);
        if (!str_equal(shipped, now))
                fail_msg("write it again: build/release/bin/mete help --man >docs/man/mete.1");
}

static void shipped_schema_is_current(void **state)
{
        _cleanup_free_ char *shipped = read_text("docs/job.schema.json"), *gaps = job_schema_gaps(),
                            *now = NULL;
        size_t len;
        FILE *f = open_memstream(&now, &len);

        json_print(job_schema(), /* compact= */ false, f);
        fclose(f);
        assert_string_equal(gaps, "");
        if (!str_equal(shipped, now))
                fail_msg("write it again: build/release/bin/mete validate --schema >docs/job.schema.json");
}

/* Text as roff shows it: "\\-" is a dash. */
static void unescape(char *text)
{
        char *to = text;

        for (const char *from = text; *from; from++)
                if (*from != '\\' || from[1] != '-')
                        *to++ = *from;
        *to = '\0';
}

/* The daemons' manuals are written by hand: each option is in them, with the sentence that --help has. */
static void daemons_manuals_are_complete(void **state)
{
        static const struct {
                const char *path;
                const struct option_parser *parser;
        } pages[] = {
                {"docs/man/mete-master.8", &master_option_parser},
                {"docs/man/mete-agent.8", &agent_option_parser},
        };

        for (size_t i = 0; i < ELEMENTSOF(pages); i++) {
                _cleanup_free_ char *text = read_text(pages[i].path);

                unescape(text);
                for (size_t j = 0; j < pages[i].parser->count; j++) {
                        const struct option_row *row = &pages[i].parser->rows[j];
                        _cleanup_free_ char *value =
                                row->value ? xasprintf(" \\fI%s\\fR", row->value) : xstrdup("");
                        _cleanup_free_ char *entry =
                                xasprintf("--%s\\fR%s\n%s\n", row->name, value, row->help);

                        if (!strstr(text, entry))
                                fail_msg("%s does not have: %s", pages[i].path, entry);
                }
        }
}

static void unknown_shell(void **state)
{
        _cleanup_error_ struct error e = {0};

        assert_int_equal(completion_print("tcsh", stdout, &e), -EINVAL);
        assert_non_null(strstr(error_message(&e), "tcsh"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rows_are_complete),
                cmocka_unit_test(every_verb_is_listed),
                cmocka_unit_test(names_do_not_clash),
                cmocka_unit_test(json_everywhere),
                cmocka_unit_test(shipped_completion_is_current),
                cmocka_unit_test(shipped_manual_is_current),
                cmocka_unit_test(shipped_schema_is_current),
                cmocka_unit_test(daemons_manuals_are_complete),
                cmocka_unit_test(unknown_shell),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
