/* Between the files of this folder: the checks by subject. Pure functions. */
#pragma once

#include "master/spec/job_spec.h"

#define F "submit.job."
#define COUNT_MAX 10000 /* tasks of a job */
#define LISTS_MAX 64
#define PATH_LENGTH_MAX 4096

/* "FIELD: 'VALUE' is refused: ACCEPTED", the value cut and made printable. -EINVAL. */
int refuse_text(struct api_error *x, const char *field, const char *value, const char *accepted);
/* -EINVAL unless `path` has no component "..", no control character, and a length that the kernel takes. */
int check_path_safe(const char *field, const char *path, struct api_error *x);
bool job_name_legal(const char *s);

/* validate_job_schedule.c: queue, times, array, gang, dependencies, constraints, placement, restart. After count and cpus were checked. */
int check_schedule(Mete__Api__JobSpec *spec, bool count_given, struct api_error *x);
/* validate_job_extra.c: ports, exclusive cores, volumes. */
int check_extra(Mete__Api__JobSpec *spec, struct api_error *x);
