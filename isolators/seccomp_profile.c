/* The parser of profiles: text from outside, so every field is checked and every refusal says where. */
#include <jansson.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "isolators/isolators.h"
#include "isolators/seccomp.h"
#include "lib/linux/capability.h"

#define RULES_MAX 2048
#define NAMES_MAX 1024
/*
 * What libseccomp can compile in milliseconds: this happens on the agent's loop, for anybody's profile. Rules that compare several
 * arguments of one call make its tree of comparisons grow exponentially (measured with 2.5.4, ordered comparisons of six arguments: three
 * rules 3 ms, four 25 ms, five 1.6 s, eight minutes); the others cost about the square of their number.
 */
#define NAMES_TOTAL_MAX 8192
#define CONDITIONAL_TOTAL_MAX 256
#define COMBINED_TOTAL_MAX 32   /* rules with several conditions, counted once for each call that they name */
#define COMBINED_PER_CALL_MAX 3 /* of those */
#define NAME_LENGTH_MAX 64
#define ERRNO_MAX 4095

#if defined(__x86_64__)
#define NATIVE_ARCH "SCMP_ARCH_X86_64"
#define NATIVE_GOARCH "amd64"
#elif defined(__aarch64__)
#define NATIVE_ARCH "SCMP_ARCH_AARCH64"
#define NATIVE_GOARCH "arm64"
#else
#error "no seccomp profile for this architecture"
#endif

static const struct {
        const char *name;
        uint32_t action; /* errno still to be filled in for ERRNO and TRACE */
} action_rows[] = {
        {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
        {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
        {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(EPERM)},
        {"SCMP_ACT_LOG", SCMP_ACT_LOG},
        {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
};

static const struct {
        const char *name;
        int op;
} op_rows[] = {
        {"SCMP_CMP_NE", SCMP_CMP_NE},
        {"SCMP_CMP_LT", SCMP_CMP_LT},
        {"SCMP_CMP_LE", SCMP_CMP_LE},
        {"SCMP_CMP_EQ", SCMP_CMP_EQ},
        {"SCMP_CMP_GE", SCMP_CMP_GE},
        {"SCMP_CMP_GT", SCMP_CMP_GT},
        {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

/* Where the parser is, for messages: "syscalls[3].args[0]". */
struct parser {
        uint64_t capabilities;
        struct error *e;
        char path[128];
};

static int refuse(struct parser *p, const char *field, const char *wanted)
{
        return error_set(p->e, -EINVAL, "seccomp profile: %s%s%s: %s", p->path, *p->path && *field ? "." : "",
                field, wanted);
}

/* Typos must not weaken a profile silently. */
static int check_keys(struct parser *p, const json_t *object, const char *const *known)
{
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)(uintptr_t)object, key, value)
        {
                size_t i = 0;
                while (known[i] && strcmp(known[i], key) != 0)
                        i++;
                if (!known[i]) {
                        char field[80];
                        (void)snprintf(field, sizeof(field), "\"%.64s\"", key);
                        return refuse(p, field, "is not a known field");
                }
        }
        return 0;
}

static int parse_errno(struct parser *p, const json_t *object, const char *field, uint32_t *action)
{
        const json_t *v = json_object_get(object, field);

        if (!v)
                return 0;
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > ERRNO_MAX)
                return refuse(p, field, "a number from 0 to 4095 is accepted");
        if ((*action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
                *action = SCMP_ACT_ERRNO((uint32_t)json_integer_value(v));
        return 0;
}

static int parse_action(
        struct parser *p, const json_t *object, const char *field, const char *errno_field, uint32_t *ret)
{
        const char *name = json_string_value(json_object_get(object, field));

        for (size_t i = 0; name && i < ELEMENTSOF(action_rows); i++)
                if (strcmp(name, action_rows[i].name) == 0) {
                        *ret = action_rows[i].action;
                        return parse_errno(p, object, errno_field, ret);
                }
        return refuse(p, field,
                "one of SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, "
                "SCMP_ACT_KILL, "
                "SCMP_ACT_TRAP, SCMP_ACT_LOG is accepted");
}

static int parse_u64_field(
        struct parser *p, const json_t *object, const char *field, bool required, uint64_t *ret)
{
        const json_t *v = json_object_get(object, field);

        *ret = 0;
        if (!v && !required)
                return 0;
        if (!json_is_integer(v) || json_integer_value(v) < 0)
                return refuse(p, field, "a number of at least 0 is accepted");
        *ret = (uint64_t)json_integer_value(v);
        return 0;
}

static int parse_condition(struct parser *p, const json_t *object, struct seccomp_condition *ret)
{
        static const char *const known[] = {"index", "value", "valueTwo", "op", NULL};
        uint64_t index;

        if (!json_is_object(object))
                return refuse(p, "", "an object is accepted");
        int r = check_keys(p, object, known);
        if (r >= 0)
                r = parse_u64_field(p, object, "index", true, &index);
        if (r >= 0 && index > 5)
                return refuse(p, "index", "0 to 5 is accepted");
        if (r >= 0)
                r = parse_u64_field(p, object, "value", true, &ret->value);
        if (r >= 0)
                r = parse_u64_field(p, object, "valueTwo", false, &ret->value_two);
        if (r < 0)
                return r;
        ret->index = (unsigned)index;
        const char *op = json_string_value(json_object_get(object, "op"));
        for (size_t i = 0; op && i < ELEMENTSOF(op_rows); i++)
                if (strcmp(op, op_rows[i].name) == 0) {
                        ret->op = op_rows[i].op;
                        return 0;
                }
        return refuse(p, "op", "SCMP_CMP_NE, LT, LE, EQ, GE, GT or MASKED_EQ with that prefix is accepted");
}

static int parse_conditions(struct parser *p, const json_t *args, struct seccomp_rule *rule)
{
        char path[sizeof(p->path)];

        if (!args || json_is_null(args))
                return 0;
        if (!json_is_array(args) || json_array_size(args) > ELEMENTSOF(rule->conditions))
                return refuse(p, "args", "a list of at most 6 conditions is accepted");
        memcpy(path, p->path, sizeof(path));
        for (size_t i = 0; i < json_array_size(args); i++) {
                (void)snprintf(p->path, sizeof(p->path), "%.64s.args[%zu]", path, i);
                int r = parse_condition(
                        p, json_array_get(args, i), &rule->conditions[rule->condition_count++]);
                if (r < 0)
                        return r;
        }
        memcpy(p->path, path, sizeof(path));
        return 0;
}

static int add_name(struct parser *p, const json_t *v, const char *field, struct seccomp_rule *rule)
{
        const char *name = json_string_value(v);

        if (!name || !*name || strlen(name) > NAME_LENGTH_MAX ||
                strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
                return refuse(p, field, "names of system calls such as \"openat\" are accepted");
        rule->names[rule->name_count++] = xstrdup(name);
        return 0;
}

/* "names": [...], or "name": "..." as old profiles have it. */
static int parse_names(struct parser *p, const json_t *object, struct seccomp_rule *rule)
{
        const json_t *names = json_object_get(object, "names"), *name = json_object_get(object, "name");

        if (name && !names) {
                rule->names = xcalloc(1, sizeof(char *));
                return add_name(p, name, "name", rule);
        }
        if (!json_is_array(names) || json_array_size(names) == 0 || json_array_size(names) > NAMES_MAX)
                return refuse(p, "names", "a list of 1 to 1024 system calls is accepted");
        rule->names = xcalloc(json_array_size(names), sizeof(char *));
        for (size_t i = 0; i < json_array_size(names); i++) {
                int r = add_name(p, json_array_get(names, i), "names", rule);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool kernel_is_at_least(unsigned major, unsigned minor)
{
        struct utsname u;
        unsigned have_major = 0, have_minor = 0;

        if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &have_major, &have_minor) != 2)
                return false;
        return have_major > major || (have_major == major && have_minor >= minor);
}

/* How many of the listed are ours, and how many there are. */
static int count_caps(struct parser *p, const json_t *list, size_t *ret_held, size_t *ret_count)
{
        *ret_held = *ret_count = 0;
        if (!list || json_is_null(list))
                return 0;
        if (!json_is_array(list))
                return refuse(p, "caps", "a list of capabilities is accepted");
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *name = json_string_value(json_array_get(list, i));
                int cap = name ? capability_from_string(name) : -EINVAL;
                if (cap < 0)
                        return refuse(
                                p, "caps", "names of capabilities such as \"CAP_SYS_ADMIN\" are accepted");
                *ret_held += (p->capabilities >> cap) & 1;
                (*ret_count)++;
        }
        return 0;
}

static int count_arches(struct parser *p, const json_t *list, size_t *ret_ours, size_t *ret_count)
{
        *ret_ours = *ret_count = 0;
        if (!list || json_is_null(list))
                return 0;
        if (!json_is_array(list))
                return refuse(p, "arches", "a list of architectures is accepted");
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *name = json_string_value(json_array_get(list, i));
                if (!name)
                        return refuse(p, "arches", "names of architectures such as \"amd64\" are accepted");
                *ret_ours += strcmp(name, NATIVE_GOARCH) == 0;
                (*ret_count)++;
        }
        return 0;
}

/* Does the rule apply here? "includes": everything must hold; "excludes": nothing may. */
static int parse_filter(
        struct parser *p, const json_t *object, const char *field, bool includes, bool *applies)
{
        static const char *const known[] = {"caps", "arches", "minKernel", NULL};
        const json_t *filter = json_object_get(object, field);
        size_t held, caps, ours, arches;
        unsigned major, minor;

        if (!filter || json_is_null(filter))
                return 0;
        if (!json_is_object(filter))
                return refuse(p, field, "an object with caps, arches or minKernel is accepted");
        int r = check_keys(p, filter, known);
        if (r >= 0)
                r = count_caps(p, json_object_get(filter, "caps"), &held, &caps);
        if (r >= 0)
                r = count_arches(p, json_object_get(filter, "arches"), &ours, &arches);
        if (r < 0)
                return r;
        if (includes ? held < caps || (arches > 0 && ours == 0) : held > 0 || ours > 0)
                *applies = false;
        const json_t *kernel = json_object_get(filter, "minKernel");
        if (!kernel || json_is_null(kernel))
                return 0;
        if (!json_is_string(kernel) || sscanf(json_string_value(kernel), "%u.%u", &major, &minor) != 2)
                return refuse(p, field, "minKernel like \"5.8\" is accepted");
        if (kernel_is_at_least(major, minor) != includes)
                *applies = false;
        return 0;
}

static void rule_done(struct seccomp_rule *r)
{
        for (size_t i = 0; i < r->name_count; i++)
                free(r->names[i]);
        free(r->names);
        *r = (struct seccomp_rule){0};
}

static int parse_rule(struct parser *p, const json_t *object, struct seccomp_profile *profile)
{
        static const char *const known[] = {
                "names", "name", "action", "errnoRet", "args", "comment", "includes", "excludes", NULL};
        struct seccomp_rule rule CLEANUP(rule_done) = {0};
        bool applies = true;

        if (!json_is_object(object))
                return refuse(p, "", "an object is accepted");
        int r = check_keys(p, object, known);
        if (r >= 0)
                r = parse_names(p, object, &rule);
        if (r >= 0)
                r = parse_action(p, object, "action", "errnoRet", &rule.action);
        if (r >= 0)
                r = parse_conditions(p, json_object_get(object, "args"), &rule);
        if (r >= 0)
                r = parse_filter(p, object, "includes", true, &applies);
        if (r >= 0)
                r = parse_filter(p, object, "excludes", false, &applies);
        if (r < 0 || !applies)
                return r;
        profile->rules[profile->rule_count++] = rule;
        rule = (struct seccomp_rule){0};
        return 0;
}

/* How many rules with several conditions name this call. */
static size_t count_combined(const struct seccomp_profile *profile, const char *name)
{
        size_t n = 0;

        for (size_t i = 0; i < profile->rule_count; i++)
                for (size_t k = 0; k < profile->rules[i].name_count; k++)
                        n += profile->rules[i].condition_count > 1 &&
                             strcmp(profile->rules[i].names[k], name) == 0;
        return n;
}

/* Before anything is compiled. */
static int check_cost(struct parser *p, const struct seccomp_profile *profile)
{
        size_t names = 0, conditional = 0, combined = 0;

        for (size_t i = 0; i < profile->rule_count; i++) {
                const struct seccomp_rule *r = &profile->rules[i];

                names += r->name_count;
                conditional += r->condition_count ? r->name_count : 0;
                combined += r->condition_count > 1 ? r->name_count : 0;
        }
        if (names > NAMES_TOTAL_MAX)
                return refuse(p, "syscalls", "rules with at most 8192 names together are accepted");
        if (conditional > CONDITIONAL_TOTAL_MAX)
                return refuse(p, "syscalls",
                        "at most 256 rules with conditions are accepted (a rule counts for each call that it "
                        "names)");
        if (combined > COMBINED_TOTAL_MAX)
                return refuse(p, "syscalls",
                        "at most 32 rules with several conditions are accepted (a rule counts for each call "
                        "that it names)");
        for (size_t i = 0; i < profile->rule_count; i++)
                for (size_t k = 0; profile->rules[i].condition_count > 1 && k < profile->rules[i].name_count;
                        k++)
                        if (count_combined(profile, profile->rules[i].names[k]) > COMBINED_PER_CALL_MAX)
                                return refuse(p, "syscalls",
                                        "at most 3 rules with several conditions are accepted for one call");
        return 0;
}

static int parse_rules(struct parser *p, const json_t *root, struct seccomp_profile *profile)
{
        const json_t *list = json_object_get(root, "syscalls");

        if (!list || json_is_null(list))
                return 0;
        if (!json_is_array(list) || json_array_size(list) > RULES_MAX)
                return refuse(p, "syscalls", "a list of at most 2048 rules is accepted");
        profile->rules = xcalloc(json_array_size(list) + 1, sizeof(*profile->rules));
        for (size_t i = 0; i < json_array_size(list); i++) {
                (void)snprintf(p->path, sizeof(p->path), "syscalls[%zu]", i);
                int r = parse_rule(p, json_array_get(list, i), profile);
                if (r < 0)
                        return r;
        }
        p->path[0] = '\0';
        return check_cost(p, profile);
}

/* Only the machine's own architecture is ever let through; a profile for others alone does not fit. */
static int parse_architectures(struct parser *p, const json_t *root, struct seccomp_profile *profile)
{
        const json_t *map = json_object_get(root, "archMap"), *flat = json_object_get(root, "architectures");
        const json_t *list = map ? map : flat;
        const char *field = map ? "archMap" : "architectures";

        profile->native = !list || json_is_null(list) || (json_is_array(list) && json_array_size(list) == 0);
        if (profile->native)
                return 0;
        if (!json_is_array(list))
                return refuse(p, field, "a list of architectures is accepted");
        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *item = json_array_get(list, i);
                const char *name = json_string_value(map ? json_object_get(item, "architecture") : item);
                if (!name || strncmp(name, "SCMP_ARCH_", strlen("SCMP_ARCH_")) != 0)
                        return refuse(p, field, "names such as \"" NATIVE_ARCH "\" are accepted");
                profile->native |= strcmp(name, NATIVE_ARCH) == 0;
        }
        return profile->native ? 0 : refuse(p, field, "does not have " NATIVE_ARCH ", which this machine is");
}

static int parse_profile(struct parser *p, const json_t *root, struct seccomp_profile *profile)
{
        static const char *const known[] = {"defaultAction", "defaultErrnoRet", "archMap", "architectures",
                "syscalls", "comment", "flags", NULL};
        const json_t *flags = json_object_get(root, "flags");

        if (!json_is_object(root))
                return refuse(p, "", "a JSON object is accepted");
        int r = check_keys(p, root, known);
        if (r >= 0 && flags && !json_is_null(flags) && !(json_is_array(flags) && json_array_size(flags) == 0))
                return refuse(p, "flags", "no filter flag is accepted");
        if (r >= 0)
                r = parse_action(p, root, "defaultAction", "defaultErrnoRet", &profile->default_action);
        if (r >= 0)
                r = parse_architectures(p, root, profile);
        if (r >= 0)
                r = parse_rules(p, root, profile);
        return r;
}

int seccomp_profile_parse(
        const char *json, uint64_t capabilities, struct seccomp_profile *ret, struct error *e)
{
        struct seccomp_profile profile CLEANUP(seccomp_profile_done) = {0};
        struct parser p = {.capabilities = capabilities, .e = e};
        json_error_t error;

        size_t len = strnlen(json, SECCOMP_PROFILE_MAX + 1);
        if (len > SECCOMP_PROFILE_MAX)
                return error_set(e, -E2BIG, "seccomp profile: at most 1 MiB is accepted");
        json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
        if (!root)
                return error_set(e, -EINVAL, "seccomp profile: not JSON: line %d, column %d: %s", error.line,
                        error.column, error.text);
        int r = parse_profile(&p, root, &profile);
        json_decref(root);
        if (r < 0)
                return r;
        *ret = profile;
        profile = (struct seccomp_profile){0};
        return 0;
}

void seccomp_profile_done(struct seccomp_profile *p)
{
        for (size_t i = 0; i < p->rule_count; i++)
                rule_done(&p->rules[i]);
        free(p->rules);
        *p = (struct seccomp_profile){0};
}
