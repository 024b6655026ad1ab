/*
 * What a job may ask for, as far as that can be told without a cluster: the master checks what is submitted with it, `mete validate`
 * what is in a file. Pure functions over messages, no state; the constraints of master/queue are the only other part of the master
 * that may be used here.
 */
#pragma once

#include "master/spec/api_error.h"
#include "proto/mete.pb-c.h"

/* Checks what was submitted and completes it with the defaults. Fields are named from the call on: "submit.job.cpus". */
int job_spec_validate(Mete__Api__JobSpec *spec, struct api_error *x) WARN_UNUSED;
