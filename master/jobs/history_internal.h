/* Between the files of the history. */
#pragma once

#include "master/jobs/history.h"

#define HISTORY_PREFIX "history/"
#define HISTORY_KEY HISTORY_PREFIX "%010ju"
#define HISTORY_TASKS_KEY "history_tasks/%010ju"
#define ENDED_PREFIX "ended/"
#define ENDED_KEY ENDED_PREFIX "%015ju/%010ju"

struct history {
        struct master *master;
        struct loop_timer *timer; /* the next look at the oldest */
        size_t count;             /* records in the store, with those on their way */
        bool trim_soon;           /* the timer is armed for the next second */
        bool trimming;
        size_t queries;
};
