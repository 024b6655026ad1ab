/* What the master may command, one handler a type. Loop thread. */
#pragma once

#include "agent/agent.h"
#include "proto/mete_agent.pb-c.h"

/* All but SUBSCRIBED and PING, which belong to the link. What cannot be done is answered by a status update. */
void commands_execute(struct agent *a, const Mete__Agent__Command *cmd);
