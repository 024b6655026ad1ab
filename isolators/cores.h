/*
 * Who has cores to itself: the containers of one agent, and the CPUs that each may run on. Those with exclusive cores run on exactly
 * these; all other containers on what is left. Kept by the isolator "cores" alone; loop thread.
 */
#pragma once

#include "lib/linux/cgroup.h"

struct container;
struct cores;
struct isolator_host;

struct cores *cores_new(void);
struct cores *cores_free(struct cores *c);
/* After recovery, when all containers are known: the kernel gets what follows from them. */
int cores_settle(struct isolator_host *h, struct error *e) WARN_UNUSED;
/* The container's handles go, and nothing else changes: the agent ends. */
void cores_forget(struct isolator_host *h, const struct container *c);
