// SPDX-License-Identifier: LGPL-2.1-or-later
/* swarm-sim fuzz: each seed in a process of its own, so that one that ends its program is only one that fails. */
#include "sim/sim-commands.h"
#include "sim/sim-fuzz.h"
#include "sim/sim-run.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_JOBS 64
#define SEED_LIMIT_S 600 /* of real time: a seed that takes longer hangs */

typedef struct {
  SimStoryOptions story;
  guint64 first, last;
  guint64 enough; /* so many must count, and no more are run; 0: all seeds are */
  guint jobs, tries;
  const char *save;
  gboolean verbose, print, lie, twin, unasked;
  /* Found: */
  guint64 passed, failed, counted;
  SimRunFigures sum, least; /* least: of counted seeds */
} Fuzz;

/* What a child tells. */
typedef struct {
  SimRunFigures figures;
  char why[1000]; /* "": it holds */
} Outcome;

typedef struct {
  pid_t pid;
  int pipe;
  guint64 seed;
} Child;

static void
run_here (const Fuzz *self, const SimScenario *scenario, Outcome *out)
{
  SimRunOptions options = { .seed = scenario->seed, .strict = TRUE, .lie = self->lie, .twin = self->twin, .unasked = self->unasked };
  g_autoptr (GError) error = NULL;
  g_autoptr (SimRun) run = sim_run_new (scenario, &options, &error);
  if (run == NULL) {
    g_snprintf (out->why, sizeof out->why, "0: not a scenario: %s", error->message);
    return;
  }
  if (!sim_run_go (run))
    g_strlcpy (out->why, g_ptr_array_index (sim_run_failures (run), 0), sizeof out->why);
  out->figures = *sim_run_figures (run);
}

static Child
spawn (const Fuzz *self, const SimScenario *scenario)
{
  int ends[2];
  if (pipe (ends) != 0)
    g_error ("no pipe for a child");
  Child child = { fork (), ends[0], scenario->seed };
  if (child.pid < 0)
    g_error ("no child");
  if (child.pid == 0) {
    Outcome outcome = { 0 };
    close (ends[0]);
    alarm (SEED_LIMIT_S);
    run_here (self, scenario, &outcome);
    exit (write (ends[1], &outcome, sizeof outcome) == sizeof outcome ? 0 : 1); /* with what the sanitizers look for at the end */
  }
  close (ends[1]);
  return child;
}

/* Waits for its end. */
static void
reap (const Child *child, Outcome *out)
{
  int status = 0;
  gsize n = 0;
  gssize got;
  memset (out, 0, sizeof *out);
  while (n < sizeof *out && (got = read (child->pipe, (char *) out + n, sizeof *out - n)) > 0)
    n += (gsize) got;
  close (child->pipe);
  waitpid (child->pid, &status, 0);
  if (n != sizeof *out || !WIFEXITED (status) || WEXITSTATUS (status) != 0)
    g_snprintf (out->why, sizeof out->why, "0: the program ended with %s %d", WIFSIGNALED (status) ? "signal" : "code",
                WIFSIGNALED (status) ? WTERMSIG (status) : WEXITSTATUS (status));
}

static char *
fails (const SimScenario *scenario, gpointer data)
{
  Outcome outcome;
  Child child = spawn (data, scenario);
  reap (&child, &outcome);
  return *outcome.why != '\0' ? g_strdup (outcome.why) : NULL;
}

static void
save (Fuzz *self, const SimScenario *scenario, guint64 seed)
{
  g_autofree char *text = sim_scenario_to_text (scenario);
  g_autofree char *file = g_strdup_printf ("%s/fuzz-seed-%" G_GUINT64_FORMAT ".json", self->save, seed);
  g_autoptr (GError) error = NULL;
  if (!g_file_set_contents (file, text, -1, &error))
    fprintf (stderr, "swarm-sim: %s\n", error->message);
  else
    printf ("seed %" G_GUINT64_FORMAT ": %u events are left: swarm-sim run %s\n", seed, scenario->events != NULL ? scenario->events->len : 0, file);
}

static SimScenario *
story_of (Fuzz *self, guint64 seed)
{
  SimStoryOptions options = self->story;
  options.seed = seed;
  return sim_story_new (&options);
}

static void
failed (Fuzz *self, guint64 seed, const char *why)
{
  g_autoptr (SimScenario) story = story_of (self, seed);
  self->failed++;
  printf ("seed %" G_GUINT64_FORMAT ": FAILED at %s\n", seed, why);
  g_autoptr (SimScenario) least = sim_shrink (story, why, self->tries, fails, self);
  save (self, least, seed);
}

/* What a seed must have reached at every moment (managers, nodes), or on the whole. */
static gboolean
counts (const SimRunFigures *f)
{
  return f->least_managers >= 3 && f->least_nodes >= 20 && f->services >= 10 && f->seconds >= 300 && f->faults >= 50;
}

static void
add_least (SimRunFigures *least, const SimRunFigures *f, gboolean first)
{
  least->least_managers = first ? f->least_managers : MIN (least->least_managers, f->least_managers);
  least->least_nodes = first ? f->least_nodes : MIN (least->least_nodes, f->least_nodes);
  least->services = first ? f->services : MIN (least->services, f->services);
  least->seconds = first ? f->seconds : MIN (least->seconds, f->seconds);
  least->faults = first ? f->faults : MIN (least->faults, f->faults);
}

static void
count (Fuzz *self, guint64 seed, const SimRunFigures *f)
{
  SimRunFigures *sum = &self->sum;
  gboolean counted = counts (f);
  self->passed++;
  if (counted)
    add_least (&self->least, f, self->counted == 0);
  else
    printf ("seed %" G_GUINT64_FORMAT ": not counted: at least %u managers, %u nodes; %u services, %.0f s, %u faults\n", seed, f->least_managers,
            f->least_nodes, f->services, f->seconds, f->faults);
  self->counted += counted;
  sum->elections += f->elections;
  sum->crashes += f->crashes;
  sum->faults += f->faults;
  sum->calls += f->calls;
  sum->acknowledged += f->acknowledged;
  sum->tasks += f->tasks;
  sum->moved += f->moved;
  sum->updates += f->updates;
  sum->rollbacks += f->rollbacks;
  sum->seconds += f->seconds;
  sum->services += f->services;
  sum->joins += f->joins;
  sum->promotions += f->promotions;
  sum->demotions += f->demotions;
  sum->rebalances += f->rebalances;
  if (self->verbose)
    printf ("seed %" G_GUINT64_FORMAT ": ok; %u managers, %u nodes, %u services, %.0f s, %u faults, %u elections, %u tasks, %u moved\n", seed,
            f->least_managers, f->least_nodes, f->services, f->seconds, f->faults, f->elections, f->tasks, f->moved);
}

static void
finish (Fuzz *self, const Child *child)
{
  Outcome outcome;
  reap (child, &outcome);
  if (*outcome.why != '\0')
    failed (self, child->seed, outcome.why);
  else
    count (self, child->seed, &outcome.figures);
}

static void
run_seeds (Fuzz *self)
{
  Child children[MAX_JOBS];
  guint n = 0, oldest = 0;
  for (guint64 seed = self->first; seed <= self->last && (self->enough == 0 || self->counted < self->enough); seed++) {
    if (n == self->jobs) {
      finish (self, &children[oldest]);
      oldest = (oldest + 1) % self->jobs;
      n--;
    }
    g_autoptr (SimScenario) story = story_of (self, seed);
    children[(oldest + n++) % self->jobs] = spawn (self, story);
  }
  for (; n > 0; n--, oldest = (oldest + 1) % self->jobs)
    finish (self, &children[oldest]);
}

static void
print_summary (Fuzz *self, double took)
{
  const SimRunFigures *sum = &self->sum;
  guint64 n = self->passed + self->failed;
  printf ("%" G_GUINT64_FORMAT " seeds clean, %" G_GUINT64_FORMAT " failed; %" G_GUINT64_FORMAT " counted (at every moment at least 3 managers and 20 nodes; "
          "10 services, 300 s, 50 faults), %" G_GUINT64_FORMAT " not counted\n", self->passed, self->failed, self->counted, self->passed - self->counted);
  if (self->counted > 0)
    printf ("least of a counted seed: %u managers, %u nodes, %u services, %.0f s, %u faults\n", self->least.least_managers, self->least.least_nodes,
            self->least.services, self->least.seconds, self->least.faults);
  printf ("%.0f simulated seconds, %u faults, %u crashes, %u elections, %u calls (%u acknowledged), %u services, %u tasks, %u moved, %u updates, "
          "%u rollbacks, %u rebalances, %u joins, %u promotions, %u demotions\n", sum->seconds, sum->faults, sum->crashes, sum->elections, sum->calls,
          sum->acknowledged, sum->services, sum->tasks, sum->moved, sum->updates, sum->rollbacks, sum->rebalances, sum->joins, sum->promotions, sum->demotions);
  printf ("%.1f s, %.3f s per seed\n", took, n > 0 ? took / (double) n : 0);
}

/* ---- arguments ---- */

static gboolean
parse_faults (Fuzz *self, const char *list)
{
  static const char *const names[] = { "crash", "partition", "loss", "disk", "flap", "clock", "task" };
  g_auto (GStrv) words = g_strsplit (list, ",", -1);
  self->story.faults = 0;
  for (guint i = 0; words[i] != NULL; i++) {
    guint before = self->story.faults;
    for (guint n = 0; n < G_N_ELEMENTS (names); n++) {
      if (g_str_equal (words[i], names[n]))
        self->story.faults |= 1u << n;
    }
    if (self->story.faults == before)
      return FALSE;
  }
  return TRUE;
}

static gboolean
parse_seeds (Fuzz *self, const char *range)
{
  char *rest;
  self->first = self->last = g_ascii_strtoull (range, &rest, 10);
  if (rest != range && g_str_has_prefix (rest, ".."))
    self->last = g_ascii_strtoull (rest + 2, &rest, 10);
  return rest != range && *rest == '\0' && self->first <= self->last;
}

static gboolean
parse_option (Fuzz *self, int argc, char **argv, int *i)
{
  double number;
  const char *word = argv[*i];
  if (g_str_equal (word, "--verbose"))
    return self->verbose = TRUE;
  if (g_str_equal (word, "--hurry"))
    return self->story.hurry = TRUE;
  if (g_str_equal (word, "--print"))
    return self->print = TRUE;
  if (*i + 1 >= argc)
    return FALSE;
  if (g_str_equal (word, "--seeds"))
    return parse_seeds (self, argv[++*i]);
  if (g_str_equal (word, "--break")) {
    self->lie = g_str_equal (argv[++*i], "disk");
    self->twin = g_str_equal (argv[*i], "twin");
    self->unasked = g_str_equal (argv[*i], "removal");
    return self->lie || self->twin || self->unasked;
  }
  if (g_str_equal (word, "--faults"))
    return parse_faults (self, argv[++*i]);
  if (g_str_equal (word, "--save"))
    return (self->save = argv[++*i]) != NULL;
  if (!sim_option_number (argc, argv, i, &number))
    return FALSE;
  if (g_str_equal (word, "--nodes") && number >= 4 && number <= 10000)
    self->story.nodes = (guint) number;
  else if (g_str_equal (word, "--seconds") && number >= 100 && number <= 1e6)
    self->story.seconds = (guint) number;
  else if (g_str_equal (word, "--jobs") && number >= 1 && number <= MAX_JOBS)
    self->jobs = (guint) number;
  else if (g_str_equal (word, "--count"))
    self->enough = (guint64) number;
  else if (g_str_equal (word, "--shrink"))
    self->tries = (guint) number;
  else
    return FALSE;
  return TRUE;
}

int
sim_command_fuzz (int argc, char **argv)
{
  Fuzz self = { .story = { .nodes = 20, .seconds = 310, .faults = SIM_FAULT_ALL }, .jobs = 1, .tries = 400, .save = "." };
  for (int i = 0; i < argc; i++) {
    const int first = i;
    if (!parse_option (&self, argc, argv, &i))
      return sim_usage_of ("fuzz", argc, argv, first);
  }
  if (self.last == 0)
    return sim_usage ("fuzz: which seeds?");
  for (guint64 seed = self.first; self.print && seed <= self.last; seed++) {
    g_autoptr (SimScenario) story = story_of (&self, seed);
    g_autofree char *text = sim_scenario_to_text (story);
    printf ("%s", text);
  }
  if (self.print)
    return SIM_EXIT_OK;
  gint64 began = g_get_monotonic_time ();
  setvbuf (stdout, NULL, _IOLBF, 0); /* what is in a buffer would be written by each child, too */
  run_seeds (&self);
  print_summary (&self, (double) (g_get_monotonic_time () - began) / G_USEC_PER_SEC);
  return self.failed > 0 || self.counted < self.enough ? SIM_EXIT_FAILED : SIM_EXIT_OK;
}
