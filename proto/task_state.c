#include "proto/validate.h"

bool task_state_is_terminal(Mete__V1__TaskState s)
{
        switch (s) {
        case METE__V1__TASK_STATE__TASK_FINISHED:
        case METE__V1__TASK_STATE__TASK_FAILED:
        case METE__V1__TASK_STATE__TASK_KILLED:
        case METE__V1__TASK_STATE__TASK_ERROR:
        case METE__V1__TASK_STATE__TASK_LOST:
        case METE__V1__TASK_STATE__TASK_DROPPED:
        case METE__V1__TASK_STATE__TASK_GONE:
        case METE__V1__TASK_STATE__TASK_GONE_BY_OPERATOR:
                return true;
        default:
                return false;
        }
}
