/* What may be asked of the fetcher, and how the request travels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/fetcher.h"
#include "agent/fetcher/request.h"

static void sources(void **state)
{
        static const struct {
                const char *uri, *home, *source; /* NULL: refused */
                int code;
        } rows[] = {
                {"http://h/x", NULL, "http://h/x", 0},
                {"HTTPS://h/x?y=z", NULL, "HTTPS://h/x?y=z", 0},
                {"/a/b", NULL, "/a/b", 0},
                {"file:///a/b", NULL, "/a/b", 0},
                {"file://localhost/a/b", NULL, "/a/b", 0},
                {"a/b", "/home/f", "/home/f/a/b", 0},
                {"file://a/b", "/home/f", "/home/f/a/b", 0},
                {"a/b", NULL, NULL, -EINVAL},
                {"", NULL, NULL, -EINVAL},
                {"file://", NULL, NULL, -EINVAL},
                {"hdfs://n/x", NULL, NULL, -EPROTONOSUPPORT},
                {"ftp://n/x", NULL, NULL, -EPROTONOSUPPORT},
                {"http://h/a\\b", NULL, NULL, -EINVAL},
                {"http://h/a'b", NULL, NULL, -EINVAL},
                {"http://h/a\"b", NULL, NULL, -EINVAL},
                {"http://h/a\nb", NULL, NULL, -EINVAL},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_error_ struct error e = {0};
                _cleanup_free_ char *source = NULL;

                int r = fetch_uri_source(rows[i].uri, rows[i].home, &source, &e);
                if (r != rows[i].code || !str_equal(source, rows[i].source))
                        fail_msg("%s: %d %s", rows[i].uri, r, source);
                if (r < 0)
                        assert_true(strlen(error_message(&e)) > 5);
        }
}

static void names(void **state)
{
        static const struct {
                const char *uri, *name; /* NULL: refused */
        } rows[] = {
                {"http://h/a/b.tar.gz", "b.tar.gz"},
                {"http://h/a/b?x=1&y=2", "b?x=1&y=2"},
                {"http://h/a?x=1/2", "2"},
                {"/a/b", "b"},
                {"b", "b"},
                {"http://h", NULL},
                {"http://h/", NULL},
                {"http://h/a/", NULL},
                {"http://h/..", NULL},
                {"/a/.", NULL},
                {"/", NULL},
        };
        char longer[400] = "http://h/";
        const char *name;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                name = NULL;
                int r = fetch_uri_basename(rows[i].uri, &name, NULL);
                if ((r == 0) != (rows[i].name != NULL) || !str_equal(name, rows[i].name))
                        fail_msg("%s: %d %s", rows[i].uri, r, name);
        }
        memset(longer + 9, 'x', 256);
        assert_int_equal(fetch_uri_basename(longer, &name, NULL), -EINVAL);
        longer[9 + 255] = '\0';
        assert_int_equal(fetch_uri_basename(longer, &name, NULL), 0);
}

static void paths(void **state)
{
        static const char *const good[] = {"a", "a/b/c", "...", ".a", "a b", "-x"};
        static const char *const bad[] = {
                "", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/.", "a\nb", "\x7f"};

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (!fetch_path_is_legal(good[i]))
                        fail_msg("%s", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (fetch_path_is_legal(bad[i]))
                        fail_msg("%s", bad[i]);
}

static void fields_are_named(void **state)
{
        static const struct {
                const char *value, *output, *message;
        } rows[] = {
                {"hdfs://h/x", NULL,
                        "u[1].value: \"hdfs://h/x\": has the scheme \"hdfs\": http, https, file and plain "
                        "paths are fetched here"},
                {"http://h", NULL, "u[1].value: \"http://h\": has no path"},
                {"http://h/x", "../x",
                        "u[1].output_file: \"../x\" of http://h/x must be a relative path without \"..\" "
                        "that stays in the sandbox"},
                {"http://h/x", "/x",
                        "u[1].output_file: \"/x\" of http://h/x must be a relative path without \"..\" "
                        "that stays in the sandbox"},
        };
        Mete__V1__CommandInfo__URI uris[2], *list[] = {&uris[0], &uris[1]};

        mete__v1__command_info__uri__init(&uris[0]);
        uris[0].value = (char *)(uintptr_t) "http://h/x";
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_error_ struct error e = {0};

                mete__v1__command_info__uri__init(&uris[1]);
                uris[1].value = (char *)(uintptr_t)rows[i].value;
                uris[1].output_file = (char *)(uintptr_t)rows[i].output;
                assert_int_equal(fetch_check_uris(list, 2, "u", &e), -EINVAL);
                assert_string_equal(error_message(&e), rows[i].message);
        }
        uris[1] = uris[0];
        assert_int_equal(fetch_check_uris(list, 2, "u", NULL), 0);
        assert_int_equal(fetch_check_uris(list, FETCH_URIS_MAX + 1, "u", NULL), -EINVAL);
}

static struct fetch_job *some_job(void)
{
        struct fetch_job *j = fetch_job_new();

        j->uid = 65534;
        j->gid = 7;
        j->groups[0] = 8;
        j->group_count = 1;
        j->max_bytes = UINT64_C(1) << 40;
        j->stall_seconds = 60;
        j->items[0] =
                (struct fetch_item){FETCH_EXTRACT, 0, xstrdup("u"), xstrdup("http://h/u"), xstrdup("a/u")};
        j->items[1] = (struct fetch_item){FETCH_FROM_CACHE, 3, xstrdup("v"), xstrdup("/v"), xstrdup("v")};
        j->item_count = 2;
        string_list_add(&j->hidden, "/secret");
        return j;
}

static void request_survives_the_way(void **state)
{
        CLEANUP(cleanup_fetch_job_free) struct fetch_job *j = some_job(), *k = NULL;
        _cleanup_buffer_ struct buffer b = {0}, again = {0};

        fetch_request_encode(j, &b);
        assert_int_equal(fetch_request_decode(b.data, b.len, &k), 0);
        assert_int_equal(k->uid, 65534);
        assert_int_equal(k->gid, 7);
        assert_int_equal(k->groups[0], 8);
        assert_int_equal(k->items[1].cache_index, 3);
        assert_string_equal(k->items[0].output, "a/u");
        assert_string_equal(k->hidden.items[0], "/secret");
        fetch_request_encode(k, &again);
        assert_int_equal(again.len, b.len);
        assert_memory_equal(again.data, b.data, b.len);
}

/* Every prefix, and every bit changed: refused or understood, never read beyond. */
static void damaged_requests(void **state)
{
        CLEANUP(cleanup_fetch_job_free) struct fetch_job *j = some_job();
        _cleanup_buffer_ struct buffer b = {0};

        fetch_request_encode(j, &b);
        for (size_t n = 0; n < b.len; n++) {
                _cleanup_free_ char *copy = n ? xmemdup(b.data, n) : xstrdup("");
                struct fetch_job *k = NULL;
                assert_int_equal(fetch_request_decode(copy, n, &k), -EBADMSG);
        }
        for (size_t i = 0; i < b.len * 8; i++) {
                _cleanup_free_ char *copy = xmemdup(b.data, b.len);
                struct fetch_job *k = NULL;
                copy[i / 8] ^= (char)(1 << i % 8);
                if (fetch_request_decode(copy, b.len, &k) == 0)
                        fetch_job_free(k);
        }
}

static void illegal_items(void **state)
{
        for (int i = 0; i < 5; i++) {
                CLEANUP(cleanup_fetch_job_free) struct fetch_job *j = some_job();
                _cleanup_buffer_ struct buffer b = {0};
                struct fetch_job *k = NULL;
                struct fetch_item *x = &j->items[0];

                if (i == 0) {
                        free(x->output);
                        x->output = xstrdup("../x");
                } else if (i == 1) {
                        x->flags = 1 << 9;
                } else if (i == 2) {
                        x->flags = FETCH_FROM_CACHE | FETCH_TO_CACHE;
                } else if (i == 3) {
                        x->cache_index = FETCH_URIS_MAX;
                } else {
                        free(j->hidden.items[0]);
                        j->hidden.items[0] = xstrdup("relative");
                }
                fetch_request_encode(j, &b);
                assert_int_equal(fetch_request_decode(b.data, b.len, &k), -EBADMSG);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sources),
                cmocka_unit_test(names),
                cmocka_unit_test(paths),
                cmocka_unit_test(fields_are_named),
                cmocka_unit_test(request_survives_the_way),
                cmocka_unit_test(damaged_requests),
                cmocka_unit_test(illegal_items),
        };

        return cmocka_run_group_tests_name("agent/fetcher/request", tests, NULL, NULL);
}
