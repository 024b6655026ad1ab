/*
 * What a maintenance window may be, by itself. Pure.
 */
#pragma once

#include "master/operator/windows.h"

double window_end(const Mete__Api__Window *w); /* INFINITY: when it is cancelled */
/* -EINVAL with a sentence and the field of the window that it is about. */
int window_check(const Mete__Api__Window *w, double now, const char **ret_field, struct error *e) WARN_UNUSED;
