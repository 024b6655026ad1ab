#include <malloc.h>
#include <signal.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "master/master.h"
#include "master/options.h"

static void on_signal(struct loop_signal *s, int signo, void *userdata)
{
        log_info("signal %d: stopping", signo);
        loop_stop(userdata);
}

static int run(const struct master_options *options, struct error *e)
{
        CLEANUP(cleanup_loop_free) struct loop *loop = NULL;
        struct loop_signal *terminate, *interrupt;
        struct master *master = NULL;
        int r = loop_new(&loop, e);

        if (r >= 0)
                r = master_new(loop, options, &master, e);
        if (r < 0)
                return r;
        terminate = loop_signal_new(loop, SIGTERM, on_signal, loop);
        interrupt = loop_signal_new(loop, SIGINT, on_signal, loop);
        r = loop_run(loop);
        if (master_failure(master))
                r = error_set(e, -EIO, "%s", master_failure(master));
        else if (r < 0)
                error_set_errno(e, r, "event loop");
        master_free(master);
        loop_signal_free(terminate);
        loop_signal_free(interrupt);
        return r;
}

int main(int argc, char **argv)
{
        _cleanup_error_ struct error error = {};
        struct master_options options;
        int first, r;

        master_options_init(&options);
        log_set_program("mete-master");
        (void)signal(SIGPIPE, SIG_IGN);
        /* Small chunks are joined when they are freed: glibc would put that off and join millions at once, 140 ms after a busy time. */
        (void)mallopt(M_MXFAST, 0);
        r = options_parse(&master_option_parser, argc, argv, &options, &first, &error);
        if (r == 0 && first < argc)
                r = error_set(&error, -EINVAL, "unexpected argument '%s'", argv[first]);
        if (r == 0 && !options.version)
                r = master_options_check(&options, &error);
        if (r == 0 && options.version)
                printf("mete-master %s\n", METE_VERSION);
        else if (r == 0) {
                log_set_level(options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
                r = run(&options, &error);
        }
        if (r < 0)
                log_error("%s", error_message(&error));
        options_done(&master_option_parser, &options);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
