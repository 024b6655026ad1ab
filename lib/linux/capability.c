#include "lib/linux/capability.h"

#include <linux/capability.h>
#include <strings.h>

#include "lib/base/util.h"

#define CAP(name) [CAP_##name] = "CAP_" #name
static const char *const capability_names[CAPABILITY_COUNT] = {CAP(CHOWN), CAP(DAC_OVERRIDE),
        CAP(DAC_READ_SEARCH), CAP(FOWNER), CAP(FSETID), CAP(KILL), CAP(SETGID), CAP(SETUID), CAP(SETPCAP),
        CAP(LINUX_IMMUTABLE), CAP(NET_BIND_SERVICE), CAP(NET_BROADCAST), CAP(NET_ADMIN), CAP(NET_RAW),
        CAP(IPC_LOCK), CAP(IPC_OWNER), CAP(SYS_MODULE), CAP(SYS_RAWIO), CAP(SYS_CHROOT), CAP(SYS_PTRACE),
        CAP(SYS_PACCT), CAP(SYS_ADMIN), CAP(SYS_BOOT), CAP(SYS_NICE), CAP(SYS_RESOURCE), CAP(SYS_TIME),
        CAP(SYS_TTY_CONFIG), CAP(MKNOD), CAP(LEASE), CAP(AUDIT_WRITE), CAP(AUDIT_CONTROL), CAP(SETFCAP),
        CAP(MAC_OVERRIDE), CAP(MAC_ADMIN), CAP(SYSLOG), CAP(WAKE_ALARM), CAP(BLOCK_SUSPEND), CAP(AUDIT_READ),
        CAP(PERFMON), CAP(BPF), CAP(CHECKPOINT_RESTORE)};

const char *capability_to_string(int cap)
{
        return cap >= 0 && cap < CAPABILITY_COUNT ? capability_names[cap] : NULL;
}

int capability_from_string(const char *name)
{
        if (strncasecmp(name, "CAP_", 4) == 0)
                name += 4;
        for (int i = 0; i < CAPABILITY_COUNT; i++)
                if (strcasecmp(name, capability_names[i] + 4) == 0)
                        return i;
        return -EINVAL;
}
