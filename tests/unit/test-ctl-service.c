// SPDX-License-Identifier: LGPL-2.1-or-later
/* Modes, placement, updates, health: from the options of create and update to the spec, and docker's texts for what is wrong with
 * them (SWARM_BEHAVIOUR §4.1, "CLI side"). */
#include "base/error.h"
#include "ctl/command.h"
#include "ctl/opts.h"
#include "ctl/service-spec.h"
#include <string.h>

static CtlArgs *
parse (const char *command, const char *line, GError **error)
{
  g_auto (GStrv) words = g_strsplit (command, " ", -1);
  g_auto (GStrv) argv = NULL;
  int argc = 0;
  guint used;
  const CtlCommand *found = ctl_command_find ((const char *const *)words, &used);

  g_assert_nonnull (found);
  g_assert_true (g_shell_parse_argv (line, &argc, &argv, NULL));
  return ctl_args_parse (found, argc, argv, error);
}

/* The spec that the options make, as JSON; NULL with the error. Caller frees. */
static char *
made (const char *create, const char *update, GError **error)
{
  g_autoptr (CtlArgs) first = parse ("service create", create, error);
  g_autoptr (SwarmServiceSpec) spec = first != NULL ? ctl_service_spec_create (first, error) : NULL;
  g_autoptr (CtlArgs) second = spec != NULL && update != NULL ? parse ("service update", update, error) : NULL;
  g_autoptr (SwarmServiceSpec) after = NULL;
  g_autoptr (JsonNode) json = NULL;

  if (spec == NULL || (update != NULL && second == NULL))
    return NULL;
  after = update != NULL ? ctl_service_spec_update (spec, second, error) : swarm_service_spec_ref (spec);
  if (after == NULL || !swarm_message_validate (after, error))
    return NULL;
  json = swarm_message_to_json (after, 0);
  return json_to_string (json, FALSE);
}

/* Members of the spec, whose other members do not matter: what @wanted says must be there word for word. */
static void
assert_spec (const char *create, const char *update, const char *wanted)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = made (create, update, &error);

  g_assert_no_error (error);
  g_test_message ("%s", text);
  g_assert_nonnull (strstr (text, wanted));
}

static void
test_modes (void)
{
  static const char *const rows[][2] = {
    { "nginx", "\"Mode\":{\"Replicated\":{\"Replicas\":1}}" },
    { "--mode replicated --replicas 4 nginx", "\"Mode\":{\"Replicated\":{\"Replicas\":4}}" },
    { "--mode global nginx", "\"Mode\":{\"Global\":{}}" },
    { "--mode replicated-job nginx", "\"Mode\":{\"ReplicatedJob\":{}}" },
    { "--mode replicated-job --replicas 20 nginx",
      "\"Mode\":{\"ReplicatedJob\":{\"MaxConcurrent\":20,\"TotalCompletions\":20}}" },
    { "--mode replicated-job --replicas 20 --max-concurrent 4 --replicas-max-per-node 1 nginx",
      "\"Mode\":{\"ReplicatedJob\":{\"MaxConcurrent\":4,\"TotalCompletions\":20}}" },
    { "--mode global-job nginx", "\"Mode\":{\"GlobalJob\":{}}" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    assert_spec (rows[i][0], NULL, rows[i][1]);
  assert_spec ("--name j --mode replicated-job --replicas 20 nginx", "--max-concurrent 2 j",
               "\"Mode\":{\"ReplicatedJob\":{\"MaxConcurrent\":2,\"TotalCompletions\":20}}");
  assert_spec ("--name j --mode replicated-job --replicas 20 nginx", "--replicas 7 j",
               "\"Mode\":{\"ReplicatedJob\":{\"MaxConcurrent\":20,\"TotalCompletions\":7}}");
}

#define UPDATE_OPTIONS(name, action)                                                                                   \
  "--" name "-parallelism 3 --" name "-delay 10s --" name "-monitor 1m --" name "-failure-action " action " --" name      \
  "-max-failure-ratio 0.25 --" name "-order start-first"
#define UPDATE_JSON(action)                                                                                            \
  "{\"Parallelism\":3,\"Delay\":10000000000,\"FailureAction\":\"" action                                                 \
  "\",\"Monitor\":60000000000,\"MaxFailureRatio\":0.25,\"Order\":\"start-first\"}"

static void
test_updates (void)
{
  assert_spec (UPDATE_OPTIONS ("update", "rollback") " nginx", NULL, "\"UpdateConfig\":" UPDATE_JSON ("rollback"));
  assert_spec (UPDATE_OPTIONS ("rollback", "continue") " nginx", NULL, "\"RollbackConfig\":" UPDATE_JSON ("continue"));
  assert_spec (UPDATE_OPTIONS ("update", "pause") " --name w nginx", "--update-failure-action rollback w",
               "\"UpdateConfig\":" UPDATE_JSON ("rollback"));
  /* one of them alone: the others have their defaults */
  assert_spec ("--update-parallelism 0 nginx", NULL,
               "\"UpdateConfig\":{\"Parallelism\":0,\"FailureAction\":\"pause\",\"Monitor\":5000000000,\"MaxFailureRatio\":0.0,"
               "\"Order\":\"stop-first\"}");
}

static void
test_health (void)
{
  assert_spec ("--health-cmd 'curl -f localhost' --health-interval 5s --health-timeout 2s --health-retries 4 "
               "--health-start-period 1m --health-start-interval 500ms nginx",
               NULL,
               "\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"curl -f localhost\"],\"Interval\":5000000000,\"Timeout\":2000000000,"
               "\"Retries\":4,\"StartPeriod\":60000000000,\"StartInterval\":500000000}");
  assert_spec ("--no-healthcheck nginx", NULL, "\"Healthcheck\":{\"Test\":[\"NONE\"]}");
  assert_spec ("--health-interval 5s nginx", NULL, "\"Healthcheck\":{\"Interval\":5000000000}");
  assert_spec ("--name w --health-cmd true --health-retries 3 nginx", "--no-healthcheck w", "\"Healthcheck\":{\"Test\":[\"NONE\"]}");
  assert_spec ("--name w --no-healthcheck nginx", "--health-retries 2 w", "\"Healthcheck\":{\"Retries\":2}");
  assert_spec ("--name w --health-cmd true --health-retries 3 nginx", "--health-cmd '' w", "\"Healthcheck\":{\"Retries\":3}");
}

static void
test_placement (void)
{
  assert_spec ("--strategy binpack --restart-backoff 1m --placement-pref spread=node.labels.zone "
               "--placement-pref spread=engine.labels.rack nginx",
               NULL,
               "\"Placement\":{\"Preferences\":[{\"Spread\":{\"SpreadDescriptor\":\"node.labels.zone\"}},"
               "{\"Spread\":{\"SpreadDescriptor\":\"engine.labels.rack\"}}],\"Strategy\":\"binpack\"}");
  assert_spec ("--on-disconnect wait nginx", NULL, "\"DisconnectWait\":600000000000");
  assert_spec ("--on-disconnect wait=90s nginx", NULL, "\"DisconnectWait\":90000000000");
  assert_spec ("--name w --on-disconnect wait=90s nginx", "--on-disconnect wait=1h w", "\"DisconnectWait\":3600000000000");
  assert_spec ("--restart-backoff 1m nginx", NULL, "\"Backoff\":60000000000");
  assert_spec ("--name w --placement-pref spread=node.labels.a --placement-pref spread=node.labels.b nginx",
               "--placement-pref-rm spread=node.labels.a --placement-pref-add spread=node.labels.c w",
               "\"Preferences\":[{\"Spread\":{\"SpreadDescriptor\":\"node.labels.b\"}},"
               "{\"Spread\":{\"SpreadDescriptor\":\"node.labels.c\"}}]");
  assert_spec ("--name w --strategy binpack --constraint node.role==worker nginx", "--strategy '' w",
               "\"Placement\":{\"Constraints\":[\"node.role==worker\"]}");
}

#define GENERIC(kind, n) "{\"DiscreteResourceSpec\":{\"Kind\":\"" kind "\",\"Value\":" n "}}"

static void
test_generic (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  assert_spec ("--generic-resource gpu=2 --generic-resource ssd=1 nginx", NULL,
               "\"Reservations\":{\"GenericResources\":[" GENERIC ("gpu", "2") "," GENERIC ("ssd", "1") "]}");
  assert_spec ("--name w --generic-resource gpu=2 --generic-resource ssd=1 nginx",
               "--generic-resource-rm ssd --generic-resource-add gpu=5 --generic-resource-add fpga=1 w",
               "\"GenericResources\":[" GENERIC ("gpu", "5") "," GENERIC ("fpga", "1") "]");
  text = made ("--name w --generic-resource gpu=2 nginx", "--generic-resource-rm ssd w", &error);
  g_assert_null (text);
  g_assert_cmpstr (error->message, ==, "could not find generic-resource `ssd` to remove it");
}

/* ---- texts ---- */

static void
test_texts (void)
{
  static const struct {
    const char *create;
    const char *update; /* NULL: create says it */
    const char *text;
  } rows[] = {
    { "--mode global --replicas 2 nginx", NULL, "replicas can only be used with replicated or replicated-job mode" },
    { "--mode global-job --replicas 2 nginx", NULL, "replicas can only be used with replicated or replicated-job mode" },
    { "--mode global --name g nginx", "--replicas 2 g", "replicas can only be used with replicated or replicated-job mode" },
    { "--mode global --replicas-max-per-node 2 nginx", NULL,
      "replicas-max-per-node can only be used with replicated or replicated-job mode" },
    { "--mode global-job --replicas-max-per-node 2 nginx", NULL,
      "replicas-max-per-node can only be used with replicated or replicated-job mode" },
    { "--mode global --name g nginx", "--replicas-max-per-node 2 g",
      "replicas-max-per-node can only be used with replicated or replicated-job mode" },
    { "--max-concurrent 2 nginx", NULL, "max-concurrent can only be used with replicated-job mode" },
    { "--mode global --max-concurrent 2 nginx", NULL, "max-concurrent can only be used with replicated-job mode" },
    { "--mode global-job --max-concurrent 2 nginx", NULL, "max-concurrent can only be used with replicated-job mode" },
    { "--name w nginx", "--max-concurrent 2 w", "max-concurrent can only be used with replicated-job mode" },
    { "--mode replicated-job --replicas 0 nginx", NULL, "a job has at least 1 completion: --replicas 0 says nothing" },
    { "--mode foo nginx", NULL, "unknown mode: foo, only replicated and global supported" },
    { "--mode replicated-job --update-delay 1s nginx", NULL, "update and rollback configuration is not supported for jobs" },
    { "--mode global-job --rollback-order start-first nginx", NULL, "update and rollback configuration is not supported for jobs" },
    { "--mode global-job --name j nginx", "--update-parallelism 2 j", "update and rollback configuration is not supported for jobs" },
    { "--no-healthcheck --health-cmd true nginx", NULL, "--no-healthcheck conflicts with --health-* options" },
    { "--no-healthcheck --health-retries 1 nginx", NULL, "--no-healthcheck conflicts with --health-* options" },
    { "--name w nginx", "--no-healthcheck --health-interval 1s w", "--no-healthcheck conflicts with --health-* options" },
    { "--placement-pref zone nginx", NULL, "placement preference must be of the format \"<strategy>=<arg>\"" },
    { "--placement-pref =zone nginx", NULL, "placement preference must be of the format \"<strategy>=<arg>\"" },
    { "--placement-pref binpack=x nginx", NULL, "unsupported placement preference binpack (only spread is supported)" },
    { "--generic-resource gpu nginx", NULL,
      "invalid generic resource specification: incorrect term gpu, missing '=' or malformed expression" },
    { "--generic-resource gpu=UUID1 nginx", NULL,
      "invalid generic-resource request `gpu=UUID1`, Named Generic Resources is not supported for service create or update" },
    { "--health-interval=-1s nginx", NULL, "duration cannot be negative" },
    { "--update-failure-action stop nginx", NULL, "unrecognized update failure action stop" },
    { "--rollback-failure-action rollback nginx", NULL, "unrecognized rollback failure action rollback" },
    { "--update-order random nginx", NULL, "unrecognized update order random" },
    { "--on-disconnect stay nginx", NULL, "unrecognized action on disconnect stay: move, wait or wait=DURATION" },
    { "--on-disconnect wait=0s nginx", NULL, "the time to wait for a node that is cut off must be positive" },
    { "--update-max-failure-ratio much nginx", NULL, "strconv.ParseFloat: parsing \"much\": invalid syntax" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *text = made (rows[i].create, rows[i].update, &error);

    g_test_message ("%s", rows[i].create);
    g_assert_null (text);
    g_assert_true (error->domain == CTL_ERROR);
    /* an option's own check has "invalid argument … for … flag: " before it */
    g_assert_true (g_str_has_suffix (error->message, rows[i].text));
    g_assert_true (error->code == CTL_ERROR_USAGE || g_str_equal (error->message, rows[i].text));
  }
}

/* --rollback goes with nothing but --detach and --quiet. */
static void
test_rollback_alone (void)
{
  static const char *const allowed[] = { "rollback", "detach", "quiet", NULL };
  g_autoptr (CtlArgs) alone = parse ("service update", "--rollback -d -q w", NULL);
  g_autoptr (CtlArgs) with = parse ("service update", "--rollback --image nginx w", NULL);

  g_assert_true (ctl_args_only (alone, allowed));
  g_assert_false (ctl_args_only (with, allowed));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ctl-service/modes", test_modes);
  g_test_add_func ("/ctl-service/updates", test_updates);
  g_test_add_func ("/ctl-service/health", test_health);
  g_test_add_func ("/ctl-service/placement", test_placement);
  g_test_add_func ("/ctl-service/generic", test_generic);
  g_test_add_func ("/ctl-service/texts", test_texts);
  g_test_add_func ("/ctl-service/rollback-alone", test_rollback_alone);
  return g_test_run ();
}
