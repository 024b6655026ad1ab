/* The plan's writer against its reader, and the reader against damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "isolators/plan.h"

#define GUARD 4096

static struct plan *sample(void)
{
        struct plan *p = plan_new();
        struct plan_settings settings = {.container_id = "c1", .log_files = 3};
        struct plan_user user = {.uid = 1, .group_count = 2};
        const char *const command[] = {"/bin/true", "/", "true"};

        plan_add_blob(p, PLAN_PHASE_PRIVILEGE, PLAN_STEP_USER, 0, &user, sizeof(user));
        plan_add(p, PLAN_PHASE_PRIVILEGE, PLAN_STEP_NO_NEW_PRIVS, 0);
        plan_add_blob(p, PLAN_PHASE_NAMESPACE, PLAN_STEP_SETTINGS, 0, &settings, sizeof(settings));
        plan_add_strings(p, PLAN_PHASE_NAMESPACE, PLAN_STEP_HOSTNAME, 0, "host", NULL);
        plan_add_strings(p, PLAN_PHASE_MOUNT, PLAN_STEP_MOUNT, 7, "tmpfs", "", "/tmp", "mode=1777", NULL);
        plan_add_string_array(p, PLAN_PHASE_PROCESS, PLAN_STEP_COMMAND, 0, command, 3);
        plan_add_string_array(p, PLAN_PHASE_PROCESS, PLAN_STEP_ENVIRONMENT, 0, NULL, 0);
        return p;
}

static void *map(int fd, size_t *ret_size)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        void *m = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        assert_ptr_not_equal(m, MAP_FAILED);
        *ret_size = (size_t)st.st_size;
        return m;
}

static void *sealed_sample(size_t *ret_size)
{
        struct plan *p CLEANUP(cleanup_plan_free) = sample();
        _cleanup_fd_ int fd = -1;

        assert_int_equal(plan_seal(p, &fd, NULL), 0);
        assert_int_equal(write(fd, "x", 1), -1);
        return map(fd, ret_size);
}

static void test_round_trip(void **state)
{
        static const enum plan_step expected[] = {PLAN_STEP_SETTINGS, PLAN_STEP_HOSTNAME, PLAN_STEP_MOUNT,
                PLAN_STEP_COMMAND, PLAN_STEP_ENVIRONMENT, PLAN_STEP_USER, PLAN_STEP_NO_NEW_PRIVS};
        struct plan_view v;
        size_t size, cursor = 0, n = 0;

        void *m = sealed_sample(&size);
        assert_int_equal(plan_check(m, size), 0);
        while (plan_next(m, &cursor, &v)) {
                assert_int_equal(v.step, expected[n++]);
                if (v.step == PLAN_STEP_MOUNT) {
                        assert_int_equal(v.flags, 7);
                        assert_string_equal(plan_string(&v, 1), "");
                        assert_string_equal(plan_string(&v, 3), "mode=1777");
                        assert_null(plan_string(&v, 4));
                }
        }
        assert_int_equal(n, ELEMENTSOF(expected));
        (void)munmap(m, size);
}

/* Walks everything that a checked plan claims to hold. */
static void walk(const void *plan)
{
        struct plan_view v;
        size_t cursor = 0, sum = 0;

        while (plan_next(plan, &cursor, &v)) {
                assert_non_null(plan_step_to_string(v.step));
                for (uint32_t i = 0; i < v.string_count; i++)
                        sum += strlen(plan_string(&v, i));
        }
        assert_true(sum < PLAN_SIZE_MAX);
}

/* A copy that ends where memory ends: one byte too far is a fault. */
static unsigned char *guarded(const void *data, size_t size, size_t room)
{
        unsigned char *m =
                mmap(NULL, room + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_ptr_not_equal(m, MAP_FAILED);
        assert_int_equal(mprotect(m + room, GUARD, PROT_NONE), 0);
        return memcpy(m + room - size, data, size);
}

static void test_damage(void **state)
{
        size_t size;
        void *plain = sealed_sample(&size);
        size_t room = (size + GUARD - 1) / GUARD * GUARD;
        unsigned char *m = guarded(plain, size, room);

        for (size_t i = 0; i < size; i++)
                assert_int_equal(plan_check(m, i), -EBADMSG);
        /* Lengths that are far too large, in every field. */
        for (size_t i = 0; i + 4 <= size; i += 4) {
                uint32_t saved, huge = UINT32_MAX - 7;
                memcpy(&saved, m + i, sizeof(saved));
                memcpy(m + i, &huge, sizeof(huge));
                if (plan_check(m, size) == 0)
                        walk(m);
                memcpy(m + i, &saved, sizeof(saved));
        }
        for (size_t i = 0; i < size; i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        m[i] ^= (unsigned char)(1u << bit);
                        if (plan_check(m, size) == 0)
                                walk(m);
                        m[i] ^= (unsigned char)(1u << bit);
                }
        assert_int_equal(plan_check(m, size), 0);
        (void)munmap(plain, size);
        (void)munmap(m + size - room, room + GUARD);
}

static void test_incomplete(void **state)
{
        struct plan *p CLEANUP(cleanup_plan_free) = plan_new();
        _cleanup_fd_ int fd = -1;
        size_t size;

        plan_add_strings(p, PLAN_PHASE_NAMESPACE, PLAN_STEP_HOSTNAME, 0, "host", NULL);
        assert_int_equal(plan_seal(p, &fd, NULL), 0);
        void *m = map(fd, &size);
        assert_int_equal(plan_check(m, size), -EBADMSG); /* no settings, command, environment */
        (void)munmap(m, size);
}

static void test_too_large(void **state)
{
        struct plan *p CLEANUP(cleanup_plan_free) = sample();
        _cleanup_error_ struct error e = {0};
        _cleanup_free_ char *big = xcalloc(1, (3u << 20) + 1);
        int fd;

        memset(big, 'a', 3u << 20);
        const char *const strings[] = {big, big};
        plan_add_string_array(p, PLAN_PHASE_PROCESS, PLAN_STEP_ENVIRONMENT, 0, strings, 2);
        assert_int_equal(plan_seal(p, &fd, &e), -E2BIG);
        assert_non_null(strstr(error_message(&e), "too large"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_damage),
                cmocka_unit_test(test_incomplete),
                cmocka_unit_test(test_too_large),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
