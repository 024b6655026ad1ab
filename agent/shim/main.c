/* mete-shim: one process per task, its parent and witness, and one per run of a check. Started by the agent alone (shim.h and check.h say
 * with what). */
#include "agent/shim/check.h"
#include "agent/shim/run.h"
#include "lib/base/util.h"

int main(int argc, char **argv)
{
        return argc >= 2 && str_equal(argv[1], "check") ? check_main(argc, argv) : shim_run(argc, argv);
}
