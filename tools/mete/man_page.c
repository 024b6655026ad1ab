/* mete.1 from the option tables: what `--help` says and what the man page says cannot differ. */
#include "tools/mete/completion.h"
#include "tools/mete/verb.h"

/* Text of ours in roff: hyphens that are typed, backslashes, and a dot or quote that begins a line. */
static void print_roff(FILE *f, const char *s)
{
        bool line_start = true;

        for (; *s; s++) {
                if (line_start && (*s == '.' || *s == '\''))
                        fputs("\\&", f);
                if (*s == '-')
                        fputs("\\-", f);
                else if (*s == '\\')
                        fputs("\\e", f);
                else
                        fputc(*s, f);
                line_start = *s == '\n';
        }
}

static void print_option(FILE *f, const struct option_row *row)
{
        fputs(".TP\n", f);
        if (row->letter)
                fprintf(f, "\\fB\\-%c\\fR, ", row->letter);
        fputs("\\fB\\-\\-", f);
        print_roff(f, row->name);
        fputs("\\fR", f);
        if (row->type != OPTION_BOOL) {
                fputs(row->type == OPTION_STRING_OPTIONAL ? "\\fI" : " \\fI", f);
                print_roff(f, row->value ? row->value : "VALUE");
                fputs("\\fR", f);
        }
        fputc('\n', f);
        print_roff(f, row->help);
        fputc('\n', f);
}

static void print_verb(FILE *f, const struct verb *v)
{
        fprintf(f, ".SS %s ", v->parser.program);
        print_roff(f, v->parser.synopsis);
        fputs("\n.PP\n", f);
        print_roff(f, v->parser.summary);
        fputc('\n', f);
        for (size_t i = 0; i < v->parser.count; i++)
                print_option(f, &v->parser.rows[i]);
        if (v->parser.details) {
                fputs(".PP\n", f);
                print_roff(f, v->parser.details);
        }
        for (size_t i = 0; v->examples && v->examples[i]; i += 2) {
                fputs(i == 0 ? ".PP\nExamples:\n.TP\n.B " : ".TP\n.B ", f);
                print_roff(f, v->examples[i]);
                fputc('\n', f);
                print_roff(f, v->examples[i + 1]);
                fputc('\n', f);
        }
}

void man_page_print(FILE *f)
{
        const struct verb *v;

        fputs(".\\\" Written by `mete help --man` from the option tables.\n"
              ".TH METE 1 \"\" \"Mete\" \"User commands\"\n"
              ".SH NAME\nmete \\- run tasks in measured partitions of machines\n"
              ".SH SYNOPSIS\n.B mete\n[\\fB\\-\\-master\\fR \\fIHOST:PORT\\fR] \\fIVERB\\fR [options] "
              "[arguments]\n"
              ".SH DESCRIPTION\n"
              "Mete runs tasks in containers that are a hard partition of CPU and memory, measures with eBPF "
              "what each\n"
              "really uses, and tells. A job is a number, its tasks are that number, a dot and an index: 17, "
              "17.0.\n"
              ".SH VERBS\n",
                f);
        for (size_t i = 0; (v = verb_at(i)); i++)
                print_verb(f, v);
        fputs(".SH ENVIRONMENT\n"
              ".TP\n.B METE_MASTER\nThe master's \\fIHOST:PORT\\fR where \\fB\\-\\-master\\fR is not given.\n"
              ".TP\n.B NO_COLOR\nNo colours, also on a terminal.\n"
              ".TP\n.B SUDO_USER\nThe user that tasks of `sudo mete run` run as, unless \\fB\\-\\-user\\fR "
              "says otherwise.\n"
              ".SH EXIT STATUS\n"
              "0: done. 1: refused or failed, with a sentence on standard error. 2: the command line was "
              "wrong.\n"
              "\\fBmete run\\fR in the foreground exits as its task did: with its exit code, or 128 and the "
              "number of the\n"
              "signal that ended it (137 for a task that overran its memory); of several tasks, the first "
              "that is not zero.\n"
              ".SH SEE ALSO\n.BR mete\\-master (8),\n.BR mete\\-agent (8)\n",
                f);
}
