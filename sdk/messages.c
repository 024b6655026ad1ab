/* Helpers that make and read messages, so that a framework needs a page and not three. */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "proto/validate.h"
#include "sdk/mete.h"

void mete_message_free(void *message)
{
        message_free(message);
}

void *mete_message_copy(const void *message)
{
        return message_copy(message);
}

/* A message on the heap with everything unset. */
static void *message_new(const ProtobufCMessageDescriptor *d)
{
        ProtobufCMessage *m = xmalloc(d->sizeof_message);

        d->message_init(m);
        return m;
}
#define NEW(type) message_new(&type##__descriptor)

/* Appends to a repeated field. */
static void append(void ***list, size_t *count, void *item)
{
        *list = xrealloc(*list, (*count + 1) * sizeof(void *));
        (*list)[(*count)++] = item;
}
#define APPEND(list, count, item) append((void ***)&(list), &(count), (item))

static Mete__V1__AgentID *agent_id_new(const char *value)
{
        Mete__V1__AgentID *id = NEW(mete__v1__agent_id);

        id->value = xstrdup(value);
        return id;
}

/* ---- framework ---- */

static char *user_name(void)
{
        struct passwd entry, *found = NULL;
        char text[4096];

        if (getpwuid_r(geteuid(), &entry, text, sizeof(text), &found) == 0 && found)
                return xstrdup(entry.pw_name);
        return xasprintf("%u", (unsigned)geteuid());
}

Mete__V1__FrameworkInfo *mete_framework_new(const char *name, const char *user)
{
        Mete__V1__FrameworkInfo *f = NEW(mete__v1__framework_info);

        f->name = xstrdup(name);
        f->user = user ? xstrdup(user) : user_name();
        return f;
}

void mete_framework_add_capability(
        Mete__V1__FrameworkInfo *f, Mete__V1__FrameworkInfo__Capability__Type capability)
{
        Mete__V1__FrameworkInfo__Capability *c = NEW(mete__v1__framework_info__capability);

        c->has_type = true;
        c->type = capability;
        APPEND(f->capabilities, f->n_capabilities, c);
}

/* ---- resources ---- */

Mete__V1__Resource *mete_resource_scalar(const char *name, double value)
{
        Mete__V1__Resource *r = NEW(mete__v1__resource);

        r->name = xstrdup(name);
        r->type = METE__V1__VALUE__TYPE__SCALAR;
        r->scalar = NEW(mete__v1__value__scalar);
        r->scalar->value = value;
        return r;
}

double mete_offer_scalar(const Mete__V1__Offer *offer, const char *name)
{
        double sum = 0;

        for (size_t i = 0; i < offer->n_resources; i++)
                if (str_equal(offer->resources[i]->name, name) && offer->resources[i]->scalar)
                        sum += offer->resources[i]->scalar->value;
        return sum;
}

/* ---- tasks ---- */

Mete__V1__TaskInfo *mete_task_new(const char *id, const char *name, const char *agent_id)
{
        Mete__V1__TaskInfo *t = NEW(mete__v1__task_info);

        t->task_id = NEW(mete__v1__task_id);
        t->task_id->value = xstrdup(id);
        t->name = xstrdup(name ? name : id);
        t->agent_id = agent_id_new(agent_id);
        return t;
}

void mete_task_add_scalar(Mete__V1__TaskInfo *t, const char *resource, double value)
{
        APPEND(t->resources, t->n_resources, mete_resource_scalar(resource, value));
}

void mete_task_set_command(Mete__V1__TaskInfo *t, Mete__V1__CommandInfo *command)
{
        message_free(t->command);
        t->command = command;
}

void mete_task_set_executor(Mete__V1__TaskInfo *t, Mete__V1__ExecutorInfo *executor)
{
        message_free(t->executor);
        t->executor = executor;
}

void mete_task_set_data(Mete__V1__TaskInfo *t, const void *data, size_t len)
{
        free(t->data.data);
        t->has_data = true;
        t->data.data = len ? xmemdup(data, len) : NULL;
        t->data.len = len;
}

/* ---- commands and executors ---- */

Mete__V1__CommandInfo *mete_command_shell(const char *line)
{
        Mete__V1__CommandInfo *c = NEW(mete__v1__command_info);

        c->value = xstrdup(line);
        return c;
}

Mete__V1__CommandInfo *mete_command_argv(const char *const *argv)
{
        Mete__V1__CommandInfo *c = mete_command_shell(argv[0]);

        c->has_shell = true;
        c->shell = false;
        for (; *argv; argv++)
                APPEND(c->arguments, c->n_arguments, xstrdup(*argv));
        return c;
}

void mete_command_add_environment(Mete__V1__CommandInfo *c, const char *name, const char *value)
{
        Mete__V1__Environment__Variable *v = NEW(mete__v1__environment__variable);

        if (!c->environment)
                c->environment = NEW(mete__v1__environment);
        v->name = xstrdup(name);
        v->value = xstrdup(value);
        APPEND(c->environment->variables, c->environment->n_variables, v);
}

void mete_command_add_uri(Mete__V1__CommandInfo *c, const char *uri, bool executable)
{
        Mete__V1__CommandInfo__URI *u = NEW(mete__v1__command_info__uri);

        u->value = xstrdup(uri);
        u->has_executable = executable;
        u->executable = executable;
        APPEND(c->uris, c->n_uris, u);
}

Mete__V1__ExecutorInfo *mete_executor_info_new(const char *id, Mete__V1__CommandInfo *command)
{
        Mete__V1__ExecutorInfo *x = NEW(mete__v1__executor_info);

        x->has_type = true;
        x->type = METE__V1__EXECUTOR_INFO__TYPE__CUSTOM;
        x->executor_id = NEW(mete__v1__executor_id);
        x->executor_id->value = xstrdup(id);
        x->command = command;
        return x;
}

void mete_executor_info_add_scalar(Mete__V1__ExecutorInfo *x, const char *resource, double value)
{
        APPEND(x->resources, x->n_resources, mete_resource_scalar(resource, value));
}

/* ---- names ---- */

bool mete_task_state_is_terminal(Mete__V1__TaskState state)
{
        return task_state_is_terminal(state);
}

static const char *enum_name(const ProtobufCEnumDescriptor *d, int value)
{
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);

        return v ? v->name : "";
}

const char *mete_task_state_name(Mete__V1__TaskState state)
{
        return enum_name(&mete__v1__task_state__descriptor, (int)state);
}

const char *mete_task_reason_name(const Mete__V1__TaskStatus *status)
{
        return status->has_reason ? enum_name(&mete__v1__task_status__reason__descriptor, (int)status->reason)
                                  : "";
}

const char *mete_version(void)
{
        return METE_VERSION;
}
