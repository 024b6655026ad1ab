/*
 * What the queues know of machines: size, attributes, fault domain, and whether and until when they may be used. One table for all
 * queues of a master. Pure: no I/O, no clock. Single thread. Strings are copied.
 */
#pragma once

#include "lib/base/resources.h"
#include "lib/base/time.h"

struct machine_attribute {
        const char *name;
        const char *value; /* as text: "r1", "2.5", "[1-10]", "{a,b}" */
};

struct machine {
        const char *id; /* of the agent */
        const char *hostname;
        const char *region, *zone; /* NULL: none */
        struct resources total;
        struct machine_attribute *attributes; /* sorted by name; of several of one name the first counts */
        size_t attribute_count;
        const char *
                unusable; /* why nothing may be placed there now ("draining", "unreachable", "deactivated"); NULL: it may be used */
        struct wall_time window_begin,
                window_end; /* the next maintenance; both 0: none; end UINT64_MAX: for ever */
        uint64_t index;     /* small, unique among those that are there, reused */
};

/* What a job wants of a machine: all of its constraints must hold. */
enum constraint_operator {
        CONSTRAINT_EQUAL,     /* attribute=value; numbers as numbers; of a set or of ranges: it is in there */
        CONSTRAINT_NOT_EQUAL, /* attribute!=value; also when it is not there */
        CONSTRAINT_MATCHES,   /* attribute~regular expression (lib/base/regex.h), whole value */
        CONSTRAINT_LESS,      /* attribute<number */
        CONSTRAINT_GREATER,   /* attribute>number */
        CONSTRAINT_EXISTS,    /* attribute */
        CONSTRAINT_ABSENT,    /* !attribute */
        CONSTRAINT_DISTINCT,  /* distinct:attribute: no two tasks of the job where its value is the same */
        CONSTRAINT_VOLUME,    /* a persistent volume is there; not written by people: constraint_volume() */
        CONSTRAINT_OPERATOR_MAX,
        CONSTRAINT_OPERATOR_INVALID = -EINVAL,
};
#define CONSTRAINTS_MAX 32
#define CONSTRAINT_VALUE_MAX 256
struct constraint {
        enum constraint_operator operator;
        char *attribute; /* "hostname", "agent", "region", "zone", or the name of one of the agent's attributes; of VOLUME: the role */
        char *value;         /* of VOLUME: its id */
        double number;       /* of LESS and GREATER */
        struct regex *regex; /* of MATCHES */
};
/* 1 to 63 printable ASCII characters, none of "=!~<>:". */
bool constraint_attribute_legal(const char *name);
/* "rack=r1", "hostname!=h3", "kernel~6\..*", "ssd", "!ssd", "mhz>2400", "distinct:rack". -EINVAL with a sentence. */
int constraint_parse(const char *text, struct constraint *ret, struct error *e) WARN_UNUSED;
/* The machine has the volume `id` that is reserved for `role`. */
void constraint_volume(const char *role, const char *id, struct constraint *ret);
void constraint_done(struct constraint *c);
void constraint_copy(const struct constraint *from, struct constraint *ret);
char *constraint_to_string(const struct constraint *c); /* the caller frees */
/* DISTINCT holds where the attribute is: the rest is between tasks. Whether somebody uses a volume is not asked. */
bool constraint_holds(const struct constraint *c, const struct machine *m);
/* The value of "hostname", "zone" or an attribute there; NULL: it has none. Borrowed. */
const char *machine_value(const struct machine *m, const char *attribute);

struct machines;
struct machines *machines_new(void);
struct machines *machines_free(struct machines *ms);
DEFINE_CLEANUP(struct machines, machines_free)

/* Adds or replaces what is known of machine m->id; its window and `unusable` are as given too. */
const struct machine *machines_set(struct machines *ms, const struct machine *m);
/* -ENOENT. why NULL: it may be used. */
int machines_set_unusable(struct machines *ms, const char *id, const char *why);
int machines_set_window(struct machines *ms, const char *id, struct wall_time begin, struct wall_time end);
void machines_remove(struct machines *ms, const char *id);
const struct machine *machines_find(const struct machines *ms, const char *id); /* NULL */
size_t machines_count(const struct machines *ms);
/* Raised by every change: what was computed from the table before is stale. Never 0. */
uint64_t machines_generation(const struct machines *ms);
/* In no particular order. */
void machines_each(
        const struct machines *ms, void (*each)(const struct machine *m, void *userdata), void *userdata);
/* The machine with the most of one scalar; NULL when there is none. */
const struct machine *machines_largest(const struct machines *ms, const char *resource);
