/*
 * What an agent brings when it registers: frameworks, executors and tasks, compared with the tables. The agent writes a launch down before
 * it does anything else, and what was sent on an earlier stream arrived or never will: so what is not reported is not there.
 */

#include <stdlib.h>
#include <string.h>

#include "master/frameworks/frameworks.h"
#include "master/operation.h"

struct report {
        struct agent *agent;
        enum agent_state before;
        bool back; /* its tasks were given up, or forgotten: frameworks are told that they are there */
        struct reported
                *ids; /* k: "t\n<framework>\n<task>", "x\n<framework>\n<executor>", "f\n<framework>\n" */
};

struct reported {
        char *key;
        UT_hash_handle hh;
};

/* False when it is there already. */
static bool reported_add(struct report *r, char kind, const char *framework, const char *id)
{
        struct reported *x = NEW0(struct reported), *known;

        x->key = xasprintf("%c\n%s\n%s", kind, framework, id);
        HASH_FIND_STR(r->ids, x->key, known);
        if (!known) {
                HASH_ADD_KEYPTR(hh, r->ids, x->key, strlen(x->key), x);
                return true;
        }
        free(x->key);
        free(x);
        return false;
}

static bool is_reported(const struct report *r, char kind, const char *framework, const char *id)
{
        _cleanup_free_ char *key = xasprintf("%c\n%s\n%s", kind, framework, id);
        struct reported *found;

        HASH_FIND_STR(r->ids, key, found);
        return found;
}

static void reported_free(struct report *r)
{
        struct reported *x, *next;

        HASH_ITER (hh, r->ids, x, next) {
                HASH_DEL(r->ids, x);
                free(x->key);
                free(x);
        }
}

/* ---- frameworks ---- */

/* What is left of a framework that was removed while the agent was away ends now; it is told once. */
static void end_completed(struct report *r, const char *framework_id)
{
        struct master *m = r->agent->master;

        if (!framework_find(m, framework_id) && framework_is_completed(m, framework_id) &&
                reported_add(r, 'f', framework_id, ""))
                (void)agent_send_shutdown_framework(r->agent, framework_id);
}

/* Of a store that is no more: no scheduler will ever ask for its tasks. */
static bool is_an_older_queue(const struct master *m, const Mete__V1__FrameworkInfo *info)
{
        return str_equal(info->name, QUEUE_NAME) && str_empty(info->user) &&
               !str_equal(info->id->value, m->queue_framework->id);
}

static void take_frameworks(struct report *r, const Mete__Agent__Call__Subscribe *s)
{
        for (size_t i = 0; i < s->n_frameworks; i++)
                if (s->frameworks[i]->id && !str_empty(s->frameworks[i]->id->value) &&
                        !is_an_older_queue(r->agent->master, s->frameworks[i]))
                        (void)framework_recover(r->agent->master, s->frameworks[i]);
        for (size_t i = 0; i < s->n_owners; i++) {
                struct framework *f = framework_find(r->agent->master, s->owners[i]->framework_id->value);

                if (f)
                        framework_note_owner(f, s->owners[i]);
        }
        for (size_t i = 0; i < s->n_executors; i++)
                end_completed(r, s->executors[i]->framework_id->value);
        for (size_t i = 0; i < s->n_tasks; i++)
                end_completed(r, s->tasks[i]->framework_id->value);
}

/* Tasks of a framework that this master has never heard of are booked and killed in its name. */
static struct framework *framework_orphan(struct master *m, const char *id)
{
        struct framework *f = framework_find(m, id);

        return f ? f : framework_add_local(m, id, "unknown", NULL, NULL);
}

static const char *role_of(const struct framework *f, Mete__V1__Resource *const *resources, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (resources[i]->allocation_info && !str_empty(resources[i]->allocation_info->role))
                        return resources[i]->allocation_info->role;
        return f->info->role ? f->info->role : QUEUE_ROLE;
}

static void book(
        struct agent *a, const struct framework *f, const char *role, const struct resources *resources)
{
        struct allocator_usage use = {f->id, role, resources};

        if (a->allocated && !resources_empty(resources))
                allocator_allocate(a->master->allocator, a->id, &use);
}

/* ---- executors ---- */

static void missing_executors(struct report *r)
{
        struct executor *x, *next;

        HASH_ITER (hh, r->agent->executors, x, next)
                if (!is_reported(r, 'x', x->framework->id, x->info->executor_id->value))
                        executor_exited(x, /* status= */ -1);
}

static void take_executor(struct report *r, const Mete__Agent__ExecutorReport *report)
{
        struct agent *a = r->agent;
        const Mete__V1__ExecutorInfo *info = report->executor;
        struct framework *f = framework_find(a->master, report->framework_id->value);
        _cleanup_resources_ struct resources said = {}, need = {};
        struct executor *x;

        if (!f || !f->ops || f->ops->in_process) {
                if (!framework_is_completed(a->master, report->framework_id->value))
                        (void)agent_send_shutdown_executor(
                                a, report->framework_id->value, info->executor_id->value);
                return;
        }
        if (executor_find(a, f->id, info->executor_id->value))
                return;
        if (resources_from_proto(info->resources, info->n_resources, "executor.resources", &said, NULL) < 0)
                log_warning("agent %s: executor %s reports resources that are not legal: none are booked",
                        a->id, info->executor_id->value);
        resources_as_held(&a->total, &said, &need);
        x = executor_add(f, a, role_of(f, info->resources, info->n_resources), info, &need);
        book(a, f, x->role, &need);
}

/* ---- tasks ---- */

static void missing_tasks(struct report *r)
{
        struct task *t, *next;

        DL_FOREACH_SAFE2(r->agent->tasks, t, next, agent_next)
        {
                bool in_process = !t->framework->ops || t->framework->ops->in_process;

                if (!t->sent || is_reported(r, 't', t->framework->id, t->id))
                        continue;
                if (t->state == METE__V1__TASK_STATE__TASK_STAGING)
                        task_set_status(t, METE__V1__TASK_STATE__TASK_DROPPED,
                                METE__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED,
                                "the launch did not reach the agent before its connection broke");
                else
                        task_set_status(t,
                                in_process ? METE__V1__TASK_STATE__TASK_LOST
                                           : METE__V1__TASK_STATE__TASK_GONE,
                                METE__V1__TASK_STATUS__REASON__REASON_RECONCILIATION,
                                "the agent registered again and does not know this task");
        }
}

static void take_position(struct task *t, const Mete__Agent__TaskReport *report)
{
        t->sent = true;
        if (report->executor_id)
                set_string(&t->executor_id, report->executor_id->value);
        if (report->has_update_state && task_state_to_string(report->update_state)) {
                t->has_update = true;
                t->update_state = report->update_state;
        }
        if (report->has_update_uuid && report->update_uuid.len == UUID_BYTES) {
                t->has_update_uuid = true;
                memcpy(t->update_uuid, report->update_uuid.data, UUID_BYTES);
        }
        task_set_latest(t, report->state);
}

static void take_held(const struct report *r, const Mete__Agent__TaskReport *report, struct resources *ret)
{
        if (!resources_of_task(r->agent, report->task, ret))
                log_warning("agent %s: task %s reports resources that are not legal: none are booked",
                        r->agent->id, report->task->task_id->value);
}

static struct task *adopt(struct report *r, struct framework *f, const Mete__Agent__TaskReport *report,
        const struct resources *held)
{
        struct agent *a = r->agent;
        const Mete__V1__TaskInfo *info = report->task;
        struct task *t = task_add(f, a, role_of(f, info->resources, info->n_resources), message_copy(info),
                message_copy(report->isolation), held);

        book(a, f, t->role, held);
        take_position(t, report);
        return t;
}

static void kill_adopted(struct task *t, const char *why)
{
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;

        log_warning("agent %s runs task %s of framework %s, %s: killing it", t->agent->id, t->id,
                t->framework->id, why);
        task_kill(t, &kill);
}

static void tell_back(struct framework *f, struct task *t)
{
        struct past_task *p = framework_find_unreachable(f, t->id);
        const struct told_status told = {
                .task_id = t->id,
                .agent_id = t->agent->id,
                .task = t,
                .state = task_seen_state(t),
                .reason = METE__V1__TASK_STATUS__REASON__REASON_AGENT_REREGISTERED,
                .message = "the agent registered again and has this task",
        };

        if (p)
                framework_forget_unreachable(f, p);
        framework_tell(f, t->agent, &told);
}

/* Of a framework that speaks the scheduler API. */
static void adopt_subscribed(struct report *r, struct framework *f, const Mete__Agent__TaskReport *report)
{
        _cleanup_resources_ struct resources held = {};
        struct task *t;

        take_held(r, report, &held);
        t = adopt(r, f, report, &held);
        if (r->before == AGENT_DISCONNECTED && !f->info->checkpoint)
                kill_adopted(t, "which was told that it is lost"); /* when the agent disconnected */
        else if (r->back)
                tell_back(f, t);
}

static void adopt_in_process(struct report *r, struct framework *f, const Mete__Agent__TaskReport *report)
{
        _cleanup_resources_ struct resources held = {};
        struct task *t;
        bool wanted;

        take_held(r, report, &held);
        wanted = f->ops && f->ops->adopt && f->ops->adopt(f, r->agent, report, &held);
        t = adopt(r, f, report, &held);
        if (!wanted)
                kill_adopted(t, "which does not know it");
        else if (f->ops->reported)
                f->ops->reported(f, r->agent, t, report);
}

static void take_known(struct report *r, struct task *t, const Mete__Agent__TaskReport *report)
{
        struct framework *f = t->framework;

        if (f->ops && f->ops->in_process) {
                if (task_state_is_terminal(report->state))
                        return; /* its update follows */
                task_enter_state(t, report->state);
        }
        take_position(t, report);
        if (f->ops && f->ops->reported)
                f->ops->reported(f, r->agent, t, report);
        if (t->kill_wanted && !t->released)
                (void)agent_send_kill(r->agent, f->id, t->id, &t->kill, /* only_signal= */ false);
}

/* It was given up, and launched again elsewhere: only one of the two may go on. */
static void take_replaced(struct report *r, const struct task *t, const Mete__Agent__TaskReport *report)
{
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;

        log_warning("agent %s reports task %s, which runs on agent %s%s", r->agent->id, t->id, t->agent->id,
                t->framework->ops && t->framework->ops->in_process ? ": killing this one" : "");
        if (t->framework->ops && t->framework->ops->in_process && !task_state_is_terminal(report->state))
                (void)agent_send_kill(r->agent, t->framework->id, t->id, &kill, /* only_signal= */ false);
}

static void take_task(struct report *r, const Mete__Agent__TaskReport *report)
{
        struct master *m = r->agent->master;
        const char *id = report->task->task_id->value;
        struct framework *f = framework_find(m, report->framework_id->value);
        struct task *t = f ? task_find(f, id) : NULL;

        if (!f && framework_is_completed(m, report->framework_id->value))
                return; /* the agent was told to end all of it */
        if (t && t->agent != r->agent)
                take_replaced(r, t, report);
        else if (t)
                take_known(r, t, report);
        else if (f && f->ops && !f->ops->in_process)
                adopt_subscribed(r, f, report);
        else if (!task_state_is_terminal(report->state)) /* else its update follows */
                adopt_in_process(r, framework_orphan(m, report->framework_id->value), report);
}

/* ---- all ---- */

static void collect(struct report *r, const Mete__Agent__Call__Subscribe *s)
{
        for (size_t i = 0; i < s->n_tasks; i++)
                reported_add(r, 't', s->tasks[i]->framework_id->value, s->tasks[i]->task->task_id->value);
        for (size_t i = 0; i < s->n_executors; i++)
                reported_add(r, 'x', s->executors[i]->framework_id->value,
                        s->executors[i]->executor->executor_id->value);
}

void agent_take_reports(
        struct agent *a, const Mete__Agent__Call__Subscribe *s, enum agent_state before, bool known)
{
        struct report r = {
                .agent = a,
                .before = before,
                .back = before == AGENT_UNREACHABLE || !known,
        };

        collect(&r, s);
        take_frameworks(&r, s);
        missing_executors(&r);
        missing_tasks(&r);
        for (size_t i = 0; i < s->n_executors; i++)
                take_executor(&r, s->executors[i]);
        for (size_t i = 0; i < s->n_tasks; i++)
                take_task(&r, s->tasks[i]);
        agent_forget_lost_tasks(a);
        reported_free(&r);
}

void agent_forget_lost_tasks(struct agent *a)
{
        for (size_t i = 0; i + 1 < a->lost_tasks.count; i += 2) {
                struct framework *f = framework_find(a->master, a->lost_tasks.items[i]);
                struct past_task *p = f ? framework_find_unreachable(f, a->lost_tasks.items[i + 1]) : NULL;

                if (p && str_equal(p->task->agent_id->value, a->id))
                        framework_forget_unreachable(f, p);
        }
        string_list_done(&a->lost_tasks);
}
