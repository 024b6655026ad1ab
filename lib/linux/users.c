#include "lib/linux/users.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/linux/syscall.h"

#define USERS_FILE_MAX (1024 * 1024)
#define USERS_LINE_MAX 4096
#define PASSWD_FIELDS 7
#define GROUP_FIELDS 4
/* Debian's nogroup: for a number that the root file system does not know. */
#define GID_NOGROUP 65534
/* The all-ones id means "no change" to chown and setresuid: never an identity. */
#define ID_NUMBER_MAX (UINT32_MAX - 1)

struct passwd_entry {
        const char *name, *home;
        uint32_t uid, gid;
};

struct group_entry {
        const char *name;
        uint32_t gid;
        char *members;
};

/* The wanted text: a number, or a name. */
struct wanted {
        bool numeric;
        uint32_t number;
        const char *name;
};

/* Walks the lines of a text, each copied into `line` and split at colons. */
struct line_reader {
        const char *text;
        size_t len;
        char line[USERS_LINE_MAX + 1];
        char *fields[PASSWD_FIELDS];
};

static bool split_fields(struct line_reader *r, size_t count)
{
        char *p = r->line;

        for (size_t i = 0; i < count; i++) {
                r->fields[i] = p;
                p = strchr(p, ':');
                if (!p)
                        return i + 1 == count;
                *p++ = '\0';
        }
        return false; /* more fields than there should be */
}

/* The next well-formed line with exactly `count` fields; false at the end. */
static bool next_line(struct line_reader *r, size_t count)
{
        while (r->len > 0) {
                const char *start = r->text;
                const char *end = memchr(start, '\n', r->len);
                size_t len = end ? (size_t)(end - start) : r->len;
                size_t step = end ? len + 1 : len;

                r->text += step;
                r->len -= step;
                if (len == 0 || len > USERS_LINE_MAX || memchr(start, '\0', len))
                        continue;
                memcpy(r->line, start, len);
                r->line[len] = '\0';
                if (split_fields(r, count))
                        return true;
        }
        return false;
}

/* Lines of NIS ("+", "-") and comments have no user; control characters belong in no name. */
static bool name_is_valid(const char *s, size_t max)
{
        if (!*s || strchr("+-#", *s) || strlen(s) >= max)
                return false;
        for (; *s; s++)
                if ((unsigned char)*s <= ' ' || *s == 0x7f)
                        return false;
        return true;
}

static bool home_is_valid(const char *s)
{
        if (*s != '/' || strlen(s) >= sizeof(((struct user_ids *)NULL)->home))
                return false;
        for (; *s; s++)
                if ((unsigned char)*s < ' ' || *s == 0x7f)
                        return false;
        return true;
}

static bool next_passwd(struct line_reader *r, struct passwd_entry *ret)
{
        while (next_line(r, PASSWD_FIELDS)) {
                struct passwd_entry p = {.name = r->fields[0]};
                if (!name_is_valid(p.name, sizeof(((struct user_ids *)NULL)->name)) ||
                        parse_u32(r->fields[2], ID_NUMBER_MAX, &p.uid) < 0 ||
                        parse_u32(r->fields[3], ID_NUMBER_MAX, &p.gid) < 0)
                        continue;
                p.home = home_is_valid(r->fields[5]) ? r->fields[5] : "/";
                *ret = p;
                return true;
        }
        return false;
}

static bool next_group(struct line_reader *r, struct group_entry *ret)
{
        while (next_line(r, GROUP_FIELDS)) {
                struct group_entry g = {.name = r->fields[0], .members = r->fields[3]};
                if (!name_is_valid(g.name, sizeof(((struct user_ids *)NULL)->name)) ||
                        parse_u32(r->fields[2], ID_NUMBER_MAX, &g.gid) < 0)
                        continue;
                *ret = g;
                return true;
        }
        return false;
}

static int parse_wanted(const char *text, const char *kind, struct wanted *ret, struct error *e)
{
        if (text[strspn(text, "0123456789")] == '\0' && *text) {
                *ret = (struct wanted){.numeric = true};
                if (parse_u32(text, ID_NUMBER_MAX, &ret->number) < 0)
                        return error_set(
                                e, -EINVAL, "the %s %s is not a number from 0 to 4294967294", kind, text);
                return 0;
        }
        if (!name_is_valid(text, sizeof(((struct user_ids *)NULL)->name)) || strpbrk(text, ":,/"))
                return error_set(e, -EINVAL,
                        "\"%.64s\" is not a %s: a name of at most 63 characters or a number is wanted", text,
                        kind);
        *ret = (struct wanted){.name = text};
        return 0;
}

static bool wanted_matches(const struct wanted *w, const char *name, uint32_t number)
{
        return w->numeric ? w->number == number : str_equal(w->name, name);
}

static int find_user(struct line_reader *r, const struct wanted *w, struct user_ids *ids, struct error *e)
{
        struct passwd_entry p;

        while (next_passwd(r, &p))
                if (wanted_matches(w, p.name, p.uid)) {
                        ids->uid = p.uid;
                        ids->gid = p.gid;
                        (void)snprintf(ids->name, sizeof(ids->name), "%s", p.name);
                        (void)snprintf(ids->home, sizeof(ids->home), "%s", p.home);
                        return 0;
                }
        if (!w->numeric)
                return error_set(e, -ENOENT,
                        "the user %s does not exist in the root file system (etc/passwd)", w->name);
        ids->uid = w->number;
        ids->gid = GID_NOGROUP;
        return 0;
}

static int find_group(struct line_reader *r, const struct wanted *w, struct user_ids *ids, struct error *e)
{
        struct group_entry g;

        if (w->numeric) {
                ids->gid = w->number;
                return 0;
        }
        while (next_group(r, &g))
                if (wanted_matches(w, g.name, g.gid)) {
                        ids->gid = g.gid;
                        return 0;
                }
        return error_set(
                e, -ENOENT, "the group %s does not exist in the root file system (etc/group)", w->name);
}

static bool has_member(char *members, const char *name)
{
        char *save = NULL;

        for (char *m = strtok_r(members, ",", &save); m; m = strtok_r(NULL, ",", &save))
                if (str_equal(m, name))
                        return true;
        return false;
}

static int add_group(struct user_ids *ids, gid_t gid, struct error *e)
{
        for (size_t i = 0; i < ids->group_count; i++)
                if (ids->groups[i] == gid)
                        return 0;
        /* Not truncated: a group that is missing may be one that files deny. */
        if (ids->group_count == USER_GROUPS_MAX)
                return error_set(e, -E2BIG, "the user %s is in more than %d groups in the root file system",
                        ids->name, USER_GROUPS_MAX);
        ids->groups[ids->group_count++] = gid;
        return 0;
}

static int find_supplementary(struct line_reader *r, struct user_ids *ids, struct error *e)
{
        struct group_entry g;

        while (next_group(r, &g)) {
                if (g.gid == ids->gid || !has_member(g.members, ids->name))
                        continue;
                int res = add_group(ids, g.gid, e);
                if (res < 0)
                        return res;
        }
        return 0;
}

int users_resolve_text(const char *passwd, size_t passwd_len, const char *group, size_t group_len,
        const char *spec, struct user_ids *ret, struct error *e)
{
        struct user_ids ids = {.home = "/"};
        struct wanted user, grp = {0};

        const char *colon = strchr(spec, ':');
        _cleanup_free_ char *user_text = colon ? xstrndup(spec, (size_t)(colon - spec)) : xstrdup(spec);
        int r = parse_wanted(user_text, "user", &user, e);
        if (r >= 0 && colon)
                r = parse_wanted(colon + 1, "group", &grp, e);
        if (r < 0)
                return r;

        struct line_reader users = {.text = passwd, .len = passwd_len};
        r = find_user(&users, &user, &ids, e);
        if (r < 0)
                return r;
        struct line_reader groups = {.text = group, .len = group_len};
        if (colon)
                r = find_group(&groups, &grp, &ids, e);
        else if (*ids.name)
                r = find_supplementary(&groups, &ids, e);
        if (r < 0)
                return r;
        *ret = ids;
        return 0;
}

/*
 * The file may be anything that an image can hold: a fifo must not block us and a device must not be opened
 * at all, so it is looked at first through O_PATH. A missing file gives NULL and 0.
 */
static int read_etc(int root_fd, const char *path, char **ret, size_t *ret_len, struct error *e)
{
        const uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
        struct stat st;

        _cleanup_fd_ int look = sys_openat2(root_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, resolve);
        if (look == -ENOENT) {
                *ret = NULL;
                *ret_len = 0;
                return 0;
        }
        if (look < 0 || fstat(look, &st) < 0)
                return error_set_errno(
                        e, look < 0 ? look : -errno, "cannot open %s in the root file system", path);
        if (!S_ISREG(st.st_mode))
                return error_set(e, -EINVAL, "%s in the root file system is not a regular file", path);

        _cleanup_fd_ int fd = sys_openat2(
                root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC, 0, resolve);
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_set_errno(
                        e, fd < 0 ? fd : -errno, "cannot open %s in the root file system", path);
        if (!S_ISREG(st.st_mode))
                return error_set(e, -EINVAL, "%s in the root file system is not a regular file", path);
        int r = read_all_fd(fd, USERS_FILE_MAX, ret, ret_len);
        if (r == -E2BIG)
                return error_set(e, r, "%s in the root file system is larger than 1 MiB", path);
        return r < 0 ? error_set_errno(e, r, "cannot read %s in the root file system", path) : 0;
}

int users_resolve(int root_fd, const char *spec, struct user_ids *ret, struct error *e)
{
        _cleanup_free_ char *passwd = NULL, *group = NULL;
        size_t passwd_len = 0, group_len = 0;

        int r = read_etc(root_fd, "etc/passwd", &passwd, &passwd_len, e);
        if (r >= 0)
                r = read_etc(root_fd, "etc/group", &group, &group_len, e);
        if (r < 0)
                return r;
        return users_resolve_text(passwd, passwd_len, group, group_len, spec, ret, e);
}

char *users_host_name(uid_t uid)
{
        _cleanup_free_ char *passwd = NULL;
        size_t len = 0;
        struct passwd_entry p;

        _cleanup_fd_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0 || read_etc(root_fd, "etc/passwd", &passwd, &len, NULL) < 0)
                return NULL;
        struct line_reader r = {.text = passwd, .len = len};
        while (next_passwd(&r, &p))
                if (p.uid == uid)
                        return xstrdup(p.name);
        return NULL;
}
