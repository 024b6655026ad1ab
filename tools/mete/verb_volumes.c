/* `mete volumes` and what is below it. */
#include <stdlib.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/amounts.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"

struct create_options {
        struct common_options common;
        char *path;
};

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static const struct option_row create_rows[] = {
        {"path", 0, OPTION_STRING, offsetof(struct create_options, path), "PATH",
                "where frameworks see it, relative to the sandbox (default: the id)", 0, "What"},
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static const struct column columns[] = {
        {"VOLUME", COLUMN_LEFT},
        {"AGENT", COLUMN_LEFT},
        {"ROLE", COLUMN_LEFT},
        {"SIZE", COLUMN_RIGHT},
        {"PATH", COLUMN_LEFT},
        {"USED BY", COLUMN_LEFT},
};

static void print_volumes(const Mete__Api__Response *response)
{
        CLEANUP(cleanup_table_free) struct table *t = table_new(columns, ELEMENTSOF(columns));
        char text[TEXT_MAX];

        for (size_t i = 0; i < response->n_volumes; i++) {
                const Mete__Api__Volume *v = response->volumes[i];

                table_cell(t, v->volume_id);
                table_cell(t, v->hostname ? v->hostname : v->agent_id);
                table_cell(t, v->role);
                table_cell(t, amount_text("disk", v->size_mib, text));
                table_cell(t, v->container_path);
                if (v->n_tasks > 1)
                        table_cellf(t, "%s and %zu more", v->tasks[0], v->n_tasks - 1);
                else
                        table_cell(t, v->n_tasks == 1 ? v->tasks[0] : NULL);
        }
        table_print(t, stdout);
}

static int ask(
        const struct common_options *o, const Mete__Api__Call *call, const char *nothing, struct error *e)
{
        Mete__Api__Response *response = NULL;
        int r = query_once(o, call, &response, e);

        if (r < 0)
                return r;
        if (o->json)
                json_print(
                        json_of_messages((ProtobufCMessage *const *)response->volumes, response->n_volumes),
                        /* compact= */ false, stdout);
        else if (response->n_volumes == 0)
                printf("%s\n", nothing);
        else
                print_volumes(response);
        (void)fflush(stdout);
        if (!o->json)
                text_warn(response->warnings, response->n_warnings);
        message_free(response);
        return VERB_EXIT_OK;
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;

        call.type = METE__API__CALL__TYPE__LIST_VOLUMES;
        return ask(
                options, &call, "There is no volume. `mete volumes create` makes one of reserved disk.", e);
}

static int run_create(void *options, int argc, char **argv, struct error *e)
{
        const struct create_options *o = options;
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__CreateVolume create = METE__API__CALL__CREATE_VOLUME__INIT;

        create.agent_id = argv[0];
        create.role = argv[1];
        create.volume_id = argv[2];
        create.container_path = o->path;
        if (amount_parse_mib("SIZE", argv[3], &create.size_mib, e) < 0)
                return VERB_USAGE;
        call.type = METE__API__CALL__TYPE__CREATE_VOLUME;
        call.create_volume = &create;
        return ask(&o->common, &call, "The agent has no volume.", e);
}

static int run_destroy(void *options, int argc, char **argv, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__DestroyVolume destroy = METE__API__CALL__DESTROY_VOLUME__INIT;

        destroy.agent_id = argv[0];
        destroy.volume_id = argv[1];
        call.type = METE__API__CALL__TYPE__DESTROY_VOLUME;
        call.destroy_volume = &destroy;
        return ask(options, &call, "The agent has no volume any more.", e);
}

static int run_resize(void *options, int argc, char **argv, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__ResizeVolume resize = METE__API__CALL__RESIZE_VOLUME__INIT;

        resize.agent_id = argv[0];
        resize.volume_id = argv[1];
        if (amount_parse_mib("SIZE", argv[2], &resize.size_mib, e) < 0)
                return VERB_USAGE;
        call.type = METE__API__CALL__TYPE__RESIZE_VOLUME;
        call.resize_volume = &resize;
        return ask(options, &call, "The agent has no volume.", e);
}

static const struct verb volumes_create = {
        .name = "create",
        .parser =
                {
                        .program = "mete volumes create",
                        .synopsis = "[options] AGENT ROLE ID SIZE",
                        .summary = "make a persistent volume of disk that is reserved for a role",
                        .rows = create_rows,
                        .count = ELEMENTSOF(create_rows),
                },
        .options_size = sizeof(struct create_options),
        .min_arguments = 4,
        .max_arguments = 4,
        .run = run_create,
};

static const struct verb volumes_destroy = {
        .name = "destroy",
        .parser =
                {
                        .program = "mete volumes destroy",
                        .synopsis = "[options] AGENT ID",
                        .summary = "give its disk back to the reservation; its data are gone",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 2,
        .max_arguments = 2,
        .run = run_destroy,
};

static const struct verb volumes_resize = {
        .name = "resize",
        .parser =
                {
                        .program = "mete volumes resize",
                        .synopsis = "[options] AGENT ID SIZE",
                        .summary = "make it larger or smaller while no task uses it",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 3,
        .max_arguments = 3,
        .run = run_resize,
};

static const struct verb *const below[] = {&volumes_create, &volumes_destroy, &volumes_resize, NULL};

static const char *const examples[] = {
        "mete reserve h1 dev disk=20G",
        "first the disk",
        "mete volumes create h1 dev results 10G",
        "then the volume: `mete run --queue dev --volume results:out` writes to it",
        "mete volumes destroy h1 results",
        "its data are gone",
        NULL,
};

const struct verb verb_volumes = {
        .name = "volumes",
        .parser =
                {
                        .program = "mete volumes",
                        .synopsis = "[options] | create AGENT ROLE ID SIZE | destroy AGENT ID | resize AGENT "
                                    "ID SIZE",
                        .summary = "directories that outlive tasks",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .examples = examples,
        .run = run,
        .below = below,
};
