/* Paths that no task may read or write: kernel interfaces that namespaces do not cover, and the host's secrets. */
#include <string.h>
#include <sys/mount.h>

#include "isolators/isolators.h"

/* Kernel state that concerns the whole machine. */
static const char *const masked[] = {"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore",
        "/proc/keys", "/proc/key-users", "/proc/kallsyms", "/proc/latency_stats", "/proc/sched_debug",
        "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo", "/sys/firmware",
        "/sys/devices/virtual/powercap", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security"};

/* Readable or writable for root alone: state of every process' memory, and switches that ask for no capability. */
static const char *const masked_from_root[] = {"/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup",
        "/proc/slabinfo", "/proc/pagetypeinfo", "/proc/dynamic_debug", "/proc/mtrr", "/proc/pressure"};

/* Switches of the whole machine. */
static const char *const read_only[] = {
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

/* In host-root mode: what a task run by root, or by a user in the right group, could otherwise read. */
static const char *const secrets[] = {"/root", "/boot", "/lost+found", "/etc/shadow", "/etc/shadow-",
        "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d", "/etc/ssh", "/etc/ssl/private",
        "/etc/mete", "/var/lib/mete", "/etc/krb5.keytab", "/etc/security/opasswd",
        "/etc/NetworkManager/system-connections", "/etc/wireguard", "/etc/kubernetes", "/var/backups",
        "/var/log", "/var/mail", "/var/spool", "/var/lib/docker", "/var/lib/containerd",
        "/var/lib/containers", "/var/lib/kubelet", "/var/lib/sudo", "/var/lib/private",
        "/var/lib/NetworkManager", "/var/lib/systemd", "/var/lib/cloud", "/var/lib/zookeeper",
        "/var/lib/postgresql", "/var/lib/mysql", "/var/cache/debconf"};

bool path_is_below(const char *path, const char *dir)
{
        size_t n = strlen(dir);

        while (n > 0 && dir[n - 1] == '/')
                n--;
        return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Everything that is hidden in host-root mode, one list. NULL past the end. */
static const char *hidden_path(const struct isolator_host *h, size_t i)
{
        const char *const own[] = {h->state_dir, h->runtime_dir};

        if (i < ELEMENTSOF(own))
                return own[i] ? own[i] : "";
        i -= ELEMENTSOF(own);
        if (i < ELEMENTSOF(secrets))
                return secrets[i];
        i -= ELEMENTSOF(secrets);
        return i < h->hidden_paths.count ? h->hidden_paths.items[i] : NULL;
}

static bool holds_sandbox(const struct container *c, const char *path)
{
        return *path && path_is_below(c->sandbox_in_container, path);
}

/* The outermost hidden directory that holds the sandbox; NULL when there is none. */
static const char *way(const struct isolator_host *h, const struct container *c)
{
        const char *found = NULL, *path;

        for (size_t i = 0; (path = hidden_path(h, i)); i++)
                if (holds_sandbox(c, path) && (!found || strlen(path) < strlen(found)))
                        found = path;
        return found;
}

void paths_add_way(const struct isolator_host *h, const struct container *c, struct plan *p)
{
        const char *path = way(h, c);

        if (!path)
                return;
        plan_add_strings(p, PLAN_PHASE_MOUNT, PLAN_STEP_MOUNT,
                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, "tmpfs", "", path,
                "mode=0755,size=64k,nr_inodes=64", NULL);
        plan_add_strings(p, PLAN_PHASE_PROTECT, PLAN_STEP_READONLY, 0, path, NULL);
}

bool paths_privileged(const struct container *c)
{
        return c->user.uid == 0 || c->capabilities != 0 || c->user.group_count > 0;
}

static void mask(struct plan *p, const char *path)
{
        plan_add_strings(p, PLAN_PHASE_PROTECT, PLAN_STEP_MASK, 0, path, NULL);
}

static int paths_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        for (size_t i = 0; i < ELEMENTSOF(masked); i++)
                mask(p, masked[i]);
        for (size_t i = 0; i < ELEMENTSOF(masked_from_root) && paths_privileged(c); i++)
                mask(p, masked_from_root[i]);
        for (size_t i = 0; i < ELEMENTSOF(read_only); i++)
                plan_add_strings(p, PLAN_PHASE_PROTECT, PLAN_STEP_READONLY, 0, read_only[i], NULL);
        if (c->spec->rootfs)
                return 0;
        const char *path;
        for (size_t i = 0; (path = hidden_path(h, i)); i++)
                if (*path && !holds_sandbox(c, path))
                        mask(p, path);
        return 0;
}

const struct isolator isolator_paths = {
        .name = "paths",
        .provides = "masked and read-only kernel files, hidden secrets of the host",
        .prepare = paths_prepare,
};
