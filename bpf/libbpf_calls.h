/* libbpf, for the sources of this folder: our own "bpf/bpf.h" hides <bpf/bpf.h> on the include path, so the
 * search goes on behind it. */
#pragma once

#include_next <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
