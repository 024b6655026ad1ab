#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/doctor.h"
#include "lib/base/log.h"

/* Exit code, or negative errno. */
static int run(const struct agent_options *options, struct error *e)
{
        struct agent agent;

        if (geteuid() != 0)
                return error_set(
                        e, -EPERM, "mete-agent makes cgroups, namespaces and mounts: run it as root");
        if (options->doctor)
                return agent_doctor(options->json, stdout);
        if (options->purge)
                return agent_purge(options, e);
        int r = agent_start(&agent, options, e);
        if (r < 0)
                return r;
        r = agent_run(&agent);
        agent_stop(&agent);
        return r < 0 ? error_set_errno(e, r, "the event loop failed") : 0;
}

int main(int argc, char **argv)
{
        _cleanup_agent_options_ struct agent_options options = {0};
        _cleanup_error_ struct error e = {0};

        log_set_program("mete-agent");
        (void)signal(SIGPIPE, SIG_IGN);
        (void)mallopt(M_ARENA_MAX, 1); /* one loop and a worker that hardly allocates */
        int r = agent_options_parse(&options, argc, argv, &e);
        if (r > 0)
                return EXIT_SUCCESS;
        if (r == 0 && options.verbose)
                log_set_level(LOG_LEVEL_DEBUG);
        if (r == 0)
                r = run(&options, &e);
        if (r < 0) {
                log_error("%s", error_message(&e));
                return EXIT_FAILURE;
        }
        return r;
}
