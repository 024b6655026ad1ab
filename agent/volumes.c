#include "agent/volumes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/checkpoint.h"
#include "agent/commands.h"
#include "agent/container.h"
#include "agent/master_link.h"
#include "agent/volume_ref.h"
#include "agent/volume_store.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"

#define STORE_NAME "volumes"
#define ASSIGNMENT_FILE "volumes" /* below meta */
#define QUEUE_MAX 64
/* Files removed before something else gets the thread: about ten milliseconds. */
#define PURGE_PIECE 2000

/* A command that waits. */
struct deferred {
        Mete__Agent__Command *command; /* owned */
        struct deferred *prev, *next;
};

struct volumes {
        struct agent *agent;
        int fd;                                 /* the store; the worker's while an assignment is under way */
        struct worker_pool *pool;               /* one thread */
        Mete__Checkpoint__Assignment *assigned; /* owned; NULL: nothing ever was */
        struct volume_refs refs;                /* of assigned */
        struct deferred *waiting;               /* DL, owned */
        bool busy;                              /* an ASSIGN is under way */
        bool purging;
        bool stopping;
};

/* One pass of the thread: the assignment on disk, and directories as it says. */
struct job {
        struct volumes *volumes;
        Mete__Checkpoint__Assignment *assignment; /* owned; to be written; NULL: only look what can go */
        struct volume_refs wanted; /* owned; borrows from an assignment that outlives the job */
        struct string_list used;   /* paths that containers use */
        char *earlier_id;          /* owned; the agent was another one: its volumes are put aside */
        struct string_list errors;
        bool written;
};

static void add_error(struct job *j, const struct error *e)
{
        string_list_add(&j->errors, error_message(e));
}

/* ---- on the thread ---- */

/* Nothing of another agent's is shown to tasks, nor thrown away: its master may have lost its memory. */
static int put_aside(struct job *j, struct error *e)
{
        struct volumes *v = j->volumes;
        _cleanup_free_ char *name = xasprintf(STORE_NAME ".%s", j->earlier_id);

        if (renameat(v->agent->work_fd, STORE_NAME, v->agent->work_fd, name) < 0)
                return error_set_errno(e, -errno, "cannot put the volumes of agent %s aside", j->earlier_id);
        v->fd = close_fd(v->fd);
        return volume_store_open(v->agent->work_fd, STORE_NAME, &v->fd, e);
}

static int write_assignment(struct job *j, struct error *e)
{
        int r = j->earlier_id ? put_aside(j, e) : 0;

        if (r == 0)
                r = checkpoint_write(j->volumes->agent->meta_fd, ASSIGNMENT_FILE, &j->assignment->base,
                        /* sync= */ true, e);
        j->written = r == 0;
        return r;
}

static void make_missing(struct job *j)
{
        for (size_t i = 0; i < j->wanted.count; i++) {
                _cleanup_error_ struct error e = {0};

                if (volume_make(j->volumes->fd, j->wanted.items[i].path, &e) < 0)
                        add_error(j, &e);
        }
}

static bool is_used(const struct job *j, const char *path)
{
        for (size_t i = 0; i < j->used.count; i++)
                if (str_equal(j->used.items[i], path))
                        return true;
        return false;
}

static void discard_others(struct job *j)
{
        CLEANUP(string_list_done) struct string_list found = {0};
        _cleanup_error_ struct error why = {0};

        int r = volume_list(j->volumes->fd, &found);
        if (r < 0) {
                (void)error_set_errno(&why, r, "cannot list the volumes");
                add_error(j, &why);
        }
        for (size_t i = 0; i < found.count; i++) {
                _cleanup_error_ struct error e = {0};

                if (volume_refs_contain(&j->wanted, found.items[i]))
                        continue;
                if (is_used(j, found.items[i]))
                        (void)error_set(&e, -EBUSY,
                                "the volume %s is in use: it is removed when its task has ended",
                                found.items[i]);
                else if (volume_discard(j->volumes->fd, found.items[i], &e) == 0)
                        continue;
                add_error(j, &e);
        }
}

static void job_work(void *userdata)
{
        _cleanup_error_ struct error e = {0};
        struct job *j = userdata;

        if (j->assignment && write_assignment(j, &e) < 0) {
                add_error(j, &e);
                return;
        }
        if (j->assignment)
                make_missing(j);
        discard_others(j);
}

/* ---- removing data, in pieces ---- */

struct purge {
        struct volumes *volumes;
        int result;
};

static void purge_begin(struct volumes *v);

static void purge_work(void *userdata)
{
        struct purge *p = userdata;

        p->result = volume_purge(p->volumes->fd, PURGE_PIECE);
}

static void purge_done(void *userdata)
{
        struct purge *p = userdata;
        struct volumes *v = p->volumes;
        int result = p->result;

        free(p);
        v->purging = false;
        if (result > 0)
                purge_begin(v);
        else if (result < 0)
                log_warning(
                        "not all data of removed volumes could be removed: %s; the next start tries again",
                        strerror(-result));
}

static void purge_begin(struct volumes *v)
{
        struct purge *p;

        if (v->purging)
                return;
        p = NEW0(struct purge);
        p->volumes = v;
        v->purging = true;
        if (worker_pool_submit(v->pool, v, purge_work, purge_done, p) == 0)
                return;
        v->purging = false; /* the agent stops: the next one goes on */
        free(p);
}

/* ---- jobs ---- */

static void collect(struct string_list *used, Mete__V1__Resource *const *resources, size_t count)
{
        _cleanup_volume_refs_ struct volume_refs refs = {0};

        if (volume_refs_parse(resources, count, "", &refs, NULL) < 0)
                return; /* refused when it was launched */
        for (size_t i = 0; i < refs.count; i++)
                string_list_add(used, refs.items[i].path);
}

static void collect_container(struct string_list *used, const struct agent_container *c)
{
        if (c->info->task)
                collect(used, c->info->task->resources, c->info->task->n_resources);
        else
                collect(used, c->info->executor->resources, c->info->executor->n_resources);
}

static void collect_used(struct agent *a, struct string_list *used)
{
        struct agent_container *c, *tmp;

        HASH_ITER (hh, a->containers, c, tmp)
                if (c->state != CONTAINER_STATE_ENDED)
                        collect_container(used, c);
}

static struct job *job_new(struct volumes *v)
{
        struct job *j = NEW0(struct job);

        j->volumes = v;
        collect_used(v->agent, &j->used);
        return j;
}

static void job_free(struct job *j)
{
        message_free(j->assignment);
        volume_refs_done(&j->wanted);
        string_list_done(&j->used);
        string_list_done(&j->errors);
        free(j->earlier_id);
        free(j);
}

static void sweep_done(void *userdata)
{
        struct job *j = userdata;
        struct volumes *v = j->volumes;

        for (size_t i = 0; i < j->errors.count; i++)
                log_debug("%s", j->errors.items[i]);
        job_free(j);
        purge_begin(v);
}

/* What is not assigned goes, if nobody uses it. */
static void sweep(struct volumes *v)
{
        struct job *j;

        if (!v->assigned)
                return;
        j = job_new(v);
        if (volume_refs_parse(v->assigned->resources, v->assigned->n_resources, "", &j->wanted, NULL) < 0 ||
                worker_pool_submit(v->pool, v, job_work, sweep_done, j) < 0)
                job_free(j);
}

/* ---- ASSIGN ---- */

static void answer(struct volumes *v, uint64_t version, const struct string_list *errors)
{
        Mete__Agent__Call__Assigned m = METE__AGENT__CALL__ASSIGNED__INIT;

        m.version = version;
        m.errors = errors->items;
        m.n_errors = errors->count;
        for (size_t i = 0; i < errors->count; i++)
                log_warning("assignment %llu: %s", (unsigned long long)version, errors->items[i]);
        master_link_assigned(v->agent->link, &m);
}

static void answer_error(struct volumes *v, uint64_t version, const struct error *e)
{
        CLEANUP(string_list_done) struct string_list errors = {0};

        string_list_add(&errors, error_message(e));
        answer(v, version, &errors);
}

static void execute_waiting(struct volumes *v)
{
        while (v->waiting && !v->busy && !v->stopping) {
                struct deferred *d = v->waiting;

                DL_DELETE(v->waiting, d);
                commands_execute(v->agent, d->command);
                message_free(d->command);
                free(d);
        }
}

static void replace_assigned(struct volumes *v, Mete__Checkpoint__Assignment *with)
{
        volume_refs_done(&v->refs);
        message_free(v->assigned);
        v->assigned = with;
        /* It was parsed when it came, or when it was read. */
        (void)!volume_refs_parse(with->resources, with->n_resources, "resources", &v->refs, NULL);
}

static void assign_done(void *userdata)
{
        struct job *j = userdata;
        struct volumes *v = j->volumes;
        uint64_t version = j->assignment->assignment;

        volume_refs_done(&j->wanted);
        if (j->written)
                replace_assigned(v, TAKE_PTR(j->assignment));
        v->busy = false;
        answer(v, version, &j->errors);
        job_free(j);
        purge_begin(v);
        execute_waiting(v);
}

static bool is_anew(const struct volumes *v)
{
        return v->assigned && v->assigned->agent_id &&
               !str_equal(v->assigned->agent_id, v->agent->identity.agent_id);
}

static int check(const struct volumes *v, const Mete__Agent__Command__Assign *m, struct volume_refs *ret,
        struct error *e)
{
        if (v->assigned && !is_anew(v) && m->version < v->assigned->assignment)
                return error_set(e, -ESTALE, "assign.version %llu is older than the %llu seen before",
                        (unsigned long long)m->version, (unsigned long long)v->assigned->assignment);
        return volume_refs_parse(m->resources, m->n_resources, "assign.resources", ret, e);
}

static Mete__Checkpoint__Assignment *assignment_new(
        const struct volumes *v, const Mete__Agent__Command__Assign *m)
{
        Mete__Checkpoint__Assignment borrowed = METE__CHECKPOINT__ASSIGNMENT__INIT;

        borrowed.version = CHECKPOINT_FORMAT;
        borrowed.assignment = m->version;
        borrowed.resources = m->resources;
        borrowed.n_resources = m->n_resources;
        borrowed.agent_id = v->agent->identity.agent_id;
        return message_copy(&borrowed);
}

void volumes_assign(struct volumes *v, const Mete__Agent__Command__Assign *m)
{
        _cleanup_error_ struct error e = {0};
        _cleanup_volume_refs_ struct volume_refs refs = {0};

        if (check(v, m, &refs, &e) < 0) {
                answer_error(v, m->version, &e);
                return;
        }
        struct job *j = job_new(v);
        j->assignment = assignment_new(v, m);
        j->earlier_id = is_anew(v) ? xstrdup(v->assigned->agent_id) : NULL;
        (void)!volume_refs_parse(
                j->assignment->resources, j->assignment->n_resources, "", &j->wanted, NULL); /* as just now */
        v->busy = true;
        int r = worker_pool_submit(v->pool, v, job_work, assign_done, j);
        if (r == 0)
                return;
        v->busy = false;
        (void)error_set_errno(&e, r, "the assignment cannot be carried out");
        answer_error(v, m->version, &e);
        job_free(j);
}

bool volumes_defer(struct volumes *v, const Mete__Agent__Command *cmd)
{
        struct deferred *d;

        if (!v || !v->busy)
                return false;
        d = NEW0(struct deferred);
        d->command = message_copy(cmd);
        DL_APPEND(v->waiting, d);
        return true;
}

/* ---- containers ---- */

static int give(
        struct volumes *v, const struct volume_ref *x, const struct agent_container *c, struct error *e)
{
        _cleanup_fd_ int fd = -1;
        struct stat st;

        if (!volume_refs_contain(&v->refs, x->path))
                return error_set(e, -ENOENT, "the volume \"%s\" of role %s is not assigned to this agent",
                        x->id, x->role);
        int r = volume_open(v->fd, x->path, &fd);
        if (r == 0 && fstat(fd, &st) < 0)
                r = -errno;
        /* Whoever writes to it first has it; a reader does not take it. */
        if (r == 0 && !x->read_only && st.st_uid == 0 && st.st_gid == 0 &&
                fchown(fd, c->view.user.uid, c->view.user.gid) < 0)
                r = -errno;
        return r < 0 ? error_set_errno(e, r, "the volume \"%s\" of role %s cannot be used", x->id, x->role)
                     : 0;
}

int volumes_give(struct volumes *v, struct agent_container *c, struct error *e)
{
        _cleanup_volume_refs_ struct volume_refs refs = {0};
        Mete__V1__Resource **list = c->info->task ? c->info->task->resources : c->info->executor->resources;
        size_t count = c->info->task ? c->info->task->n_resources : c->info->executor->n_resources;

        int r = volume_refs_parse(list, count, "task.resources", &refs, e);
        for (size_t i = 0; i < refs.count && r == 0; i++)
                r = give(v, &refs.items[i], c, e);
        return r;
}

void volumes_container_ended(struct volumes *v, const struct agent_container *c)
{
        CLEANUP(string_list_done) struct string_list used = {0};

        if (!v)
                return;
        collect_container(&used, c);
        for (size_t i = 0; i < used.count; i++) {
                if (volume_refs_contain(&v->refs, used.items[i]))
                        continue;
                sweep(v);
                return;
        }
}

/* ---- life ---- */

static int load(struct volumes *v, struct error *e)
{
        ProtobufCMessage *m;

        int r = checkpoint_read(
                v->agent->meta_fd, ASSIGNMENT_FILE, &mete__checkpoint__assignment__descriptor, &m, e);
        if (r == -ENOENT) {
                error_done(e);
                return 0;
        }
        if (r < 0)
                return r;
        v->assigned = (Mete__Checkpoint__Assignment *)m;
        if (v->assigned->version != CHECKPOINT_FORMAT)
                return error_set(
                        e, -EBADMSG, "the assignment in meta/" ASSIGNMENT_FILE " is of another format");
        return volume_refs_parse(
                v->assigned->resources, v->assigned->n_resources, "meta/" ASSIGNMENT_FILE, &v->refs, e);
}

int volumes_new(struct agent *a, struct volumes **ret, struct error *e)
{
        struct volumes *v = NEW0(struct volumes);

        *v = (struct volumes){.agent = a, .fd = -1};
        int r = volume_store_open(a->work_fd, STORE_NAME, &v->fd, e);
        if (r == 0)
                r = load(v, e);
        if (r == 0)
                r = worker_pool_new(a->loop, 1, QUEUE_MAX, &v->pool, e);
        if (r < 0) {
                volumes_free(v);
                return r;
        }
        *ret = v;
        return 0;
}

/* Also one that was written and not carried out. */
void volumes_recovered(struct volumes *v)
{
        for (size_t i = 0; i < v->refs.count; i++) {
                _cleanup_error_ struct error e = {0};

                if (volume_make(v->fd, v->refs.items[i].path, &e) < 0)
                        log_error("%s", error_message(&e));
        }
        sweep(v);
        purge_begin(v);
}

struct volumes *volumes_free(struct volumes *v)
{
        struct deferred *d, *tmp;

        if (!v)
                return NULL;
        v->stopping = true;
        if (v->pool)
                v->pool = worker_pool_free(v->pool);
        DL_FOREACH_SAFE (v->waiting, d, tmp) {
                DL_DELETE(v->waiting, d);
                message_free(d->command);
                free(d);
        }
        volume_refs_done(&v->refs);
        message_free(v->assigned);
        close_fd(v->fd);
        free(v);
        return NULL;
}
