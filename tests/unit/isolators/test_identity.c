/* Users, capabilities, resource limits and host names: what prepare() accepts, refuses and writes into the plan. */
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "isolators/isolators.h"
#include "lib/linux/capability.h"

#define DEFAULT_SET UINT64_C(0x4fb)

struct prepared {
        struct container_spec spec;
        struct container c;
        struct plan *plan;
        struct error e;
};

static void prepared_new(struct prepared *p)
{
        *p = (struct prepared){.plan = plan_new()};
        p->spec.container_id = xstrdup("c1");
        p->c.spec = &p->spec;
}

static void prepared_done(struct prepared *p)
{
        plan_free(p->plan);
        container_spec_done(&p->spec);
        error_done(&p->e);
}

/* The payload of the first record of that step; copied. */
static void find_step(struct plan *plan, enum plan_step step, void *ret, size_t size)
{
        const char *const command[] = {"p", "/", "p"};
        struct plan_settings settings = {0};
        struct plan_view v;
        _cleanup_fd_ int fd = -1;
        size_t cursor = 0;
        struct stat st;

        plan_add_blob(plan, PLAN_PHASE_NAMESPACE, PLAN_STEP_SETTINGS, 0, &settings, sizeof(settings));
        plan_add_string_array(plan, PLAN_PHASE_PROCESS, PLAN_STEP_COMMAND, 0, command, 3);
        plan_add_string_array(plan, PLAN_PHASE_PROCESS, PLAN_STEP_ENVIRONMENT, 0, NULL, 0);
        assert_int_equal(plan_seal(plan, &fd, NULL), 0);
        assert_int_equal(fstat(fd, &st), 0);
        void *m = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        assert_ptr_not_equal(m, MAP_FAILED);
        assert_int_equal(plan_check(m, (size_t)st.st_size), 0);
        while (plan_next(m, &cursor, &v))
                if (v.step == step) {
                        memcpy(ret, v.data, MIN(size, v.length));
                        (void)munmap(m, (size_t)st.st_size);
                        return;
                }
        fail_msg("no such step");
}

static struct plan_capabilities capabilities(uid_t uid, const char *add, const char *drop)
{
        struct plan_capabilities set;
        struct prepared p;

        prepared_new(&p);
        p.c.user.uid = uid;
        if (add)
                string_list_add(&p.spec.capabilities_add, add);
        if (drop)
                string_list_add(&p.spec.capabilities_drop, drop);
        if (isolator_capabilities.prepare(NULL, &p.c, p.plan, &p.e) < 0)
                fail_msg("%s", error_message(&p.e));
        find_step(p.plan, PLAN_STEP_CAPABILITIES, &set, sizeof(set));
        prepared_done(&p);
        return set;
}

static void test_capabilities(void **state)
{
        struct plan_capabilities c = capabilities(0, NULL, NULL);
        assert_int_equal(c.bounding, DEFAULT_SET);
        assert_int_equal(c.permitted, DEFAULT_SET);
        assert_int_equal(c.effective, DEFAULT_SET);
        assert_int_equal(c.inheritable | c.ambient, 0);

        c = capabilities(1000, NULL, NULL);
        assert_int_equal(c.bounding, DEFAULT_SET);
        assert_int_equal(c.permitted | c.effective | c.inheritable | c.ambient, 0);

        /* Added for another user: ambient, or execve would take it away. */
        c = capabilities(1000, "net_bind_service", "ALL");
        assert_int_equal(c.bounding, 1 << CAP_NET_BIND_SERVICE);
        assert_int_equal(c.permitted, 1 << CAP_NET_BIND_SERVICE);
        assert_int_equal(c.ambient, 1 << CAP_NET_BIND_SERVICE);

        c = capabilities(0, NULL, "all");
        assert_int_equal(c.bounding | c.permitted, 0);
        c = capabilities(0, "CAP_NET_RAW", "CAP_CHOWN");
        assert_int_equal(c.permitted, (DEFAULT_SET | 1 << CAP_NET_RAW) & ~(UINT64_C(1) << CAP_CHOWN));
        /* Named in both: dropped. */
        c = capabilities(0, "NET_RAW", "NET_RAW");
        assert_int_equal(c.permitted, DEFAULT_SET);
}

static void test_capability_names(void **state)
{
        static const char *const bad[] = {"", "CAP_", "NET", "CAP_NET_RAW ", "37", "CAP_CAP_CHOWN"};

        assert_int_equal(capability_from_string("CAP_CHECKPOINT_RESTORE"), 40);
        for (int i = 0; i < CAPABILITY_COUNT; i++)
                assert_int_equal(capability_from_string(capability_to_string(i)), i);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct prepared p;
                prepared_new(&p);
                string_list_add(&p.spec.capabilities_drop, bad[i]);
                assert_int_equal(isolator_capabilities.prepare(NULL, &p.c, p.plan, &p.e), -EINVAL);
                assert_non_null(strstr(error_message(&p.e), "cap_drop"));
                prepared_done(&p);
        }
}

/* A root file system with these lines in etc/passwd; the caller removes it. */
static char *make_root(const char *passwd)
{
        char *dir = xstrdup("/tmp/mete-test-XXXXXX");

        assert_non_null(mkdtemp(dir));
        _cleanup_fd_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdirat(fd, "etc", 0755), 0);
        assert_int_equal(write_file_atomic_at(fd, "passwd", passwd, strlen(passwd), 0644, false), 0);
        assert_int_equal(renameat(fd, "passwd", fd, "etc/passwd"), 0);
        return dir;
}

static int resolve(const char *root, const char *user, uid_t *ret_uid, char *message, size_t size)
{
        struct prepared p;

        prepared_new(&p);
        p.spec.rootfs = xstrdup(root);
        p.spec.user = xstrdup(user);
        int r = isolator_user.prepare(NULL, &p.c, p.plan, &p.e);
        if (r >= 0) {
                struct plan_user u;
                find_step(p.plan, PLAN_STEP_USER, &u, sizeof(u));
                assert_int_equal(u.uid, p.c.user.uid);
                *ret_uid = u.uid;
        } else {
                (void)snprintf(message, size, "%s", error_message(&p.e));
        }
        prepared_done(&p);
        return r;
}

static void test_users(void **state)
{
        char message[512];
        uid_t uid = 0;
        char *root =
                make_root("root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\napp:x:77:77::/app:/bin/sh\n");

        assert_int_equal(resolve(root, "app", &uid, message, sizeof(message)), 0);
        assert_int_equal(uid, 77);
        assert_int_equal(resolve(root, "root", &uid, message, sizeof(message)), 0);
        assert_int_equal(uid, 0);
        assert_int_equal(resolve(root, "0:0", &uid, message, sizeof(message)), 0);
        /* No nobody in there: the number. */
        assert_int_equal(resolve(root, NULL, &uid, message, sizeof(message)), 0);
        assert_int_equal(uid, 65534);
        /* Root by another name was not asked for. */
        assert_int_equal(resolve(root, "toor", &uid, message, sizeof(message)), -EPERM);
        assert_non_null(strstr(message, "user \"toor\""));
        assert_int_equal(resolve(root, "nosuch", &uid, message, sizeof(message)), -ENOENT);
        assert_non_null(strstr(message, "user \"nosuch\""));
        assert_int_equal(resolve(root, "", &uid, message, sizeof(message)), -EINVAL);
        assert_int_equal(resolve(root, "4294967296", &uid, message, sizeof(message)), -EINVAL);
        assert_int_equal(remove_tree_at(AT_FDCWD, root), 0);
        free(root);

        root = make_root("nobody:x:0:0::/:/bin/sh\n");
        assert_int_equal(resolve(root, NULL, &uid, message, sizeof(message)), -EPERM);
        assert_int_equal(remove_tree_at(AT_FDCWD, root), 0);
        free(root);
}

static int rlimit(const char *type, uint64_t soft, uint64_t hard, char *message, size_t size)
{
        struct container_rlimit *l = xcalloc(1, sizeof(*l));
        struct prepared p;

        prepared_new(&p);
        *l = (struct container_rlimit){xstrdup(type), soft, hard};
        p.spec.rlimits = l;
        p.spec.rlimit_count = 1;
        int r = isolator_rlimits.prepare(NULL, &p.c, p.plan, &p.e);
        (void)snprintf(message, size, "%s", r < 0 ? error_message(&p.e) : "");
        prepared_done(&p);
        return r;
}

static void test_rlimits(void **state)
{
        char message[512];

        assert_int_equal(rlimit("NOFILE", 10, 20, message, sizeof(message)), 0);
        assert_int_equal(rlimit("RLMT_CORE", 0, 0, message, sizeof(message)), 0);
        assert_int_equal(rlimit("NOFILES", 10, 20, message, sizeof(message)), -EINVAL);
        assert_non_null(strstr(message, "NOFILES"));
        assert_int_equal(rlimit("NOFILE", 30, 20, message, sizeof(message)), -EINVAL);
        assert_int_equal(rlimit(NULL, 1, 1, message, sizeof(message)), -EINVAL);
}

static void test_hostnames(void **state)
{
        static const char *const bad[] = {"", "a b", "a\n", "-x", ".x", "a/b",
                "0123456789012345678901234567890123456789012345678901234567890123"};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct prepared p;
                prepared_new(&p);
                p.spec.hostname = xstrdup(bad[i]);
                assert_int_equal(isolator_namespaces.prepare(NULL, &p.c, p.plan, &p.e), -EINVAL);
                assert_non_null(strstr(error_message(&p.e), "hostname"));
                prepared_done(&p);
        }
        struct prepared p;
        char name[64] = "";
        prepared_new(&p);
        free(p.spec.container_id);
        p.spec.container_id = xstrdup("job_1.web-2");
        assert_int_equal(isolator_namespaces.prepare(NULL, &p.c, p.plan, &p.e), 0);
        find_step(p.plan, PLAN_STEP_HOSTNAME, name, sizeof(name));
        assert_string_equal(name, "job1.web-2");
        prepared_done(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_capabilities),
                cmocka_unit_test(test_capability_names),
                cmocka_unit_test(test_users),
                cmocka_unit_test(test_rlimits),
                cmocka_unit_test(test_hostnames),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
