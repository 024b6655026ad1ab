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
/*
 * A time as people give it: "+2h" from now, "2h" from now or, for the past, before it, "@1700000000", "2026-11-23", "2026-11-23 18:00",
 * "2026-11-23T18:00:30", local time, with Z at the end UTC; as seconds since 1970. -EINVAL with a sentence that begins with `what`.
 */
enum time_side { TIME_AHEAD, TIME_PAST };
int text_parse_time(const char *what, const char *text, enum time_side side, double now, double *ret,
        struct error *e) WARN_UNUSED;
/* "45s", "2m30s", "12m", "3h20m", "2d4h": no more than is worth telling. */
const char *text_rough(double seconds, char buf[static TEXT_MAX]);
/* "14:05:03" of today, "2026-11-24 14:05" of other days, local time. */
const char *text_time(double seconds, double now, char buf[static TEXT_MAX]);
/* "in about 12m", "now", "3m ago". */
const char *text_distance_in_time(double seconds, double now, char buf[static TEXT_MAX]);
/* "running" of TASK_RUNNING or JOB_RUNNING, "active" of AGENT_ACTIVE. */
const char *text_task_state(Mete__V1__TaskState state);
const char *text_job_state(Mete__Api__JobState state);
const char *text_agent_state(Mete__Api__Agent__State state);
/* Replaces what could disturb a terminal (control characters, escape sequences) with '?': text that others chose. */
char *text_safe(const char *s);
/*
 * A refusal without the path of the API's field in front, but for its last name: "history.limit: 0 is refused" -> "limit: 0 is refused",
 * "kill.id: no job '9'" -> "no job '9'".
 */
const char *text_without_field(const char *sentence);
/* Printed from column `indent` on, broken at spaces before column 80; `at` is the column that the line has reached. */
void text_print_wrapped(FILE *f, const char *text, size_t at, size_t indent);
/* "mete: warning: ...", a line each, on stderr. */
void text_warn(char *const *warnings, size_t count);
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
