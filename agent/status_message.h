/* Builds status updates and reports from a task. The messages own everything in them. */
#pragma once

#include "agent/task.h"

Mete__Agent__StatusUpdate *status_message_new(
        const struct agent_task *t, Mete__V1__TaskState state, const char *message);
Mete__Agent__StatusUpdate *status_message_terminal(const struct agent_task *t, const struct task_outcome *o);
/* Of a task that this agent does not know. */
Mete__Agent__StatusUpdate *status_message_unknown(
        const char *agent_id, const char *framework_id, const char *task_id);
/* Borrows from t: free only the struct and its usage, by status_message_report_free. */
Mete__Agent__TaskReport *status_message_report(const struct agent_task *t);
void status_message_report_free(Mete__Agent__TaskReport *r);
/* What an executor left unsaid of its container: the id, an address, the process. */
void status_message_complete_container(Mete__V1__ContainerStatus *s, const struct agent_container *c);
