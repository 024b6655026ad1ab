# Rings of tests, from the fastest. `make test` installs what they need and runs all of them; each ring also runs alone.

test: ## install what the tests need, then run every ring (as root)
	@deploy/install-deps
	@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) test-build
	@tests/run
test-build: all $(UNIT) $B/tests/payload fuzz-replay-build sanitizers-build $B/npm/installed
sanitizers-build:
	@$(MAKE) --no-print-directory SAN=address,undefined unit-build fuzz-replay-build payload
unit-build: all $(UNIT)
payload: $B/tests/payload
test-sanitizers: sanitizers-build ## unit tests, fuzz corpora and integration under AddressSanitizer and UBSan
	@tests/run sanitizers
test-unit: unit-build ## unit tests alone
	@tests/run unit
test-integration: all $B/tests/payload $B/npm/installed ## the real binaries on this machine, as root
	@tests/run integration
test-vm: all $B/tests/payload ## the same on a pure cgroup v2 kernel under qemu
	@tests/run vm
bench: all $B/tests/payload $B/tests/interleave ## time and memory, as ratios to runc and bwrap measured in the same run
	@tools/bench/run

bench-frameworks: all ## calls, launches and memory of one master under simulated agents and a framework
	@tools/bench/frameworks

bench-scale: all ## ten thousand simulated agents, a hundred frameworks and a hundred thousand tasks on one master
	@tools/bench/scale

bench-queue: $B/tests/bench_queue ## the job queue: time per submitted job and per pass, growth with their number, bytes per job
	@$B/tests/bench_queue

bench-allocator: $B/tests/bench_allocator ## time per event and per pass, growth and memory of the allocator alone
	@tools/bench/allocator

# Fuzz targets: libFuzzer binaries (`make fuzz`, then run one), and a plain driver that replays the corpora as tests.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
# The master's modules and the agent's have functions of the same names: a target has one or the other. Fixtures of unit tests need cmocka.
fuzz_archives = $(if $(filter master_% fuzz_master_%,$1),$(LIB_MASTER),$(LIB_ALL))
FUZZ_LIBS = $(call pkg_libs,cmocka sqlite3 libpcre2-8) $(LIBS_AGENT) $(LIBS_FETCHER)
FUZZ_REPLAY := $(FUZZ_SRC:tests/fuzz/%.c=$B/tests/fuzz/%)
fuzz-replay-build: $(FUZZ_REPLAY)
$B/tests/fuzz/%: $B/obj/tests/fuzz/%.o $B/obj/tests/fuzz/replay.o $(call archive,$(LIB_ALL)) $B/flags
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $B/obj/tests/fuzz/replay.o $(call group,$(call fuzz_archives,$*)) $(FUZZ_LIBS)
test-fuzz: fuzz-replay-build ## replay the corpora of the fuzz targets
	@tests/run fuzz
fuzz: ## libFuzzer targets in build/fuzz/, to be run by tests/fuzz/run
	@test -e "$$($(CLANG) -print-resource-dir)/lib/linux/libclang_rt.fuzzer-$$(uname -m).a" || \
	  { echo "libFuzzer is missing: install the Debian package libclang-rt-14-dev, or run deploy/install-deps" >&2; exit 1; }
	@$(MAKE) --no-print-directory CC="$(patsubst %gcc,%clang,$(CC))" SAN=fuzzer-no-link,address,undefined fuzz-build
fuzz-build: $(FUZZ_SRC:tests/fuzz/%.c=build/fuzz/%)
build/fuzz/fuzz_%: $B/obj/tests/fuzz/fuzz_%.o $(call archive,$(LIB_ALL)) $B/flags
	$(call say,LINK,$@)
	$Q$(CC) -fsanitize=fuzzer,address,undefined -o $@ $< $(call group,$(call fuzz_archives,$*)) $(FUZZ_LIBS)

coverage: ## run the unit tests with COV=1 and print the lines that they reach, folder by folder
	@$(MAKE) --no-print-directory COV=1 unit-build
	@find build/cov -name '*.gcda' -delete
	@METE_BUILD=build/cov tests/run unit; status=$$?; tests/coverage build/cov && exit $$status

$(GEN)/tests/syscalls.inc: | $(GEN)/tests/
	@printf '#include <asm/unistd_64.h>\n' | $(CC) -E -dM - | \
	  sed -nE 's/^#define __NR_([a-z0-9_]+) ([0-9]+)$$/{"\1", \2},/p' | sort >$@
$B/tests/payload: $(GEN)/tests/syscalls.inc

.PHONY: test test-build test-fuzz unit-build sanitizers-build payload test-unit test-sanitizers test-integration test-vm bench bench-frameworks bench-scale bench-allocator bench-queue fuzz fuzz-build fuzz-replay-build \
        coverage

# A client that is not ours, for tests/integration/test_npm.sh.
$B/npm/installed: tests/integration/npm/package.json | $B/npm/
	$(call say,NPM,$@)
	$Qcp $< $B/npm/ && npm install --prefix $B/npm --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null && touch $@

$B/tests/bench_queue: $B/obj/tools/bench/queue.o $(call archive,schedule base) $B/flags | $B/tests/
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $(call group,schedule base) $(call pkg_libs,libpcre2-8) $(LIBS_BASE)
$B/tests/bench_allocator: $B/obj/tools/bench/allocator.o $(call archive,schedule base) $B/flags | $B/tests/
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $(call group,schedule base) $(LIBS_BASE)
$B/tests/interleave: $B/obj/tools/bench/interleave.o $(call archive,base) $B/flags | $B/tests/
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $(call archive,base) $(LIBS_BASE)
