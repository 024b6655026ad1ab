/*
 * An executor that runs work it receives as messages. A message is "ID COMMAND-LINE"; the answer is a message "ID STATUS OUTPUT". The line
 * "self" is answered with what this process is confined by. Its one task runs until it is killed. See spawner.c for the other side.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mete.h>

#define OUTPUT_MAX 65536

struct work {
        struct mete_executor *executor;
        char *line; /* "ID COMMAND-LINE" */
};

static char task_id[256]; /* only touched by callbacks, which come one at a time */

static void copy_lines(FILE *out, const char *path, const char *prefixes)
{
        char line[512];
        FILE *f = fopen(path, "re");

        while (f && fgets(line, sizeof(line), f)) {
                char *name = strndup(line, strcspn(line, ":"));

                if (!prefixes || strstr(prefixes, name))
                        fputs(line, out);
                free(name);
        }
        if (f)
                fclose(f);
}

/* Namespaces, capabilities, seccomp and limits, as the kernel tells this very process. */
static void print_self(FILE *out)
{
        DIR *d = opendir("/proc/self/ns");
        const struct dirent *e;
        struct rlimit files;

        while (d && (e = readdir(d))) {
                char path[300], target[64];
                ssize_t n;

                snprintf(path, sizeof(path), "/proc/self/ns/%s", e->d_name);
                n = readlink(path, target, sizeof(target));
                if (n > 0)
                        fprintf(out, "namespace %.*s\n", (int)n, target);
        }
        if (d)
                closedir(d);
        fprintf(out, "pid %d\nuid %u\n", (int)getpid(), (unsigned)getuid());
        if (getrlimit(RLIMIT_NOFILE, &files) == 0)
                fprintf(out, "open files %llu\n", (unsigned long long)files.rlim_cur);
        copy_lines(out, "/proc/self/status", "CapEff CapBnd Seccomp NoNewPrivs");
        copy_lines(out, "/proc/self/cgroup", NULL);
}

static int run(const char *line, FILE *out)
{
        char piece[4096];
        size_t n, sum = 0;
        FILE *p;

        if (strcmp(line, "self") == 0) {
                print_self(out);
                return 0;
        }
        p = popen(line, "re");
        if (!p)
                return -1;
        while ((n = fread(piece, 1, sizeof(piece), p)) > 0)
                if ((sum += n) <= OUTPUT_MAX)
                        fwrite(piece, 1, n, out);
        n = (size_t)pclose(p);
        return WIFEXITED((int)n) ? WEXITSTATUS((int)n) : 128 + WTERMSIG((int)n);
}

/* On a thread of its own: callbacks should not wait. */
static void *work(void *userdata)
{
        struct work *w = userdata;
        const char *line = w->line + strcspn(w->line, " ");
        char *text = NULL, *answer = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        int status, n;

        status = run(*line ? line + 1 : line, out);
        fclose(out);
        n = asprintf(&answer, "%.*s %d %s", (int)(line - w->line), w->line, status, text);
        if (n < 0 || mete_executor_message(w->executor, answer, (size_t)n) < 0)
                fprintf(stderr, "worker: the answer to %.16s is lost\n", w->line);
        free(answer);
        free(text);
        free(w->line);
        free(w);
        return NULL;
}

static void on_launch(struct mete_executor *x, const Mete__V1__TaskInfo *task, void *userdata)
{
        const char *id = task->task_id->value;

        if (*task_id) {
                (void)mete_executor_report(x, id, METE__V1__TASK_STATE__TASK_FAILED, "one task is enough");
                return;
        }
        snprintf(task_id, sizeof(task_id), "%s", id);
        print_self(stdout);
        fflush(stdout);
        (void)mete_executor_report(x, id, METE__V1__TASK_STATE__TASK_RUNNING, NULL);
}

static void on_message(struct mete_executor *x, const void *data, size_t len, void *userdata)
{
        struct work *w = malloc(sizeof(*w));
        pthread_t thread;

        w->executor = x;
        w->line = strndup(data, len);
        if (pthread_create(&thread, NULL, work, w) == 0)
                pthread_detach(thread);
}

static void on_shutdown(struct mete_executor *x, void *userdata)
{
        if (*task_id)
                (void)mete_executor_report(x, task_id, METE__V1__TASK_STATE__TASK_KILLED, NULL);
        mete_executor_stop(x);
}

static void on_kill(struct mete_executor *x, const Mete__V1__TaskID *task, const Mete__V1__KillPolicy *policy,
        void *userdata)
{
        if (strcmp(task->value, task_id) == 0)
                on_shutdown(x, userdata);
}

int main(void)
{
        struct mete_executor_options options = METE_EXECUTOR_OPTIONS_INIT;
        struct mete_executor *x = NULL;
        struct mete_error error = {0};
        int r;

        options.callbacks.launch = on_launch;
        options.callbacks.message = on_message;
        options.callbacks.kill = on_kill;
        options.callbacks.shutdown = on_shutdown;
        r = mete_executor_new(&options, &x, &error);
        if (r == 0)
                r = mete_executor_run(x, &error);
        if (r < 0)
                fprintf(stderr, "worker: %s\n", error.message);
        /* Work may still be running, and it uses the driver: the process ends with both. */
        return r < 0;
}
