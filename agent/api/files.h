/*
 * Files of sandboxes, for the files API. Everything below a sandbox belongs to a task, which may change it at any moment: it is opened by
 * descriptors, below the sandbox, through no link, with the rights of the sandbox's owner, and only what is a regular file or a directory.
 * Loop thread.
 */
#pragma once

#include <sys/stat.h>

#include "agent/agent.h"

struct sandbox_path {
        char *sandbox; /* below the work dir: slaves/A/frameworks/F/executors/E/runs/C */
        char *rest;    /* below that; "." for the sandbox itself */
};
void sandbox_path_done(struct sandbox_path *p);
#define _cleanup_sandbox_path_ CLEANUP(sandbox_path_done)

/*
 * From what a client gives: the absolute path of a sandbox of this agent and what is below it, or "/frameworks/F/executors/E/runs/C/...". C may
 * be "latest" in both. -ENOENT for every other path. Pure but for "latest", which looks into the directory.
 */
int sandbox_path_parse(int work_fd, const char *work_dir, const char *agent_id, const char *path,
        struct sandbox_path *ret) WARN_UNUSED;
/* The sandbox itself; *ret_st tells its owner. -ENOENT. */
int sandbox_open(int work_fd, const struct sandbox_path *p, int *ret_fd, struct stat *ret_st) WARN_UNUSED;
/*
 * What is in it, for reading: type is S_IFREG or S_IFDIR. -ENOENT; -EISDIR or -ENOTDIR for the other one; -EACCES for what is neither,
 * for a link on the way, for what the owner may not read, and for a file that has another owner and several names.
 */
int sandbox_open_file(int sandbox_fd, const struct stat *sandbox, const char *rest, mode_t type, int *ret_fd,
        struct stat *ret_st) WARN_UNUSED;
/* "-rw-r--r--" */
void file_mode_text(mode_t mode, char ret[static 11]);
