// SPDX-License-Identifier: LGPL-2.1-or-later
/* Plans: what a change would do, and that making one changes nothing. */
#include "base/error.h"
#include "base/log.h"
#include "brain-fixture.h"
#include <string.h>

typedef struct {
  GString *text; /* one line a step: "start web.1 on n1: new" */
  guint n[3];
  char *error;
  gboolean truncated;
  gboolean done;
} Told;

static void
tell (GPtrArray *steps, gboolean truncated, const GError *error, gpointer data)
{
  Told *told = data;
  told->done = TRUE;
  told->truncated = truncated;
  told->error = error != NULL ? g_strdup (error->message) : NULL;
  for (guint i = 0; steps != NULL && i < steps->len; i++) {
    const SwarmPlanStep *step = steps->pdata[i];
    told->n[step->action]++;
    g_string_append_printf (told->text, "%s %s: %s\n", swarm_plan_action_to_string (step->action), step->name, step->reason);
  }
}

static void
told_clear (Told *told)
{
  g_string_free (told->text, TRUE);
  g_free (told->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Told, told_clear)

/* What is only rehearsed must not stand in the journal as if it had happened. How long a plugin took is no story of the plan, and true on a busy machine. */
static void
refuse_line (int priority, const SwarmLogField *fields, const char *message, gpointer data)
{
  if (strstr (message, " held the agent for ") != NULL)
    return;
  g_error ("a plan said: %s", message);
}

static void
plan (Brain *brain, const SwarmPlanRequest *request, Told *told)
{
  guint entries = sim_log_n_entries (brain->log), tasks = swarm_store_count (brain->store, SWARM_KIND_TASK);
  *told = (Told){ .text = g_string_new (NULL) };
  swarm_log_set_handler (refuse_line, NULL);
  swarm_manager_plan (brain->manager, request, tell, told);
  g_assert_false (told->done);
  brain_run (brain, 100 * MS);
  swarm_log_set_handler (NULL, NULL);
  g_assert_true (told->done);
  g_assert_cmpuint (sim_log_n_entries (brain->log), ==, entries);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, tasks);
}

static void
plan_service (Brain *brain, const SwarmServiceSpec *spec, Told *told)
{
  SwarmPlanRequest request = { .kind = SWARM_PLAN_SERVICE, .spec = spec };
  plan (brain, &request, told);
}

static void
test_create (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 4);
  g_auto (Told) told = { 0 };
  brain_node (brain, "n1");
  brain_node (brain, "n2");
  brain_node (brain, "n3");
  spec_host_port (spec, 8080);
  plan_service (brain, spec, &told);
  g_assert_cmpuint (told.n[SWARM_PLAN_START], ==, 3);
  g_assert_cmpuint (told.n[SWARM_PLAN_STOP], ==, 0);
  g_assert_cmpuint (told.n[SWARM_PLAN_PENDING], ==, 1);
  g_assert_nonnull (strstr (told.text->str, "host-mode port already in use on 3 nodes"));
  /* What really happens is what was foretold. */
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &id), ==, 3);
}

static void
test_update (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 3), more = brain_spec ("web", 5);
  g_auto (Told) scale = { 0 }, replace = { 0 }, nothing = { 0 };
  brain_node (brain, "n1");
  brain_node (brain, "n2");
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &id), ==, 3);
  plan_service (brain, spec, &nothing);
  g_assert_cmpstr (nothing.text->str, ==, "");
  plan_service (brain, more, &scale);
  g_assert_cmpstr (scale.text->str, ==, "start web.4: new\nstart web.5: new\n");
  more->task->force_update = 1;
  plan_service (brain, more, &replace);
  g_assert_cmpuint (replace.n[SWARM_PLAN_START], ==, 5);
  g_assert_cmpuint (replace.n[SWARM_PLAN_STOP], ==, 3);
  g_assert_nonnull (strstr (replace.text->str, "its service changed"));
}

/* A job's first task is the one of slot 0, as in lists of tasks; what waits is told in the order of slots. */
static void
test_names (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) job = brain_spec ("job", 1), web = brain_spec ("web", 12);
  g_auto (Told) jobs = { 0 }, waiting = { 0 };
  g_autoptr (GString) order = g_string_new (NULL);
  brain_node (brain, "n1");
  swarm_service_mode_unref (job->mode);
  job->mode = swarm_service_mode_new ();
  job->mode->replicated_job = swarm_replicated_job_new ();
  job->mode->replicated_job->total_completions = 2;
  plan_service (brain, job, &jobs);
  g_assert_cmpstr (jobs.text->str, ==, "start job.0: new\nstart job.1: new\n");
  spec_host_port (web, 8080);
  plan_service (brain, web, &waiting);
  g_auto (GStrv) lines = g_strsplit (waiting.text->str, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++) {
    if (g_str_has_prefix (lines[i], "pending web."))
      g_string_append_printf (order, " %.*s", (int) strcspn (lines[i] + 12, ":"), lines[i] + 12);
  }
  g_assert_cmpstr (order->str, ==, " 2 3 4 5 6 7 8 9 10 11 12");
}

static void
test_drain (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 4);
  g_auto (Told) told = { 0 }, wrong = { 0 };
  Tame *n1 = brain_node (brain, "n1");
  brain_node (brain, "n2");
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, SECOND);
  SwarmPlanRequest request = { .kind = SWARM_PLAN_AVAILABILITY, .node = &n1->id, .availability = "drain" };
  plan (brain, &request, &told);
  g_assert_cmpuint (told.n[SWARM_PLAN_STOP], ==, 2);
  g_assert_cmpuint (told.n[SWARM_PLAN_START], ==, 2);
  g_assert_nonnull (strstr (told.text->str, "its node is drained"));
  g_assert_cmpuint (count_running (brain, &id), ==, 4);
  request.availability = "gone";
  plan (brain, &request, &wrong);
  g_assert_cmpstr (wrong.error, ==, "invalid availability \"gone\", only active, pause and drain are supported");
}

/* The replacement first; a task that has nowhere to go stays, unless there is a deadline. */
static void
test_drain_order (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) web = brain_spec ("web", 1), pinned = brain_spec ("pinned", 1);
  g_auto (Told) first = { 0 }, late = { 0 };
  Tame *n1 = brain_node (brain, "n1");
  pinned->task->placement = swarm_placement_new ();
  pinned->task->placement->constraints = swarm_strings_new ();
  g_ptr_array_add (pinned->task->placement->constraints, g_strdup ("node.hostname==n1"));
  brain_create (brain, web);
  SwarmId id = brain_create (brain, pinned);
  brain_run (brain, SECOND);
  brain_node (brain, "n2");
  SwarmPlanRequest request = { .kind = SWARM_PLAN_DRAIN, .node = &n1->id, .order = SWARM_DRAIN_START_FIRST };
  plan (brain, &request, &first);
  g_test_message ("%s", first.text->str);
  g_assert_cmpuint (first.n[SWARM_PLAN_STOP], ==, 1);
  g_assert_true (strstr (first.text->str, "start web.1") < strstr (first.text->str, "stop web.1"));
  g_assert_nonnull (strstr (first.text->str, "pending pinned.1: no suitable node"));
  request.deadline_us = SECOND;
  plan (brain, &request, &late);
  g_assert_nonnull (strstr (late.text->str, "stop pinned.1"));
  g_assert_cmpuint (count_running (brain, &id), ==, 1);
}

static void
test_refused (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("no good", 1), good = brain_spec ("good", 1);
  g_auto (Told) told = { 0 }, given_up = { .text = g_string_new (NULL) }, busy = { .text = g_string_new (NULL) };
  SwarmPlanRequest request = { .kind = SWARM_PLAN_SERVICE, .spec = good };
  plan_service (brain, spec, &told);
  g_assert_cmpstr (told.error, ==, "name must be valid as a DNS name component");
  /* One at a time, and none outlives its manager. */
  swarm_manager_plan (brain->manager, &request, tell, &given_up);
  swarm_manager_plan (brain->manager, &request, tell, &busy);
  brain_restart (brain);
  g_assert_cmpstr (given_up.error, ==, "the plan is given up");
  brain_run (brain, SECOND);
  g_assert_cmpstr (busy.error, ==, "another plan is being made, try again in a moment");
}

/* More than one transaction, and more than one turn. */
static void
test_many (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 2000);
  g_auto (Told) told = { 0 };
  for (guint i = 0; i < 10; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    brain_node (brain, name);
  }
  plan_service (brain, spec, &told);
  g_assert_cmpuint (told.n[SWARM_PLAN_START], ==, 2000);
  g_assert_cmpuint (told.n[SWARM_PLAN_PENDING], ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plan/create", test_create);
  g_test_add_func ("/plan/update", test_update);
  g_test_add_func ("/plan/names", test_names);
  g_test_add_func ("/plan/drain", test_drain);
  g_test_add_func ("/plan/drain-order", test_drain_order);
  g_test_add_func ("/plan/refused", test_refused);
  g_test_add_func ("/plan/many", test_many);
  return g_test_run ();
}
