/* What the master says of itself: version, options, health, where the leader is. */

#include "master/api/read/read.h"

#include <stdlib.h>
#include <string.h>

#include "master/master_info.h"
#include "master/options.h"

void read_version(struct read_call *c)
{
        json_begin_object(&c->out, NULL);
        json_version(&c->out);
        json_end_object(&c->out);
}

void read_flags(struct read_call *c)
{
        json_begin_object(&c->out, NULL);
        json_flags(&c->out, &master_option_parser, c->master->options);
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
