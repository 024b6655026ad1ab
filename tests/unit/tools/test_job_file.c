/* Job files: what is wrong is told with its line and its path; what is right comes in the order in which it can be submitted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "tools/mete/job_schema.h"
#include "tools/mete/json_place.h"
#include "tools/mete/run_file.h"

/* The caller ends it with job_file_done(). */
static struct job_file read_file(const char *text)
{
        char path[] = "/tmp/test-job-file-XXXXXX";
        _cleanup_error_ struct error e = {0};
        struct job_file f = {0};
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
        close(fd);
        if (job_file_read(path, &f, &e) < 0)
                fail_msg("%s", error_message(&e));
        unlink(path);
        return f;
}

/* ---- places ---- */

static void lines_of_paths(void **state)
{
        static const char text[] = "\n{ \"a\": [1, {\"b\": \"x\\\"]\"},\n"
                                   "  {\"b\":\n"
                                   "    [[], 2.5e3,\n"
                                   "  true]}],\n"
                                   "\"c\"  :\n"
                                   " {\"a\": null}\n"
                                   "}";
        static const struct {
                const char *path;
                unsigned line;
        } places[] = {
                {"", 2},
                {"a", 2},
                {"a[1].b", 2},
                {"a[2]", 3},
                {"a[2].b", 4},
                {"a[2].b[1]", 4},
                {"a[2].b[2]", 5},
                {"c", 7},
                {"c.a", 7},
                /* What is not there: the innermost that is. */
                {"a[2].x", 3},
                {"a[9]", 2},
                {"c.a.b", 7},
                {"x", 2},
        };

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                unsigned line = json_line_of(text, strlen(text), places[i].path);

                if (line != places[i].line)
                        fail_msg("%s: line %u in place of %u", places[i].path, line, places[i].line);
        }
}

/* ---- what is wrong ---- */

static void check_problem(const char *text, unsigned line, const char *field, const char *words)
{
        CLEANUP(job_file_done) struct job_file f = read_file(text);

        if (f.problem_count == 0)
                fail_msg("nothing is found wrong with %s", text);
        if (f.problems[0].line != line || !str_equal(f.problems[0].field, field) ||
                !strstr(f.problems[0].message, words))
                fail_msg("%s\nis told as line %u, %s: %s", text, f.problems[0].line, f.problems[0].field,
                        f.problems[0].message);
}

static void problems_have_line_and_path(void **state)
{
        check_problem("{\"jobs\": [\n{\"command\": [\"x\"]},\n{\"command\": [\"x\"],\n \"cpus\": 0}]}", 4,
                "jobs[1].cpus", "above 0");
        check_problem("{\"command\": [\"x\"],\n\"cpu\": 1}", 2, "cpu", "did you mean \"cpus\"");
        check_problem("{\"jobs\": [{\"command\": [\"x\"],\n\"restart\": {\"whenn\": \"NEVER\"}}]}", 2,
                "jobs[0].restart.whenn", "did you mean \"when\"");
        check_problem("{\"command\": [\"x\"],\n\n\"placement\": \"pack\"}", 3, "placement", "PACK, SPREAD");
        check_problem("{\"command\": [\"x\"],\n\"placement\": \"PLACEMENT_UNKNOWN\"}", 2, "placement",
                "PACK, SPREAD");
        check_problem("{\"command\": [\"x\"],\n\"count\": \"many\"}", 2, "count", "integer");
        check_problem("{\"command\": [\"x\"],\n\"after\": [{}]}", 2, "after[0].job", "missing");
        check_problem("{\n\"jobs\":\n[]}", 3, "jobs", "1 to 1000");
        check_problem("{\"jobs\": [\n{\"name\": \"a\"}]}", 2, "jobs[0].command", "empty");
        check_problem("{\"command\": [\"x\"]\n\"cpus\": 1}", 2, NULL, "not JSON");
        check_problem("{\"command\": [\"x\"],\n\"cpus\": 1, \"cpus\": 2}", 2, NULL, "duplicate");
        check_problem("[1]", 1, NULL, "expected {");
        check_problem("", 1, NULL, "not JSON");
}

static void every_job_is_checked(void **state)
{
        CLEANUP(job_file_done)
        struct job_file f = read_file("{\"jobs\": [{\"command\": [\"x\"], \"cpus\": 0},\n{\"command\": "
                                      "[\"x\"]},\n{\"command\": []}]}");

        assert_int_equal(f.problem_count, 2);
        assert_int_equal(f.problems[1].line, 3);
        assert_string_equal(f.problems[1].field, "jobs[2].command");
}

static void cycles_are_named(void **state)
{
        check_problem(
                "{\"jobs\": [\n{\"name\": \"a\", \"command\": [\"x\"], \"after\": [{\"job\": \"b\"}]},\n"
                "{\"name\": \"b\", \"command\": [\"x\"], \"after\": [{\"job\": \"17\"}, {\"job\": \"c\"}]},\n"
                "{\"name\": \"c\", \"command\": [\"x\"], \"after\": [\n{\"job\": \"b\"}]}]}",
                5, "jobs[2].after[0].job", "b -> c -> b");
        check_problem("{\"name\": \"a\", \"command\": [\"x\"], \"after\": [{\"job\": \"a\"}]}", 1,
                "after[0].job", "a -> a");
}

static void names_are_unique_where_they_are_used(void **state)
{
        CLEANUP(job_file_done)
        struct job_file unused = read_file("{\"jobs\": [{\"command\": [\"x\"]}, {\"command\": [\"x\"]}]}");

        assert_int_equal(unused.problem_count, 0);
        check_problem("{\"jobs\": [{\"command\": [\"x\"]}, {\"command\": [\"/bin/x\"]},\n{\"command\": "
                      "[\"y\"], \"after\": [{\"job\": \"x\"}]}]}",
                2, "jobs[2].after[0].job", "2 jobs");
}

static void files_that_cannot_be_read(void **state)
{
        _cleanup_error_ struct error e = {0};
        struct job_file f = {0};

        assert_int_equal(job_file_read("/nonexistent/jobs.json", &f, &e), -ENOENT);
        assert_non_null(strstr(error_message(&e), "/nonexistent/jobs.json"));
}

/* The sentences of a master are about its call. */
static void refusals_of_a_master(void **state)
{
        CLEANUP(job_file_done)
        struct job_file f =
                read_file("{\"jobs\": [{\"command\": [\"x\"]},\n{\"command\": [\"x\"],\n\"cpus\": 99}]}");

        job_file_add_refusal(&f, 1, "plan.job.cpus: over-capacity: 99 cpus per task");
        assert_int_equal(f.problems[0].line, 3);
        assert_string_equal(f.problems[0].field, "jobs[1].cpus");
        assert_string_equal(f.problems[0].message, "over-capacity: 99 cpus per task");
        job_file_add_refusal(&f, 0, "there is no room");
        assert_string_equal(f.problems[1].field, "jobs[0]");
        assert_string_equal(f.problems[1].message, "there is no room");
}

/* ---- the schema ---- */

static void check_refused(const char *field, const char *bound, double value)
{
        _cleanup_free_ char *text = xasprintf("{\"command\": [\"x\"],\n\"%s\": %.17g}", field, value);
        CLEANUP(job_file_done) struct job_file f = read_file(text);

        if (f.problem_count != 1 || !str_equal(f.problems[0].field, field))
                fail_msg("%s: the schema has %s, and %.17g is taken", field, bound, value);
}

/* What lies outside of the schema's bounds is refused by the rules too. */
static void bounds_of_the_schema(void **state)
{
        json_t *schema = job_schema(),
               *properties = json_object_get(
                       json_object_get(json_object_get(schema, "$defs"), "JobSpec"), "properties"),
               *property;
        const char *name;
        size_t bounds = 0;

        json_object_foreach(properties, name, property)
        {
                bool integer = str_equal(json_string_value(json_object_get(property, "type")), "integer");
                json_t *most = json_object_get(property, "maximum"),
                       *least = json_object_get(property, "minimum"),
                       *above = json_object_get(property, "exclusiveMinimum");

                if (most)
                        check_refused(name, "maximum", json_number_value(most) + 1);
                if (least)
                        check_refused(name, "minimum",
                                integer ? json_number_value(least) - 1 : json_number_value(least) / 2 - 1e-9);
                if (above)
                        check_refused(name, "exclusiveMinimum", json_number_value(above));
                bounds += (most != NULL) + (least != NULL) + (above != NULL);
        }
        assert_true(bounds > 15);
        json_decref(schema);
}

/* ---- what is right ---- */

static void order_follows_dependencies(void **state)
{
        CLEANUP(job_file_done)
        struct job_file f =
                read_file("{\"$schema\": \"job.schema.json\", \"jobs\": [\n"
                          "{\"name\": \"report\", \"command\": [\"x\"], \"after\": [{\"job\": \"left\"}, "
                          "{\"job\": \"right\"}, {\"job\": \"other\"}]},\n"
                          "{\"name\": \"left\", \"command\": [\"x\"], \"after\": [{\"job\": \"fetch\"}]},\n"
                          "{\"name\": \"right\", \"command\": [\"x\"], \"after\": [{\"job\": \"fetch\"}]},\n"
                          "{\"command\": [\"/usr/bin/fetch\"]}]}");
        char *ids[] = {(char *)"40", (char *)"38", (char *)"39", (char *)"37"};
        Mete__Api__JobSpec *spec;

        assert_int_equal(f.problem_count, 0);
        assert_int_equal(f.order[0], 3);
        assert_int_equal(f.order[1], 1);
        assert_int_equal(f.order[2], 2);
        assert_int_equal(f.order[3], 0);
        spec = run_file_spec(&f, 0, ids);
        assert_int_equal(spec->n_after, 3);
        assert_string_equal(spec->after[0]->job, "38");
        assert_string_equal(spec->after[1]->job, "39");
        assert_string_equal(spec->after[2]->job, "other");
        message_free(spec);
        spec = run_file_spec(&f, 0, NULL);
        assert_int_equal(spec->n_after, 1);
        assert_string_equal(spec->after[0]->job, "other");
        message_free(spec);
}

/* What is checked is not what is submitted: the defaults stay the master's. */
static void files_are_not_completed(void **state)
{
        CLEANUP(job_file_done) struct job_file f = read_file("{\"command\": [\"/bin/work\"]}");

        assert_int_equal(f.problem_count, 0);
        assert_true(f.single);
        assert_string_equal(f.names[0], "work");
        assert_null(f.file->jobs[0]->name);
        assert_false(f.file->jobs[0]->has_cpus);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_of_paths),
                cmocka_unit_test(problems_have_line_and_path),
                cmocka_unit_test(every_job_is_checked),
                cmocka_unit_test(cycles_are_named),
                cmocka_unit_test(names_are_unique_where_they_are_used),
                cmocka_unit_test(files_that_cannot_be_read),
                cmocka_unit_test(refusals_of_a_master),
                cmocka_unit_test(bounds_of_the_schema),
                cmocka_unit_test(order_follows_dependencies),
                cmocka_unit_test(files_are_not_completed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
