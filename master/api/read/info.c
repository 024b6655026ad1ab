/* What the master says of itself: version, options, health, where the leader is. */

#include "master/api/read/read.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/build_info.h"
#include "master/master_info.h"
#include "master/options.h"

void json_version(struct buffer *out)
{
        time_t when = (time_t)build_info.time;
        char date[32] = "";
        struct tm tm;

        if (when > 0 && gmtime_r(&when, &tm))
                (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
        json_put_string(out, "version", METE_VERSION);
        json_put_string(out, "build_date", date);
        json_put_double(out, "build_time", (double)build_info.time);
        json_put_string(out, "build_user", build_info.user);
        if (*build_info.git_sha)
                json_put_string(out, "git_sha", build_info.git_sha);
        if (*build_info.git_branch)
                json_put_string(out, "git_branch", build_info.git_branch);
        if (*build_info.git_tag)
                json_put_string(out, "git_tag", build_info.git_tag);
}

void read_version(struct read_call *c)
{
        json_begin_object(&c->out, NULL);
        json_version(&c->out);
        json_end_object(&c->out);
}

/* Names with underscores, values as text. */
void json_flags(struct read_call *c)
{
        json_begin_object(&c->out, "flags");
        for (size_t i = 0; i < master_option_parser.count; i++) {
                const struct option_row *row = &master_option_parser.rows[i];
                _cleanup_free_ char *value = option_value_text(row, c->master->options);
                _cleanup_free_ char *name = xstrdup(row->name);

                for (char *p = strchr(name, '-'); p; p = strchr(p, '-'))
                        *p = '_';
                if (value)
                        json_put_string(&c->out, name, value);
        }
        json_end_object(&c->out);
}

void read_flags(struct read_call *c)
{
        json_begin_object(&c->out, NULL);
        json_flags(c);
        json_end_object(&c->out);
}

void read_health(struct read_call *c)
{
        http_respond(c->req, 200, NULL, NULL, 0);
        c->answered = true;
}

/* The leader itself answers so too: clients ask this first, whomever they know. */
void read_redirect(struct read_call *c)
{
        struct election_address leader;
        _cleanup_free_ char *to = NULL;
        struct master_info info;

        if (c->master->leading) {
                master_info_fill(c->master, &info);
                to = xasprintf("//%s", info.host_port);
        } else if (election_leader(c->master->election, &leader)) {
                to = xasprintf(strchr(leader.host, ':') ? "//[%s]:%u" : "//%s:%u", leader.host, leader.port);
        } else {
                read_refuse(c, 503, "no leading master is known");
                return;
        }
        http_request_add_header(c->req, "Location", to);
        http_respond(c->req, 307, NULL, NULL, 0);
        c->answered = true;
}

/* There is one file that a master of Mesos shows, its log. This one logs to stderr: no path is ever known. */
void read_files(struct read_call *c)
{
        const char *call = http_request_subpath(c->req);
        const char *path = http_request_query(c->req, "path");

        if (str_equal(call, "/debug")) {
                json_begin_object(&c->out, NULL);
                json_end_object(&c->out);
        } else if (!str_equal(call, "/browse") && !str_equal(call, "/read") &&
                   !str_equal(call, "/download")) {
                read_refuse(c, 404, "there is nothing at this path");
        } else if (str_empty(path)) {
                read_refuse(c, 400, "path: expected 'path=value' in the query");
        } else {
                read_refuse(c, 404, "path: no such file: this master logs to its standard error");
        }
}
