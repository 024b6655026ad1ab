/* The form of a job file as JSON Schema (draft 2020-12): from the messages' descriptors, with a sentence a field. No state. */
#pragma once

#include <jansson.h>

/* A new reference. */
json_t *job_schema(void);

/* For the tests: the rows that are about no field, and the fields that no row is about, a line each; empty when all is well. The caller
 * frees. */
char *job_schema_gaps(void);
