#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/util.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/cgroup_id.h"
#include "lib/linux/network.h"

#define NOBODY 65534

struct pair {
        int listener, server; /* ours */
        int hold;             /* closed: the child goes */
        pid_t child;
        struct sockaddr_storage client_address, server_address;
};

static void any_loopback(int family, struct sockaddr_storage *ret, socklen_t *ret_len)
{
        *ret = (struct sockaddr_storage){.ss_family = (sa_family_t)family};
        if (family == AF_INET) {
                ((struct sockaddr_in *)ret)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                *ret_len = sizeof(struct sockaddr_in);
        } else {
                ((struct sockaddr_in6 *)ret)->sin6_addr = in6addr_loopback;
                *ret_len = sizeof(struct sockaddr_in6);
        }
}

static void child_connect(int family, const struct sockaddr_storage *to, socklen_t len, uid_t uid, int hold)
{
        char byte;

        if (setresuid(uid, uid, uid) < 0)
                _exit(1);
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)to, len) < 0)
                _exit(2);
        (void)!read(hold, &byte, 1); /* until the test closes its end */
        _exit(0);
}

/* A child of `uid` connects from a socket of client_family to a listener of server_family. */
static void connect_pair(int server_family, int client_family, uid_t uid, struct pair *ret)
{
        struct sockaddr_storage to;
        socklen_t len;
        int hold[2];

        any_loopback(server_family, &to, &len);
        if (server_family != client_family) /* dual stack: listen on [::] */
                ((struct sockaddr_in6 *)&to)->sin6_addr = in6addr_any;
        ret->listener = socket(server_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(ret->listener, (struct sockaddr *)&to, len), 0);
        assert_int_equal(listen(ret->listener, 1), 0);
        assert_int_equal(getsockname(ret->listener, (struct sockaddr *)&to, &len), 0);
        if (server_family != client_family) {
                in_port_t port = ((struct sockaddr_in6 *)&to)->sin6_port;
                any_loopback(client_family, &to, &len);
                ((struct sockaddr_in *)&to)->sin_port = port;
        }
        assert_int_equal(pipe(hold), 0);
        ret->child = fork();
        if (ret->child == 0) {
                (void)close_fd(hold[1]);
                child_connect(client_family, &to, len, uid, hold[0]);
        }
        (void)close_fd(hold[0]);
        ret->hold = hold[1];
        len = sizeof(ret->client_address);
        ret->server = accept4(ret->listener, (struct sockaddr *)&ret->client_address, &len, SOCK_CLOEXEC);
        assert_true(ret->server >= 0);
        len = sizeof(ret->server_address);
        assert_int_equal(getsockname(ret->server, (struct sockaddr *)&ret->server_address, &len), 0);
}

static void release_child(struct pair *p)
{
        int status;

        p->hold = close_fd(p->hold);
        assert_int_equal(waitpid(p->child, &status, 0), p->child);
        assert_int_equal(status, 0);
}

static int peer_uid(const struct pair *p, uid_t *ret)
{
        return network_peer_uid((const struct sockaddr *)&p->client_address,
                (const struct sockaddr *)&p->server_address, ret);
}

static void check_families(int server_family, int client_family)
{
        static const uid_t uids[] = {0, NOBODY, 12345};

        for (size_t i = 0; i < ELEMENTSOF(uids); i++) {
                struct pair p;
                uid_t uid = 4711;
                connect_pair(server_family, client_family, uids[i], &p);
                assert_int_equal(peer_uid(&p, &uid), 0);
                assert_int_equal(uid, uids[i]);
                release_child(&p);
                /* Closed by its process, but not by us: an orphan that the kernel calls root's. */
                uid = 4711;
                assert_int_equal(peer_uid(&p, &uid), -ENOENT);
                (void)close_fd(p.server);
                /* In TIME_WAIT, or gone. */
                assert_int_equal(peer_uid(&p, &uid), -ENOENT);
                assert_int_equal(uid, 4711);
                (void)close_fd(p.listener);
        }
}

static void test_ipv4(void **state)
{
        check_families(AF_INET, AF_INET);
}

static void test_ipv6(void **state)
{
        check_families(AF_INET6, AF_INET6);
}

static void test_mapped(void **state)
{
        check_families(AF_INET6, AF_INET);
}

/* With no such connection the kernel's lookup falls back to a listener on the client's port. */
static void test_listener_is_no_peer(void **state)
{
        struct pair p;
        uid_t uid = 4711;

        connect_pair(AF_INET, AF_INET, NOBODY, &p);
        struct sockaddr_in somebody = {
                .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(1)};
        assert_int_equal(
                network_peer_uid((struct sockaddr *)&p.server_address, (struct sockaddr *)&somebody, &uid),
                -ENOENT);
        somebody.sin_addr.s_addr = htonl(0x0a000001); /* not loopback: not asked */
        assert_int_equal(
                network_peer_uid((struct sockaddr *)&somebody, (struct sockaddr *)&p.server_address, &uid),
                -ENOENT);
        struct sockaddr local = {.sa_family = AF_UNIX};
        assert_int_equal(network_peer_uid(&local, (struct sockaddr *)&p.server_address, &uid), -EAFNOSUPPORT);
        assert_int_equal(uid, 4711);
        release_child(&p);
        (void)close_fd(p.server);
        (void)close_fd(p.listener);
}

static int child_loopback(void)
{
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};

        if (unshare(CLONE_NEWNET) < 0)
                return 1;
        _cleanup_fd_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) >= 0 || errno != ENETUNREACH)
                return 2;
        if (network_loopback_up(NULL) < 0 || network_loopback_up(NULL) < 0)
                return 3;
        return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? 4 : 0;
}

static void test_loopback_up(void **state)
{
        int status;

        pid_t pid = fork();
        if (pid == 0)
                _exit(child_loopback());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static int own_cgroup_id(uint64_t *ret)
{
        struct network_peer peer;
        struct pair p;

        connect_pair(AF_INET, AF_INET, 0, &p);
        int r = network_peer_lookup((const struct sockaddr *)&p.client_address,
                (const struct sockaddr *)&p.server_address, &peer);
        if (r == 0)
                *ret = peer.cgroup_id;
        release_child(&p);
        (void)close_fd(p.server);
        (void)close_fd(p.listener);
        return r;
}

/* The kernel names the cgroup of the client's socket, and its number leads to the path that /proc gives. */
static void test_cgroup_of_the_peer(void **state)
{
        char line[4096], own[4096] = "";
        _cleanup_free_ char *path = NULL;
        uint64_t id = 0;

        assert_int_equal(own_cgroup_id(&id), 0);
        assert_true(id != 0);
        assert_int_equal(cgroup_path_by_id(id, &path), 0);
        FILE *f = fopen("/proc/self/cgroup", "re");
        assert_non_null(f);
        while (fgets(line, sizeof(line), f))
                if (strncmp(line, "0::", 3) == 0)
                        (void)snprintf(own, sizeof(own), "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
        (void)fclose(f);
        assert_true(str_equal(own, "/") || str_has_suffix(path, own));
        _cleanup_free_ char *none = NULL;
        assert_true(cgroup_path_by_id(UINT64_MAX - 1, &none) < 0);
}

static int child_finds_as_nobody(uint64_t id)
{
        _cleanup_free_ char *path = NULL, *none = NULL;

        if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
                return 1;
        if (cgroup_path_by_id(id, &path) < 0)
                return 2;
        if (!cgroup_path_is_container(path))
                return 3;
        return cgroup_path_by_id(UINT64_MAX - 1, &none) == -ESTALE ? 0 : 4;
}

/* A master without privileges cannot open by handle: it searches, and finds the same. */
static void test_cgroup_is_found_without_privilege(void **state)
{
        CLEANUP(cleanup_cgroup_root_free) struct cgroup_root *root = NULL;
        CLEANUP(cleanup_cgroup_free) struct cgroup *group = NULL;
        _cleanup_free_ char *name = xasprintf("mete-test-%d", (int)getpid());
        int status;

        assert_int_equal(cgroup_root_open("/", name, &root, NULL), 0);
        assert_int_equal(
                cgroup_create(root, "containers/1f0c1f6e-27c3-4a0c-9d4e-0a2f6c1b9e77", &group, NULL), 0);
        pid_t pid = fork();
        if (pid == 0)
                _exit(child_finds_as_nobody(cgroup_id(group)));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(cgroup_root_destroy(root, UINT64_C(5000000000), NULL), 0);
        assert_int_equal(status, 0);
}

static void test_container_paths(void **state)
{
        static const struct {
                const char *path;
                bool container;
        } rows[] = {
                {"/sys/fs/cgroup/mete/agent-5051/containers/1f0c1f6e-27c3-4a0c-9d4e-0a2f6c1b9e77", true},
                {"/sys/fs/cgroup/a/containers/1f0c1f6e-27c3-4a0c-9d4e-0a2f6c1b9e77/below", true},
                {"/c/containers/x/containers/1f0c1f6e-27c3-4a0c-9d4e-0a2f6c1b9e77", true},
                {"/sys/fs/cgroup/mete/agent-5051/fetches/1f0c1f6e-27c3-4a0c-9d4e-0a2f6c1b9e77", true},
                {"/sys/fs/cgroup/mete/agent-5051/containers", false},
                {"/sys/fs/cgroup/mete/agent-5051/shims", false},
                {"/containers/1f0c1f6e-27c3-4a0c-9d4e-0a2f6c1b9e777", false},
                {"/containers/1f0c1f6e", false},
                {"", false},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (cgroup_path_is_container(rows[i].path) != rows[i].container)
                        fail_msg("%s", rows[i].path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ipv4),
                cmocka_unit_test(test_ipv6),
                cmocka_unit_test(test_mapped),
                cmocka_unit_test(test_listener_is_no_peer),
                cmocka_unit_test(test_loopback_up),
                cmocka_unit_test(test_cgroup_of_the_peer),
                cmocka_unit_test(test_cgroup_is_found_without_privilege),
                cmocka_unit_test(test_container_paths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
