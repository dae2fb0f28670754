// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "sim/sim-commands.h"
#include "sim/sim-run.h"
#include <stdio.h>

typedef enum { TEXT, JSON, BRIEF } Format;

typedef struct {
  SimRunOptions options;
  gboolean seeded;
  Format format;
} RunCommand;

const char *
sim_version (void)
{
  return SWARM_VERSION;
}

gboolean
sim_option_number (int argc, char **argv, int *i, double *ret)
{
  char *rest;
  if (*i + 1 >= argc)
    return FALSE;
  *ret = g_ascii_strtod (argv[++*i], &rest);
  return *rest == '\0' && rest != argv[*i] && *ret >= 0;
}

/* 0 it is as expected, 1 it is not. */
static int
judge (SimRun *run, const SimScenario *scenario, const char *file, gboolean ok)
{
  GPtrArray *failures = sim_run_failures (run);
  if (scenario->fails != NULL) {
    fprintf (stderr, ok ? "FAIL %s: it holds, though it is listed as not holding (%s): take \"Fails\" out\n" : "XFAIL %s: %s\n", file,
             scenario->fails);
    return ok ? SIM_EXIT_FAILED : SIM_EXIT_OK;
  }
  for (guint i = 0; i < failures->len; i++)
    fprintf (stderr, "%s: %s\n", file, (char *) g_ptr_array_index (failures, i));
  fprintf (stderr, "%s %s%s%s\n", ok ? "PASS" : "FAIL", file, scenario->rule != NULL ? ": " : "", scenario->rule != NULL ? scenario->rule : "");
  return ok ? SIM_EXIT_OK : SIM_EXIT_FAILED;
}

static int
run_file (const RunCommand *self, const char *file)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SimScenario) scenario = sim_scenario_load (file, &error);
  SimRunOptions options = self->options;
  if (scenario != NULL && !self->seeded)
    options.seed = scenario->seed;
  g_autoptr (SimRun) run = scenario != NULL ? sim_run_new (scenario, &options, &error) : NULL;
  if (run == NULL) {
    fprintf (stderr, "swarm-sim: %s: %s\n", file, error->message);
    return SIM_EXIT_USAGE;
  }
  gboolean ok = sim_run_go (run);
  if (self->format == TEXT)
    sim_run_print_text (run);
  else if (self->format == JSON)
    sim_run_print_json (run, file);
  return judge (run, scenario, file, ok);
}

static gboolean
parse_format (RunCommand *self, const char *word)
{
  static const char *const words[] = { "text", "json", "brief" };
  for (guint i = 0; word != NULL && i < G_N_ELEMENTS (words); i++) {
    if (g_str_equal (word, words[i])) {
      self->format = (Format) i;
      return TRUE;
    }
  }
  return FALSE;
}

int
sim_command_run (int argc, char **argv)
{
  RunCommand self = { .options = { .trace = TRUE, .strict = TRUE } };
  g_autoptr (GPtrArray) files = g_ptr_array_new ();
  int worst = SIM_EXIT_OK;
  double number;
  for (int i = 0; i < argc; i++) {
    const int first = i;
    if (argv[i][0] != '-') {
      g_ptr_array_add (files, argv[i]);
    } else if (g_str_equal (argv[i], "--seed") && sim_option_number (argc, argv, &i, &number)) {
      self.options.seed = (guint64) number;
      self.seeded = TRUE;
    } else if (g_str_equal (argv[i], "--until") && sim_option_number (argc, argv, &i, &number) && number > 0) {
      self.options.until = number;
    } else if (g_str_equal (argv[i], "--format") && i + 1 < argc && parse_format (&self, argv[i + 1])) {
      i++;
    } else {
      return sim_usage_of ("run", argc, argv, first);
    }
  }
  if (files->len == 0)
    return sim_usage ("run: which scenario?");
  for (guint i = 0; i < files->len; i++) {
    int code = run_file (&self, g_ptr_array_index (files, i));
    worst = MAX (worst, code);
  }
  return worst;
}
