// SPDX-License-Identifier: LGPL-2.1-or-later
/* swarm-sim: the whole brain in virtual time, as a planning tool and as a test. */
#include "base/log.h"
#include "sim/sim-commands.h"
#include <stdio.h>
#include <string.h>

static const char usage_text[]
    = "Usage:  swarm-sim run SCENARIO.json… [--seed N] [--until SECONDS] [--format text|json|brief]\n"
      "        swarm-sim fuzz --seeds A..B [--count N] [--nodes N] [--seconds N] [--faults LIST]\n"
      "                      [--jobs N] [--shrink TRIES] [--save DIR] [--print] [--verbose]\n"
      "        swarm-sim bench [--quick]\n"
      "        swarm-sim --help | --version\n"
      "\nSee swarm-sim(1).\n";

int
sim_usage (const char *format, ...)
{
  va_list args;
  if (format != NULL) {
    fprintf (stderr, "swarm-sim: ");
    va_start (args, format);
    vfprintf (stderr, format, args);
    va_end (args);
    fprintf (stderr, "\n");
  }
  fputs (usage_text, stderr);
  return SIM_EXIT_USAGE;
}

int
main (int argc, char **argv)
{
  setvbuf (stdout, NULL, _IOLBF, 0);
  swarm_log_set_level (LOG_CRIT);
  const char *word = argc > 1 ? argv[1] : "";
  if (g_str_equal (word, "run"))
    return sim_command_run (argc - 2, argv + 2);
  if (g_str_equal (word, "fuzz"))
    return sim_command_fuzz (argc - 2, argv + 2);
  if (g_str_equal (word, "bench"))
    return sim_command_bench (argc - 2, argv + 2);
  if (g_str_equal (word, "--generate-man"))
    return sim_command_man ();
  if (g_str_equal (word, "--help") || g_str_equal (word, "-h")) {
    fputs (usage_text, stdout);
    return SIM_EXIT_OK;
  }
  if (g_str_equal (word, "--version")) {
    printf ("swarm-sim %s\n", sim_version ());
    return SIM_EXIT_OK;
  }
  return sim_usage (*word != '\0' ? "unknown command \"%s\"" : NULL, word);
}
