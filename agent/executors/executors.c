#include "agent/executors/executors.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <utlist.h>

#include "agent/api/api.h"
#include "agent/checkpoint.h"
#include "agent/master_link.h"
#include "lib/base/log.h"
#include "lib/base/table.h"

static const char *const executor_state_names[EXECUTOR_STATE_MAX] = {
        [EXECUTOR_STATE_REGISTERING] = "registering",
        [EXECUTOR_STATE_RUNNING] = "running",
        [EXECUTOR_STATE_TERMINATING] = "terminating",
        [EXECUTOR_STATE_TERMINATED] = "terminated",
};

const char *executor_state_to_string(enum executor_state s)
{
        return (unsigned)s < EXECUTOR_STATE_MAX ? executor_state_names[s] : NULL;
}

bool executor_state_allowed(enum executor_state from, enum executor_state to)
{
        static const bool allowed[EXECUTOR_STATE_MAX][EXECUTOR_STATE_MAX] = {
                [EXECUTOR_STATE_REGISTERING] = {[EXECUTOR_STATE_RUNNING] = true,
                        [EXECUTOR_STATE_TERMINATING] = true,
                        [EXECUTOR_STATE_TERMINATED] = true},
                [EXECUTOR_STATE_RUNNING] =
                        {[EXECUTOR_STATE_TERMINATING] = true, [EXECUTOR_STATE_TERMINATED] = true},
                [EXECUTOR_STATE_TERMINATING] = {[EXECUTOR_STATE_TERMINATED] = true},
        };

        return (unsigned)from < EXECUTOR_STATE_MAX && (unsigned)to < EXECUTOR_STATE_MAX && allowed[from][to];
}

void executor_set_state(struct agent_executor *x, enum executor_state to)
{
        assert(executor_state_allowed(x->state, to));
        loop_timer_disarm(x->timer);
        log_debug("executor %s: %s -> %s", executor_id(x), executor_state_to_string(x->state),
                executor_state_to_string(to));
        x->state = to;
}

const char *executor_id(const struct agent_executor *x)
{
        return x->container->info->executor->executor_id->value;
}

/* ---- what the API asks ---- */

static char *key_of(const char *framework_id, const char *id)
{
        return xasprintf("%s\n%s", framework_id, id);
}

struct agent_executor *executor_find(struct agent *a, const char *framework_id, const char *id)
{
        _cleanup_free_ char *key = key_of(framework_id, id);
        struct agent_executor *x;

        HASH_FIND(hh, a->executors, key, strlen(key), x);
        return x;
}

enum executor_state executor_get_state(const struct agent_executor *x)
{
        return x->state;
}

const char *executor_container_id(const struct agent_executor *x)
{
        return container_id(x->container);
}

const Mete__V1__ExecutorInfo *executor_info(const struct agent_executor *x)
{
        return x->container->info->executor;
}

const Mete__V1__FrameworkInfo *executor_framework(const struct agent_executor *x)
{
        return x->container->info->framework;
}

const struct cgroup *executor_cgroup(const struct agent_executor *x)
{
        return x->container->view.cgroup;
}

bool executor_is_subscribed(const struct agent_executor *x)
{
        return x->link != NULL;
}

bool executors_recovering(const struct agent *a)
{
        const struct agent_executor *x;

        for (x = a->executors; x; x = x->hh.next)
                if (x->recovered && x->state == EXECUTOR_STATE_RUNNING && loop_timer_armed(x->timer))
                        return true;
        return false;
}

/* ---- ending ---- */

uint64_t executor_grace_ns(const struct agent_executor *x)
{
        const Mete__V1__DurationInfo *own = executor_info(x)->shutdown_grace_period;

        return own && own->nanoseconds >= 0 ? (uint64_t)own->nanoseconds
                                            : x->agent->options->executor_shutdown_ns;
}

/* SIGKILL to all of it. Its tasks end with this reason. */
static void executor_destroy(
        struct agent_executor *x, Mete__V1__TaskStatus__Reason reason, const char *message)
{
        if (!x->has_end_reason) {
                x->has_end_reason = true;
                x->end_reason = reason;
                x->end_message = message;
        }
        if (x->state < EXECUTOR_STATE_TERMINATING)
                executor_set_state(x, EXECUTOR_STATE_TERMINATING);
        container_destroy(x->container);
}

void executor_shutdown(struct agent_executor *x)
{
        struct agent_container *c = x->container;

        if (x->state >= EXECUTOR_STATE_TERMINATING)
                return;
        log_info("executor %s: told to shut down", executor_id(x));
        executor_set_state(x, EXECUTOR_STATE_TERMINATING);
        if (c->state == CONTAINER_STATE_FETCHING) {
                container_destroy(c);
                return;
        }
        /* A restart of the agent must not let it live on. */
        if (checkpoint_kill_write(x->agent->checkpoints_fd, container_id(c), "SHUTDOWN", KILL_CAUSE_ASKED) <
                0)
                log_warning("executor %s: its shutdown could not be checkpointed", executor_id(x));
        (void)executor_send_simple(x, METE__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN);
        loop_timer_arm(x->timer, executor_grace_ns(x), 0);
}

/* With its framework its resources are given to others at once: what it asks for itself does not count then. */
static void shut_down_soon(struct agent_executor *x)
{
        executor_shutdown(x);
        if (x->state == EXECUTOR_STATE_TERMINATING)
                loop_timer_arm(
                        x->timer, MIN(executor_grace_ns(x), x->agent->options->executor_shutdown_ns), 0);
}

void executors_shutdown_framework(struct agent *a, const char *framework_id)
{
        struct agent_container *c, *tmp;

        HASH_ITER (hh, a->containers, c, tmp) {
                if (!str_equal(container_framework_id(c), framework_id))
                        continue;
                c->silent = true;
                if (c->executor && c->state != CONTAINER_STATE_ENDED)
                        shut_down_soon(c->executor);
                else if (c->task)
                        container_kill(c, 0, a->options->executor_shutdown_ns, /* only_signal= */ false);
                container_silence(c);
        }
}

static void on_timer(struct loop_timer *t, void *userdata)
{
        struct agent_executor *x = userdata;

        switch (x->state) {
        case EXECUTOR_STATE_REGISTERING:
                log_warning("executor %s: it has not subscribed in time and is killed", executor_id(x));
                executor_destroy(x, METE__V1__TASK_STATUS__REASON__REASON_EXECUTOR_REGISTRATION_TIMEOUT,
                        "Executor did not register within the registration timeout");
                return;
        case EXECUTOR_STATE_RUNNING:
                log_warning("executor %s: it has not subscribed again in time and is killed", executor_id(x));
                executor_destroy(x, METE__V1__TASK_STATUS__REASON__REASON_EXECUTOR_REREGISTRATION_TIMEOUT,
                        "Executor did not re-register within the re-registration timeout");
                return;
        default:
                log_debug("executor %s: the grace is over", executor_id(x));
                container_destroy(x->container);
        }
}

void executor_await_return(struct agent_executor *x)
{
        const struct agent_options *o = x->agent->options;
        bool heard_of = !x->tasks;
        struct agent_task *t;

        /* One that has never said anything may be starting still: the time to subscribe for the first time is its. */
        DL_FOREACH (x->tasks, t)
                heard_of = heard_of || t->updates.has_latest;
        x->recovered = true;
        if (heard_of)
                executor_set_state(x, EXECUTOR_STATE_RUNNING);
        loop_timer_arm(x->timer, heard_of ? o->executor_reregistration_ns : o->executor_registration_ns, 0);
}

void executor_end_never_run(struct agent_executor *x, const char *message)
{
        _cleanup_outcome_ struct task_outcome dropped =
                executor_dropped(x, METE__V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED, message);
        _cleanup_outcome_ struct task_outcome failed = task_outcome_make(METE__V1__TASK_STATE__TASK_FAILED,
                METE__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED, message);
        struct agent_task *t;

        if (!x->container->silent)
                DL_FOREACH (x->tasks, t)
                        if (!t->updates.has_latest)
                                executor_end_task(x, t, &dropped);
        container_end(x->container, &failed);
}

/* ---- its container's news ---- */

static void on_spawned(struct agent_container *c)
{
        loop_timer_arm(c->executor->timer, c->agent->options->executor_registration_ns, 0);
}

static void on_nothing(struct agent_container *c)
{
}

static void forget_when_done(struct agent_container *c)
{
        if (c->state == CONTAINER_STATE_ENDED && !c->cleanup_due && (c->silent || !c->executor->tasks))
                container_forget(c);
}

static void on_ended(struct agent_container *c, const struct task_outcome *o)
{
        struct agent_executor *x = c->executor;
        struct agent *a = x->agent;
        struct task_outcome ours = *o;

        executor_set_state(x, EXECUTOR_STATE_TERMINATED);
        executor_disconnect(x);
        loop_timer_disarm(x->shrink);
        HASH_DELETE(hh, a->executors, x); /* another may have its name now */
        if (c->silent)
                return;
        if (x->has_end_reason) {
                ours.reason = x->end_reason;
                ours.message = (char *)x->end_message;
                ours.memory_limit_hit = false;
        }
        executor_end_all_tasks(x, &ours);
        if (!x->exit_known)
                master_link_executor_exited(a->link, executor_framework(x)->id->value, executor_id(x),
                        executor_wait_status(&c->record));
}

static void on_acknowledged(struct agent_container *c, struct agent_task *t)
{
        agent_api_task_done(c->agent, t);
        executor_remove_task(c->executor, t);
        forget_when_done(c);
}

static const struct container_owner executor_owner = {
        .noun = "executor",
        .decide = executor_outcome_decide,
        .spawned = on_spawned,
        .started = on_nothing,
        .killing = on_nothing,
        .ended = on_ended,
        .removed = forget_when_done,
        .acknowledged = on_acknowledged,
};

int executor_wait_status(const struct shim_record *r)
{
        return r->finished_wall_ns && !r->failed_errno && r->started_wall_ns ? r->wait_status : -1;
}

void executor_outcome_decide(const struct task_facts *f, struct task_outcome *ret)
{
        struct task_facts facts = *f;
        char text[WAIT_STATUS_TEXT_MAX];

        /* Also one that ends because it was told to, or with status 0, leaves its tasks behind. */
        facts.kill_asked = false;
        task_outcome_decide(&facts, ret);
        ret->state = METE__V1__TASK_STATE__TASK_FAILED;
        ret->has_exit_code = false;
        if (ret->has_reason && ret->reason != METE__V1__TASK_STATUS__REASON__REASON_COMMAND_EXECUTOR_FAILED)
                return;
        ret->has_reason = true;
        ret->reason = METE__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED;
        free(ret->message);
        ret->message = xasprintf("Executor %s", wait_status_format(f->record->wait_status, text));
}

/* ---- the table ---- */

static void on_shrink(struct loop_timer *t, void *userdata)
{
        executor_shrink(userdata);
}

struct agent_executor *executor_new(struct agent_container *c)
{
        struct agent_executor *x = NEW0(struct agent_executor);
        struct agent *a = c->agent;

        x->agent = a;
        x->container = c;
        x->key = key_of(container_framework_id(c), c->info->executor->executor_id->value);
        x->timer = loop_timer_new(a->loop, on_timer, x);
        x->shrink = loop_timer_new(a->loop, on_shrink, x);
        c->owner = &executor_owner;
        c->executor = x;
        HASH_ADD_KEYPTR(hh, a->executors, x->key, strlen(x->key), x);
        return x;
}

struct agent_executor *executor_free(struct agent_executor *x)
{
        struct agent_task *t, *tmp;

        if (!x)
                return NULL;
        if (x->state != EXECUTOR_STATE_TERMINATED)
                HASH_DELETE(hh, x->agent->executors, x);
        executor_disconnect(x);
        DL_FOREACH_SAFE (x->tasks, t, tmp)
                executor_remove_task(x, t);
        loop_timer_free(x->timer);
        loop_timer_free(x->shrink);
        free(x->key);
        free(x);
        return NULL;
}
