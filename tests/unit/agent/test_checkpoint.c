#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

static char *file_of(int fd, const char *name, size_t *ret_len)
{
        char *data;

        assert_int_equal(read_file_at(fd, name, 64u << 20, &data, ret_len), 0);
        return data;
}

static size_t size_of(int fd, const char *name)
{
        struct stat st;

        assert_int_equal(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        return (size_t)st.st_size;
}

static void set_file(int fd, const char *name, const void *data, size_t len)
{
        assert_int_equal(write_file_atomic_at(fd, name, data, len, 0600, false), 0);
}

static void make_container(int fd, const char *id)
{
        _cleanup_error_ struct error e = {0};
        Mete__Checkpoint__Container *c = container(id);

        assert_int_equal(checkpoint_container_write(fd, c, &e), 0);
        message_free(c);
}

static int write_updates(int fd, const char *id, Mete__V1__TaskState latest)
{
        Mete__Checkpoint__Updates u = METE__CHECKPOINT__UPDATES__INIT;

        u.version = CHECKPOINT_FORMAT;
        u.has_latest_state = true;
        u.latest_state = latest;
        return checkpoint_updates_write(fd, id, &u, NULL);
}

#define STAGES 5 /* states of the file that make_stages() writes: container, two updates, a kill, an update */

/* ret_end[i]: where the file ends after stage i. */
static void make_stages(int fd, const char *id, size_t ret_end[static STAGES])
{
        make_container(fd, id);
        ret_end[0] = size_of(fd, id);
        assert_int_equal(write_updates(fd, id, METE__V1__TASK_STATE__TASK_STARTING), 0);
        ret_end[1] = size_of(fd, id);
        assert_int_equal(write_updates(fd, id, METE__V1__TASK_STATE__TASK_RUNNING), 0);
        ret_end[2] = size_of(fd, id);
        assert_int_equal(checkpoint_kill_write(fd, id, "SIGTERM", 2), 0);
        ret_end[3] = size_of(fd, id);
        assert_int_equal(write_updates(fd, id, METE__V1__TASK_STATE__TASK_KILLED), 0);
        ret_end[4] = size_of(fd, id);
}

static void assert_stage(const struct checkpoint *c, size_t stage)
{
        static const Mete__V1__TaskState latest[STAGES] = {
                [1] = METE__V1__TASK_STATE__TASK_STARTING,
                [2] = METE__V1__TASK_STATE__TASK_RUNNING,
                [3] = METE__V1__TASK_STATE__TASK_RUNNING,
                [4] = METE__V1__TASK_STATE__TASK_KILLED,
        };

        assert_string_equal(c->container->task->task_id->value, "17.0");
        assert_int_equal(c->killed, stage >= 3);
        if (stage == 0)
                assert_null(c->updates);
        else
                assert_int_equal(c->updates->latest_state, latest[stage]);
}

static void round_trip(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};
        _cleanup_checkpoint_ struct checkpoint back = {0};
        Mete__Checkpoint__Container *c = container("c1");

        assert_int_equal(checkpoint_updates_write(f->fd, "c1",
                                 &(Mete__Checkpoint__Updates)METE__CHECKPOINT__UPDATES__INIT, &e),
                -ENOENT);
        assert_int_equal(checkpoint_container_write(f->fd, c, &e), 0);
        assert_int_equal(checkpoint_container_read(f->fd, "c1", &back, &e), 0);
        assert_stage(&back, 0);
        assert_string_equal(back.container->sandbox, "/x");
        /* Not twice, and not over another container's. */
        size_t size = size_of(f->fd, "c1");
        assert_int_equal(checkpoint_container_write(f->fd, c, &e), -EEXIST);
        assert_int_equal(size_of(f->fd, "c1"), size);
        message_free(c);

        assert_int_equal(checkpoint_container_remove(f->fd, "c1"), 0);
        assert_int_equal(checkpoint_container_read(f->fd, "c1", &back, &e), -ENOENT);
        assert_int_equal(checkpoint_kill_write(f->fd, "c1", "SIGTERM", 2), -ENOENT);
        assert_int_equal(checkpoint_container_remove(f->fd, "c1"), 0);
}

/* Wherever an agent was killed while it wrote: the state before that write, and what is written next is read back. */
static void every_torn_tail_is_the_state_before(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};
        size_t end[STAGES], len;

        make_stages(f->fd, "torn", end);
        _cleanup_free_ char *data = file_of(f->fd, "torn", &len);
        assert_int_equal(len, end[STAGES - 1]);
        for (size_t cut = 0; cut <= len; cut++) {
                struct checkpoint back = {0};
                size_t stage = 0;

                set_file(f->fd, "torn", data, cut);
                int r = checkpoint_container_read(f->fd, "torn", &back, &e);
                if (cut < end[0]) {
                        assert_int_equal(r, -ENOENT);
                        continue;
                }
                assert_int_equal(r, 0);
                while (stage + 1 < STAGES && end[stage + 1] <= cut)
                        stage++;
                assert_stage(&back, stage);
                checkpoint_done(&back);
                assert_int_equal(size_of(f->fd, "torn"), end[stage]);

                assert_int_equal(write_updates(f->fd, "torn", METE__V1__TASK_STATE__TASK_LOST), 0);
                assert_int_equal(checkpoint_container_read(f->fd, "torn", &back, &e), 0);
                assert_int_equal(back.updates->latest_state, METE__V1__TASK_STATE__TASK_LOST);
                assert_int_equal(back.killed, stage >= 3);
                assert_int_equal(back.kill_cause, stage >= 3 ? 2 : 0);
                checkpoint_done(&back);
        }
        assert_int_equal(checkpoint_container_remove(f->fd, "torn"), 0);
}

static void every_flipped_bit_is_found(void **state)
{
        struct fixture *f = *state;
        size_t end[STAGES], len;

        make_stages(f->fd, "flip", end);
        _cleanup_free_ char *data = file_of(f->fd, "flip", &len);
        for (size_t bit = 0; bit < len * 8; bit++) {
                struct checkpoint back = {0};
                size_t stage = 0, whole;

                data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
                int r = checkpoint_parse("flip", data, len, &back, &whole, NULL);
                data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
                if (bit / 8 < end[0]) {
                        assert_true(r == -EBADMSG || r == -ENOENT); /* a length that reaches beyond the end */
                        continue;
                }
                assert_int_equal(r, 0);
                while (end[stage + 1] <= bit / 8)
                        stage++;
                assert_int_equal(whole, end[stage]);
                assert_stage(&back, stage);
                checkpoint_done(&back);
        }
        assert_int_equal(checkpoint_container_remove(f->fd, "flip"), 0);
}

/* What a hostile hand or a newer agent leaves is refused or skipped, never followed. */
static void foreign_files(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};
        _cleanup_checkpoint_ struct checkpoint back = {0};
        size_t end[STAGES], len;

        make_stages(f->fd, "other", end);
        _cleanup_free_ char *data = file_of(f->fd, "other", &len);
        set_file(f->fd, "c3", data, len);
        assert_int_equal(checkpoint_container_read(f->fd, "c3", &back, &e), -EBADMSG);
        set_file(f->fd, "c3", data + end[0], len - end[0]);
        assert_int_equal(checkpoint_container_read(f->fd, "c3", &back, &e), -EBADMSG);
        assert_non_null(strstr(error_message(&e), "first record"));
        set_file(f->fd, "c3", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
        assert_int_equal(checkpoint_container_read(f->fd, "c3", &back, &e), -EBADMSG);
        assert_int_equal(symlinkat("other", f->fd, "link"), 0);
        assert_int_equal(checkpoint_container_read(f->fd, "link", &back, &e), -ELOOP);
        assert_int_equal(mkfifoat(f->fd, "fifo", 0600), 0);
        assert_int_equal(checkpoint_container_read(f->fd, "fifo", &back, &e), -EBADMSG);
        assert_int_equal(mkdirat(f->fd, "directory", 0700), 0);
        assert_int_equal(checkpoint_container_read(f->fd, "directory", &back, &e), -EISDIR);
        assert_int_equal(size_of(f->fd, "other"), len);
}

static int write_suspended(int fd, const char *id, bool suspended, uint64_t sequence)
{
        Mete__Checkpoint__Suspended s = METE__CHECKPOINT__SUSPENDED__INIT;

        s.version = CHECKPOINT_FORMAT;
        s.suspended = suspended;
        s.sequence = sequence;
        s.has_frozen_seconds = true;
        s.frozen_seconds = 1.5;
        return checkpoint_suspended_write(fd, id, &s);
}

/* The last one counts, also after the file was written anew because it had become large. */
static void suspensions(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};

        assert_int_equal(write_suspended(f->fd, "s", true, 1), -ENOENT);
        make_container(f->fd, "s");
        for (uint64_t n = 1; n <= 20000; n++) {
                assert_int_equal(write_suspended(f->fd, "s", n % 2, n), 0);
                if (n != 1 && n != 2 && n != 19999 && n != 20000)
                        continue;
                _cleanup_checkpoint_ struct checkpoint back = {0};
                assert_int_equal(checkpoint_container_read(f->fd, "s", &back, &e), 0);
                assert_int_equal(back.suspended->suspended, n % 2);
                assert_int_equal(back.suspended->sequence, n);
                assert_true(back.suspended->frozen_seconds == 1.5);
        }
        assert_true(size_of(f->fd, "s") <= CHECKPOINT_COMPACT_BYTES);
        for (int i = 0; i < 20000; i++)
                assert_int_equal(write_updates(f->fd, "s", METE__V1__TASK_STATE__TASK_RUNNING), 0);
        _cleanup_checkpoint_ struct checkpoint back = {0};
        assert_int_equal(checkpoint_container_read(f->fd, "s", &back, &e), 0);
        assert_int_equal(back.suspended->sequence, 20000);
}

/* However often a task tells of itself. */
static void files_stay_bounded(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};
        _cleanup_checkpoint_ struct checkpoint back = {0};
        size_t smallest = SIZE_MAX;

        make_container(f->fd, "long");
        assert_int_equal(checkpoint_kill_write(f->fd, "long", "SIGTERM", 2), 0);
        size_t size = size_of(f->fd, "long");
        for (size_t i = 0; i < CHECKPOINT_COMPACT_BYTES / 16; i++) {
                assert_int_equal(write_updates(f->fd, "long", METE__V1__TASK_STATE__TASK_RUNNING), 0);
                size_t now = size_of(f->fd, "long");
                assert_true(now <= CHECKPOINT_COMPACT_BYTES);
                smallest = now < size ? now : smallest;
                size = now;
        }
        assert_true(smallest < 4096);
        assert_int_equal(checkpoint_container_read(f->fd, "long", &back, &e), 0);
        assert_stage(&back, 3);

        Mete__Checkpoint__Container *c = container("large");
        free(c->sandbox);
        c->sandbox = xmalloc(CHECKPOINT_SIZE_MAX + 1);
        memset(c->sandbox, 'x', CHECKPOINT_SIZE_MAX);
        c->sandbox[CHECKPOINT_SIZE_MAX] = '\0';
        assert_int_equal(checkpoint_container_write(f->fd, c, &e), -EFBIG);
        /* The largest one that fits is kept through a rewrite. */
        c->sandbox[CHECKPOINT_SIZE_MAX - 4096] = '\0';
        assert_int_equal(checkpoint_container_write(f->fd, c, &e), 0);
        message_free(c);
        assert_int_equal(checkpoint_kill_write(f->fd, "large", "SIGTERM", 2), 0);
        assert_int_equal(write_updates(f->fd, "large", METE__V1__TASK_STATE__TASK_RUNNING), 0);
        checkpoint_done(&back);
        assert_int_equal(checkpoint_container_read(f->fd, "large", &back, &e), 0);
        assert_stage(&back, 3);
}

/* A limit of the process stands in for the full disk: part of the record is written, then nothing more. */
static void short_writes_are_undone(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};
        struct rlimit old, limit;
        size_t end[STAGES];

        make_stages(f->fd, "full", end);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
        for (size_t more = 0; more < 16; more += 5) {
                _cleanup_checkpoint_ struct checkpoint back = {0};

                limit = (struct rlimit){.rlim_cur = end[STAGES - 1] + more, .rlim_max = old.rlim_max};
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
                int updates = write_updates(f->fd, "full", METE__V1__TASK_STATE__TASK_LOST);
                int kill = checkpoint_kill_write(f->fd, "full", "SIGTERM", 2);
                limit.rlim_cur = end[0] - 1 - more;
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
                Mete__Checkpoint__Container *c = container("never");
                int container_result = checkpoint_container_write(f->fd, c, &e);
                message_free(c);
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

                assert_int_equal(updates, -EFBIG);
                assert_int_equal(kill, -EFBIG);
                assert_int_equal(container_result, -EFBIG);
                assert_int_equal(faccessat(f->fd, "never", F_OK, 0), -1);
                assert_int_equal(size_of(f->fd, "full"), end[STAGES - 1]);
                assert_int_equal(checkpoint_container_read(f->fd, "full", &back, &e), 0);
                assert_stage(&back, STAGES - 1);
        }
        (void)signal(SIGXFSZ, handler);
        assert_int_equal(write_updates(f->fd, "full", METE__V1__TASK_STATE__TASK_LOST), 0);
        assert_true(size_of(f->fd, "full") > end[STAGES - 1]);
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
                cmocka_unit_test(round_trip),
                cmocka_unit_test(every_torn_tail_is_the_state_before),
                cmocka_unit_test(every_flipped_bit_is_found),
                cmocka_unit_test(foreign_files),
                cmocka_unit_test(suspensions),
                cmocka_unit_test(files_stay_bounded),
                cmocka_unit_test(short_writes_are_undone),
                cmocka_unit_test(identity_is_kept_and_locked),
        };

        return cmocka_run_group_tests_name("agent/checkpoint", tests, setup, teardown);
}
