#include "tools/mete/completion.h"

#include "tools/mete/verb.h"

static void print_verb_names(FILE *f)
{
        for (size_t i = 0; verbs[i]; i++)
                fprintf(f, "%s%s", i ? " " : "", verbs[i]->name);
}

static void print_option_words(const struct verb *v, FILE *f)
{
        for (size_t i = 0; i < v->parser.count; i++)
                fprintf(f, "--%s ", v->parser.rows[i].name);
        fputs("--help", f);
}

/* Values that are files or directories, so that the shell offers those. */
static bool wants_path(const struct option_row *row)
{
        return row->value && (str_equal(row->value, "DIR") || str_has_prefix(row->value, "FILE"));
}

static void print_bash_path_options(FILE *f, const char *value)
{
        bool first = true;

        for (size_t i = 0; verbs[i]; i++)
                for (size_t j = 0; j < verbs[i]->parser.count; j++) {
                        const struct option_row *row = &verbs[i]->parser.rows[j];

                        if (!row->value || !str_has_prefix(row->value, value))
                                continue;
                        fprintf(f, "%s%s:--%s", first ? "" : "|", verbs[i]->name, row->name);
                        first = false;
                }
}

static void print_bash(FILE *f)
{
        fputs("# bash completion of mete: written by `mete completion bash`\n"
              "_mete() {\n"
              "        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb='' i "
              "words=''\n"
              "        COMPREPLY=()\n"
              "        for ((i = 1; i < COMP_CWORD; i++)); do\n"
              "                case ${COMP_WORDS[i]} in\n"
              "                --master) i=$((i + 1)) ;;\n"
              "                -*) ;;\n"
              "                *) verb=${COMP_WORDS[i]}; break ;;\n"
              "                esac\n"
              "        done\n"
              "        case $verb:$prev in\n"
              "        ",
                f);
        print_bash_path_options(f, "DIR");
        fputs(") mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return ;;\n        ", f);
        print_bash_path_options(f, "FILE");
        fputs(") mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n"
              "        esac\n"
              "        case $verb in\n"
              "        '') words='",
                f);
        print_verb_names(f);
        fputs(" --master --version --help' ;;\n", f);
        for (size_t i = 0; verbs[i]; i++) {
                fprintf(f, "        %s) words='", verbs[i]->name);
                print_option_words(verbs[i], f);
                fputs("' ;;\n", f);
        }
        fputs("        esac\n"
              "        if [[ -z $verb || $cur == -* ]]; then\n"
              "                mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
              "        elif [[ $verb == run ]]; then\n"
              "                mapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
              "        elif [[ $verb == help ]]; then\n"
              "                mapfile -t COMPREPLY < <(compgen -W '",
                f);
        print_verb_names(f);
        fputs("' -- \"$cur\")\n"
              "        elif [[ $verb == completion ]]; then\n"
              "                mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- \"$cur\")\n"
              "        fi\n"
              "}\n"
              "complete -F _mete mete\n",
                f);
}

/* Single quotes and what fish and zsh would read inside of a quoted description. */
static void print_quoted(FILE *f, const char *s)
{
        for (; *s; s++) {
                if (*s == '\'')
                        fputs("'\\''", f);
                else if (*s == '[' || *s == ']' || *s == ':')
                        fputc(' ', f);
                else
                        fputc(*s, f);
        }
}

static void print_zsh(FILE *f)
{
        fputs("#compdef mete\n# zsh completion of mete: written by `mete completion zsh`\n"
              "_mete() {\n"
              "        local -a names\n"
              "        names=(\n",
                f);
        for (size_t i = 0; verbs[i]; i++) {
                fprintf(f, "                '%s:", verbs[i]->name);
                print_quoted(f, verbs[i]->parser.summary);
                fputs("'\n", f);
        }
        fputs("        )\n"
              "        if (( CURRENT == 2 )); then\n"
              "                _describe verb names\n"
              "                return\n"
              "        fi\n"
              "        case ${words[2]} in\n",
                f);
        for (size_t i = 0; verbs[i]; i++) {
                fprintf(f, "        %s) _arguments", verbs[i]->name);
                for (size_t j = 0; j < verbs[i]->parser.count; j++) {
                        const struct option_row *row = &verbs[i]->parser.rows[j];

                        fprintf(f, " \\\n                '--%s[", row->name);
                        print_quoted(f, row->help);
                        fprintf(f, "]%s%s%s'", row->type == OPTION_BOOL ? "" : ":",
                                row->type == OPTION_BOOL ? "" : row->value, wants_path(row) ? ":_files" : "");
                }
                fputs(" \\\n                '*::argument:_default' ;;\n", f);
        }
        fputs("        esac\n}\n_mete \"$@\"\n", f);
}

static void print_fish(FILE *f)
{
        fputs("# fish completion of mete: written by `mete completion fish`\ncomplete -c mete -f\n", f);
        for (size_t i = 0; verbs[i]; i++) {
                fprintf(f, "complete -c mete -n __fish_use_subcommand -a %s -d '", verbs[i]->name);
                print_quoted(f, verbs[i]->parser.summary);
                fputs("'\n", f);
                for (size_t j = 0; j < verbs[i]->parser.count; j++) {
                        const struct option_row *row = &verbs[i]->parser.rows[j];

                        fprintf(f, "complete -c mete -n '__fish_seen_subcommand_from %s' -l %s",
                                verbs[i]->name, row->name);
                        if (row->letter)
                                fprintf(f, " -s %c", row->letter);
                        if (row->type != OPTION_BOOL)
                                fputs(wants_path(row) ? " -r -F" : " -x", f);
                        fputs(" -d '", f);
                        print_quoted(f, row->help);
                        fputs("'\n", f);
                }
        }
}

int completion_print(const char *shell, FILE *f, struct error *e)
{
        if (str_equal(shell, "bash"))
                print_bash(f);
        else if (str_equal(shell, "zsh"))
                print_zsh(f);
        else if (str_equal(shell, "fish"))
                print_fish(f);
        else
                return error_set(
                        e, -EINVAL, "there is no completion for \"%s\": expected bash, zsh or fish", shell);
        return 0;
}
