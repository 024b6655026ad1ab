/*
 * SUBSCRIBE, UPDATE_FRAMEWORK and TEARDOWN. What is wrong with a subscription is told on the stream that was asked for: a 200, one ERROR
 * event, the end.
 */

#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "master/api/scheduler.h"
#include "master/frameworks/http_framework.h"
#include "master/frameworks/validate_framework.h"
#include "master/master_info.h"

/* ---- refusing ---- */

static void refuse_subscription(struct scheduler_call *c, enum codec codec, const char *why)
{
        Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;
        Mete__V1__Scheduler__Event__Error error = METE__V1__SCHEDULER__EVENT__ERROR__INIT;
        _cleanup_buffer_ struct buffer record = {};
        char stream_id[UUID_TEXT_MAX];
        struct http_stream *stream;
        uint8_t uuid[UUID_BYTES];

        log_info("a subscription is refused: %s", why);
        uuid_generate_bytes(uuid);
        http_request_add_header(c->req, "Mesos-Stream-Id", uuid_format(uuid, stream_id));
        http_request_add_header(c->req, "Connection", "close");
        stream = http_stream_open(c->req, codec_content_type(codec), NULL, NULL);
        error.message = (char *)why;
        event.has_type = true;
        event.type = METE__V1__SCHEDULER__EVENT__TYPE__ERROR;
        event.error = &error;
        if (message_encode(codec, &event.base, &record) < 0 ||
                http_stream_record(stream, record.data, record.len) < 0)
                log_debug("the refused subscriber is gone already");
        http_stream_close(stream);
}

/* ---- who may ---- */

static bool is_name_of(const struct peer *p, const char *user)
{
        char number[16];

        (void)snprintf(number, sizeof(number), "%u", (unsigned)p->uid);
        return str_equal(user, p->name) || str_equal(user, number);
}

/* A framework runs tasks as its user, so that one must be the caller; a principal that proved itself stands above users. */
static int check_user(const struct scheduler_call *c, const Mete__V1__FrameworkInfo *info, struct error *e)
{
        _cleanup_free_ char *shown = NULL;

        if (c->principal || c->peer.uid == 0 || is_name_of(&c->peer, info->user))
                return 0;
        shown = text_for_message(info->user, TEXT_FOR_MESSAGE_BYTES);
        return error_set(e, -EPERM,
                "framework_info.user '%s': you are %s (%u) and run as yourself; only root chooses another "
                "user",
                shown, c->peer.name, (unsigned)c->peer.uid);
}

/* Of a framework that is known: its tasks and executors come with it. */
static int check_takeover(const struct scheduler_call *c, const struct framework *f,
        const Mete__V1__FrameworkInfo *info, struct error *e)
{
        if (f->ops && !f->http)
                return error_set(e, -EPERM, "framework_info.id: this framework is the master's own");
        if (!f->http)
                return c->principal || c->peer.uid == 0
                               ? 0
                               : error_set(e, -EPERM,
                                         "framework_info.id: tasks of this framework "
                                         "are known, but not whose they are: only root "
                                         "may take them");
        const char *principal = str_empty(info->principal) ? c->principal : info->principal;

        if (!str_equal(f->info->principal ?: "", principal ?: ""))
                return error_set(
                        e, -EPERM, "framework_info.principal: a framework's principal cannot be changed");
        if (c->principal || c->peer.uid == 0)
                return 0;
        if (f->has_owner ? f->owner != c->peer.uid : !is_name_of(&c->peer, f->info->user))
                return error_set(e, -EPERM, "framework_info.id: the framework of this id is another user's");
        return 0;
}

static int check_count(const struct scheduler_call *c, struct error *e)
{
        const struct framework *f;
        size_t own = 0;

        if (HASH_COUNT(c->master->frameworks) >= FRAMEWORKS_MAX)
                return error_set(e, -EUSERS, "%d frameworks are known already", FRAMEWORKS_MAX);
        if (c->principal || c->peer.uid == 0)
                return 0;
        for (f = c->master->frameworks; f; f = f->hh.next)
                if (f->has_owner && !f->privileged && f->owner == c->peer.uid)
                        own++;
        return own < FRAMEWORKS_OF_USER_MAX
                       ? 0
                       : error_set(e, -EUSERS,
                                 "%zu frameworks of %s are known already: at most %d are accepted", own,
                                 c->peer.name, FRAMEWORKS_OF_USER_MAX);
}

static int check_subscription(const struct scheduler_call *c, struct framework *f, struct error *e)
{
        const Mete__V1__Scheduler__Call__Subscribe *s = c->call->subscribe;
        const Mete__V1__FrameworkInfo *info = s->framework_info;
        int r = framework_info_validate(info, e);

        if (r >= 0)
                r = framework_roles_check(
                        info, s->suppressed_roles, s->n_suppressed_roles, s->offer_constraints, e);
        if (r >= 0)
                r = check_user(c, info, e);
        if (r >= 0 && info->id && framework_is_completed(c->master, info->id->value))
                r = error_set(e, -EPERM, "Framework has been removed");
        if (r >= 0 && f)
                return check_takeover(c, f, info, e);
        return r < 0 ? r : check_count(c, e);
}

/* ---- taking it on ---- */

static char *new_id(struct master *m)
{
        char *id = xasprintf("%s-%04ju", m->id, (uintmax_t)m->next_framework++);

        while (framework_find(m, id) || framework_is_completed(m, id)) {
                free(id); /* the queue's, or one that a client made up */
                id = xasprintf("%s-%04ju", m->id, (uintmax_t)m->next_framework++);
        }
        return id;
}

/* With its id, and with the principal that was proved. */
static Mete__V1__FrameworkInfo *complete_info(
        struct scheduler_call *c, const Mete__V1__FrameworkInfo *from, const struct framework *f)
{
        Mete__V1__FrameworkInfo *info = message_copy(from);

        if (!info->id) {
                info->id = xcalloc(1, sizeof(*info->id));
                mete__v1__framework_id__init(info->id);
        }
        if (str_empty(info->id->value)) {
                const ProtobufCFieldDescriptor *value =
                        protobuf_c_message_descriptor_get_field(info->id->base.descriptor, 1);

                if (info->id->value != value->default_value)
                        free(info->id->value);
                info->id->value = f ? xstrdup(f->id) : new_id(c->master);
        }
        if (c->principal && str_empty(info->principal))
                set_string(&info->principal, c->principal);
        return info;
}

static struct framework *add_framework(struct scheduler_call *c)
{
        struct framework *f = framework_add(
                c->master, complete_info(c, c->call->subscribe->framework_info, NULL), /* ops= */ NULL, NULL);

        framework_make_http(f);
        return f;
}

static void set_owner(struct scheduler_call *c, struct framework *f)
{
        f->privileged = c->principal || c->peer.uid == 0;
        f->has_owner = true;
        f->owner = c->peer.uid;
        if (f->privileged)
                http_framework_set_privileged(f->http);
        else
                http_framework_set_owner(f->http, c->peer.uid, peer_gid(&c->peer));
}

static void subscribe(struct scheduler_call *c, struct framework *f, enum codec codec)
{
        const Mete__V1__Scheduler__Call__Subscribe *s = c->call->subscribe;
        struct master_info master;

        framework_failed_over(f);
        set_owner(c, f);
        http_framework_open(f->http, c->req, codec);
        framework_connected(f);
        framework_set_suppressed(f, s->suppressed_roles, s->n_suppressed_roles);
        master_info_fill(c->master, &master);
        http_framework_greet(f->http, &master.info);
        offers_schedule(c->master);
}

void scheduler_subscribe(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__Subscribe *s = c->call->subscribe;
        const char *id = s->framework_info->id ? s->framework_info->id->value : "";
        enum codec codec = codec_from_accept(http_request_header(c->req, "Accept"));
        struct framework *f = framework_find(c->master, id), *added = NULL;
        _cleanup_error_ struct error error = {};

        c->answered = true;
        if (check_subscription(c, f, &error) < 0) {
                refuse_subscription(c, codec, error_message(&error));
                return;
        }
        if (!f)
                f = added = add_framework(c);
        if (framework_set_constraints(f, s->offer_constraints, &error) < 0) {
                refuse_subscription(c, codec, error_message(&error));
                if (added)
                        framework_forget(added);
                return;
        }
        if (!f->http) {
                framework_make_http(f); /* an orphan: what it is was not known until now */
                framework_replace_info(f, complete_info(c, s->framework_info, f));
        } else if (!added) {
                framework_take_info(f, complete_info(c, s->framework_info, f));
                framework_tell_agents(f);
        }
        subscribe(c, f, codec);
}

/* ---- changing and ending it ---- */

static int check_update(
        const struct framework *f, const Mete__V1__Scheduler__Call__UpdateFramework *u, struct error *e)
{
        const Mete__V1__FrameworkInfo *info = u->framework_info, *old = f->info;
        int r = framework_info_validate(info, e);

        if (r >= 0)
                r = framework_roles_check(
                        info, u->suppressed_roles, u->n_suppressed_roles, u->offer_constraints, e);
        if (r < 0)
                return r;
        if (!str_equal(info->user, old->user))
                return error_set(e, -EPERM, "framework_info.user cannot be changed");
        if (info->checkpoint != old->checkpoint)
                return error_set(e, -EPERM, "framework_info.checkpoint cannot be changed");
        if (!str_empty(info->principal) && !str_equal(info->principal, old->principal))
                return error_set(e, -EPERM, "framework_info.principal cannot be changed");
        return 0;
}

static bool has_role(const struct framework *f, const char *role)
{
        for (size_t i = 0; i < f->roles.count; i++)
                if (str_equal(f->roles.items[i], role))
                        return true;
        return false;
}

/* 403 is for authorisers, of which there are none: who holds the stream may change all that can be changed. */
void scheduler_update_framework(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__UpdateFramework *u = c->call->update_framework;
        CLEANUP(string_list_done) struct string_list before = {};
        struct framework *f = c->framework;
        _cleanup_error_ struct error error = {};
        Mete__V1__FrameworkInfo *info;

        c->answered = true;
        if (check_update(f, u, &error) < 0 ||
                framework_set_constraints(f, u->offer_constraints, &error) < 0) {
                http_respond_text(c->req, 400, "%s", error_message(&error));
                return;
        }
        for (size_t i = 0; i < f->roles.count; i++)
                string_list_add(&before, f->roles.items[i]);
        info = complete_info(c, u->framework_info, f);
        if (str_empty(info->principal) && f->info->principal)
                set_string(&info->principal, f->info->principal);
        framework_take_info(f, info);
        for (size_t i = 0; i < before.count; i++)
                if (!has_role(f, before.items[i]))
                        offers_rescind_framework(f, before.items[i], /* told= */ true);
        framework_set_suppressed(f, u->suppressed_roles, u->n_suppressed_roles);
        framework_tell_agents(f);
        http_respond(c->req, 200, NULL, NULL, 0);
        offers_schedule(c->master);
}

void scheduler_teardown(struct scheduler_call *c)
{
        framework_remove(TAKE_PTR(c->framework), "the framework asked for it");
}
