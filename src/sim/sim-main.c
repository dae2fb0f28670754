// SPDX-License-Identifier: LGPL-2.1-or-later
/* swarm-sim: the whole brain in virtual time, as a planning tool and as a test. */
#include "base/log.h"
#include "sim/sim-commands.h"
#include <stdio.h>
#include <string.h>

static const char usage_text[]
    = "Usage:  swarm-sim run SCENARIO.json… [--seed N] [--until SECONDS] [--format text|json|brief]\n"
      "        swarm-sim fuzz --seeds A..B [--count N] [--nodes N] [--seconds N] [--faults LIST] [--hurry]\n"
      "                      [--jobs N] [--shrink TRIES] [--save DIR] [--print] [--verbose] [--break HOW]\n"
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
sim_usage_of (const char *command, int argc, char **argv, int i)
{
  gboolean value = argv[i][0] == '-' && i + 1 < argc && argv[i + 1][0] != '-';
  return sim_usage ("%s: cannot understand \"%s%s%s\"", command, argv[i], value ? " " : "", value ? argv[i + 1] : "");
}

static gboolean
is_help (const char *word)
{
  return g_str_equal (word, "--help") || g_str_equal (word, "-h");
}

/* The arguments, each --option=value as two. */
static GPtrArray *
split_arguments (int argc, char **argv)
{
  GPtrArray *words = g_ptr_array_new_with_free_func (g_free);
  for (int i = 0; i < argc; i++) {
    const char *value = g_str_has_prefix (argv[i], "--") ? strchr (argv[i], '=') : NULL;
    g_ptr_array_add (words, value != NULL ? g_strndup (argv[i], (gsize) (value - argv[i])) : g_strdup (argv[i]));
    if (value != NULL)
      g_ptr_array_add (words, g_strdup (value + 1));
  }
  return words;
}

static int
run_command (int (*command) (int argc, char **argv), int argc, char **argv)
{
  g_autoptr (GPtrArray) words = split_arguments (argc, argv);
  for (guint i = 0; i < words->len; i++) {
    if (is_help (g_ptr_array_index (words, i))) {
      fputs (usage_text, stdout);
      return SIM_EXIT_OK;
    }
  }
  return command ((int) words->len, (char **) words->pdata);
}

int
main (int argc, char **argv)
{
  setvbuf (stdout, NULL, _IOLBF, 0);
  swarm_log_set_level (LOG_CRIT);
  const char *word = argc > 1 ? argv[1] : "";
  if (g_str_equal (word, "run"))
    return run_command (sim_command_run, argc - 2, argv + 2);
  if (g_str_equal (word, "fuzz"))
    return run_command (sim_command_fuzz, argc - 2, argv + 2);
  if (g_str_equal (word, "bench"))
    return run_command (sim_command_bench, argc - 2, argv + 2);
  if (g_str_equal (word, "--generate-man"))
    return sim_command_man ();
  if (is_help (word)) {
    fputs (usage_text, stdout);
    return SIM_EXIT_OK;
  }
  if (g_str_equal (word, "--version")) {
    printf ("swarm-sim %s\n", sim_version ());
    return SIM_EXIT_OK;
  }
  return sim_usage (*word != '\0' ? "unknown command \"%s\"" : NULL, word);
}
