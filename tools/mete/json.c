#include "tools/mete/json.h"

#include "lib/net/codec.h"

/* 15 digits are exact for everything that went in as decimal text; 17 would print 0.1 as 0.10000000000000001. */
#define JSON_FLAGS (JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15))

json_t *json_of_message(const ProtobufCMessage *m)
{
        _cleanup_buffer_ struct buffer text = {0};
        json_t *v = NULL;

        if (message_encode(CODEC_JSON, m, &text) == 0)
                v = json_loadb(text.data, text.len, 0, NULL);
        return v ? v : json_object();
}

json_t *json_of_messages(ProtobufCMessage *const *messages, size_t count)
{
        json_t *array = json_array();

        for (size_t i = 0; i < count; i++)
                json_array_append_new(array, json_of_message(messages[i]));
        return array;
}

json_t *json_of_task_or_job(const Mete__Api__Response *response)
{
        if (response->task)
                return json_of_message(&response->task->base);
        return response->job ? json_of_message(&response->job->base) : json_object();
}

void json_print(json_t *v, bool compact, FILE *f)
{
        (void)json_dumpf(v, f, JSON_FLAGS | (compact ? JSON_COMPACT : JSON_INDENT(2)));
        fputc('\n', f);
        json_decref(v);
}

void json_fill_nulls(json_t *obj, const ProtobufCMessageDescriptor *d)
{
        for (unsigned i = 0; i < d->n_fields; i++)
                if (!json_object_get(obj, d->fields[i].name))
                        json_object_set_new(obj, d->fields[i].name, json_null());
}
