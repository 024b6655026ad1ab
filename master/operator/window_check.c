#include "master/operator/window_check.h"

#include <math.h>
#include <string.h>

#include "lib/base/utf8.h"

double window_end(const Mete__Api__Window *w)
{
        return w->has_duration_seconds ? w->start + w->duration_seconds : INFINITY;
}

static int check_times(const Mete__Api__Window *w, double now, const char **ret_field, struct error *e)
{
        *ret_field = "start";
        if (!(w->start >= 0 && w->start <= now + WINDOW_SECONDS_MAX))
                return error_set(e, -EINVAL,
                        "%.15g is not a time from 1970 to ten years from now: seconds since 1970 are "
                        "expected",
                        w->start);
        *ret_field = "duration_seconds";
        if (w->has_duration_seconds &&
                !(w->duration_seconds > 0 && w->duration_seconds <= WINDOW_SECONDS_MAX))
                return error_set(e, -EINVAL, "%g is not above 0 and at most %.0f seconds (ten years)",
                        w->duration_seconds, WINDOW_SECONDS_MAX);
        if (window_end(w) <= now)
                return error_set(e, -EINVAL, "the window is over already: it ended %.0f seconds ago",
                        now - window_end(w));
        return 0;
}

static int check_names(const Mete__Api__Window *w, const char **ret_field, struct error *e)
{
        *ret_field = "agents";
        if (w->n_agents == 0)
                return error_set(e, -EINVAL, "no agent is named: ids or host names are expected");
        if (w->n_agents > WINDOW_AGENTS_MAX)
                return error_set(e, -EINVAL, "%zu agents are named: at most %d are accepted", w->n_agents,
                        WINDOW_AGENTS_MAX);
        for (size_t i = 0; i < w->n_agents; i++) {
                _cleanup_free_ char *shown = text_for_message(w->agents[i], TEXT_FOR_MESSAGE_BYTES);

                if (id_validate(w->agents[i], "agents", NULL) < 0)
                        return error_set(
                                e, -EINVAL, "'%s' is neither the id of an agent nor a host name", shown);
        }
        *ret_field = "comment";
        if (w->comment && strlen(w->comment) > WINDOW_COMMENT_MAX)
                return error_set(e, -EINVAL, "it has %zu bytes: at most %d are accepted", strlen(w->comment),
                        WINDOW_COMMENT_MAX);
        return 0;
}

int window_check(const Mete__Api__Window *w, double now, const char **ret_field, struct error *e)
{
        int r = check_times(w, now, ret_field, e);

        return r < 0 ? r : check_names(w, ret_field, e);
}
