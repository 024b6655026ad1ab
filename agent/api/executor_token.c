#include "agent/api/executor_token.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/api/api_internal.h"
#include "lib/net/jwt.h"

#define KEY_MAX 4096

static int check_key_file(int fd, const char *path, struct error *e)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set_errno(e, -errno, "--jwt-secret-key: cannot look at %s", path);
        if (!S_ISREG(st.st_mode))
                return error_set(e, -EINVAL, "--jwt-secret-key: %s is not a regular file", path);
        if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
                return error_set(e, -EPERM,
                        "--jwt-secret-key: others may read %s: make it root's, with mode 0600", path);
        return 0;
}

int executor_token_load_key(struct agent_api *api, struct error *e)
{
        const struct agent_options *o = api->agent->options;

        if (!o->authenticate_http_executors)
                return 0;
        /* Not blocking: a FIFO would be waited for otherwise. */
        _cleanup_fd_ int fd = open(o->jwt_secret_key, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return error_set_errno(e, -errno, "--jwt-secret-key: cannot open %s", o->jwt_secret_key);
        int r = check_key_file(fd, o->jwt_secret_key, e);
        if (r < 0)
                return r;
        r = read_all_fd(fd, KEY_MAX, &api->jwt_key, &api->jwt_key_len);
        if (r < 0)
                return error_set_errno(e, r, "--jwt-secret-key: cannot read %s", o->jwt_secret_key);
        if (api->jwt_key_len < JWT_KEY_MIN)
                return error_set(e, -EINVAL, "--jwt-secret-key: %s has %zu bytes, expected %d to %d",
                        o->jwt_secret_key, api->jwt_key_len, JWT_KEY_MIN, KEY_MAX);
        return 0;
}

char *executor_token_new(
        const struct agent *a, const char *framework_id, const char *executor_id, const char *container_id)
{
        const struct jwt_claim claims[] = {
                {"fid", framework_id}, {"eid", executor_id}, {"cid", container_id}};

        if (!a->api || !a->api->jwt_key)
                return NULL;
        return jwt_new(a->api->jwt_key, a->api->jwt_key_len, claims, ELEMENTSOF(claims));
}

int executor_token_verify(const struct agent_api *api, const char *authorization, struct wall_time now,
        struct executor_token *ret)
{
        static const char *const names[] = {"fid", "eid", "cid"};
        char *values[ELEMENTSOF(names)] = {NULL};

        if (!authorization || strncasecmp(authorization, "Bearer ", strlen("Bearer ")) != 0)
                return -EBADMSG;
        const char *token = authorization + strlen("Bearer ");
        token += strspn(token, " ");
        int r = jwt_verify(api->jwt_key, api->jwt_key_len, token, now, names, values, ELEMENTSOF(names));
        if (r < 0)
                return r;
        *ret = (struct executor_token){
                .framework_id = values[0], .executor_id = values[1], .container_id = values[2]};
        return 0;
}

void executor_token_done(struct executor_token *t)
{
        free(t->framework_id);
        free(t->executor_id);
        free(t->container_id);
        *t = (struct executor_token){0};
}
