/* mete-shim: one process per task, its parent and witness. Started by the agent alone (shim.h says with
 * what). */
#include "agent/shim/run.h"

int main(int argc, char **argv)
{
        return shim_run(argc, argv);
}
