/*
 * Which agents a framework wants to be offered at all: its constraints on hostname and attributes, its capabilities, and the smallest
 * offers that a role wants. The allocator asks here before it makes an offer.
 */

#include <stdlib.h>

#include "lib/base/regex.h"
#include "master/core.h"
#include "proto/domain.h"

#define OFFER_CONSTRAINTS_MAX                                                                                \
        1000 /* of one framework: each is looked at whenever an agent has something free */

typedef Mete__V1__Scheduler__AttributeConstraint__Selector selector_message;
typedef Mete__V1__Scheduler__AttributeConstraint__Predicate predicate_message;

/* What must hold for one attribute. */
struct offer_constraint {
        const selector_message *selector;   /* in the message */
        const predicate_message *predicate; /* in the message */
        struct regex *regex;                /* owned; for (not) matches */
};

/* All of them must hold. */
struct constraint_group {
        struct offer_constraint *items;
        size_t count;
};

/* One of the groups must hold. */
struct role_constraints {
        const char *role; /* in the message */
        struct constraint_group *groups;
        size_t count;
};

struct offer_constraints {
        Mete__V1__Scheduler__OfferConstraints *message;
        struct role_constraints *roles;
        size_t count;
};

/* ---- taking them in ---- */

static int constraint_init(struct offer_constraint *c, const Mete__V1__Scheduler__AttributeConstraint *from,
        const char *field, struct error *e)
{
        _cleanup_free_ char *regex = xasprintf("%s.predicate", field);
        const selector_message *s = c->selector = from->selector;
        const predicate_message *p = c->predicate = from->predicate;

        switch (s->selector_case) {
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__SELECTOR_ATTRIBUTE_NAME:
                break;
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__SELECTOR_PSEUDOATTRIBUTE_TYPE:
                if (s->pseudoattribute_type !=
                        METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__PSEUDOATTRIBUTE_TYPE__UNKNOWN)
                        break;
                /* fall through */
        default:
                return error_set(e, -EINVAL,
                        "%s.selector: expected attribute_name, or pseudoattribute_type HOSTNAME, REGION or "
                        "ZONE",
                        field);
        }
        switch (p->predicate_case) {
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_TEXT_MATCHES:
                return regex_new(p->text_matches->regex, regex, &c->regex, e);
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_TEXT_NOT_MATCHES:
                return regex_new(p->text_not_matches->regex, regex, &c->regex, e);
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE__NOT_SET:
                return error_set(e, -EINVAL,
                        "%s.predicate: expected exists, not_exists, text_equals, text_not_equals, "
                        "text_matches or "
                        "text_not_matches",
                        field);
        default:
                return 0;
        }
}

static int group_init(struct constraint_group *g,
        const Mete__V1__Scheduler__OfferConstraints__RoleConstraints__Group *from, const char *field,
        size_t *total, struct error *e)
{
        int r = 0;

        if (from->n_attribute_constraints == 0)
                return error_set(e, -EINVAL, "%s.attribute_constraints: at least one is expected", field);
        *total += from->n_attribute_constraints;
        if (*total > OFFER_CONSTRAINTS_MAX)
                return error_set(e, -E2BIG, "offer_constraints: at most %d constraints are accepted",
                        OFFER_CONSTRAINTS_MAX);
        g->items = xcalloc(from->n_attribute_constraints, sizeof(*g->items));
        for (; r >= 0 && g->count < from->n_attribute_constraints; g->count++) {
                _cleanup_free_ char *at = xasprintf("%s.attribute_constraints[%zu]", field, g->count);

                r = constraint_init(&g->items[g->count], from->attribute_constraints[g->count], at, e);
        }
        return r;
}

static int role_init(struct role_constraints *c,
        const Mete__V1__Scheduler__OfferConstraints__RoleConstraintsEntry *from, size_t *total,
        struct error *e)
{
        const Mete__V1__Scheduler__OfferConstraints__RoleConstraints *rc = from->value;
        int r = 0;

        c->role = from->key;
        if (!rc || rc->n_groups == 0)
                return error_set(e, -EINVAL,
                        "offer_constraints.role_constraints.%s.groups: at least one is expected", from->key);
        c->groups = xcalloc(rc->n_groups, sizeof(*c->groups));
        for (; r >= 0 && c->count < rc->n_groups; c->count++) {
                _cleanup_free_ char *at =
                        xasprintf("offer_constraints.role_constraints.%s.groups[%zu]", from->key, c->count);

                r = group_init(&c->groups[c->count], rc->groups[c->count], at, total, e);
        }
        return r;
}

static int constraints_init(struct offer_constraints *c, struct error *e)
{
        size_t total = 0;
        int r = 0;

        c->roles = xcalloc(c->message->n_role_constraints, sizeof(*c->roles));
        for (; r >= 0 && c->count < c->message->n_role_constraints; c->count++)
                r = role_init(&c->roles[c->count], c->message->role_constraints[c->count], &total, e);
        return r;
}

void offer_constraints_free(struct offer_constraints *c)
{
        if (!c)
                return;
        for (size_t i = 0; i < c->count; i++) {
                for (size_t j = 0; j < c->roles[i].count; j++) {
                        struct constraint_group *g = &c->roles[i].groups[j];

                        for (size_t k = 0; k < g->count; k++)
                                regex_free(g->items[k].regex);
                        free(g->items);
                }
                free(c->roles[i].groups);
        }
        free(c->roles);
        message_free(c->message);
        free(c);
}

int framework_set_constraints(
        struct framework *f, const Mete__V1__Scheduler__OfferConstraints *constraints, struct error *e)
{
        struct offer_constraints *c = NULL;

        if (constraints && constraints->n_role_constraints > 0) {
                int r;

                c = NEW0(struct offer_constraints);
                c->message = message_copy(constraints);
                r = constraints_init(c, e);
                if (r < 0) {
                        offer_constraints_free(c);
                        return r;
                }
        }
        offer_constraints_free(f->constraints);
        f->constraints = c;
        allocator_reconsider(f->master->allocator);
        offers_schedule(f->master);
        return 0;
}

/* ---- asking ---- */

/* No such attribute. */
static bool holds_for_nothing(const struct offer_constraint *c)
{
        switch (c->predicate->predicate_case) {
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_NOT_EXISTS:
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_TEXT_NOT_EQUALS:
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_TEXT_NOT_MATCHES:
                return true;
        default:
                return false;
        }
}

static bool holds_for_text(const struct offer_constraint *c, const char *text)
{
        const predicate_message *p = c->predicate;

        switch (p->predicate_case) {
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_EXISTS:
                return true;
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_TEXT_EQUALS:
                return str_equal(p->text_equals->value, text);
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_TEXT_NOT_EQUALS:
                return !str_equal(p->text_not_equals->value, text);
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_TEXT_MATCHES:
                return regex_matches(c->regex, text);
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_TEXT_NOT_MATCHES:
                return !regex_matches(c->regex, text);
        default:
                return false;
        }
}

/* Texts cannot be compared with a number: the framework has to look at the offer itself, so it gets it. */
static bool holds_for_attribute(const struct offer_constraint *c, const Mete__V1__Attribute *a)
{
        if (a->type == METE__V1__VALUE__TYPE__TEXT && a->text)
                return holds_for_text(c, a->text->value);
        return c->predicate->predicate_case !=
               METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_NOT_EXISTS;
}

static const char *pseudoattribute(const Mete__V1__AgentInfo *info,
        Mete__V1__Scheduler__AttributeConstraint__Selector__PseudoattributeType type)
{
        switch (type) {
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__PSEUDOATTRIBUTE_TYPE__HOSTNAME:
                return info->hostname;
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__PSEUDOATTRIBUTE_TYPE__REGION:
                return domain_region(info->domain);
        case METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__PSEUDOATTRIBUTE_TYPE__ZONE:
                return domain_zone(info->domain);
        default:
                return NULL;
        }
}

static bool constraint_holds(const struct offer_constraint *c, const Mete__V1__AgentInfo *info)
{
        const selector_message *s = c->selector;
        bool found = false;

        if (s->selector_case ==
                METE__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__SELECTOR_PSEUDOATTRIBUTE_TYPE) {
                const char *text = pseudoattribute(info, s->pseudoattribute_type);

                return text ? holds_for_text(c, text) : holds_for_nothing(c);
        }
        for (size_t i = 0; i < info->n_attributes; i++) {
                if (!str_equal(info->attributes[i]->name, s->attribute_name))
                        continue;
                found = true;
                if (holds_for_attribute(c, info->attributes[i]))
                        return true; /* one of several of this name is enough */
        }
        return !found && holds_for_nothing(c);
}

static bool group_holds(const struct constraint_group *g, const Mete__V1__AgentInfo *info)
{
        for (size_t i = 0; i < g->count; i++)
                if (!constraint_holds(&g->items[i], info))
                        return false;
        return true;
}

static bool constraints_hold(
        const struct offer_constraints *c, const char *role, const Mete__V1__AgentInfo *info)
{
        for (size_t i = 0; i < c->count; i++) {
                if (!str_equal(c->roles[i].role, role))
                        continue;
                for (size_t j = 0; j < c->roles[i].count; j++)
                        if (group_holds(&c->roles[i].groups[j], info))
                                return true;
                return false;
        }
        return true;
}

/* ---- the smallest offers that a role wants ---- */

static bool quantities_fit(
        const Mete__V1__OfferFilters__ResourceQuantities *q, const struct resources *available)
{
        for (size_t i = 0; i < q->n_quantities; i++) {
                uint64_t milli;

                if (q->quantities[i]->value &&
                        milli_from_double(q->quantities[i]->value->value, &milli) >= 0 &&
                        resources_scalar(available, q->quantities[i]->key) < milli)
                        return false;
        }
        return true;
}

static bool large_enough(
        const Mete__V1__FrameworkInfo *info, const char *role, const struct resources *available)
{
        for (size_t i = 0; i < info->n_offer_filters; i++) {
                const Mete__V1__OfferFilters *of = info->offer_filters[i]->value;

                if (!str_equal(info->offer_filters[i]->key, role) || !of || !of->min_allocatable_resources ||
                        of->min_allocatable_resources->n_quantities == 0)
                        continue;
                for (size_t j = 0; j < of->min_allocatable_resources->n_quantities; j++)
                        if (quantities_fit(of->min_allocatable_resources->quantities[j], available))
                                return true;
                return false;
        }
        return true;
}

/* In another region than the master. Who does not say where he is, is near. */
static bool is_remote(const struct master *m, const struct agent *a)
{
        const char *here = domain_region(m->domain), *there = domain_region(a->info->domain);

        return here && there && !str_equal(here, there);
}

bool offer_qualifies(void *master, const char *framework, const char *role, const char *agent,
        const struct resources *available)
{
        const struct master *m = master;
        const struct framework *f = framework_find(m, framework);
        const struct agent *a = agent_find(m, agent);

        if (!f || !f->ops || !a)
                return false;
        /* Whoever does not ask for GPUs is kept away from the machines that have them. */
        if (!framework_has(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__GPU_RESOURCES) &&
                resources_scalar(&a->total, "gpus") > 0 && f != m->queue_framework)
                return false;
        if (is_remote(m, a) && !framework_has(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__REGION_AWARE) &&
                f != m->queue_framework)
                return false;
        return large_enough(f->info, role, available) &&
               (!f->constraints || constraints_hold(f->constraints, role, a->info));
}
