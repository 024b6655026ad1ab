#include "agent/identity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>

#include "agent/checkpoint.h"
#include "lib/base/id.h"
#include "lib/net/codec.h"

#define IDENTITY_FILE "agent"
#define LOCK_FILE "lock"
#define LOCK_TRIES 50
#define LOCK_PAUSE_NS (20 * 1000 * 1000)

static int take_lock(struct identity *i, struct error *e)
{
        i->lock_fd = openat(i->meta_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (i->lock_fd < 0)
                return error_set_errno(e, -errno, "cannot open the lock file of the work directory");
        /* An agent that was killed a moment ago still holds it until the kernel has torn it down. */
        for (int attempt = 0; flock(i->lock_fd, LOCK_EX | LOCK_NB) < 0; attempt++) {
                const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

                if (attempt == LOCK_TRIES)
                        return error_set(e, -EBUSY,
                                "another agent is using this work directory: give each its own --work-dir");
                (void)nanosleep(&pause, NULL);
        }
        return 0;
}

static int load(struct identity *i, struct error *e)
{
        ProtobufCMessage *m;

        int r = checkpoint_read(
                i->meta_fd, IDENTITY_FILE, &mete__checkpoint__agent_identity__descriptor, &m, e);
        if (r == -ENOENT) {
                error_done(e);
                return 0;
        }
        if (r < 0)
                return r;
        const Mete__Checkpoint__AgentIdentity *id = (Mete__Checkpoint__AgentIdentity *)m;
        if (id->has_highest_epoch)
                i->highest_epoch = id->highest_epoch;
        if (id->agent_info && id->agent_info->id &&
                id_validate(id->agent_info->id->value, "agent id", NULL) == 0)
                i->agent_id = xstrdup(id->agent_info->id->value);
        message_free(m);
        return 0;
}

int identity_open(struct identity *i, int meta_fd, struct error *e)
{
        *i = (struct identity){.meta_fd = meta_fd, .lock_fd = -1};
        int r = take_lock(i, e);
        return r < 0 ? r : load(i, e);
}

void identity_done(struct identity *i)
{
        free(i->agent_id);
        close_fd(i->lock_fd);
        *i = (struct identity){.meta_fd = -1, .lock_fd = -1};
}

static int save(const struct identity *i, const char *agent_id, uint64_t epoch, struct error *e)
{
        Mete__Checkpoint__AgentIdentity m = METE__CHECKPOINT__AGENT_IDENTITY__INIT;
        Mete__V1__AgentInfo info = METE__V1__AGENT_INFO__INIT;
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;

        info.hostname =
                (char *)""; /* required by the message; the real one comes from the options at each start */
        m.version = CHECKPOINT_FORMAT;
        m.has_highest_epoch = true;
        m.highest_epoch = epoch;
        if (agent_id) {
                id.value = (char *)agent_id;
                info.id = &id;
                m.agent_info = &info;
        }
        return checkpoint_write(i->meta_fd, IDENTITY_FILE, &m.base, /* sync= */ true, e);
}

int identity_set_agent_id(struct identity *i, const char *agent_id, struct error *e)
{
        if (str_equal(i->agent_id, agent_id))
                return 0;
        int r = save(i, agent_id, i->highest_epoch, e);
        if (r < 0)
                return r;
        free(i->agent_id);
        i->agent_id = xstrdup(agent_id);
        return 0;
}

int identity_raise_epoch(struct identity *i, uint64_t epoch, struct error *e)
{
        if (epoch <= i->highest_epoch)
                return 0;
        int r = save(i, i->agent_id, epoch, e);
        if (r == 0)
                i->highest_epoch = epoch;
        return r;
}

int identity_forget_agent_id(struct identity *i, struct error *e)
{
        int r = save(i, NULL, i->highest_epoch, e);

        if (r < 0)
                return r;
        free(i->agent_id);
        i->agent_id = NULL;
        return 0;
}
