/* mete-fetcher: one process per fetch, as the task's user. Started by the agent alone (request.h says with what). */
#include "agent/fetcher/fetcher_run.h"

int main(int argc, char **argv)
{
        return fetcher_main(argc, argv);
}
