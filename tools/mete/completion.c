#include "tools/mete/completion.h"

#include <string.h>

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

static void print_below_names(const struct verb *v, FILE *f)
{
        for (size_t i = 0; v->below && v->below[i]; i++)
                fprintf(f, "%s%s", i ? " " : "", v->below[i]->name);
}

/* "quota set" of "mete quota set": what is typed to come to it. */
static const char *words_of(const struct verb *v)
{
        return v->parser.program + strlen("mete ");
}

static void print_bash_path_options(FILE *f, const char *value)
{
        const struct verb *v;
        bool first = true;

        for (size_t i = 0; (v = verb_at(i)); i++)
                for (size_t j = 0; j < v->parser.count; j++) {
                        const struct option_row *row = &v->parser.rows[j];

                        if (!row->value || !str_has_prefix(row->value, value))
                                continue;
                        fprintf(f, "%s'%s:--%s'", first ? "" : "|", words_of(v), row->name);
                        first = false;
                }
}

static void print_bash_pairs(FILE *f)
{
        bool first = true;

        for (size_t i = 0; verbs[i]; i++)
                for (size_t j = 0; verbs[i]->below && verbs[i]->below[j]; j++) {
                        fprintf(f, "%s'%s'", first ? "" : "|", words_of(verbs[i]->below[j]));
                        first = false;
                }
}

/* Which verb it is, with the one below it, and the number of words up to there. */
static void print_bash_head(FILE *f)
{
        fputs("# bash completion of mete: written by `mete completion bash`\n"
              "_mete() {\n"
              "        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb='' i "
              "words='' below=''\n"
              "        COMPREPLY=()\n"
              "        for ((i = 1; i < COMP_CWORD; i++)); do\n"
              "                case ${COMP_WORDS[i]} in\n"
              "                --master) i=$((i + 1)) ;;\n"
              "                -*) ;;\n"
              "                *) verb=${COMP_WORDS[i]}; break ;;\n"
              "                esac\n"
              "        done\n"
              "        if ((i + 1 < COMP_CWORD)); then\n"
              "                case \"$verb ${COMP_WORDS[i + 1]}\" in\n"
              "                ",
                f);
        print_bash_pairs(f);
        fputs(") verb=\"$verb ${COMP_WORDS[i + 1]}\" ;;\n"
              "                esac\n"
              "        fi\n"
              "        case $verb:$prev in\n"
              "        ",
                f);
        print_bash_path_options(f, "DIR");
        fputs(") mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return ;;\n        ", f);
        print_bash_path_options(f, "FILE");
        fputs(") mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n"
              "        esac\n",
                f);
}

static void print_bash_words(FILE *f)
{
        const struct verb *v;

        fputs("        case $verb in\n"
              "        '') words='",
                f);
        print_verb_names(f);
        fputs(" --master --version --help' ;;\n", f);
        for (size_t i = 0; (v = verb_at(i)); i++) {
                fprintf(f, "        '%s') words='", words_of(v));
                print_option_words(v, f);
                fputc('\'', f);
                if (v->below) {
                        fputs(" below='", f);
                        print_below_names(v, f);
                        fputc('\'', f);
                }
                fputs(" ;;\n", f);
        }
        fputs("        esac\n", f);
}

static void print_bash(FILE *f)
{
        print_bash_head(f);
        print_bash_words(f);
        fputs("        if [[ -z $verb || $cur == -* ]]; then\n"
              "                mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
              "        elif [[ -n $below ]] && ((i + 1 == COMP_CWORD)); then\n"
              "                mapfile -t COMPREPLY < <(compgen -W \"$below\" -- \"$cur\")\n"
              "        elif [[ $verb == run || $verb == plan ]]; then\n"
              "                mapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
              "        elif [[ $verb == validate ]]; then\n"
              "                mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
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

static bool takes_value(const struct option_row *row)
{
        return row->type != OPTION_BOOL && row->type != OPTION_STRING_OPTIONAL;
}

static void print_zsh_options(const struct verb *v, FILE *f)
{
        for (size_t j = 0; j < v->parser.count; j++) {
                const struct option_row *row = &v->parser.rows[j];

                fprintf(f, " \\\n                '--%s[", row->name);
                print_quoted(f, row->help);
                fprintf(f, "]%s%s%s'", takes_value(row) ? ":" : "", takes_value(row) ? row->value : "",
                        wants_path(row) ? ":_files" : "");
        }
}

static void print_zsh(FILE *f)
{
        const struct verb *v;

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
              "        case \"${words[2]} ${words[3]}\" in\n",
                f);
        /* Those below another go first: the pattern of the one above takes every word after it. */
        for (int above = 0; above <= 1; above++)
                for (size_t i = 0; (v = verb_at(i)); i++) {
                        if ((strchr(words_of(v), ' ') == NULL) != above)
                                continue;
                        fprintf(f, "        '%s'%s) _arguments", words_of(v), above ? "\\ *" : "");
                        print_zsh_options(v, f);
                        if (v->below) {
                                fputs(" \\\n                '1:verb:(", f);
                                print_below_names(v, f);
                                fputs(")'", f);
                        }
                        fputs(" \\\n                '*::argument:_default' ;;\n", f);
                }
        fputs("        esac\n}\n_mete \"$@\"\n", f);
}

static void print_fish_options(const struct verb *v, FILE *f)
{
        for (size_t j = 0; j < v->parser.count; j++) {
                const struct option_row *row = &v->parser.rows[j];

                fprintf(f, "complete -c mete -n '__fish_seen_subcommand_from %s", v->name);
                if (strchr(words_of(v), ' '))
                        fprintf(f, "; and __fish_seen_subcommand_from %.*s", (int)strcspn(words_of(v), " "),
                                words_of(v));
                fprintf(f, "' -l %s", row->name);
                if (row->letter)
                        fprintf(f, " -s %c", row->letter);
                if (takes_value(row))
                        fputs(wants_path(row) ? " -r -F" : " -x", f);
                fputs(" -d '", f);
                print_quoted(f, row->help);
                fputs("'\n", f);
        }
}

static void print_fish(FILE *f)
{
        const struct verb *v;

        fputs("# fish completion of mete: written by `mete completion fish`\ncomplete -c mete -f\n", f);
        for (size_t i = 0; (v = verb_at(i)); i++) {
                if (strchr(words_of(v), ' '))
                        fprintf(f, "complete -c mete -n '__fish_seen_subcommand_from %.*s' -a %s -d '",
                                (int)strcspn(words_of(v), " "), words_of(v), v->name);
                else
                        fprintf(f, "complete -c mete -n __fish_use_subcommand -a %s -d '", v->name);
                print_quoted(f, v->parser.summary);
                fputs("'\n", f);
                print_fish_options(v, f);
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
