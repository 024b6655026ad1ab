/* no_new_privs: set-user-id programs and file capabilities give nothing. Always. */
#include <sys/prctl.h>

#include "isolators/isolators.h"

static int privileges_probe(struct isolator_host *h, struct error *e)
{
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) < 0)
                return error_set(e, -ENOTSUP, "this kernel has no no_new_privs: Linux 3.5 has it");
        return 0;
}

static int privileges_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        plan_add(p, PLAN_PHASE_PRIVILEGE, PLAN_STEP_NO_NEW_PRIVS, 0);
        return 0;
}

const struct isolator isolator_privileges = {
        .name = "privileges",
        .provides = "no privileges gained by executing a program",
        .probe = privileges_probe,
        .prepare = privileges_prepare,
};
