/*
 * Where a framework that speaks the scheduler API stands: recovered from agents, connected, disconnected for as long as its failover
 * timeout lasts. framework_remove() ends it from anywhere.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "master/frameworks/http_framework.h"
#include "master/frameworks/validate_framework.h"

static const char *const state_names[] = {
        [FRAMEWORK_RECOVERED] = "recovered",
        [FRAMEWORK_ACTIVE] = "active",
        [FRAMEWORK_DISCONNECTED] = "disconnected",
};

/* The one place that changes the state of a framework with a stream. */
static void framework_set_state(struct framework *f, enum framework_state state)
{
        if (f->state == state)
                return;
        log_debug("framework %s (%s): %s -> %s", f->id, f->info->name, state_names[f->state],
                state_names[state]);
        f->state = state;
        loop_timer_disarm(f->http->failover);
        (void)allocator_set_framework_active(f->master->allocator, f->id, state == FRAMEWORK_ACTIVE);
        if (state == FRAMEWORK_ACTIVE)
                offers_schedule(f->master);
}

/* What is not legal, as an agent might report it of another master's time, is as short or as long as can be. */
static uint64_t failover_timeout_ns(const struct framework *f)
{
        double seconds = f->info->failover_timeout;

        if (!(seconds > 0))
                return 0;
        return (uint64_t)(MIN(seconds, FAILOVER_TIMEOUT_MAX_SECONDS) * (double)NSEC_PER_SEC);
}

/* ---- connecting ---- */

void framework_connected(struct framework *f)
{
        double now = wall_seconds_now();

        if (f->registered > 0) {
                f->reregistered = now;
                f->master->counters.framework_resubscriptions++;
        } else {
                f->registered = now;
        }
        log_info("framework %s (%s) of %s %s", f->id, f->info->name, f->info->user,
                f->reregistered > 0 ? "subscribed again" : "subscribed");
        /* Of all frameworks it was counted before it was known whose it is. */
        f->counters.calls[METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE]++;
        f->unregistered = 0;
        framework_set_state(f, FRAMEWORK_ACTIVE);
}

void framework_disconnected(struct framework *f, const char *why)
{
        char text[DURATION_TEXT_MAX];
        uint64_t timeout_ns = failover_timeout_ns(f);

        log_info("framework %s (%s) disconnected: %s; it may come back within %s", f->id, f->info->name, why,
                duration_format(timeout_ns, text));
        f->unregistered = wall_seconds_now();
        framework_set_state(f, FRAMEWORK_DISCONNECTED);
        offers_rescind_framework(f, NULL, /* told= */ false);
        loop_timer_arm(f->http->failover, timeout_ns, /* period_ns= */ 0);
}

void framework_failover(struct framework *f)
{
        framework_remove(f, f->state == FRAMEWORK_RECOVERED
                                    ? "the framework did not come back to this master in time"
                                    : "the framework did not come back within its failover timeout");
}

void framework_failed_over(struct framework *f)
{
        if (!f->http->stream)
                return;
        http_framework_close(f->http, "Framework failed over");
        offers_rescind_framework(f, NULL, /* told= */ false);
}

/* ---- the info ---- */

static void keep_text(char **to, char **from)
{
        free(*to);
        *to = TAKE_PTR(*from);
}

void framework_take_info(struct framework *f, Mete__V1__FrameworkInfo *info)
{
        Mete__V1__FrameworkInfo *old = f->info;

        keep_text(&info->user, &old->user);
        info->has_checkpoint = old->has_checkpoint;
        info->checkpoint = old->checkpoint;
        f->info = info;
        message_free(old);
        framework_info_changed(f);
}

void framework_replace_info(struct framework *f, Mete__V1__FrameworkInfo *info)
{
        message_free(f->info);
        f->info = info;
        framework_info_changed(f);
}

void framework_tell_agents(struct framework *f)
{
        size_t count;
        _cleanup_free_ struct agent **agents = framework_agents(f, &count);

        for (size_t i = 0; i < count; i++)
                (void)agent_send_update_framework(agents[i], f->info);
}

/* ---- from agents ---- */

void framework_make_http(struct framework *f)
{
        assert(!f->ops && !f->http);
        f->ops = &http_framework_ops;
        f->http = http_framework_new(f);
        f->privileged = false;
        (void)allocator_revive(f->master->allocator, f->id, NULL); /* an orphan is never offered anything */
        (void)allocator_set_framework_active(f->master->allocator, f->id, false);
}

static void arm_recovered(struct framework *f)
{
        loop_timer_arm(f->http->failover,
                MAX(failover_timeout_ns(f), f->master->options->agent_reregister_timeout_ns),
                /* period_ns= */ 0);
}

/*
 * Somebody without privileges subscribed with an id that this master did not know yet, and it is another's: what that one left running
 * must not become theirs.
 */
static void evict_other_user(struct framework *f, const Mete__V1__FrameworkInfo *info)
{
        log_warning("framework %s: an agent runs tasks of it as %s, but %s subscribed with its id", f->id,
                info->user, f->info->user);
        http_framework_close(f->http, "the framework of this id is another user's");
        offers_rescind_framework(f, NULL, /* told= */ false);
        f->has_owner = false;
        framework_set_state(f, FRAMEWORK_RECOVERED);
        framework_replace_info(f, message_copy(info));
        arm_recovered(f);
}

static void recover_known(struct framework *f, const Mete__V1__FrameworkInfo *info)
{
        if (!f->ops) {
                framework_make_http(f);
                framework_replace_info(f, message_copy(info));
                arm_recovered(f);
                return;
        }
        if (!f->http)
                return; /* in process */
        if (f->has_owner && !f->privileged && !str_equal(f->info->user, info->user)) {
                evict_other_user(f, info);
                return;
        }
        set_string(&f->info->user, info->user);
        f->info->has_checkpoint = info->has_checkpoint;
        f->info->checkpoint = info->checkpoint;
}

void framework_note_owner(struct framework *f, const Mete__Agent__FrameworkOwner *owner)
{
        uid_t uid = owner->has_uid ? owner->uid : 0;

        if (!f->http || f->privileged)
                return; /* root may own anybody's */
        if (f->has_owner && f->owner != uid) {
                if (f->state == FRAMEWORK_RECOVERED)
                        uid = 0; /* two agents disagree */
                else
                        evict_other_user(f, f->info);
        }
        f->has_owner = true;
        f->owner = uid;
}

struct framework *framework_recover(struct master *m, const Mete__V1__FrameworkInfo *info)
{
        struct framework *f;

        if (!info->id || str_empty(info->id->value) || framework_is_completed(m, info->id->value))
                return NULL;
        f = framework_find(m, info->id->value);
        if (f) {
                recover_known(f, info);
                return f;
        }
        f = framework_add(m, message_copy(info), NULL, NULL);
        framework_make_http(f);
        log_info("framework %s (%s) is known from an agent: waiting for it to subscribe", f->id,
                f->info->name);
        arm_recovered(f);
        return f;
}
