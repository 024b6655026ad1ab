/* An executor's tasks in its container's file: what a restart reads is what was written, whatever moment the agent died at. */
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

#include "agent/checkpoint_tasks.h"
#include "lib/net/codec.h"

#define ID "c1"

struct fixture {
        char path[64];
        int fd;
        size_t compact_at;
};

static void *decode(const ProtobufCMessageDescriptor *d, const char *json)
{
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m;

        if (message_decode(CODEC_JSON, d, json, strlen(json), &m, &e) < 0)
                fail_msg("%s", error_message(&e));
        return m;
}

static int setup(void **state)
{
        struct fixture *f = NEW0(struct fixture);

        (void)snprintf(f->path, sizeof(f->path), "/tmp/mete-test-tasks-XXXXXX");
        assert_non_null(mkdtemp(f->path));
        f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        Mete__Checkpoint__Container *c = decode(&mete__checkpoint__container__descriptor,
                "{\"version\":1,\"container_id\":\"" ID "\",\"boot_id\":\"b\",\"framework\":{\"user\":\"u\","
                "\"name\":\"n\",\"id\":{\"value\":\"f\"}},\"executor\":{\"executor_id\":{\"value\":\"x\"}}}");
        assert_int_equal(checkpoint_container_write(f->fd, c, NULL), 0);
        message_free(c);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        int r = remove_tree_at(AT_FDCWD, f->path);

        close_fd(f->fd);
        free(f);
        return r;
}

static void add_task(struct fixture *f, const char *id, uint64_t group)
{
        _cleanup_free_ char *json = xasprintf(
                "{\"name\":\"t\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":\"a\"}}", id);
        Mete__V1__TaskInfo *t = decode(&mete__v1__task_info__descriptor, json);

        assert_int_equal(checkpoint_task_write(f->fd, ID, t, group, &f->compact_at, NULL), 0);
        message_free(t);
}

static void uuid_of(uint32_t n, uint8_t ret[static UUID_BYTES])
{
        memset(ret, 0, UUID_BYTES);
        memcpy(ret, &n, sizeof(n));
}

static void add_update(struct fixture *f, const char *id, const char *state, uint32_t n)
{
        _cleanup_free_ char *json = xasprintf("{\"framework_id\":{\"value\":\"f\"},\"status\":{\"task_id\":{"
                                              "\"value\":\"%s\"},\"state\":\"%s\"}}",
                id, state);
        Mete__Agent__StatusUpdate *u = decode(&mete__agent__status_update__descriptor, json);

        u->status->has_uuid = true;
        u->status->uuid = (ProtobufCBinaryData){UUID_BYTES, xmalloc(UUID_BYTES)};
        uuid_of(n, u->status->uuid.data);
        assert_int_equal(checkpoint_task_update_write(f->fd, ID, u, &f->compact_at, NULL), 0);
        message_free(u);
}

static void add_acknowledged(struct fixture *f, const char *id, uint32_t n)
{
        uint8_t uuid[UUID_BYTES];

        uuid_of(n, uuid);
        assert_int_equal(
                checkpoint_task_acknowledged_write(f->fd, ID, id, uuid, UUID_BYTES, &f->compact_at, NULL), 0);
}

static struct checkpoint read_back(struct fixture *f)
{
        _cleanup_error_ struct error e = {0};
        struct checkpoint c = {0};

        if (checkpoint_container_read(f->fd, ID, &c, &e) < 0)
                fail_msg("%s", error_message(&e));
        return c;
}

static const struct checkpoint_task *task_of(const struct checkpoint *c, const char *id)
{
        const struct checkpoint_task *t;

        for (t = c->tasks; t; t = t->hh.next)
                if (str_equal(t->task->task->task_id->value, id))
                        return t;
        return NULL;
}

static void tasks_updates_and_acknowledgements(void **state)
{
        struct fixture *f = *state;
        uint8_t uuid[UUID_BYTES];

        add_task(f, "one", 0);
        add_task(f, "two", 7);
        add_update(f, "one", "TASK_RUNNING", 1);
        add_update(f, "two", "TASK_RUNNING", 2);
        add_update(f, "one", "TASK_FINISHED", 3);
        add_acknowledged(f, "two", 2);
        _cleanup_checkpoint_ struct checkpoint c = read_back(f);
        assert_int_equal(HASH_COUNT(c.tasks), 2);
        const struct checkpoint_task *one = task_of(&c, "one"), *two = task_of(&c, "two");
        assert_int_equal(one->updates.count, 2);
        assert_int_equal(one->updates.latest, METE__V1__TASK_STATE__TASK_FINISHED);
        assert_int_equal(two->task->group, 7);
        assert_int_equal(two->updates.count, 0);
        assert_int_equal(two->updates.latest, METE__V1__TASK_STATE__TASK_RUNNING);
        uuid_of(2, uuid);
        assert_true(status_stream_knows(&two->updates, uuid, UUID_BYTES));
        uuid_of(9, uuid);
        assert_false(status_stream_knows(&two->updates, uuid, UUID_BYTES));
}

static void an_acknowledged_end_is_the_end(void **state)
{
        struct fixture *f = *state;

        add_task(f, "one", 0);
        add_update(f, "one", "TASK_FAILED", 1);
        add_acknowledged(f, "one", 1);
        add_update(f, "one", "TASK_RUNNING", 2); /* of nobody any more: skipped */
        add_acknowledged(f, "nobody", 3);        /* its task was lost to a full disk: skipped */
        add_task(f, "two", 0);
        _cleanup_checkpoint_ struct checkpoint c = read_back(f);
        assert_int_equal(HASH_COUNT(c.tasks), 1);
        assert_non_null(task_of(&c, "two"));
}

/* Everything that is cut anywhere is the state before the record that was cut. */
static void torn_files(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *data = NULL;
        size_t len, counts[5] = {0};

        add_task(f, "one", 0);
        add_update(f, "one", "TASK_RUNNING", 1);
        add_update(f, "one", "TASK_FINISHED", 2);
        add_acknowledged(f, "one", 1);
        assert_int_equal(read_file_at(f->fd, ID, 1u << 20, &data, &len), 0);
        for (size_t cut = 0; cut <= len; cut++) {
                _cleanup_checkpoint_ struct checkpoint c = {0};
                size_t whole;

                int r = checkpoint_parse(ID, data, cut, &c, &whole, NULL);
                if (r < 0) {
                        assert_int_equal(r, -ENOENT); /* not even the container */
                        continue;
                }
                assert_true(whole <= cut);
                const struct checkpoint_task *one = task_of(&c, "one");
                counts[!one ? 0 : one->updates.acknowledged_bytes ? 4 : 1 + one->updates.count]++;
        }
        for (size_t i = 0; i < ELEMENTSOF(counts); i++)
                assert_true(counts[i] > 0);
        assert_int_equal(counts[4], 1); /* only the whole file */
}

static void long_lives_stay_bounded(void **state)
{
        struct fixture *f = *state;
        struct stat st;

        add_task(f, "stays", 3);
        add_update(f, "stays", "TASK_RUNNING", 1);
        for (uint32_t i = 0; i < 3000; i++) {
                char id[32];

                (void)snprintf(id, sizeof(id), "task-%u", i);
                add_task(f, id, 0);
                add_update(f, id, "TASK_FINISHED", 100 + i);
                add_acknowledged(f, id, 100 + i);
        }
        assert_int_equal(fstatat(f->fd, ID, &st, 0), 0);
        assert_true(st.st_size < 2 * CHECKPOINT_COMPACT_BYTES);
        _cleanup_checkpoint_ struct checkpoint c = read_back(f);
        assert_int_equal(HASH_COUNT(c.tasks), 1);
        assert_int_equal(task_of(&c, "stays")->updates.count, 1);
        assert_int_equal(task_of(&c, "stays")->task->group, 3);
}

/* Much that lives is not written again with each record. */
static void large_files_are_compacted_seldom(void **state)
{
        struct fixture *f = *state;
        struct stat before, after;

        for (uint32_t i = 0; i < 6000; i++) {
                char id[64];

                (void)snprintf(id, sizeof(id), "task-with-a-name-of-some-length-%u", i);
                add_task(f, id, 0);
        }
        assert_true(f->compact_at > CHECKPOINT_COMPACT_BYTES);
        assert_int_equal(fstatat(f->fd, ID, &before, 0), 0);
        add_task(f, "one-more", 0);
        assert_int_equal(fstatat(f->fd, ID, &after, 0), 0);
        assert_int_equal(before.st_ino, after.st_ino); /* appended, not written aside */
        _cleanup_checkpoint_ struct checkpoint c = read_back(f);
        assert_int_equal(HASH_COUNT(c.tasks), 6001);
}

static void frameworks_are_replaced(void **state)
{
        struct fixture *f = *state;
        Mete__V1__FrameworkInfo *info = decode(&mete__v1__framework_info__descriptor,
                "{\"user\":\"u\",\"name\":\"new name\",\"id\":{\"value\":\"f\"}}");

        assert_int_equal(checkpoint_framework_write(f->fd, ID, info), 0);
        message_free(info);
        _cleanup_checkpoint_ struct checkpoint c = read_back(f);
        assert_string_equal(c.container->framework->name, "new name");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(tasks_updates_and_acknowledgements, setup, teardown),
                cmocka_unit_test_setup_teardown(an_acknowledged_end_is_the_end, setup, teardown),
                cmocka_unit_test_setup_teardown(torn_files, setup, teardown),
                cmocka_unit_test_setup_teardown(long_lives_stay_bounded, setup, teardown),
                cmocka_unit_test_setup_teardown(large_files_are_compacted_seldom, setup, teardown),
                cmocka_unit_test_setup_teardown(frameworks_are_replaced, setup, teardown),
        };

        return cmocka_run_group_tests_name("agent/checkpoint_tasks", tests, NULL, NULL);
}
