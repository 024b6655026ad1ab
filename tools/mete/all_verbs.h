/* One line a verb; each is defined in its own verb_<name>.c. */
#pragma once

#include "tools/mete/verb.h"

extern const struct verb verb_agents;
extern const struct verb verb_completion;
extern const struct verb verb_dev;
extern const struct verb verb_doctor;
extern const struct verb verb_explain;
extern const struct verb verb_gone;
extern const struct verb verb_help;
extern const struct verb verb_history;
extern const struct verb verb_inspect;
extern const struct verb verb_jobs;
extern const struct verb verb_kill;
extern const struct verb verb_logs;
extern const struct verb verb_maintenance;
extern const struct verb verb_plan;
extern const struct verb verb_ps;
extern const struct verb verb_queue;
extern const struct verb verb_quota;
extern const struct verb verb_reserve;
extern const struct verb verb_resume;
extern const struct verb verb_roles;
extern const struct verb verb_run;
extern const struct verb verb_stats;
extern const struct verb verb_suspend;
extern const struct verb verb_unreserve;
extern const struct verb verb_validate;
extern const struct verb verb_version;
extern const struct verb verb_volumes;
extern const struct verb verb_weights;
