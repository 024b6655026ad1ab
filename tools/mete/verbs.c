#include "tools/mete/verb.h"

#include <stdlib.h>
#include <string.h>

#include "tools/mete/all_verbs.h"
#include "tools/mete/text.h"

const struct verb *const verbs[] = {
        &verb_dev,
        &verb_doctor,
        &verb_run,
        &verb_plan,
        &verb_validate,
        &verb_ps,
        &verb_jobs,
        &verb_explain,
        &verb_logs,
        &verb_stats,
        &verb_kill,
        &verb_suspend,
        &verb_resume,
        &verb_inspect,
        &verb_history,
        &verb_queue,
        &verb_agents,
        &verb_gone,
        &verb_maintenance,
        &verb_roles,
        &verb_quota,
        &verb_weights,
        &verb_reserve,
        &verb_unreserve,
        &verb_volumes,
        &verb_version,
        &verb_completion,
        &verb_help,
        NULL,
};

const struct verb *verb_find(const char *name)
{
        for (size_t i = 0; verbs[i]; i++)
                if (str_equal(verbs[i]->name, name))
                        return verbs[i];
        return NULL;
}

const struct verb *verb_below(const struct verb *v, const char *name)
{
        for (size_t i = 0; v->below && v->below[i]; i++)
                if (str_equal(v->below[i]->name, name))
                        return v->below[i];
        return NULL;
}

const struct verb *verb_at(size_t index)
{
        for (size_t i = 0; verbs[i]; i++) {
                if (index-- == 0)
                        return verbs[i];
                for (size_t j = 0; verbs[i]->below && verbs[i]->below[j]; j++)
                        if (index-- == 0)
                                return verbs[i]->below[j];
        }
        return NULL;
}

/* What people type out of habit from other systems. */
static const char *const habits[][2] = {
        {"list", "ps"},
        {"tasks", "ps"},
        {"top", "stats"},
        {"stop", "kill"},
        {"cancel", "kill"},
        {"rm", "kill"},
        {"submit", "run"},
        {"exec", "run"},
        {"log", "logs"},
        {"tail", "logs"},
        {"nodes", "agents"},
        {"status", "ps"},
        {"show", "inspect"},
        {"describe", "inspect"},
        {"start", "dev"},
        {"why", "explain"},
        {"queues", "queue"},
        {"limits", "quota"},
        {"freeze", "suspend"},
        {"pause", "suspend"},
        {"hold", "suspend"},
        {"thaw", "resume"},
        {"release", "resume"},
        {"drain", "agents drain"},
        {"cordon", "agents deactivate"},
        {"uncordon", "agents reactivate"},
        {"lint", "validate"},
};

const char *verb_suggest(const char *typed)
{
        const char *best = NULL;
        unsigned best_distance = UINT32_MAX;

        for (size_t i = 0; i < ELEMENTSOF(habits); i++)
                if (str_equal(habits[i][0], typed))
                        return habits[i][1];
        for (size_t i = 0; verbs[i]; i++) {
                unsigned distance = text_distance(typed, verbs[i]->name);

                if (distance < best_distance) {
                        best = verbs[i]->name;
                        best_distance = distance;
                }
        }
        /* One slip in a short word, two in a longer one: further away is another word. */
        return best && best_distance <= (strlen(best) > 4 ? 2u : 1u) && best_distance < strlen(typed) ? best
                                                                                                      : NULL;
}

static void print_below(const struct verb *v, FILE *f)
{
        if (!v->below)
                return;
        fputs("\nVerbs below it:\n", f);
        for (size_t i = 0; v->below[i]; i++)
                fprintf(f, "  %-12s%s\n", v->below[i]->name, v->below[i]->parser.summary);
}

static void print_examples(const struct verb *v, FILE *f)
{
        if (!v->examples)
                return;
        fputs("\nExamples:\n", f);
        for (size_t i = 0; v->examples[i]; i += 2)
                fprintf(f, "  %s\n      %s\n", v->examples[i], v->examples[i + 1]);
}

void verb_print_help(const struct verb *v, FILE *f)
{
        options_print_help(&v->parser, f);
        print_below(v, f);
        print_examples(v, f);
}

void verbs_print_help(FILE *f)
{
        fputs("Usage: mete [--master HOST:PORT] VERB [options] [arguments]\n\n"
              "Runs tasks in containers that are a hard partition of CPU and memory, and says what each "
              "really used.\n",
                f);
        for (size_t i = 0; verbs[i]; i++) {
                if (verbs[i]->group)
                        fprintf(f, "\n%s:\n", verbs[i]->group);
                fprintf(f, "  %-13s%s\n", verbs[i]->name, verbs[i]->parser.summary);
        }
        fputs("\nEvery verb explains itself: mete VERB --help. Those that print take --json.\n\n"
              "The master is found by --master, else METE_MASTER, else " METE_DEFAULT_MASTER ".\n\n"
              "Examples:\n"
              "  sudo mete dev\n"
              "      start a master and an agent on this machine\n"
              "  mete run --cpus 0.5 --mem 64M -- gzip -9 -c /usr/bin/perl\n"
              "      run a command in half a core and 64 MiB\n"
              "  mete stats -a\n"
              "      what every task used, finished ones too\n",
                f);
}

static int check_arguments(const struct verb *v, int count, char **arguments, struct error *e)
{
        if (count < v->min_arguments)
                return error_set(e, -EINVAL, "what is to be given is missing: %s %s", v->parser.program,
                        v->parser.synopsis);
        if (v->max_arguments >= 0 && count > v->max_arguments)
                return error_set(e, -EINVAL, "unexpected word \"%s\": %s %s", arguments[v->max_arguments],
                        v->parser.program, v->parser.synopsis);
        return 0;
}

/* --help among the options, before any "--" or, where words end the options, before the first of them. */
static int parse(const struct verb *v, int argc, char **argv, void *options, int *ret_first, struct error *e)
{
        int r = options_parse(&v->parser, argc, argv, options, ret_first, e);

        if (r == 1) {
                print_below(v, stdout);
                print_examples(v, stdout);
        }
        if (r != 0)
                return r;
        return check_arguments(v, argc - *ret_first, argv + *ret_first, e);
}

static int invoke(const struct verb *v, int argc, char **argv)
{
        _cleanup_error_ struct error e = {0};
        _cleanup_free_ void *options = xcalloc(1, v->options_size);
        int first = 0, r;

        if (v->defaults)
                v->defaults(options);
        r = parse(v, argc, argv, options, &first, &e);
        if (r < 0)
                r = VERB_USAGE;
        else if (r > 0)
                r = VERB_EXIT_OK;
        else
                r = v->run(options, argc - first, argv + first, &e);
        options_done(&v->parser, options);
        if (r >= 0)
                return r;
        if (e.message) {
                _cleanup_free_ char *sentence = text_safe(text_without_field(error_message(&e)));

                (void)fflush(stdout);
                fprintf(stderr, "mete: %s\n", sentence);
        }
        if (r != VERB_USAGE)
                return VERB_EXIT_FAILED;
        fprintf(stderr, "Try `%s --help`.\n", v->parser.program);
        return VERB_EXIT_USAGE;
}

int verb_invoke(const struct verb *v, int argc, char **argv)
{
        const struct verb *below = argc > 1 ? verb_below(v, argv[1]) : NULL;

        return below ? invoke(below, argc - 1, argv + 1) : invoke(v, argc, argv);
}
