/*
 * `mete run` in the foreground: submits a job, copies the output of its tasks live, passes signals on, says how it ended.
 * Runs the client's loop; one at a time in a process, for it takes SIGINT, SIGTERM, SIGHUP and SIGQUIT.
 */
#pragma once

#include "sdk/client.h"

/* The exit code for the shell, or a negative errno with a sentence when the job was refused. */
int run_attached(struct mete_client *c, Mete__Api__JobSpec *spec, struct error *e);
