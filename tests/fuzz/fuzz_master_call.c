/*
 * Calls of a scheduler as a real master carries them out, with an agent that takes what is launched: validation, offers, tasks, accounting.
 * Whatever was called, the books are right, and when the framework is gone all of the agent is free again.
 *
 * An input that begins with '{' or '!' is lines: each a call in JSON, or "!STATE TASK", which the agent reports of a task. Another one is
 * calls in protobuf, each behind its length in two bytes, little endian. Ids do not change: see MASTER.
 */
#include <event2/event.h>

#include "master/api/scheduler.c" /* the checks of a call are nobody else's */
#include "master/assignment.h"
#include "tests/unit/master/fixture.h"

#include "master/frameworks/validate_framework.h"

#define MASTER "10000000-0000-4000-8000-000000000000" /* agent MASTER-S0, offers MASTER-O0 and on */
#define INPUT_MAX 65536
#define CALLS_MAX 16
#define STEPS 8 /* of the loop: what was posted or sent over loopback arrives */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fixture fixture;

static void step(void)
{
        for (int i = 0; i < STEPS; i++)
                (void)event_base_loop(loop_base(fixture.loop), EVLOOP_NONBLOCK);
}

static void leave(void)
{
        if (remove_tree_at(AT_FDCWD, fixture.directory) < 0)
                (void)fprintf(stderr, "%s is left\n", fixture.directory);
}

/* ---- the framework: it keeps its offers, and forgets what it is told ---- */

static void keep_offer(struct framework *f, struct offer *o)
{
        (void)f, (void)o;
}

static void forget_status(
        struct framework *f, struct agent *a, struct task *t, const Mete__Agent__StatusUpdate *u)
{
        if (!u->status->task_id || !task_state_to_string(u->status->state))
                abort();
}

static const struct framework_ops ops = {
        .offer = keep_offer, .update = forget_status, .pending = note_pending};

static struct framework *begin_framework(void)
{
        struct fixture *x = &fixture;

        x->master->next_offer = 0;
        x->f = framework_add(x->master, framework_info(true), &ops, x);
        x->f->state = FRAMEWORK_ACTIVE;
        x->f->privileged = true;
        offers_schedule(x->master);
        step();
        return x->f;
}

/* The next input finds the agent as this one did. */
static void end_reservations(void)
{
        struct agent *a = agent_find(fixture.master, fixture.agent_id);
        _cleanup_operation_change_ struct operation_change change = {};

        resources_copy(&a->assignment.resources, &change.from);
        resources_with_traits(&change.from, NULL, &change.to);
        if (resources_empty(&change.from))
                return;
        if (allocator_update_available(fixture.master->allocator, a->id, &change.from, &change.to) < 0)
                abort();
        agent_assign(a, &change, NULL, NULL);
        step();
}

static void end_framework(void)
{
        struct allocator *a = fixture.master->allocator;
        _cleanup_error_ struct error e = {};

        framework_remove(TAKE_PTR(fixture.f), "the input is over");
        if (allocator_check(a, &e) < 0 || !resources_equal(allocator_agent_free(a, fixture.agent_id),
                                                  allocator_agent_total(a, fixture.agent_id)))
                abort();
        end_reservations();
        step();
        fixture.n_commands = fixture.n_told = 0;
}

/* What groups and ports need. */
static void add_more_to_agent(void)
{
        struct allocator *a = fixture.master->allocator;
        _cleanup_resources_ struct resources total = {};

        resources_copy(allocator_agent_total(a, fixture.agent_id), &total);
        resources_set_scalar(&total, "disk", 100 * 1000);
        if (resources_add_range(&total, "ports", 31000, 32000) < 0 ||
                allocator_set_agent_total(a, fixture.agent_id, &total) < 0)
                abort();
}

static void start(void)
{
        struct fixture *x = &fixture;

        fixture_start(x);
        (void)atexit(leave);
        (void)signal(SIGPIPE, SIG_IGN);
        framework_remove(TAKE_PTR(x->f), "others come");
        x->options.agent_ping_timeout_ns = 3600 * NSEC_PER_SEC;
        (void)snprintf(x->master->id, sizeof(x->master->id), "%s", MASTER);
        join(x, NULL, 0);
        if (!str_equal(x->agent_id, MASTER "-S0"))
                abort();
        add_more_to_agent();
}

/* ---- calls ---- */

/* What the endpoint does, without a connection to answer on. */
static void take_info_of(struct framework *f, const Mete__V1__FrameworkInfo *from, char *const *suppressed,
        size_t count, const Mete__V1__Scheduler__OfferConstraints *constraints)
{
        _cleanup_error_ struct error e = {};
        Mete__V1__FrameworkInfo *info;

        if (framework_info_validate(from, &e) < 0 ||
                framework_roles_check(from, suppressed, count, constraints, &e) < 0 ||
                framework_set_constraints(f, constraints, &e) < 0) {
                if (!e.message)
                        abort();
                return;
        }
        info = message_copy(from);
        message_free(info->id ? &info->id->base : NULL);
        info->id = xcalloc(1, sizeof(*info->id));
        mete__v1__framework_id__init(info->id);
        info->id->value = xstrdup(f->id);
        framework_take_info(f, info);
        offers_rescind_framework(f, NULL, /* told= */ false);
        framework_set_suppressed(f, suppressed, count);
        framework_tell_agents(f);
        offers_schedule(f->master);
}

static void carry_out(const Mete__V1__Scheduler__Call *call)
{
        struct scheduler_call c = {.master = fixture.master, .call = call, .framework = fixture.f};
        const Mete__V1__Scheduler__Call__Subscribe *s = call->subscribe;
        const Mete__V1__Scheduler__Call__UpdateFramework *u = call->update_framework;
        _cleanup_error_ struct error e = {};
        const struct call_row *row = NULL;

        if (check_call(&c, &row, &e) < 0) {
                if (!e.message)
                        abort();
                return;
        }
        if (!row)
                return;
        count_call(c.master, c.framework, call->type);
        if (call->type == METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE)
                take_info_of(c.framework, s->framework_info, s->suppressed_roles, s->n_suppressed_roles,
                        s->offer_constraints);
        else if (call->type == METE__V1__SCHEDULER__CALL__TYPE__UPDATE_FRAMEWORK)
                take_info_of(c.framework, u->framework_info, u->suppressed_roles, u->n_suppressed_roles,
                        u->offer_constraints);
        else if (call->type != METE__V1__SCHEDULER__CALL__TYPE__TEARDOWN)
                row->handle(&c);
        step();
        if (allocator_check(c.master->allocator, &e) < 0)
                abort();
}

static void take_call(enum codec codec, const void *data, size_t len)
{
        ProtobufCMessage *m = NULL;
        _cleanup_error_ struct error e = {};

        if (message_decode(codec, &mete__v1__scheduler__call__descriptor, data, len, &m, &e) < 0)
                return;
        carry_out((const Mete__V1__Scheduler__Call *)m);
        message_free(m);
}

/* "STATE TASK": with a uuid, so that it is acknowledged. */
static void take_report(const char *line)
{
        Mete__V1__TaskState state;
        const char *space = strchr(line, ' ');
        _cleanup_free_ char *name = space ? xstrndup(line, (size_t)(space - line)) : NULL;

        if (!name || task_state_from_string(name, &state) < 0 || id_validate(space + 1, "task", NULL) < 0)
                return;
        report_update(&fixture, space + 1, state, state, 1);
        step();
}

static void take_lines(const char *data, size_t size)
{
        const char *end = data + size;

        for (int i = 0; i < CALLS_MAX && data < end; i++) {
                const char *newline = memchr(data, '\n', (size_t)(end - data));
                size_t len = (size_t)((newline ? newline : end) - data);
                _cleanup_free_ char *line = xstrndup(data, len);

                if (*line == '!')
                        take_report(line + 1);
                else
                        take_call(CODEC_JSON, data, len);
                data += len + 1;
        }
}

static void take_wire(const uint8_t *data, size_t size)
{
        for (int i = 0; i < CALLS_MAX && size >= 2; i++) {
                size_t len = MIN((size_t)data[0] | (size_t)data[1] << 8, size - 2);

                take_call(CODEC_PROTOBUF, data + 2, len);
                data += 2 + len;
                size -= 2 + len;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0 || size > INPUT_MAX)
                return 0;
        if (!fixture.loop)
                start();
        (void)begin_framework();
        if (*data == '{' || *data == '!')
                take_lines((const char *)data, size);
        else
                take_wire(data, size);
        end_framework();
        return 0;
}
