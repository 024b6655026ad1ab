/* Maintenance windows, for those who run the machines: everybody sees them, root makes them. */

#include <stdlib.h>

#include "master/api/api.h"
#include "master/operator/windows.h"

static void respond_windows(
        struct master *m, struct http_request *req, enum codec codec, const struct string_list *warnings)
{
        Mete__Api__Response response = METE__API__RESPONSE__INIT;

        response.type = METE__API__RESPONSE__TYPE__MAINTENANCE;
        response.windows = (Mete__Api__Window **)windows_list(m->windows, &response.n_windows);
        if (warnings) {
                response.warnings = warnings->items;
                response.n_warnings = warnings->count;
        }
        api_respond(req, codec, 200, &response.base);
}

void call_list_maintenance(struct api_call *c)
{
        respond_windows(c->master, c->req, c->codec, NULL);
}

/* An answer that waits for the store. */
struct pending {
        struct master *master;
        struct http_request *req;
        enum codec codec;
        struct string_list warnings;
};

static void pending_answer(int result, void *userdata)
{
        struct pending *p = userdata;

        if (result < 0)
                api_refuse(p->req, p->codec, 503, NULL, "the master could not write its store: %s",
                        store_failure(p->master->store) ?: "it stops");
        else
                respond_windows(p->master, p->req, p->codec, &p->warnings);
        string_list_done(&p->warnings);
        free(p);
}

static void answer_when_written(struct api_call *c, struct string_list *warnings)
{
        struct pending *p = NEW0(struct pending);

        *p = (struct pending){c->master, c->req, c->codec, *warnings};
        *warnings = (struct string_list){};
        master_write(c->master, store_batch_new(), pending_answer, p);
}

void call_schedule_maintenance(struct api_call *c)
{
        struct string_list warnings = {};
        _cleanup_error_ struct error e = {};
        const char *field;

        if (!call_needs_root(c, "schedule maintenance"))
                return;
        int r = windows_schedule(
                c->master->windows, c->call->schedule_maintenance->window, &warnings, &field, &e);

        if (r < 0) {
                _cleanup_free_ char *path =
                        xasprintf("schedule_maintenance.window%s%s", field ? "." : "", field ? field : "");

                api_refuse(c->req, c->codec, r == -ENOSPC ? 409 : 400, path, "%s", error_message(&e));
        } else {
                answer_when_written(c, &warnings);
        }
        string_list_done(&warnings);
}

void call_cancel_maintenance(struct api_call *c)
{
        const char *id = c->call->cancel_maintenance->id;
        struct string_list none = {};

        if (!call_needs_root(c, "cancel maintenance"))
                return;
        if (windows_cancel(c->master->windows, id) < 0)
                api_refuse(c->req, c->codec, 404, "cancel_maintenance.id",
                        "no maintenance window '%s': the id of a scheduled one is expected", id);
        else
                answer_when_written(c, &none);
}
