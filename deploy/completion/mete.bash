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
                'queue set'|'queue remove'|'agents drain'|'agents deactivate'|'agents reactivate'|'maintenance list'|'maintenance schedule'|'maintenance cancel'|'quota get'|'quota set'|'volumes create'|'volumes destroy'|'volumes resize') verb="$verb ${COMP_WORDS[i + 1]}" ;;
                esac
        fi
        case $verb:$prev in
        'dev:--work-dir'|'run:--rootfs'|'plan:--rootfs') mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
        'run:--file'|'run:--seccomp'|'plan:--file'|'plan:--seccomp') mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        esac
        case $verb in
        '') words='dev doctor run plan validate ps jobs explain logs stats kill suspend resume inspect history queue agents gone maintenance roles quota weights reserve unreserve volumes version completion help --master --version --help' ;;
        'dev') words='--work-dir --port --agents --detach --stop --verbose --help' ;;
        'doctor') words='--json --help' ;;
        'run') words='--detach --file --name --count --array --parallel --gang --queue --priority --after --duration --time-limit --deadline --restart --no-preempt --constraint --spread --ports --exclusive-cores --volume --cpus --cpus-limit --mem --mem-limit --pids --rlimit --rootfs --net --user --env --workdir --hostname --cap-add --cap-drop --seccomp --master --json --help' ;;
        'plan') words='--file --name --count --array --parallel --gang --queue --priority --after --duration --time-limit --deadline --restart --no-preempt --constraint --spread --ports --exclusive-cores --volume --cpus --cpus-limit --mem --mem-limit --pids --rlimit --rootfs --net --user --env --workdir --hostname --cap-add --cap-drop --seccomp --master --json --help' ;;
        'validate') words='--schema --master --json --help' ;;
        'ps') words='--all --master --json --help' ;;
        'jobs') words='--all --master --json --help' ;;
        'explain') words='--master --json --help' ;;
        'logs') words='--follow --stderr --tail --master --json --help' ;;
        'stats') words='--all --watch --interval --job --master --json --help' ;;
        'kill') words='--signal --grace --master --json --help' ;;
        'suspend') words='--master --json --help' ;;
        'resume') words='--master --json --help' ;;
        'inspect') words='--master --json --help' ;;
        'history') words='--user --name --state --since --until --before --limit --tasks --master --json --help' ;;
        'queue') words='--master --json --help' below='set remove' ;;
        'queue set') words='--policy --ageing --backfill --half-life --preemption --grace --min-gain --preemptions --role --master --json --help' ;;
        'queue remove') words='--master --json --help' ;;
        'agents') words='--master --json --help' below='drain deactivate reactivate' ;;
        'agents drain') words='--grace --mark-gone --master --json --help' ;;
        'agents deactivate') words='--master --json --help' ;;
        'agents reactivate') words='--master --json --help' ;;
        'gone') words='--master --json --help' ;;
        'maintenance') words='--master --json --help' below='list schedule cancel' ;;
        'maintenance list') words='--master --json --help' ;;
        'maintenance schedule') words='--start --duration --drain --comment --master --json --help' ;;
        'maintenance cancel') words='--master --json --help' ;;
        'roles') words='--master --json --help' ;;
        'quota') words='--master --json --help' below='get set' ;;
        'quota get') words='--master --json --help' ;;
        'quota set') words='--force --master --json --help' ;;
        'weights') words='--master --json --help' ;;
        'reserve') words='--master --json --help' ;;
        'unreserve') words='--master --json --help' ;;
        'volumes') words='--master --json --help' below='create destroy resize' ;;
        'volumes create') words='--path --master --json --help' ;;
        'volumes destroy') words='--master --json --help' ;;
        'volumes resize') words='--master --json --help' ;;
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
                mapfile -t COMPREPLY < <(compgen -W 'dev doctor run plan validate ps jobs explain logs stats kill suspend resume inspect history queue agents gone maintenance roles quota weights reserve unreserve volumes version completion help' -- "$cur")
        elif [[ $verb == completion ]]; then
                mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- "$cur")
        fi
}
complete -F _mete mete
