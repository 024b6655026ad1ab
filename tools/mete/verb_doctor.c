#include <unistd.h>

#include "tools/mete/all_verbs.h"
#include "tools/mete/program.h"

static const struct option_row rows[] = {OPTION_ROW_JSON};

/*
 * The agent's program tells: it alone carries the isolators, and it is what must work on this host. It prints a table or, with
 * --json, an array of {isolation, provides, available, reason, provides_it}, and exits 1 when something is missing.
 */
static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct common_options *o = options;
        _cleanup_free_ char *agent = NULL;
        int r;

        r = program_find("mete-agent", &agent, e);
        if (r < 0)
                return r;
        if (geteuid() != 0)
                return error_set(e, -EPERM,
                        "what this host can isolate shows only when it is tried as root: run `sudo mete "
                        "doctor`");
        (void)fflush(stdout);
        (void)execl(agent, agent, "--doctor", o->json ? "--json" : NULL, NULL);
        return error_set_errno(e, -errno, "cannot start %s", agent);
}

const struct verb verb_doctor = {
        .name = "doctor",
        .parser =
                {
                        .program = "mete doctor",
                        .synopsis = "[options]",
                        .summary = "which isolations this host can give, and what is missing for the others",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .run = run,
};
