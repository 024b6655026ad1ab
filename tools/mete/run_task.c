#include "tools/mete/run_task.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

#define REPORTS_MAX 8 /* of a thousand tasks that fail alike, the first few tell */

static const struct {
        const char *name;
        int fd;
} streams[] = {{"stdout", STDOUT_FILENO}, {"stderr", STDERR_FILENO}};

struct run_task {
        struct run_tasks *owner;
        Mete__Api__Task *latest; /* owned */
        struct log_reader *readers[ELEMENTSOF(streams)];
};

void run_tasks_init(struct run_tasks *t, struct mete_client *c, bool prefixed,
        const struct run_tasks_handlers *handlers, void *userdata)
{
        *t = (struct run_tasks){
                .client = c, .prefixed = prefixed, .handlers = handlers, .userdata = userdata};
}

void run_tasks_done(struct run_tasks *t)
{
        for (size_t i = 0; i < t->count; i++) {
                for (size_t j = 0; j < ELEMENTSOF(streams); j++)
                        log_reader_free(t->items[i]->readers[j]);
                message_free(t->items[i]->latest);
                free(t->items[i]);
        }
        free(t->items);
        *t = (struct run_tasks){0};
}

/* "17.12" -> 12 */
static unsigned long index_of(const char *task_id)
{
        const char *dot = strrchr(task_id, '.');

        return dot ? strtoul(dot + 1, NULL, 10) : 0;
}

static struct run_task *task_find(struct run_tasks *t, const char *task_id)
{
        size_t at = t->count;
        struct run_task *task;

        /* They come in order, mostly: look from the end. */
        while (at > 0 && index_of(t->items[at - 1]->latest->task_id) >= index_of(task_id)) {
                if (str_equal(t->items[at - 1]->latest->task_id, task_id))
                        return t->items[at - 1];
                at--;
        }
        task = NEW0(struct run_task);
        task->owner = t;
        t->items = xrealloc(t->items, (t->count + 1) * sizeof(*t->items));
        memmove(t->items + at + 1, t->items + at, (t->count - at) * sizeof(*t->items));
        t->items[at] = task;
        t->count++;
        return task;
}

static void on_done(struct log_reader *l, const struct error *e, void *userdata)
{
        struct run_task *task = userdata;
        struct run_tasks *t = task->owner;

        if (e && e->code == -EPIPE) {
                t->handlers->on_output_closed(t->userdata);
        } else if (e && !(e->code == -ENOENT && !task->latest->has_started)) {
                _cleanup_free_ char *sentence = text_safe(error_message(e));

                fprintf(stderr, "mete: output of task %s: %s\n", task->latest->task_id, sentence);
        }
        t->handlers->on_read(t->userdata);
}

static const struct log_reader_handlers reader_handlers = {.on_done = on_done};

static void task_open_readers(struct run_task *task)
{
        _cleanup_free_ char *prefix =
                task->owner->prefixed ? xasprintf("%s | ", task->latest->task_id) : NULL;

        for (size_t i = 0; i < ELEMENTSOF(streams); i++) {
                struct log_reader_options o = {
                        .address = task->latest->agent_address,
                        .task_id = task->latest->task_id,
                        .stream = streams[i].name,
                        .prefix = prefix,
                        .fd = streams[i].fd,
                        .follow = true,
                        .tail_bytes = UINT64_MAX,
                };

                task->readers[i] = log_reader_new(task->owner->client, &o, &reader_handlers, task);
        }
}

/* Is there output to read, or will there be? */
static bool task_was_launched(const Mete__Api__Task *task)
{
        if (str_empty(task->agent_address))
                return false;
        if (task->state == METE__V1__TASK_STATE__TASK_RUNNING ||
                task->state == METE__V1__TASK_STATE__TASK_KILLING)
                return true;
        return task_is_over(task) && task->has_started;
}

void run_tasks_update(struct run_tasks *t, const Mete__Api__Task *latest)
{
        struct run_task *task = task_find(t, latest->task_id);

        message_free(task->latest);
        task->latest = message_copy(latest);
        if (!task->readers[0] && task_was_launched(latest))
                task_open_readers(task);
}

size_t run_tasks_live(const struct run_tasks *t)
{
        size_t live = 0;

        for (size_t i = 0; i < t->count; i++)
                live += t->items[i]->latest->state == METE__V1__TASK_STATE__TASK_RUNNING ||
                        t->items[i]->latest->state == METE__V1__TASK_STATE__TASK_KILLING;
        return live;
}

static size_t count_readers(const struct run_tasks *t, bool only_troubled)
{
        size_t n = 0;

        for (size_t i = 0; i < t->count; i++)
                for (size_t j = 0; j < ELEMENTSOF(streams); j++) {
                        const struct log_reader *l = t->items[i]->readers[j];

                        if (l && !log_reader_done(l))
                                n += !only_troubled || log_reader_troubled(l);
                }
        return n;
}

size_t run_tasks_reading(const struct run_tasks *t)
{
        return count_readers(t, /* only_troubled= */ false);
}

size_t run_tasks_troubled(const struct run_tasks *t)
{
        return count_readers(t, /* only_troubled= */ true);
}

int task_exit_code(const Mete__Api__Task *task)
{
        if (task->has_exit_code)
                return task->exit_code;
        return task->state == METE__V1__TASK_STATE__TASK_FINISHED ? 0 : 1;
}

bool task_end_needs_words(const Mete__Api__Task *task)
{
        if (task->state == METE__V1__TASK_STATE__TASK_FINISHED || !task_is_over(task))
                return false;
        /* A program that fails by itself has said why on its own stderr. */
        if (task->has_exit_code && task->exit_code >= 0 && task->exit_code <= 128)
                return !str_empty(task->reason) && !str_has_suffix(task->reason, "COMMAND_EXECUTOR_FAILED");
        return true;
}

void run_tasks_report(const struct run_tasks *t, FILE *f)
{
        size_t told = 0, untold = 0;

        for (size_t i = 0; i < t->count; i++) {
                const Mete__Api__Task *task = t->items[i]->latest;
                _cleanup_free_ char *message = NULL;

                if (!task_end_needs_words(task))
                        continue;
                if (told == REPORTS_MAX) {
                        untold++;
                        continue;
                }
                told++;
                message = text_safe(str_empty(task->message) ? task->reason : task->message);
                fprintf(f, "mete: task %s %s: %s\n", task->task_id, text_task_state(task->state), message);
        }
        if (untold > 0)
                fprintf(f, "mete: %zu more tasks did not end well: `mete ps -a` lists them\n", untold);
}

int run_tasks_exit_code(const struct run_tasks *t)
{
        for (size_t i = 0; i < t->count; i++) {
                int code = task_exit_code(t->items[i]->latest);

                if (code != 0)
                        return code;
        }
        return 0;
}
