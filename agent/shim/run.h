/* The shim's main, kept apart from main() so that tests can link it. Returns the exit status of the process.
 */
#pragma once

int shim_run(int argc, char **argv);
