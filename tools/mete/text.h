/* Text for people: sizes, cores, times, names of states, aligned tables, colours. No state; any thread. */
#pragma once

#include <stdio.h>

#include "lib/base/util.h"
#include "sdk/client.h"

#define TEXT_MAX 48
/* "512 B", "1.5 MiB", "64 MiB": powers of 1024, at most one decimal. */
const char *text_size(uint64_t bytes, char buf[static TEXT_MAX]);
/* "0.25", "4": at most three decimals, no trailing zeroes. */
const char *text_cores(double cores, char buf[static TEXT_MAX]);
/* "12.3s", "3m05s" from seconds. */
const char *text_seconds(double seconds, char buf[static TEXT_MAX]);
/* How long ago a wall clock time in seconds since 1970 is; "-" for 0. */
const char *text_age(double since, double now, char buf[static TEXT_MAX]);
double text_now(void);
/* "running" of TASK_RUNNING or JOB_RUNNING, "active" of AGENT_ACTIVE. */
const char *text_task_state(Mete__V1__TaskState state);
const char *text_job_state(Mete__Api__JobState state);
const char *text_agent_state(Mete__Api__Agent__State state);
/* Replaces what could disturb a terminal (control characters, escape sequences) with '?': text that others chose. */
char *text_safe(const char *s);
/* A refusal without the path of the API's field in front: "kill.id: no job '9'" -> "no job '9'". */
const char *text_without_field(const char *sentence);
/* Edit distance: insertions, deletions, replacements and swaps of neighbours; for suggestions. */
unsigned text_distance(const char *a, const char *b);

/* ---- tables ---- */
enum column_align { COLUMN_LEFT, COLUMN_RIGHT };
struct column {
        const char *title;
        enum column_align align;
};
struct table;
struct table *table_new(const struct column *columns, size_t count);
struct table *table_free(struct table *t);
DEFINE_CLEANUP(struct table, table_free)
/* Fills the next cell, row by row; the text is copied and made safe. NULL shows "-". */
void table_cell(struct table *t, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The heading is bold on a terminal. */
void table_print(const struct table *t, FILE *f);
