#include "agent/outcome.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#define MIB ((double)(1 << 20))

void task_outcome_done(struct task_outcome *o)
{
        free(o->message);
        o->message = NULL;
}

struct task_outcome task_outcome_make(
        Mete__V1__TaskState state, Mete__V1__TaskStatus__Reason reason, const char *message)
{
        return (struct task_outcome){
                .state = state, .has_reason = true, .reason = reason, .message = xstrdup(message)};
}

/*
 * A memory kill: the kernel counted victims in this very cgroup, and the main process died or failed. A task that survives
 * the death of a child (exit 0) is no failure of ours to call.
 */
static bool killed_by_memory(const struct task_facts *f)
{
        int status = f->record->wait_status;

        if (!f->usage || f->usage->cgroup.memory_oom_kills == 0)
                return false;
        if (WIFSIGNALED(status))
                return WTERMSIG(status) == SIGKILL;
        return WIFEXITED(status) && WEXITSTATUS(status) != 0;
}

static void memory_outcome(const struct task_facts *f, struct task_outcome *o)
{
        uint64_t kills = f->usage->cgroup.memory_oom_kills;
        uint64_t limit = f->usage->cgroup.has_memory && f->usage->cgroup.memory_limit_bytes != UINT64_MAX
                                 ? f->usage->cgroup.memory_limit_bytes
                                 : f->memory_limit_bytes;

        o->state = METE__V1__TASK_STATE__TASK_FAILED;
        o->has_reason = true;
        o->reason = METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY;
        o->memory_limit_hit = true;
        o->message = xasprintf("memory limit reached: cgroup %s killed %" PRIu64
                               " process%s at its limit of %.1f MiB (%" PRIu64
                               " bytes), peak %.1f MiB (%" PRIu64 " bytes)",
                f->memory_cgroup ? f->memory_cgroup : "(gone)", kills, kills == 1 ? "" : "es",
                (double)limit / MIB, limit, (double)f->memory_peak_bytes / MIB, f->memory_peak_bytes);
}

/* Whatever the command made of being killed: its time was over. */
static void late_outcome(const struct task_facts *f, struct task_outcome *o)
{
        char text[WAIT_STATUS_TEXT_MAX];

        o->state = METE__V1__TASK_STATE__TASK_FAILED;
        o->has_reason = true;
        o->reason = METE__V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED;
        o->message = xasprintf("Command ran longer than its max_completion_time, and %s",
                wait_status_format(f->record->wait_status, text));
}

static void process_outcome(const struct task_facts *f, struct task_outcome *o)
{
        int status = f->record->wait_status;
        char text[WAIT_STATUS_TEXT_MAX];

        o->has_exit_code = true;
        o->exit_code = wait_status_exit_code(status);
        if (f->kill_asked && f->kill_cause == KILL_CAUSE_COMPLETION_TIME) {
                late_outcome(f, o);
                return;
        }
        if (!f->kill_asked && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                o->state = METE__V1__TASK_STATE__TASK_FINISHED;
                o->message = xstrdup("Command exited with status 0");
                return;
        }
        if (!f->kill_asked && killed_by_memory(f)) {
                memory_outcome(f, o);
                return;
        }
        o->state = f->kill_asked ? METE__V1__TASK_STATE__TASK_KILLED : METE__V1__TASK_STATE__TASK_FAILED;
        o->message = xasprintf("Command %s", wait_status_format(status, text));
        if (!f->kill_asked) {
                o->has_reason = true;
                o->reason = METE__V1__TASK_STATUS__REASON__REASON_COMMAND_EXECUTOR_FAILED;
        }
}

static void launch_outcome(const struct task_facts *f, struct task_outcome *o)
{
        const struct shim_record *r = f->record;

        o->has_reason = true;
        if (f->kill_asked) {
                o->state = METE__V1__TASK_STATE__TASK_KILLED;
                o->reason = METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH;
                o->message = xstrdup("Killed before its command was executed");
                return;
        }
        if (!r->failed_errno && f->usage && f->usage->cgroup.memory_oom_kills > 0) {
                /* The limit is too small even for what sets the container up. */
                memory_outcome(f, o);
                o->has_exit_code = true;
                o->exit_code = 128 + SIGKILL;
                return;
        }
        o->state = METE__V1__TASK_STATE__TASK_FAILED;
        o->reason = METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED;
        /* As a shell would: not found, or found and not executable. */
        o->has_exit_code = str_equal(r->failed_stage, "exec");
        o->exit_code = !o->has_exit_code ? 0 : r->failed_errno == ENOENT ? 127 : 126;
        o->message = r->failed_errno ? xasprintf("%s: %s", r->failed_stage, r->failed_text)
                                     : xstrdup("the container ended before its command was executed");
}

static void lost_shim_outcome(const struct task_facts *f, struct task_outcome *o)
{
        o->has_reason = true;
        o->state = f->kill_asked ? METE__V1__TASK_STATE__TASK_KILLED : METE__V1__TASK_STATE__TASK_FAILED;
        o->reason = METE__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED;
        o->message = xstrdup("its shim was killed: how the command ended is not known");
}

void task_outcome_decide(const struct task_facts *f, struct task_outcome *ret)
{
        *ret = (struct task_outcome){0};
        if (!f->has_record || f->record->finished_wall_ns == 0)
                lost_shim_outcome(f, ret);
        else if (f->record->failed_errno || f->record->started_wall_ns == 0)
                launch_outcome(f, ret);
        else
                process_outcome(f, ret);
}
