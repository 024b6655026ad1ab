#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/checkpoint.h"
#include "agent/identity.h"
#include "lib/net/codec.h"

struct fixture {
        char path[64];
        int fd;
};

static int setup(void **state)
{
        struct fixture *f = NEW0(struct fixture);

        (void)snprintf(f->path, sizeof(f->path), "/tmp/mete-test-checkpoint-XXXXXX");
        if (!mkdtemp(f->path))
                return -1;
        f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = f;
        return f->fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        int r = remove_tree_at(AT_FDCWD, f->path);

        close_fd(f->fd);
        free(f);
        return r;
}

static Mete__Checkpoint__Container *container(const char *id)
{
        static const char json[] =
                "{\"version\":1,\"container_id\":\"%s\",\"boot_id\":\"b\",\"framework\":{\"user\":\"u\","
                "\"name\":\"n\","
                "\"id\":{\"value\":\"f\"}},\"task\":{\"name\":\"t\",\"task_id\":{\"value\":\"17.0\"},"
                "\"agent_id\":{\"value\":\"a\"}},\"sandbox\":\"/x\"}";
        _cleanup_error_ struct error e = {0};
        _cleanup_free_ char *text = xasprintf(json, id);
        ProtobufCMessage *m;

        assert_int_equal(message_decode(CODEC_JSON, &mete__checkpoint__container__descriptor, text,
                                 strlen(text), &m, &e),
                0);
        return (Mete__Checkpoint__Container *)m;
}

static void container_round_trip(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};
        Mete__Checkpoint__Container *c = container("c1"), *back;

        assert_int_equal(checkpoint_container_write(f->fd, c, &e), 0);
        assert_int_equal(checkpoint_container_read(f->fd, "c1", &back, &e), 0);
        assert_string_equal(back->task->task_id->value, "17.0");
        assert_string_equal(back->sandbox, "/x");
        message_free(back);
        /* Not twice, and not over another container's. */
        assert_int_equal(checkpoint_container_write(f->fd, c, &e), -EEXIST);
        message_free(c);

        assert_false(checkpoint_kill_exists(f->fd, "c1"));
        assert_int_equal(checkpoint_kill_write(f->fd, "c1", "SIGTERM"), 0);
        assert_true(checkpoint_kill_exists(f->fd, "c1"));
        assert_int_equal(checkpoint_container_remove(f->fd, "c1"), 0);
        assert_int_equal(checkpoint_container_read(f->fd, "c1", &back, &e), -ENOENT);
        assert_int_equal(checkpoint_container_remove(f->fd, "c1"), 0);
}

static void updates_round_trip(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};
        Mete__Checkpoint__Container *c = container("c2");
        Mete__Checkpoint__Updates u = METE__CHECKPOINT__UPDATES__INIT, *back;

        assert_int_equal(checkpoint_container_write(f->fd, c, &e), 0);
        message_free(c);
        assert_int_equal(checkpoint_updates_read(f->fd, "c2", &back, &e), -ENOENT);
        u.version = CHECKPOINT_FORMAT;
        u.has_latest_state = true;
        u.latest_state = METE__V1__TASK_STATE__TASK_RUNNING;
        assert_int_equal(checkpoint_updates_write(f->fd, "c2", &u, &e), 0);
        assert_int_equal(checkpoint_updates_read(f->fd, "c2", &back, &e), 0);
        assert_int_equal(back->latest_state, METE__V1__TASK_STATE__TASK_RUNNING);
        message_free(back);
}

/* What a dying machine or a hostile hand leaves is refused, never followed. */
static void damaged_files(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};
        Mete__Checkpoint__Container *c = container("other"), *back;

        assert_int_equal(checkpoint_container_write(f->fd, c, &e), 0);
        message_free(c);
        assert_int_equal(renameat(f->fd, "other", f->fd, "c3"), 0);
        assert_int_equal(checkpoint_container_read(f->fd, "c3", &back, &e), -EBADMSG);
        int dir = openat(f->fd, "c3", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(write_file_atomic_at(dir, "task", "\xff\xff\xff", 3, 0600, false), 0);
        close_fd(dir);
        assert_int_equal(checkpoint_container_read(f->fd, "c3", &back, &e), -EBADMSG);
        assert_int_equal(symlinkat("c3", f->fd, "link"), 0);
        assert_true(checkpoint_container_read(f->fd, "link", &back, &e) < 0);
}

static void identity_is_kept_and_locked(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};
        struct identity a, b;

        assert_int_equal(identity_open(&a, f->fd, &e), 0);
        assert_null(a.agent_id);
        assert_int_equal(identity_set_agent_id(&a, "u-S1", &e), 0);
        assert_int_equal(identity_raise_epoch(&a, 7, &e), 0);
        assert_int_equal(identity_raise_epoch(&a, 3, &e), 0);
        assert_int_equal(a.highest_epoch, 7);
        assert_int_equal(identity_open(&b, f->fd, &e), -EBUSY);
        identity_done(&b);
        identity_done(&a);
        assert_int_equal(identity_open(&b, f->fd, &e), 0);
        assert_string_equal(b.agent_id, "u-S1");
        assert_int_equal(b.highest_epoch, 7);
        assert_int_equal(identity_forget_agent_id(&b, &e), 0);
        identity_done(&b);
        assert_int_equal(identity_open(&b, f->fd, &e), 0);
        assert_null(b.agent_id);
        assert_int_equal(b.highest_epoch, 7);
        identity_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(container_round_trip),
                cmocka_unit_test(updates_round_trip),
                cmocka_unit_test(damaged_files),
                cmocka_unit_test(identity_is_kept_and_locked),
        };

        return cmocka_run_group_tests_name("agent/checkpoint", tests, setup, teardown);
}
