/*
 * What the .proto files cannot say: legal ids, resource vectors, names of enum values. Pure functions over decoded messages, no state.
 * Sentences name the field by its JSON path.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/resources.h"
#include "proto/mesos.pb-c.h"

/*
 * Every id anywhere in the message (FrameworkID, AgentID, TaskID, ExecutorID, ContainerID, OfferID, OperationID, ResourceProviderID) is
 * one that id_validate() takes. An empty FrameworkInfo.id means none, as clients send it. Ids become file and cgroup names: call this
 * on each message from outside before anything else looks at it.
 */
int message_validate_ids(const ProtobufCMessage *m, struct error *e) WARN_UNUSED;

/* More ranges or items than this in one message are refused: their normal form is kept sorted. */
#define RESOURCE_PARTS_MAX 4096

/*
 * Sums the quantities; -EINVAL for a name that is none, a type without its value, text, negative, NaN or infinite amounts, a range that ends
 * before it begins, reservations or volumes that cannot be, and what is not supported (shared, disk.source, provider_id); -ERANGE or -E2BIG
 * for too much. Reservations may have either form: the stack, or role and reservation.
 * `field` is the path of the array ("task_infos[0].resources"). *ret is untouched on failure; the caller ends it.
 */
int resources_from_proto(Mete__V1__Resource *const *resources, size_t count, const char *field,
        struct resources *ret, struct error *e) WARN_UNUSED;
/*
 * The array and its messages belong to the message that they are put into (or message_free() each, then free()); NULL and 0
 * when empty. allocated_to: the role for allocation_info, or NULL. with_role: the form for frameworks without
 * RESERVATION_REFINEMENT: a role everywhere, "*" where nothing is reserved; of a stack the last refinement.
 */
void resources_to_proto(const struct resources *r, const char *allocated_to, bool with_role,
        Mete__V1__Resource ***ret, size_t *ret_count);

/* "RUNNING"; NULL for a number without a name. */
const char *task_state_to_string(Mete__V1__TaskState s);
/* With or without "TASK_", upper case. -EINVAL. */
int task_state_from_string(const char *s, Mete__V1__TaskState *ret) WARN_UNUSED;
/* The task is over and its resources are free: FINISHED FAILED KILLED ERROR LOST DROPPED GONE GONE_BY_OPERATOR. */
bool task_state_is_terminal(Mete__V1__TaskState s);
/* As on the wire: "REASON_CONTAINER_LIMITATION_MEMORY", "SOURCE_AGENT"; NULL for a number without a name. */
const char *task_reason_to_string(Mete__V1__TaskStatus__Reason r);
const char *task_source_to_string(Mete__V1__TaskStatus__Source s);
