/* The default profile as bytes, NUL-terminated. */
#include "isolators/seccomp.h"

__asm__(".section .rodata\n"
        ".global seccomp_default_profile\n"
        ".hidden seccomp_default_profile\n"
        "seccomp_default_profile:\n"
        ".incbin \"isolators/seccomp_default.json\"\n"
        ".byte 0\n"
        ".previous\n");
