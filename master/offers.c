/* Offers out of the allocator to frameworks, and what frameworks do with them. */

#include <stdlib.h>
#include <string.h>

#include "master/core.h"

struct offer *offer_find(const struct master *m, const char *id)
{
        struct offer *o;

        HASH_FIND_STR(m->offers, id, o);
        return o;
}

static void offer_free(struct offer *o)
{
        struct master *m = o->framework->master;

        HASH_DEL(m->offers, o);
        DL_DELETE2(o->agent->offers, o, agent_prev, agent_next);
        DL_DELETE2(o->framework->offers, o, framework_prev, framework_next);
        free(o->id);
        free(o->role);
        resources_done(&o->resources);
        free(o);
}

static void offer_recover(struct offer *o, uint64_t refuse_ns)
{
        struct master *m = o->framework->master;
        struct allocator_usage use = {o->framework->id, o->role, &o->resources};

        allocator_recover(m->allocator, o->agent->id, &use, mono_now(), refuse_ns);
}

static void offer_make(struct master *m, struct allocator_offer *from)
{
        struct offer *o = NEW0(struct offer);

        o->framework = framework_find(m, from->framework);
        o->agent = agent_find(m, from->agent);
        assert(o->framework && o->framework->ops && o->agent);
        o->id = xasprintf("%s-O%ju", m->id, (uintmax_t)m->next_offer++);
        o->role = TAKE_PTR(from->role);
        o->resources = from->resources;
        from->resources = (struct resources){};
        HASH_ADD_KEYPTR(hh, m->offers, o->id, strlen(o->id), o);
        DL_APPEND2(o->agent->offers, o, agent_prev, agent_next);
        DL_APPEND2(o->framework->offers, o, framework_prev, framework_next);
        o->made = mono_now();
        allocator_offer_done(from);
        o->framework->ops->offer(o->framework, o);
}

static void offers_run(struct master *m)
{
        struct allocator_offer offer = {};
        struct mono_time now = mono_now(), wakeup;

        m->offers_soon = false;
        if (m->stopping || !m->leading)
                return;
        samples_add(&m->counters.allocation_run_latency, mono_elapsed_ns(m->offers_asked, now));
        while (allocator_next_offer(m->allocator, now, &offer))
                offer_make(m, &offer);
        samples_add(&m->counters.allocation_run, mono_elapsed_ns(now, mono_now()));
        if (!m->offers_soon && allocator_next_wakeup(m->allocator, &wakeup)) {
                m->offers_asked = wakeup;
                loop_timer_arm(m->offer_timer, mono_elapsed_ns(now, wakeup) + 1, /* period_ns= */ 0);
        }
}

void offers_schedule(struct master *m)
{
        if (m->offers_soon || m->stopping)
                return;
        m->offers_soon = true;
        m->offers_asked = mono_now();
        loop_timer_arm(m->offer_timer, /* delay_ns= */ 0, /* period_ns= */ 0);
}

static void offers_on_timer(struct loop_timer *t, void *userdata)
{
        offers_run(userdata);
}

void offers_init(struct master *m)
{
        m->offer_timer = loop_timer_new(m->loop, offers_on_timer, m);
}

static void offer_rescind(struct offer *o, bool told)
{
        const struct framework_ops *ops = o->framework->ops;

        if (told && ops && ops->rescind)
                ops->rescind(o->framework, o);
        offer_recover(o, 0);
        offer_free(o);
}

void offers_rescind_agent(struct agent *a)
{
        struct offer *o, *next;

        DL_FOREACH_SAFE2(a->offers, o, next, agent_next)
        offer_rescind(o, /* told= */ true);
}

void offers_rescind_framework(struct framework *f, const char *role, bool told)
{
        struct offer *o, *next;

        DL_FOREACH_SAFE2(f->offers, o, next, framework_next)
        if (!role || str_equal(o->role, role))
                offer_rescind(o, told);
        offers_schedule(f->master);
}

void framework_set_suppressed(struct framework *f, char *const *roles, size_t count)
{
        for (size_t i = 0; i < f->roles.count; i++) {
                const char *role = f->roles.items[i];
                bool suppressed = false;

                for (size_t j = 0; j < count && !suppressed; j++)
                        suppressed = str_equal(roles[j], role);
                (void)(suppressed ? allocator_suppress : allocator_revive)(f->master->allocator, f->id, role);
        }
        offers_schedule(f->master);
}

void offers_decline(struct framework *f, const char *const *offer_ids, size_t offer_count, uint64_t refuse_ns)
{
        for (size_t i = 0; i < offer_count; i++) {
                struct offer *o = offer_find(f->master, offer_ids[i]);

                if (!o || o->framework != f)
                        continue;
                offer_recover(o, refuse_ns);
                offer_free(o);
        }
        offers_schedule(f->master);
}

/* ---- accepting ---- */

/* What the offers of one call hold together. */
struct accepted {
        struct agent *agent;
        char *role;
        struct resources resources;
        const char *error; /* why they cannot be used */
};

static void accept_take(struct framework *f, const char *const *ids, size_t count, struct accepted *ret)
{
        for (size_t i = 0; i < count; i++) {
                struct offer *o = offer_find(f->master, ids[i]);

                if (!o || o->framework != f) {
                        ret->error = "the offer is no longer valid";
                        continue;
                }
                if (ret->agent && (ret->agent != o->agent || !str_equal(ret->role, o->role))) {
                        ret->error = "the offers are of different agents or roles";
                        offer_recover(o, 0);
                        offer_free(o);
                        continue;
                }
                ret->agent = o->agent;
                if (!ret->role)
                        ret->role = xstrdup(o->role);
                resources_add(&ret->resources, &o->resources);
                offer_free(o); /* still booked */
        }
        if (!ret->agent && !ret->error)
                ret->error = "no offer was named";
}

static void refuse_task(struct framework *f, const struct accepted *acc, const Mete__V1__TaskInfo *info,
        Mete__V1__TaskState state, Mete__V1__TaskStatus__Reason reason, const char *why)
{
        Mete__Agent__StatusUpdate u = METE__AGENT__STATUS_UPDATE__INIT;
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;
        Mete__V1__FrameworkID framework_id = METE__V1__FRAMEWORK_ID__INIT;

        framework_id.value = f->id;
        status.task_id = info->task_id;
        status.agent_id = info->agent_id;
        status.state = state;
        status.has_source = true;
        status.source = METE__V1__TASK_STATUS__SOURCE__SOURCE_MASTER;
        status.has_reason = true;
        status.reason = reason;
        status.message = (char *)why;
        status.has_timestamp = true;
        status.timestamp = wall_seconds_now();
        u.framework_id = &framework_id;
        u.status = &status;
        f->ops->update(f, acc->agent, NULL, &u);
}

static const char *task_invalid(
        struct framework *f, const struct accepted *acc, const Mete__V1__TaskInfo *info)
{
        if (id_validate(info->task_id->value, "task_id", NULL) < 0)
                return "the task id is not a legal id";
        if (task_find(f, info->task_id->value))
                return "a task with this id is alive";
        if (!!info->command == !!info->executor)
                return "exactly one of command and executor is expected";
        if (!str_equal(info->agent_id->value, acc->agent->id))
                return "the task names another agent than the offer";
        return NULL;
}

/* Adds the task to `tasks`, or answers it with a status. */
static bool accept_task(
        struct framework *f, struct accepted *acc, const Mete__V1__TaskInfo *info, struct task **ret)
{
        _cleanup_resources_ struct resources need = {};
        const char *invalid;

        if (acc->error) {
                refuse_task(f, acc, info, METE__V1__TASK_STATE__TASK_LOST,
                        METE__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS, acc->error);
                return false;
        }
        if (acc->agent->state != AGENT_ACTIVE) {
                refuse_task(f, acc, info, METE__V1__TASK_STATE__TASK_LOST,
                        METE__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED,
                        "the agent is not connected");
                return false;
        }
        invalid = task_invalid(f, acc, info);
        if (!invalid && (!resources_of_task(info, &need) || resources_empty(&need)))
                invalid = "the resources of the task are not legal";
        if (!invalid && resources_subtract(&acc->resources, &need) < 0)
                invalid = "the task needs more than the offers hold";
        if (invalid) {
                refuse_task(f, acc, info, METE__V1__TASK_STATE__TASK_ERROR,
                        METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, invalid);
                return false;
        }
        *ret = task_add(f, acc->agent, acc->role, message_copy(info),
                message_copy(f->ops->isolation ? f->ops->isolation(f, info, NULL) : NULL), &need);
        return true;
}

static size_t count_launches(Mete__V1__Offer__Operation *const *operations, size_t count)
{
        size_t n = 0;

        for (size_t i = 0; i < count; i++)
                if (operations[i]->launch)
                        n += operations[i]->launch->n_task_infos;
        return n;
}

void offers_accept(struct framework *f, const char *const *offer_ids, size_t offer_count,
        Mete__V1__Offer__Operation *const *operations, size_t operation_count, uint64_t refuse_ns)
{
        size_t launches = count_launches(operations, operation_count), count = 0;
        _cleanup_free_ struct task **tasks = xcalloc(launches + 1, sizeof(*tasks));
        struct accepted acc = {};

        accept_take(f, offer_ids, offer_count, &acc);
        for (size_t i = 0; i < operation_count; i++) {
                const Mete__V1__Offer__Operation *op = operations[i];

                if (op->type != METE__V1__OFFER__OPERATION__TYPE__LAUNCH || !op->launch)
                        continue; /* the others come with reservations */
                for (size_t j = 0; j < op->launch->n_task_infos; j++)
                        if (accept_task(f, &acc, op->launch->task_infos[j], &tasks[count]))
                                count++;
        }
        if (acc.agent) {
                struct allocator_usage rest = {f->id, acc.role, &acc.resources};

                /* A refusal of nothing would refuse everything. */
                allocator_recover(f->master->allocator, acc.agent->id, &rest, mono_now(),
                        resources_empty(&acc.resources) ? 0 : refuse_ns);
        }
        if (count > 0)
                f->ops->launching(f, tasks, count);
        resources_done(&acc.resources);
        free(acc.role);
        offers_schedule(f->master);
}

void offers_free(struct master *m)
{
        struct offer *o, *next;

        HASH_ITER (hh, m->offers, o, next)
                offer_free(o);
}
