# Rings of tests, from the fastest. `make test` installs what they need and runs all of them; each ring also runs alone.

test: ## install what the tests need, then run every ring (as root)
	@deploy/install-deps
	@$(MAKE) --no-print-directory test-all
test-all: all $(UNIT) $B/tests/payload fuzz-replay-build
	@tests/run lint unit fuzz integration vm
test-unit: $(UNIT) ## unit tests alone
	@tests/run unit
test-integration: all $B/tests/payload ## the real binaries on this machine, as root
	@tests/run integration
test-vm: all $B/tests/payload ## the same on a pure cgroup v2 kernel under qemu
	@tests/run vm
bench: all $B/tests/payload $B/tests/interleave ## time and memory, as ratios to runc and bwrap measured in the same run
	@tools/bench/run

# Fuzz targets: libFuzzer binaries (`make fuzz`, then run one), and a plain driver that replays the corpora as tests.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_REPLAY := $(FUZZ_SRC:tests/fuzz/%.c=$B/tests/fuzz/%)
fuzz-replay-build: $(FUZZ_REPLAY)
$B/tests/fuzz/%: $B/obj/tests/fuzz/%.o $B/obj/tests/fuzz/replay.o $(call archive,$(LIB_ALL)) $B/flags
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $B/obj/tests/fuzz/replay.o $(call group,$(LIB_ALL)) $(call pkg_libs,sqlite3) $(LIBS_AGENT)
fuzz: ## libFuzzer targets in build/fuzz/
	@$(MAKE) --no-print-directory CC=clang SAN=fuzzer-no-link,address,undefined $(FUZZ_SRC:tests/fuzz/%.c=build/fuzz/%)
build/fuzz/%: $B/obj/tests/fuzz/%.o $(call archive,$(LIB_ALL))
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$Q$(CC) -fsanitize=fuzzer,address,undefined -o $@ $< $(call group,$(LIB_ALL)) $(call pkg_libs,sqlite3) $(LIBS_AGENT)

$(GEN)/tests/syscalls.inc: | $(GEN)/tests/
	@printf '#include <asm/unistd_64.h>\n' | $(CC) -E -dM - | \
	  sed -nE 's/^#define __NR_([a-z0-9_]+) ([0-9]+)$$/{"\1", \2},/p' | sort >$@
$B/tests/payload: $(GEN)/tests/syscalls.inc

.PHONY: test test-all test-unit test-integration test-vm bench fuzz fuzz-replay-build

$B/tests/interleave: $B/obj/tools/bench/interleave.o $(call archive,base) $B/flags | $B/tests/
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $(call archive,base) $(LIBS_BASE)
