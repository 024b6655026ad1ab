#include "tools/mete/job_schema.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/util.h"
#include "proto/mete.pb-c.h"

/* What the descriptors do not tell: a sentence, and bounds that master/spec checks, as members of the schema. No sentence: the field is not
 * for files. */
static const struct {
        const char *field; /* "JobSpec.cpus" */
        const char *sentence;
        const char *members; /* JSON, or NULL */
} notes[] = {
        {"JobFile.jobs", "The jobs. Names in `after` may be those of jobs in the file, in any order.",
                "{\"minItems\": 1, \"maxItems\": 1000}"},
        {"JobSpec.name", "Unset: the last component of the program's path.",
                "{\"pattern\": \"^[A-Za-z0-9._][A-Za-z0-9._-]{0,63}$\"}"},
        {"JobSpec.command", "Program and arguments, executed without a shell.",
                "{\"minItems\": 1, \"maxItems\": 4096}"},
        {"JobSpec.environment", "Variables of the tasks, beside those that Mete sets.",
                "{\"maxItems\": 1024}"},
        {"JobSpec.count", "How many tasks.", "{\"minimum\": 1, \"maximum\": 10000}"},
        {"JobSpec.cpus", "Cores booked for each task, in steps of 0.001.",
                "{\"exclusiveMinimum\": 0, \"maximum\": 65536}"},
        {"JobSpec.cpus_limit", "Hard limit of cores. Unset: what is booked.",
                "{\"exclusiveMinimum\": 0, \"maximum\": 65536}"},
        {"JobSpec.memory_bytes", "Memory booked for each task.",
                "{\"minimum\": 4194304, \"maximum\": 1125899906842624}"},
        {"JobSpec.memory_limit_bytes",
                "Hard limit of memory: beyond it the task is killed. Unset: what is booked.",
                "{\"minimum\": 4194304, \"maximum\": 1125899906842624}"},
        {"JobSpec.isolation", "What isolates the tasks, where it is to differ from the default.", NULL},
        {"JobSpec.queue", "The queue that it waits in. Unset: \"default\".",
                "{\"pattern\": \"^[A-Za-z0-9._][A-Za-z0-9._-]{0,62}$\"}"},
        {"JobSpec.priority", "Counts in queues of the policy \"priority\".", "{\"maximum\": 1000}"},
        {"JobSpec.duration_seconds",
                "How long a task is expected to run. Unset: learned from earlier runs of the name.",
                "{\"minimum\": 0.001, \"maximum\": 315360000}"},
        {"JobSpec.time_limit_seconds", "A task that runs longer is killed. Unset: never.",
                "{\"minimum\": 0.001, \"maximum\": 315360000}"},
        {"JobSpec.deadline", "Seconds since 1970: tasks that still wait then are given up. Unset: never.",
                "{\"exclusiveMinimum\": 0, \"maximum\": 253402300799}"},
        {"JobSpec.array", "In place of count: one task per number, which it finds in METE_ARRAY_INDEX.",
                NULL},
        {"JobSpec.parallel_max", "Most tasks at a time. Unset: all.", "{\"minimum\": 1, \"maximum\": 10000}"},
        {"JobSpec.gang", "All tasks start together, or none.", NULL},
        {"JobSpec.after", "Jobs that must have ended before.", "{\"maxItems\": 64}"},
        {"JobSpec.constraints",
                "Which agents: \"rack=r1\", \"hostname!=h3\", \"kernel~6.*\", \"ssd\", \"!ssd\", "
                "\"mhz>2400\", \"distinct:rack\". All must hold.",
                "{\"maxItems\": 32}"},
        {"JobSpec.placement",
                "PACK: where least room stays; SPREAD: where the fewest of the job's tasks are.", NULL},
        {"JobSpec.spread_by", "Attribute, \"zone\" or \"hostname\", with SPREAD. Unset: machine.", NULL},
        {"JobSpec.restart", "Whether tasks that end run again. Unset: never.", NULL},
        {"JobSpec.preemptible", "Whether it may be suspended or requeued for another job.", NULL},
        {"JobSpec.ports", "How many ports of the agent each task gets: PORT0, PORT1 and so on.",
                "{\"maximum\": 1000}"},
        {"JobSpec.exclusive_cores", "Whole cores for each task that nobody else runs on; at most cpus.",
                NULL},
        {"JobSpec.volumes",
                "Persistent volumes of the queue's role, all of one machine: the tasks run there, one at a "
                "time.",
                "{\"maxItems\": 64}"},
        {"Array.first", "The first number.", NULL},
        {"Array.last", "The last number, or the next one below it that a step reaches.", NULL},
        {"Array.step", "From one number to the next.", "{\"minimum\": 1}"},
        {"Dependency.job", "Name of a job in this file or of a live one, or an id.",
                "{\"pattern\": \"^[A-Za-z0-9._][A-Za-z0-9._-]{0,63}$\"}"},
        {"Dependency.condition", "How it must have ended; ENDED: either way.", NULL},
        {"Restart.when",
                "ON_FAILURE: after a failure or the loss of the machine; ALWAYS: a service, also after it "
                "ended well.",
                NULL},
        {"Restart.attempts_max", "Restarts of one task. Unset: 3 with ON_FAILURE, no bound with ALWAYS.",
                "{\"minimum\": 1, \"maximum\": 1000000}"},
        {"Restart.backoff_seconds", "Before the first restart; it doubles with each.",
                "{\"maximum\": 86400}"},
        {"Restart.backoff_max_seconds", "The longest; after as long a run it begins anew.",
                "{\"maximum\": 86400}"},
        {"VolumeUse.volume_id", "Id of the volume.", "{\"minLength\": 1}"},
        {"VolumeUse.container_path", "Where it is seen: relative to the sandbox, or absolute in a rootfs.",
                "{\"minLength\": 1}"},
        {"VolumeUse.read_only", "Not to be written to.", NULL},
        {"EnvironmentVariable.name", "Not empty, without '=' and white space.",
                "{\"pattern\": \"^[^= ]+$\"}"},
        {"EnvironmentVariable.value", "Any text.", NULL},
        {"Isolation.rootfs",
                "Absolute directory on the agent, used under an overlay. Unset: the host's root, read-only.",
                "{\"pattern\": \"^/\"}"},
        {"Isolation.network", "NONE: a loopback of its own; HOST: the host's network.", NULL},
        {"Isolation.pids_limit", "Most processes and threads. Unset: 1024.",
                "{\"minimum\": 2, \"maximum\": 4194304}"},
        {"Isolation.user",
                "\"name\", \"uid\", \"name:group\" or \"uid:gid\". Unset: who submits; nobody for root.",
                NULL},
        {"Isolation.working_directory", "Absolute, in the container. Unset: the sandbox.",
                "{\"pattern\": \"^/\"}"},
        {"Isolation.hostname", "Unset: after the task.", "{\"minLength\": 1, \"maxLength\": 63}"},
        {"Isolation.capabilities_add", "Beside the small default set: \"NET_RAW\", \"ALL\".",
                "{\"maxItems\": 64}"},
        {"Isolation.capabilities_drop", "Less than the default set.", "{\"maxItems\": 64}"},
        {"Isolation.seccomp_profile",
                "A profile in the Docker/OCI format, in base64. Unset: the default profile.", NULL},
        {"Isolation.seccomp_unconfined", "No profile.", NULL},
        {"Isolation.rlimits", "Limits of setrlimit(2).", "{\"maxItems\": 64}"},
        {"Isolation.path_uid", NULL, NULL},
        {"Isolation.path_gid", NULL, NULL},
        {"Rlimit.type", "Without RLIMIT_, lower case.",
                "{\"enum\": [\"as\", \"core\", \"cpu\", \"data\", \"fsize\", \"locks\", \"memlock\", "
                "\"msgqueue\", \"nice\", "
                "\"nofile\", \"nproc\", \"rss\", \"rtprio\", \"rttime\", \"sigpending\", \"stack\"]}"},
        {"Rlimit.soft", "Unset: unlimited.", NULL},
        {"Rlimit.hard", "Unset: unlimited.", NULL},
};

static const ProtobufCMessageDescriptor *const messages[] = {
        &mete__api__job_file__descriptor,
        &mete__api__job_spec__descriptor,
        &mete__api__job_spec__array__descriptor,
        &mete__api__job_spec__dependency__descriptor,
        &mete__api__job_spec__restart__descriptor,
        &mete__api__job_spec__volume_use__descriptor,
        &mete__api__environment_variable__descriptor,
        &mete__api__isolation__descriptor,
        &mete__api__rlimit__descriptor,
};

/* -1: none. */
static int find_note(const ProtobufCMessageDescriptor *d, const char *field)
{
        _cleanup_free_ char *name = xasprintf("%s.%s", d->short_name, field);

        for (size_t i = 0; i < ELEMENTSOF(notes); i++)
                if (str_equal(notes[i].field, name))
                        return (int)i;
        return -1;
}

static json_t *reference_to(const ProtobufCMessageDescriptor *d)
{
        return json_pack("{s:o}", "$ref", json_sprintf("#/$defs/%s", d->short_name));
}

/* The value 0 of each is there for what a reader does not know. */
static json_t *names_of(const ProtobufCEnumDescriptor *d)
{
        json_t *names = json_array();

        for (unsigned i = 0; i < d->n_values; i++)
                if (d->values[i].value != 0)
                        json_array_append_new(names, json_string(d->values[i].name));
        return names;
}

static json_t *type_of(const ProtobufCFieldDescriptor *f)
{
        switch (f->type) {
        case PROTOBUF_C_TYPE_MESSAGE:
                return reference_to(f->descriptor);
        case PROTOBUF_C_TYPE_ENUM:
                return json_pack("{s:o}", "enum", names_of(f->descriptor));
        case PROTOBUF_C_TYPE_BOOL:
                return json_pack("{s:s}", "type", "boolean");
        case PROTOBUF_C_TYPE_DOUBLE:
                return json_pack("{s:s, s:i}", "type", "number", "minimum", 0);
        case PROTOBUF_C_TYPE_BYTES:
                return json_pack("{s:s, s:s}", "type", "string", "contentEncoding", "base64");
        case PROTOBUF_C_TYPE_STRING:
                return json_pack("{s:s}", "type", "string");
        default:
                return json_pack("{s:s, s:i}", "type", "integer", "minimum", 0);
        }
}

static json_t *default_of(const ProtobufCFieldDescriptor *f)
{
        const ProtobufCEnumValue *value;

        if (!f->default_value)
                return NULL;
        switch (f->type) {
        case PROTOBUF_C_TYPE_ENUM:
                value = protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)f->default_value);
                return value ? json_string(value->name) : NULL;
        case PROTOBUF_C_TYPE_BOOL:
                return json_boolean(*(const protobuf_c_boolean *)f->default_value);
        case PROTOBUF_C_TYPE_DOUBLE:
                return json_real(*(const double *)f->default_value);
        case PROTOBUF_C_TYPE_UINT32:
                return json_integer(*(const uint32_t *)f->default_value);
        case PROTOBUF_C_TYPE_UINT64:
                return json_integer((json_int_t) * (const uint64_t *)f->default_value);
        default:
                return NULL;
        }
}

static json_t *schema_of_field(const ProtobufCFieldDescriptor *f, int note)
{
        json_t *schema = json_pack("{s:s}", "description", notes[note].sentence), *type = type_of(f),
               *value = default_of(f);

        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
                json_object_set_new(schema, "type", json_string("array"));
                json_object_set_new(schema, "items", type);
        } else {
                json_object_update(schema, type);
                json_decref(type);
        }
        if (notes[note].members) {
                json_t *members = json_loads(notes[note].members, 0, NULL);

                json_object_update(schema, members);
                json_decref(members);
        }
        if (json_object_get(schema, "exclusiveMinimum"))
                json_object_del(schema, "minimum");
        if (value)
                json_object_set_new(schema, "default", value);
        return schema;
}

static json_t *schema_of(const ProtobufCMessageDescriptor *d)
{
        json_t *properties = json_object(), *required = json_array(), *schema;

        for (unsigned i = 0; i < d->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &d->fields[i];
                int note = find_note(d, f->name);

                if (note < 0 || !notes[note].sentence)
                        continue;
                json_object_set_new(properties, f->name, schema_of_field(f, note));
                /* A job without a command, a file without jobs: the messages allow it, nobody else does. */
                if (f->label == PROTOBUF_C_LABEL_REQUIRED || str_equal(f->name, "command") ||
                        str_equal(f->name, "jobs"))
                        json_array_append_new(required, json_string(f->name));
        }
        schema = json_pack("{s:s, s:o}", "type", "object", "properties", properties);
        if (json_array_size(required) > 0)
                json_object_set(schema, "required", required);
        json_decref(required);
        json_object_set_new(schema, "additionalProperties", json_false());
        return schema;
}

/* Editors look here for what to check a file against. */
static void allow_schema_member(json_t *schema)
{
        json_object_set_new(
                json_object_get(schema, "properties"), "$schema", json_pack("{s:s}", "type", "string"));
}

json_t *job_schema(void)
{
        json_t *definitions = json_object();

        for (size_t i = 0; i < ELEMENTSOF(messages); i++)
                json_object_set_new(definitions, messages[i]->short_name, schema_of(messages[i]));
        allow_schema_member(json_object_get(definitions, "JobFile"));
        allow_schema_member(json_object_get(definitions, "JobSpec"));
        return json_pack("{s:s, s:s, s:s, s:[o, o], s:o}", "$schema",
                "https://json-schema.org/draft/2020-12/schema", "title", "A job of Mete, or a file of jobs",
                "description", "What `mete run -f`, `mete plan -f` and `mete validate` read.", "oneOf",
                reference_to(&mete__api__job_file__descriptor),
                reference_to(&mete__api__job_spec__descriptor), "$defs", definitions);
}

static bool is_of_message(const char *row, const ProtobufCMessageDescriptor *d)
{
        return str_has_prefix(row, d->short_name) && row[strlen(d->short_name)] == '.' &&
               protobuf_c_message_descriptor_get_field_by_name(d, row + strlen(d->short_name) + 1);
}

char *job_schema_gaps(void)
{
        struct buffer gaps = {0};

        for (size_t i = 0; i < ELEMENTSOF(messages); i++)
                for (unsigned j = 0; j < messages[i]->n_fields; j++)
                        if (find_note(messages[i], messages[i]->fields[j].name) < 0)
                                buffer_printf(&gaps, "no row: %s.%s\n", messages[i]->short_name,
                                        messages[i]->fields[j].name);
        for (size_t i = 0; i < ELEMENTSOF(notes); i++) {
                bool found = false;

                for (size_t j = 0; j < ELEMENTSOF(messages); j++)
                        found |= is_of_message(notes[i].field, messages[j]);
                if (!found)
                        buffer_printf(&gaps, "no field: %s\n", notes[i].field);
        }
        return gaps.data ? buffer_take(&gaps) : xstrdup("");
}
