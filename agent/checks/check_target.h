/* From what a task asks for to what a run of a check needs. Pure but for the plan of a command. */
#pragma once

#include "agent/checks/check_run.h"
#include "agent/checks/schedule.h"

/* -EINVAL or -ENOTSUP with a sentence that names the field; task_user: CommandInfo.user of the task, which a check cannot change. */
int check_target_check_health(const Mete__V1__HealthCheck *h, const char *task_user, struct check_timing *ret,
        struct error *e) WARN_UNUSED;
int check_target_check_check(const Mete__V1__CheckInfo *c, const char *task_user, struct check_timing *ret,
        struct error *e) WARN_UNUSED;
/* Both for messages that passed. */
int check_target_of_health(struct agent_container *c, const Mete__V1__HealthCheck *h,
        struct check_target *ret, struct error *e) WARN_UNUSED;
int check_target_of_check(struct agent_container *c, const Mete__V1__CheckInfo *i, struct check_target *ret,
        struct error *e) WARN_UNUSED;
void check_target_done(struct check_target *t);
