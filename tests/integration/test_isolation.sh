# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016,SC2012
# What a task can see and do, asked from inside by a static payload.

setup_file() {
        BEFORE=$(machine_objects)
        start_cluster
        echo 'host secret' >"$SCRATCH/host-file"
        mete run --hostname inside --mem 64M --pids 32 -- "$PAYLOAD" report >"$SCRATCH/report"
        make_rootfs "$SCRATCH/rootfs"
}
teardown_file() {
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}
make_rootfs() {
        mkdir -p "$1"/{bin,etc,proc,sys,dev,tmp,run,root,usr/bin}
        cp "$PAYLOAD" "$1/bin/payload"
        cp /bin/busybox "$1/bin/busybox"
        ln -s busybox "$1/bin/sh"
        printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1234:1235:app:/home/app:/bin/sh\n' >"$1/etc/passwd"
        printf 'root:x:0:\napp:x:1235:\nextra:x:1300:app\n' >"$1/etc/group"
        chmod 755 "$1"
}
field() { grep "^$1 " "$SCRATCH/report" | cut -d' ' -f2-; }
status_field() { grep "^status $1:" "$SCRATCH/report" | cut -f2; }

test_only_its_own_processes() {
        local names
        names=$(field process | cut -d' ' -f2 | sort | tr '\n' ' ')
        expect_match "$names" "^mete-init payload $" "processes visible inside"
}
test_hostname_is_private() {
        expect_equal "$(field hostname)" inside hostname
        expect_no_match "$(hostname)" '^inside$' "the host's name"
}
test_network_is_loopback_alone() {
        expect_equal "$(field net | grep -oE '^ *[a-z0-9]+:' | tr -d ' \n')" "lo:" interfaces
        expect_status 0 mete run -- "$PAYLOAD" loopback "$PORT"
        expect_match "$OUT" "loopback ok" "loopback inside"
        expect_match "$OUT" "host 111" "the host's loopback from inside" # ECONNREFUSED
        expect_match "$OUT" "raw 1" "raw socket" # EPERM
}
test_host_network_is_the_hosts() {
        expect_status 0 mete run --net host -- "$PAYLOAD" report
        expect_equal "$(grep -c '^net ' <<<"$OUT")" "$(wc -l </proc/net/dev)" "lines of /proc/net/dev"
}
test_descriptors_are_0_to_2() { expect_equal "$(field fd | tr '\n' ' ')" "0 1 2 " "open descriptors"; }
test_no_new_privs_and_seccomp() {
        expect_equal "$(status_field NoNewPrivs)" 1 NoNewPrivs
        expect_equal "$(status_field Seccomp)" 2 Seccomp
}
test_user_is_nobody_by_default() {
        expect_equal "$(field uid)" "$(id -u nobody)" uid
        expect_equal "$(field gid)" "$(id -g nobody)" gid
        expect_equal "$(status_field CapEff)" 0000000000000000 CapEff
        expect_equal "$(status_field CapPrm)" 0000000000000000 CapPrm
        expect_equal "$(status_field CapInh)" 0000000000000000 CapInh
        expect_equal "$(status_field CapAmb)" 0000000000000000 CapAmb
}
test_root_has_the_small_default_set_only() {
        expect_status 0 mete run --user root -- "$PAYLOAD" report
        local effective bounding
        effective=$(sed -n 's/^status CapEff:\t//p' <<<"$OUT")
        bounding=$(sed -n 's/^status CapBnd:\t//p' <<<"$OUT")
        expect_equal "$effective" "$bounding" "effective and bounding set"
        # None of: SYS_ADMIN 21, SYS_PTRACE 19, SYS_MODULE 16, SYS_RAWIO 17, NET_ADMIN 12, NET_RAW 13, SYS_TIME 25, MKNOD 27, BPF 39, PERFMON 38, DAC_READ_SEARCH 2
        local bit
        for bit in 2 12 13 16 17 19 21 25 27 38 39; do
                expect_equal $(((16#$effective >> bit) & 1)) 0 "capability $bit"
        done
}
test_capabilities_add_and_drop() {
        expect_status 0 mete run --user root --cap-drop ALL --cap-add NET_BIND_SERVICE -- "$PAYLOAD" report
        expect_equal "$(sed -n 's/^status CapEff:\t//p' <<<"$OUT")" 0000000000000400 CapEff
        expect_equal "$(sed -n 's/^status CapBnd:\t//p' <<<"$OUT")" 0000000000000400 CapBnd
}

# Every system call that the default profile does not allow fails with the profile's errno: asked one by one.
test_every_denied_system_call_fails() {
        local profile=isolators/seccomp_default.json denied conditional name errno
        [ -f "$profile" ] || profile=$METE_SOURCE/$profile
        # What some capability would allow counts as denied for a task without capabilities; argument-dependent rules are tested on their own.
        conditional=$(jq -r '.syscalls[] | select(.action == "SCMP_ACT_ALLOW") | select((.args // []) | length > 0) | .names[]' "$profile" | sort -u)
        denied=$(comm -23 <("$PAYLOAD" syscall-names | sort -u) <(jq -r '.syscalls[] | select(.action == "SCMP_ACT_ALLOW") | select(((.includes.caps // []) | length) == 0) | .names[]' "$profile" | sort -u))
        denied=$(comm -23 <(echo "$denied") <(echo "$conditional"))
        [ "$(wc -l <<<"$denied")" -gt 60 ] || fail "only $(wc -l <<<"$denied") denied calls: the profile is too open"
        # shellcheck disable=SC2086
        expect_status 0 mete run -- "$PAYLOAD" syscalls $denied
        while read -r name errno; do
                case $name in
                clone3) expect_equal "$errno" 38 "errno of $name" ;; # ENOSYS, so that libc falls back to clone
                *) expect_equal "$errno" 1 "errno of $name" ;;
                esac
        done <<<"$OUT"
        expect_equal "$(wc -l <<<"$OUT")" "$(wc -l <<<"$denied")" "calls that answered"
        for name in bpf perf_event_open keyctl add_key request_key userfaultfd io_uring_setup mount umount2 pivot_root fsopen open_tree move_mount \
                unshare setns kexec_load kexec_file_load init_module finit_module delete_module ptrace reboot swapon swapoff settimeofday \
                open_by_handle_at process_vm_readv process_vm_writev mount_setattr clone3; do
                grep -q "^$name " <<<"$OUT" || fail "$name is not denied by the default profile"
        done
        # Calls of another ABI kill: 128 + SIGSYS, and nothing was printed.
        expect_status 159 mete run -- "$PAYLOAD" x32
        expect_equal "$OUT" "" "what the x32 form of getpid printed"
}
test_namespaces_cannot_be_made() {
        expect_status 0 mete run -- "$PAYLOAD" namespaces
        expect_no_match "$OUT" " 0($|"$'\n'")" "creation of namespaces"
        expect_status 0 mete run --user root -- "$PAYLOAD" namespaces
        expect_no_match "$OUT" " 0($|"$'\n'")" "creation of namespaces as root"
}

# The host's root is there to read, not to write; secrets, state and other tasks are hidden, also from root inside.
test_host_root_is_read_only_and_secrets_are_hidden() {
        local who
        for who in nobody root; do
                expect_status 0 mete run --user $who -- /bin/sh -c "
                        for d in /etc /usr /var/lib / /home; do touch \$d/mete-probe 2>/dev/null && echo wrote \$d; done
                        cat /etc/shadow /etc/gshadow 2>/dev/null
                        find /root $SCRATCH/agent/meta $SCRATCH/run $SCRATCH/master -mindepth 1 2>/dev/null
                        cat /proc/kcore /proc/timer_list 2>/dev/null | head -c 10
                        ls -A /sys/firmware 2>/dev/null
                        echo 1 >/proc/sys/kernel/panic 2>/dev/null && echo wrote sysctl
                        echo b >/proc/sysrq-trigger 2>/dev/null && echo wrote sysrq
                        find $SCRATCH/agent/slaves -name stdout 2>/dev/null | wc -l
                        exit 0"
                expect_equal "$OUT" 1 "what $who could see or write" # its own stdout alone
        done
}
test_private_tmp_run_and_dev() {
        touch "$SCRATCH/visible" /tmp/mete-host-marker
        expect_status 0 mete run -- /bin/sh -c 'ls -A /tmp /run; touch /tmp/mine /run/mine 2>/dev/null; ls /tmp'
        rm -f /tmp/mete-host-marker
        expect_no_match "$OUT" "mete-host-marker" "the private /tmp"
        expect_match "$OUT" "mine" "a writable /tmp"
        [ ! -e /tmp/mine ] || fail "the task wrote to the host's /tmp"
        local devices
        devices=$(field dev | sort | tr '\n' ' ')
        expect_equal "$devices" "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero " "devices"
}
test_devices_cannot_be_made() {
        expect_status 0 mete run --user root -- /bin/sh -c 'mknod /tmp/disk b 254 0 2>&1; mknod /tmp/mem c 1 1 2>&1; ls /tmp'
        expect_no_match "$OUT" "(^|"$'\n'")(disk|mem)($|"$'\n'")" "devices made"
}

# A root file system: used under an overlay, so that the source is never written.
test_rootfs_is_never_written() {
        local before
        before=$(cd "$SCRATCH/rootfs" && find . -printf '%p %s %T@ %m\n' | sort | md5sum)
        expect_status 0 mete run --rootfs "$SCRATCH/rootfs" --user root -- /bin/sh -c 'echo changed >/etc/passwd && rm /bin/payload && echo new >/new && cat /etc/passwd /new && ls /'
        expect_match "$OUT" "changed" "what the task wrote"
        expect_equal "$(cd "$SCRATCH/rootfs" && find . -printf '%p %s %T@ %m\n' | sort | md5sum)" "$before" "the source"
        wait_until 10 no_overlay || fail "the overlay was left: $(find "$SCRATCH/run/containers" "$SCRATCH/agent/overlays" -mindepth 1)"
}
no_overlay() { [ -z "$(find "$SCRATCH/run/containers" "$SCRATCH/agent/overlays" -mindepth 1 2>/dev/null)" ]; }
test_rootfs_users_come_from_it() {
        expect_status 0 mete run --rootfs "$SCRATCH/rootfs" --user app -- /bin/payload report
        expect_match "$OUT" "uid 1234" "uid of app"
        expect_match "$OUT" "gid 1235" "gid of app"
        expect_match "$OUT" "status Groups:.1300|status Groups:.1235 1300" "groups of app"
        expect_no_match "$OUT" "root lost\+found|root home" "the host's root"
}
# Links in an image that point out of it do not lead mounts outside.
test_rootfs_with_hostile_links() {
        local name evil=$SCRATCH/evil
        for name in proc dev sys tmp run mnt etc; do
                rm -rf "$evil" && cp -a "$SCRATCH/rootfs" "$evil" && rm -rf "${evil:?}/$name"
                mkdir -p "$SCRATCH/target"
                ln -s "$SCRATCH/target" "$evil/$name"
                mete run --rootfs "$evil" --user 1234 -- /bin/payload report >/dev/null 2>&1 || true # may refuse, must not reach out
                expect_equal "$(find "$SCRATCH/target" -mindepth 1 | wc -l)" 0 "entries behind the link /$name"
        done
        rm -rf "$evil"
}
test_working_directory_outside_is_refused() {
        local directory
        for directory in /proc/self/fd/3 /proc/1/root /proc/self/fd/7; do
                mete run --workdir $directory -- /bin/pwd >"$SCRATCH/out" 2>"$SCRATCH/err" && fail "--workdir $directory was accepted: $(cat "$SCRATCH/out")"
        done
        return 0
}
test_shim_binary_is_out_of_reach() {
        local before
        before=$(md5sum <"$BIN/mete-shim")
        expect_status 0 mete run --user root -- /bin/sh -c 'ls -l /proc/1/exe 2>&1; (echo x >/proc/1/exe) 2>&1; cat /proc/1/environ 2>&1 | head -c 100; exit 0'
        expect_equal "$(md5sum <"$BIN/mete-shim")" "$before" "the shim's binary"
        expect_match "$OUT" "denied|not permitted|Text file busy" "access to init's program"
}
test_rlimits() {
        expect_status 0 mete run --rlimit nofile=64:128 --rlimit core=0 -- /bin/sh -c 'ulimit -Sn; ulimit -Hn; ulimit -c'
        expect_equal "$OUT" $'64\n128\n0' "limits"
}
test_environment_and_working_directory() {
        expect_status 0 mete run --env A=1 --env 'B=two words' -- /bin/sh -c 'echo "$A|$B|$MESOS_TASK_ID|$PWD|$MESOS_SANDBOX"'
        expect_match "$OUT" "^1\|two words\|[0-9]+\.0\|(/.*)\|(/.*)$" "environment"
        expect_equal "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "working directory and sandbox"
        expect_status 0 mete run --workdir /usr -- /bin/pwd
        expect_equal "$OUT" /usr "working directory"
}
# A malformed profile is refused before anything starts; an own profile is obeyed.
test_own_seccomp_profile() {
        printf '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["getpid"],"action":"SCMP_ACT_ERRNO","errnoRet":71}]}' >"$SCRATCH/profile.json"
        expect_status 0 mete run --seccomp "$SCRATCH/profile.json" -- "$PAYLOAD" syscalls getpid
        expect_equal "$OUT" "getpid 71" "getpid under the own profile"
        expect_status 0 mete run --seccomp unconfined -- "$PAYLOAD" report
        expect_match "$OUT" "status Seccomp:.0" "unconfined"
}
