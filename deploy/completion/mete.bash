# bash completion of mete: written by `mete completion bash`
_mete() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb='' i words='' below=''
        COMPREPLY=()
        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --master) i=$((i + 1)) ;;
                -*) ;;
                *) verb=${COMP_WORDS[i]}; break ;;
                esac
        done
        if ((i + 1 < COMP_CWORD)); then
                case "$verb ${COMP_WORDS[i + 1]}" in
                'agents drain'|'agents deactivate'|'agents reactivate') verb="$verb ${COMP_WORDS[i + 1]}" ;;
                esac
        fi
        case $verb:$prev in
        'dev:--work-dir'|'run:--rootfs'|'plan:--rootfs') mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
        'run:--file'|'run:--seccomp'|'plan:--file'|'plan:--seccomp') mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        esac
        case $verb in
        '') words='dev run plan validate ps jobs explain logs stats kill suspend resume agents gone inspect doctor version completion help --master --version --help' ;;
        'dev') words='--work-dir --port --agents --detach --stop --verbose --help' ;;
        'run') words='--detach --file --name --count --array --parallel --gang --queue --priority --after --duration --time-limit --deadline --restart --no-preempt --constraint --spread --ports --exclusive-cores --volume --cpus --cpus-limit --mem --mem-limit --pids --rlimit --rootfs --net --user --env --workdir --hostname --cap-add --cap-drop --seccomp --master --json --help' ;;
        'plan') words='--file --name --count --array --parallel --gang --queue --priority --after --duration --time-limit --deadline --restart --no-preempt --constraint --spread --ports --exclusive-cores --volume --cpus --cpus-limit --mem --mem-limit --pids --rlimit --rootfs --net --user --env --workdir --hostname --cap-add --cap-drop --seccomp --master --json --help' ;;
        'validate') words='--schema --master --json --help' ;;
        'ps') words='--all --master --json --help' ;;
        'jobs') words='--all --master --json --help' ;;
        'explain') words='--master --json --help' ;;
        'logs') words='--follow --stderr --tail --master --json --help' ;;
        'stats') words='--all --watch --interval --master --json --help' ;;
        'kill') words='--signal --grace --master --json --help' ;;
        'suspend') words='--master --json --help' ;;
        'resume') words='--master --json --help' ;;
        'agents') words='--master --json --help' below='drain deactivate reactivate' ;;
        'agents drain') words='--grace --mark-gone --master --json --help' ;;
        'agents deactivate') words='--master --json --help' ;;
        'agents reactivate') words='--master --json --help' ;;
        'gone') words='--master --json --help' ;;
        'inspect') words='--master --json --help' ;;
        'doctor') words='--json --help' ;;
        'version') words='--master --json --help' ;;
        'completion') words='--help' ;;
        'help') words='--man --help' ;;
        esac
        if [[ -z $verb || $cur == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        elif [[ -n $below ]] && ((i + 1 == COMP_CWORD)); then
                mapfile -t COMPREPLY < <(compgen -W "$below" -- "$cur")
        elif [[ $verb == run || $verb == plan ]]; then
                mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        elif [[ $verb == validate ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        elif [[ $verb == help ]]; then
                mapfile -t COMPREPLY < <(compgen -W 'dev run plan validate ps jobs explain logs stats kill suspend resume agents gone inspect doctor version completion help' -- "$cur")
        elif [[ $verb == completion ]]; then
                mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- "$cur")
        fi
}
complete -F _mete mete
