#include "proto/validate.h"

#include <string.h>

#include "lib/base/id.h"

/* Messages that are ids: {value, ...} with text in it. */
static const ProtobufCMessageDescriptor *const id_messages[] = {
        &mete__v1__framework_id__descriptor,
        &mete__v1__offer_id__descriptor,
        &mete__v1__agent_id__descriptor,
        &mete__v1__task_id__descriptor,
        &mete__v1__executor_id__descriptor,
        &mete__v1__container_id__descriptor,
        &mete__v1__operation_id__descriptor,
        &mete__v1__resource_provider_id__descriptor,
};

static bool is_id(const ProtobufCMessageDescriptor *d)
{
        for (size_t i = 0; i < ELEMENTSOF(id_messages); i++)
                if (d == id_messages[i])
                        return true;
        return false;
}

static int validate_message(const ProtobufCMessage *m, struct buffer *path, struct error *e);

static int validate_id(
        const ProtobufCMessage *id, const ProtobufCMessage *parent, const char *path, struct error *e)
{
        const char *value = ((const Mete__V1__FrameworkID *)id)->value; /* all of them begin with it */
        if (str_empty(value) && parent && parent->descriptor == &mete__v1__framework_info__descriptor)
                return 0;
        _cleanup_free_ char *field = xasprintf("%s%svalue", path, *path ? "." : "");
        return id_validate(value, field, e);
}

static int validate_child(const ProtobufCMessage *parent, const ProtobufCMessage *child, const char *name,
        ssize_t index, struct buffer *path, struct error *e)
{
        size_t before = path->len;
        buffer_printf(path, before ? ".%s" : "%s", name);
        if (index >= 0)
                buffer_printf(path, "[%zd]", index);
        int r = is_id(child->descriptor) ? validate_id(child, parent, path->data, e) : 0;
        if (r >= 0)
                r = validate_message(child, path, e);
        path->len = before;
        path->data[before] = 0;
        return r;
}

static int validate_field(
        const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct buffer *path, struct error *e)
{
        const char *base = (const char *)m;
        const void *member = base + f->offset;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
                size_t n = *(const size_t *)(base + f->quantifier_offset);
                ProtobufCMessage *const *children = *(ProtobufCMessage *const *const *)member;
                for (size_t i = 0; i < n; i++) {
                        int r = validate_child(m, children[i], f->name, (ssize_t)i, path, e);
                        if (r < 0)
                                return r;
                }
                return 0;
        }
        if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                *(const uint32_t *)(base + f->quantifier_offset) != f->id)
                return 0;
        const ProtobufCMessage *child = *(ProtobufCMessage *const *)member;
        return child ? validate_child(m, child, f->name, -1, path, e) : 0;
}

/* As deep as the message is: the codec bounds that for all that comes from outside. */
static int validate_message(const ProtobufCMessage *m, struct buffer *path, struct error *e)
{
        for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
                int r = f->type == PROTOBUF_C_TYPE_MESSAGE ? validate_field(m, f, path, e) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

int message_validate_ids(const ProtobufCMessage *m, struct error *e)
{
        _cleanup_buffer_ struct buffer path = {};
        int r = is_id(m->descriptor) ? validate_id(m, NULL, "", e) : 0;
        return r < 0 ? r : validate_message(m, &path, e);
}

/* The name behind `prefix`. */
static const char *enum_name(const ProtobufCEnumDescriptor *d, int value, const char *prefix)
{
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
        return v ? v->name + strlen(prefix) : NULL;
}

const char *task_state_to_string(Mete__V1__TaskState s)
{
        return enum_name(&mete__v1__task_state__descriptor, (int)s, "TASK_");
}

const char *task_reason_to_string(Mete__V1__TaskStatus__Reason r)
{
        return enum_name(&mete__v1__task_status__reason__descriptor, (int)r, "");
}

const char *task_source_to_string(Mete__V1__TaskStatus__Source s)
{
        return enum_name(&mete__v1__task_status__source__descriptor, (int)s, "");
}

int task_state_from_string(const char *s, Mete__V1__TaskState *ret)
{
        const ProtobufCEnumDescriptor *d = &mete__v1__task_state__descriptor;
        for (unsigned i = 0; s && i < d->n_values; i++) {
                const char *name = d->values[i].name;
                if (!str_equal(s, name) && !str_equal(s, name + strlen("TASK_")))
                        continue;
                *ret = (Mete__V1__TaskState)d->values[i].value;
                return 0;
        }
        return -EINVAL;
}
