# Mete: one non-recursive Makefile. `make help` lists the targets.
# Flavours live side by side below build/: release, san (SAN=address,undefined), cov (COV=1) and fuzz.

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

VERSION := $(shell cat VERSION)
prefix ?= /usr/local
DESTDIR ?=
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG ?= clang
WERROR ?=
V ?=

FLAVOUR := release
ifneq ($(findstring fuzzer,$(SAN)),)
FLAVOUR := fuzz
else ifneq ($(SAN),)
FLAVOUR := san
else ifneq ($(COV),)
FLAVOUR := cov
endif
B := build/$(FLAVOUR)
GEN := $B/gen

# ---- what is needed -------------------------------------------------------------------------------------
# pkg-config module : Debian package that provides it
PKGS := libevent_core:libevent-dev libevent_extra:libevent-dev libevent_pthreads:libevent-dev \
        libprotobuf-c:libprotobuf-c-dev jansson:libjansson-dev libcgroup:libcgroup-dev libseccomp:libseccomp-dev \
        libcap:libcap-dev libnl-3.0:libnl-3-dev libnl-route-3.0:libnl-route-3-dev libbpf:libbpf-dev \
        sqlite3:libsqlite3-dev cmocka:libcmocka-dev libpcre2-8:libpcre2-dev libcrypto:libssl-dev zlib:zlib1g-dev \
        libcurl:libcurl4-openssl-dev libarchive:libarchive-dev
MODULES := $(foreach p,$(PKGS),$(firstword $(subst :, ,$p)))
CC_NAME := $(lastword $(filter-out -%,$(CC)))
PROGRAMS_NEEDED := pkg-config:pkg-config $(CC_NAME):$(CC_NAME) ar:binutils protoc:protobuf-compiler protoc-c:protobuf-c-compiler \
        $(CLANG):clang llvm-strip:llvm
HEADERS_NEEDED := stdlib.h:libc6-dev linux/bpf.h:linux-libc-dev uthash.h:uthash-dev

# Targets that compile nothing work without any of it.
PLAIN_GOALS := help clean lint format format-check install-files uninstall test
name_of = $(firstword $(subst :, ,$1))
needs_of = $(call name_of,$1) is missing: install the Debian package $(lastword $(subst :, ,$1)), or run deploy/install-deps
ifneq ($(or $(if $(MAKECMDGOALS),,all),$(filter-out $(PLAIN_GOALS),$(MAKECMDGOALS))),)
$(foreach p,$(PROGRAMS_NEEDED),$(if $(shell command -v $(call name_of,$p)),,$(error $(call needs_of,$p))))
# includes(headers): ok when a C file with them compiles
includes = $(shell printf '\043include <%s>\n' $1 | $(CC) -E - >/dev/null 2>&1 && echo ok)
ifneq ($(call includes,$(foreach p,$(HEADERS_NEEDED),$(call name_of,$p))),ok)
$(foreach p,$(HEADERS_NEEDED),$(if $(call includes,$(call name_of,$p)),,$(error $(call needs_of,$p))))
endif
ifneq ($(shell pkg-config --exists $(MODULES) && echo ok),ok)
$(foreach p,$(PKGS),$(if $(shell pkg-config --exists $(call name_of,$p) && echo ok),,$(error $(call needs_of,$p))))
endif
endif

# ---- flags ----------------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef -Wvla -Wwrite-strings \
        -Wno-unused-parameter -Wno-missing-field-initializers
CFLAGS ?= -O2 -g
CPPFLAGS_ALL := -D_GNU_SOURCE -DPROTOBUF_C__NO_DEPRECATED -DMETE_VERSION='"$(VERSION)"' -I. -I$(GEN) $(shell pkg-config --cflags $(MODULES) 2>/dev/null) $(CPPFLAGS)
CFLAGS_ALL := -std=gnu11 $(WARN) $(if $(WERROR),-Werror) -fno-common -fno-strict-aliasing -fstack-protector-strong -fvisibility=hidden $(CFLAGS)
LDFLAGS_ALL := -Wl,--as-needed -Wl,-z,relro,-z,now $(LDFLAGS)
ifneq ($(SAN),)
# The instrumentation hides from the compiler what it knows otherwise: these two warnings are then false.
CFLAGS_ALL += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all -O1 \
        $(if $(findstring clang,$(CC)),,-Wno-maybe-uninitialized -Wno-stringop-overread)
LDFLAGS_ALL += -fsanitize=$(SAN)
else
CPPFLAGS_ALL += -D_FORTIFY_SOURCE=2
endif
ifneq ($(COV),)
CFLAGS_ALL += --coverage -O0
LDFLAGS_ALL += --coverage
endif

pkg_libs = $(shell pkg-config --libs $1 2>/dev/null)
LIBS_BASE := -lpthread -lm
LIBS_NET := $(call pkg_libs,libevent_core libevent_extra libevent_pthreads libprotobuf-c jansson libcrypto zlib) $(LIBS_BASE)
LIBS_LINUX := $(call pkg_libs,libcgroup libcap libnl-3.0 libnl-route-3.0)
LIBS_AGENT := $(call pkg_libs,libseccomp libbpf) $(LIBS_LINUX) $(LIBS_NET)
LIBS_FETCHER := $(call pkg_libs,libcurl libarchive libcap)
LIBS_MASTER := $(call pkg_libs,sqlite3 libnl-3.0 libpcre2-8) $(LIBS_NET)

# ---- sources: a folder's *.c is its archive; main.c is a program's own -----------------------------------
PROTOS := $(wildcard proto/*.proto)
PROTO_C := $(PROTOS:%.proto=$(GEN)/%.pb-c.c)
PROTO_H := $(PROTO_C:.c=.h)

# sources(folders)
sources = $(filter-out %/main.c,$(wildcard $(addsuffix /*.c,$1)))
objects = $(patsubst %.c,$B/obj/%.o,$1)

SRC_base := $(call sources,lib/base)
SRC_loop := $(call sources,lib/loop)
SRC_linux := $(call sources,lib/linux)
SRC_net := $(call sources,lib/net)
SRC_proto := $(call sources,proto)
SRC_sdk := $(call sources,sdk)
SRC_isolators := $(call sources,isolators)
SRC_bpf := $(filter-out %.bpf.c,$(call sources,bpf))
SRC_agent := $(call sources,agent agent/api agent/executors agent/checks)
SRC_shim := $(call sources,agent/shim)
SRC_fetcher := $(call sources,agent/fetcher)
SRC_master := $(call sources,master master/jobs master/operator master/store master/election master/frameworks master/api master/api/read)
SRC_spec := $(call sources,master/spec)
SRC_schedule := $(call sources,master/allocator master/queue)
SRC_mete := $(call sources,tools/mete)
SRC_sim := $(call sources,tools/sim tools/sim/trace)
ARCHIVES := base loop linux net proto sdk isolators bpf agent shim fetcher master spec schedule mete sim
BPF_OBJECTS := $(patsubst %.bpf.c,$(GEN)/%.bpf.o,$(wildcard bpf/*.bpf.c))

archive = $(patsubst %,$B/lib%.a,$1)
group = -Wl,--start-group $(call archive,$1) -Wl,--end-group

BINARIES := mete mete-master mete-agent mete-shim mete-sim mete-fetcher
BIN := $(BINARIES:%=$B/bin/%)

EXAMPLES := $(patsubst sdk/examples/%.c,$B/examples/%,$(wildcard sdk/examples/*.c))
LIBMETE := $B/lib/libmete.so.0 $B/lib/libmete.so $B/lib/libmete.a

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$1' '$2')

all: $(BIN) $(LIBMETE) $(EXAMPLES) ## build every program into build/<flavour>/bin, and libmete into lib

# ---- programs -------------------------------------------------------------------------------------------
LIB_SHIM := shim isolators linux base
LIB_MASTER := master spec schedule proto net loop linux base
LIB_FETCHER := fetcher linux base
LIB_AGENT := agent shim fetcher isolators bpf proto net loop linux base
LIB_METE := mete spec schedule sdk proto net loop linux base
LIB_SIM := sim schedule proto net loop linux base

$B/bin/mete: $B/obj/tools/mete/main.o $(call archive,$(LIB_METE)) $B/flags | $B/bin/
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $(call group,$(LIB_METE)) $(LIBS_LINUX) $(call pkg_libs,libpcre2-8) $(LIBS_NET)
$B/bin/mete-master: $B/obj/master/main.o $B/build_info.o $(call archive,$(LIB_MASTER)) $B/flags | $B/bin/
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $B/build_info.o $(call group,$(LIB_MASTER)) $(LIBS_MASTER)
$B/bin/mete-agent: $B/obj/agent/main.o $B/build_info.o $(call archive,$(LIB_AGENT)) $B/flags | $B/bin/
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $B/build_info.o $(call group,$(LIB_AGENT)) $(LIBS_AGENT)
$B/bin/mete-sim: $B/obj/tools/sim/main.o $(call archive,$(LIB_SIM)) $B/flags | $B/bin/
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $(call group,$(LIB_SIM)) $(call pkg_libs,libpcre2-8) $(LIBS_NET)
$B/bin/mete-fetcher: $B/obj/agent/fetcher/main.o $(call archive,$(LIB_FETCHER)) $B/flags | $B/bin/
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $(call group,$(LIB_FETCHER)) $(LIBS_FETCHER)
# The shim is static: one small file that the agent seals into memory, with nothing to relocate at each launch. For coverage the release's
# serves: instrumented, it would write its counts into the containers.
ifeq ($(COV),)
$B/bin/mete-shim: $B/obj/agent/shim/main.o $(call archive,$(LIB_SHIM)) $B/flags | $B/bin/
	$(call say,LINK,$@)
	$Q$(CC) $(if $(SAN),,-static) $(LDFLAGS_ALL) -Wl,--gc-sections -o $@ $< $(call group,$(LIB_SHIM)) $(if $(SAN),$(LIBS_LINUX),-lcap)
else
$B/bin/mete-shim: FORCE | $B/bin/
	@$(MAKE) --no-print-directory COV= build/release/bin/mete-shim
	@cmp -s build/release/bin/mete-shim $@ || cp build/release/bin/mete-shim $@
endif

# ---- libmete: its sources and what they need of lib/, position independent; only what sdk/mete.h declares can be seen from outside ------
SDK_SRC := $(filter-out sdk/client.c,$(SRC_sdk))
SDK_DEPS := $(SRC_base) $(SRC_loop) $(SRC_linux) $(SRC_net) proto/task_state.c
SDK_PROTOS := mesos scheduler executor
SDK_OBJ := $(SDK_SRC:%.c=$B/pic/%.o) $(SDK_PROTOS:%=$B/pic/gen/proto/%.pb-c.o)
SDK_HEADERS := $(SDK_PROTOS:%=$(GEN)/proto/%.pb-c.h)
SDK_REQUIRES := libevent_core libevent_extra libevent_pthreads jansson libcrypto zlib

$B/pic/gen/%.o: $(GEN)/%.c $B/flags | $(PROTO_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -fPIC -fvisibility=default -w -MMD -MP -c -o $@ $<
$B/pic/%.o: %.c $B/flags | $(PROTO_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -fPIC -ffunction-sections -fdata-sections -MMD -MP -c -o $@ $<
$B/pic/libneeded.a: $(SDK_DEPS:%.c=$B/pic/%.o)
	@rm -f $@
	$(call say,AR,$@)
	$Qar rcsD $@ $^
$B/lib/libmete.so.0: $(SDK_OBJ) $B/pic/libneeded.a sdk/libmete.map | $B/lib/
	$(call say,LINK,$@)
	$Q$(CC) -shared $(LDFLAGS_ALL) $(if $(SAN),,-Wl,-z,defs) -Wl,--gc-sections -Wl,-soname,$(@F) -Wl,--version-script,sdk/libmete.map \
	  -o $@ $(SDK_OBJ) $B/pic/libneeded.a $(LIBS_NET)
$B/lib/libmete.so: $B/lib/libmete.so.0
	$Qln -sf libmete.so.0 $@
# One object, so that what is hidden in the shared library is not in anybody's way in the static one either.
$B/lib/libmete.a: $(SDK_OBJ) $B/pic/libneeded.a | $B/lib/
	$(call say,AR,$@)
	$Qld -r -o $B/pic/mete.o $(SDK_OBJ) $B/pic/libneeded.a && objcopy --localize-hidden $B/pic/mete.o
	@rm -f $@
	$Qar rcsD $@ $B/pic/mete.o
# Compiled as their readers would.
$B/examples/%: sdk/examples/%.c sdk/mete.h $B/lib/libmete.a $B/flags | $(SDK_HEADERS) $B/examples/
	$(call say,LINK,$@)
	$Q$(CC) -Isdk -I$(GEN) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $B/lib/libmete.a $(LIBS_NET)
$B/lib/mete.pc: sdk/mete.pc.in VERSION FORCE | $B/lib/
	@sed -e 's,@prefix@,$(prefix),' -e 's,@version@,$(VERSION),' -e 's/@requires@/$(SDK_REQUIRES)/' $< >$@

# ---- compiling ------------------------------------------------------------------------------------------
%/:
	@mkdir -p $@

# Rebuild when the flags change, not only when a file does.
FLAGS_NOW := $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)
$B/flags: FORCE | $B/
	@printf '%s\n' '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS_NOW))' >$@
FORCE:

# What a daemon tells of its build: the commit, where there is one. Beside the archives, so that a commit links two programs anew, not all tests.
git = $(shell git $1 2>/dev/null)
BUILD_INFO = {.time = $(or $(call git,log -1 --format=%ct),0), .user = "$(shell id -un)", .git_sha = "$(call git,rev-parse HEAD)", \
        .git_branch = "$(filter-out HEAD,$(call git,rev-parse --abbrev-ref HEAD))", .git_tag = "$(call git,describe --exact-match --tags)"}
$B/build_info.c: FORCE | $B/
	@printf '\043include "lib/base/build_info.h"\nconst struct build_info build_info = %s;\n' '$(BUILD_INFO)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$B/build_info.o: $B/build_info.c $B/flags
	$Q$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

$B/obj/%.o: %.c $B/flags | $(PROTO_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$B/obj/gen/%.o: $(GEN)/%.c $B/flags | $(PROTO_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -w -MMD -MP -c -o $@ $<
$(GEN)/proto/%.pb-c.c $(GEN)/proto/%.pb-c.h &: proto/%.proto $(PROTOS) | $(GEN)/proto/
	$(call say,PROTOC,$<)
	$Qprotoc-c --c_out=$(GEN) $<
$(GEN)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) | $(GEN)/bpf/
	$(call say,BPF,$<)
	$Q$(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Werror -D__TARGET_ARCH_x86 -I. -c -o $@ $<
	$Qllvm-strip -g $@ 2>/dev/null || true

$B/libproto.a: $(call objects,$(SRC_proto)) $(patsubst $(GEN)/%.c,$B/obj/gen/%.o,$(PROTO_C))
$(foreach a,$(filter-out proto,$(ARCHIVES)),$(eval $B/lib$a.a: $(call objects,$(SRC_$a))))
$(ARCHIVES:%=$B/lib%.a):
	@rm -f $@
	$(call say,AR,$@)
	$Qar rcsD $@ $(filter %.o,$^)
# The default seccomp profile is carried as bytes (.incbin).
$B/obj/isolators/seccomp_default.o: isolators/seccomp_default.json
# bpf/embed.c carries the programs as bytes (.incbin).
$B/obj/bpf/embed.o: $(BPF_OBJECTS)
$B/obj/bpf/embed.o: CPPFLAGS_ALL += -DBPF_GEN_DIR='"$(GEN)/bpf"'
$B/obj/agent/shim/%.o $B/obj/isolators/%.o $B/obj/lib/base/%.o $B/obj/lib/linux/%.o: CFLAGS_ALL += -ffunction-sections -fdata-sections

# ---- tests ----------------------------------------------------------------------------------------------
UNIT_SRC := $(shell find tests/unit -name 'test_*.c' 2>/dev/null)
UNIT := $(UNIT_SRC:tests/%.c=$B/tests/%)
LIB_ALL := agent shim fetcher isolators bpf master spec schedule mete sim sdk proto net loop linux base
$B/tests/unit/%: $B/obj/tests/unit/%.o $(call archive,$(LIB_ALL)) $B/flags
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $(call group,$(LIB_ALL)) $(call pkg_libs,cmocka sqlite3 libpcre2-8) $(LIBS_AGENT) $(LIBS_FETCHER)
# The master's and the agent's modules have functions of the same names, so those of the other one must not be there.
$B/tests/unit/master/%: $B/obj/tests/unit/master/%.o $(call archive,$(LIB_MASTER)) $B/flags
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$Q$(CC) $(LDFLAGS_ALL) -o $@ $< $(call group,$(LIB_MASTER)) $(call pkg_libs,cmocka sqlite3 libpcre2-8) $(LIBS_AGENT)
# Launches real containers by the shim beside it.
$B/tests/unit/agent/shim/test_launch $B/tests/unit/agent/checks/test_check_run: | $B/bin/mete-shim
$B/tests/unit/agent/fetcher/test_fetch: | $B/bin/mete-fetcher
# It stands in for the executors behind the API: its functions go before the agent's.
$B/tests/unit/agent/api/test_executor: LDFLAGS_ALL += -Wl,--allow-multiple-definition
# The payload reports what a task sees from inside; static, so that it runs in any root filesystem.
$B/tests/payload: tests/integration/payload.c $B/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(CC) -D_GNU_SOURCE -O2 -Wall -Wextra -Wno-unused-parameter -I$(GEN) -static -o $@ $<

-include tests/tests.mk

# ---- checks ---------------------------------------------------------------------------------------------
C_FILES = $(shell tests/lint/files '*.c' '*.h')
lint: ## include directions, size budgets, shell scripts
	@tests/lint/run
# Each header compiles by itself. Those that only BPF programs include are compiled for them.
HEADERS_BPF := bpf/kernel.h bpf/program.h
headers-check: $(PROTO_H) ## fail when a header is not self-contained
	@printf '%s\n' $(filter-out $(HEADERS_BPF),$(filter %.h,$(C_FILES))) | \
	  xargs -P2 -n16 $(CLANG) -x c -std=gnu11 $(CPPFLAGS_ALL) -fsyntax-only -Wno-pragma-once-outside-header -Wno-include-next-outside-header
	@$(CLANG) -x c -target bpf -D__TARGET_ARCH_x86 -I. -fsyntax-only -Wno-pragma-once-outside-header $(HEADERS_BPF)
format: ## reformat every C file in place
	clang-format -i $(C_FILES)
format-check: ## fail when a C file is not formatted
	@clang-format --dry-run -Werror $(C_FILES)

# ---- installing: one list drives install and uninstall ----------------------------------------------------
MAN := $(wildcard docs/man/*.[1-8])
UNITS := $(notdir $(wildcard deploy/systemd/*.service))
# file:place below prefix:mode
INSTALL_LIST := $B/bin/mete:bin/mete:755 $B/bin/mete-sim:bin/mete-sim:755 \
  $(foreach b,mete-master mete-agent,$B/bin/$b:sbin/$b:755) \
  $(foreach b,mete-shim mete-fetcher,$B/bin/$b:libexec/mete/$b:755) \
  $(foreach m,$(MAN),$m:share/man/man$(subst .,,$(suffix $m))/$(notdir $m):644) \
  $(foreach u,$(UNITS),$B/systemd/$u:lib/systemd/system/$u:644) \
  deploy/completion/mete.bash:share/bash-completion/completions/mete:644 docs/job.schema.json:share/mete/job.schema.json:644 \
  $B/lib/libmete.so.0:lib/libmete.so.0:755 $B/lib/libmete.a:lib/libmete.a:644 $B/lib/mete.pc:lib/pkgconfig/mete.pc:644 \
  sdk/mete.h:include/mete/mete.h:644 $(foreach h,$(SDK_HEADERS),$h:include/mete/proto/$(notdir $h):644)
# link:target
INSTALL_LINKS := lib/libmete.so:libmete.so.0
installed = $(foreach i,$(INSTALL_LIST),$(DESTDIR)$(prefix)/$(word 2,$(subst :, ,$i))) \
  $(foreach l,$(INSTALL_LINKS),$(DESTDIR)$(prefix)/$(call name_of,$l))
install: all install-files ## install below $(DESTDIR)$(prefix)
install-files: $(UNITS:%=$B/systemd/%) $B/lib/mete.pc
	@$(foreach i,$(INSTALL_LIST),$(call install_one,$(subst :, ,$i)) &&) true
	@$(foreach l,$(INSTALL_LINKS),ln -sf $(lastword $(subst :, ,$l)) $(DESTDIR)$(prefix)/$(call name_of,$l) &&) true
install_one = install -D -m $(word 3,$1) $(word 1,$1) $(DESTDIR)$(prefix)/$(word 2,$1)
# The units name the daemons by their place.
$B/systemd/%.service: deploy/systemd/%.service FORCE | $B/systemd/
	@sed 's,/usr/local/,$(prefix)/,g' $< >$@
# Directories that this leaves empty go too, but none above the prefix, and of the system's own only below a DESTDIR.
uninstall: ## remove what install put there
	@rm -f $(installed)
	@cd $(DESTDIR)$(prefix) 2>/dev/null && rmdir $(if $(DESTDIR),-p) --ignore-fail-on-non-empty 2>/dev/null \
	  $(if $(DESTDIR),$(sort $(foreach i,$(INSTALL_LIST),$(dir $(word 2,$(subst :, ,$i))))),libexec/mete) || true

clean: ## remove build/
	rm -rf build
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: all lint headers-check format format-check install install-files uninstall clean help FORCE

-include $(shell find $B/obj $B/pic -name '*.d' 2>/dev/null)
