# bash completion of mete: written by `mete completion bash`
_mete() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb='' i words=''
        COMPREPLY=()
        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --master) i=$((i + 1)) ;;
                -*) ;;
                *) verb=${COMP_WORDS[i]}; break ;;
                esac
        done
        case $verb:$prev in
        dev:--work-dir|run:--rootfs) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
        run:--seccomp) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        esac
        case $verb in
        '') words='dev run ps jobs logs stats kill agents gone inspect doctor version completion help --master --version --help' ;;
        dev) words='--work-dir --port --agents --detach --stop --verbose --help' ;;
        run) words='--name --count --detach --cpus --cpus-limit --mem --mem-limit --pids --rlimit --rootfs --net --user --env --workdir --hostname --cap-add --cap-drop --seccomp --master --json --help' ;;
        ps) words='--all --master --json --help' ;;
        jobs) words='--all --master --json --help' ;;
        logs) words='--follow --stderr --tail --master --json --help' ;;
        stats) words='--all --watch --interval --master --json --help' ;;
        kill) words='--signal --grace --master --json --help' ;;
        agents) words='--master --json --help' ;;
        gone) words='--master --json --help' ;;
        inspect) words='--master --json --help' ;;
        doctor) words='--json --help' ;;
        version) words='--master --json --help' ;;
        completion) words='--help' ;;
        help) words='--man --help' ;;
        esac
        if [[ -z $verb || $cur == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        elif [[ $verb == run ]]; then
                mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        elif [[ $verb == help ]]; then
                mapfile -t COMPREPLY < <(compgen -W 'dev run ps jobs logs stats kill agents gone inspect doctor version completion help' -- "$cur")
        elif [[ $verb == completion ]]; then
                mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- "$cur")
        fi
}
complete -F _mete mete
