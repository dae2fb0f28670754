// SPDX-License-Identifier: LGPL-2.1-or-later
/* Restart, update, rollback, health. */
#include "ctl/service-policy.h"
#include "ctl/service-fields.h"
#include "ctl/values.h"
#include <string.h>

#define DISCONNECT_WAIT_NS (G_GINT64_CONSTANT (600) * 1000000000) /* of --on-disconnect=wait without a time */

gboolean
ctl_check_positive_duration (const char *text, GError **error)
{
  gint64 ns;

  if (!ctl_value_duration (text, &ns, error))
    return FALSE;
  return ns >= 0 || ctl_invalid (error, "duration cannot be negative");
}

gboolean
ctl_check_failure_action (const char *text, GError **error)
{
  SwarmFailureAction action;

  return swarm_failure_action_from_string (text, &action)
         || ctl_invalid (error, "unrecognized update failure action %s", text);
}

/* A rollback is not rolled back. */
gboolean
ctl_check_rollback_action (const char *text, GError **error)
{
  SwarmFailureAction action;

  if (swarm_failure_action_from_string (text, &action) && action != SWARM_FAILURE_ROLLBACK)
    return TRUE;
  return ctl_invalid (error, "unrecognized rollback failure action %s", text);
}

gboolean
ctl_check_update_order (const char *text, GError **error)
{
  SwarmUpdateOrder order;

  return swarm_update_order_from_string (text, &order) || ctl_invalid (error, "unrecognized update order %s", text);
}

/* "move", "wait", "wait=DURATION". */
static gboolean
parse_on_disconnect (const char *text, gint64 *ret_ns, GError **error)
{
  *ret_ns = 0;
  if (g_str_equal (text, "move"))
    return TRUE;
  if (g_str_equal (text, "wait")) {
    *ret_ns = DISCONNECT_WAIT_NS;
    return TRUE;
  }
  if (!g_str_has_prefix (text, "wait="))
    return ctl_invalid (error, "unrecognized action on disconnect %s: move, wait or wait=DURATION", text);
  if (!ctl_value_duration (text + strlen ("wait="), ret_ns, error))
    return FALSE;
  return *ret_ns > 0 || ctl_invalid (error, "the time to wait for a node that is cut off must be positive");
}

gboolean
ctl_check_on_disconnect (const char *text, GError **error)
{
  gint64 ns;

  return parse_on_disconnect (text, &ns, error);
}

void
ctl_policy_on_disconnect (CtlArgs *args, SwarmServiceSpec *spec)
{
  if (ctl_args_given (args, "on-disconnect"))
    parse_on_disconnect (ctl_args_string (args, "on-disconnect"), &spec->disconnect_wait, NULL);
}

void
ctl_policy_restart (CtlArgs *args, SwarmTaskSpec *task)
{
  static const char *const options[] = { "restart-condition",    "restart-delay",   "restart-max-attempts",
                                         "restart-window",       "restart-backoff", NULL };
  SwarmRestartPolicy *policy;

  if (ctl_args_given (args, "log-driver")) {
    CTL_FIELDS_OWN (task->log_driver, swarm_log_driver);
    ctl_fields_set_string (args, "log-driver", &task->log_driver->name);
  }
  if (!ctl_fields_any_given (args, options))
    return;
  CTL_FIELDS_OWN (task->restart_policy, swarm_restart_policy);
  policy = task->restart_policy;
  if (ctl_args_given (args, "restart-condition"))
    swarm_restart_condition_from_string (ctl_args_string (args, "restart-condition"), &policy->condition);
  ctl_fields_set_int (args, "restart-delay", &policy->delay);
  ctl_fields_set_uint (args, "restart-max-attempts", &policy->max_attempts);
  ctl_fields_set_int (args, "restart-window", &policy->window);
  ctl_fields_set_int (args, "restart-backoff", &policy->backoff);
}

/* ---- update and rollback ---- */

/* The same six options, each under its own name. */
typedef struct {
  const char *parallelism, *delay, *failure_action, *monitor, *max_failure_ratio, *order;
} UpdateOptions;

static const UpdateOptions update_options = {
  "update-parallelism", "update-delay",             "update-failure-action",
  "update-monitor",     "update-max-failure-ratio", "update-order",
};
static const UpdateOptions rollback_options = {
  "rollback-parallelism", "rollback-delay",             "rollback-failure-action",
  "rollback-monitor",     "rollback-max-failure-ratio", "rollback-order",
};

static gboolean
is_given (CtlArgs *args, const UpdateOptions *options)
{
  const char *const names[] = { options->parallelism, options->delay,             options->failure_action,
                                options->monitor,     options->max_failure_ratio, options->order,
                                NULL };

  return ctl_fields_any_given (args, names);
}

static void
apply_update (CtlArgs *args, const UpdateOptions *options, SwarmUpdateConfig **member)
{
  SwarmUpdateConfig *config;

  if (!is_given (args, options))
    return;
  CTL_FIELDS_OWN (*member, swarm_update_config);
  config = *member;
  ctl_fields_set_uint (args, options->parallelism, &config->parallelism);
  ctl_fields_set_int (args, options->delay, &config->delay);
  ctl_fields_set_int (args, options->monitor, &config->monitor);
  if (ctl_args_given (args, options->failure_action))
    swarm_failure_action_from_string (ctl_args_string (args, options->failure_action), &config->failure_action);
  if (ctl_args_given (args, options->max_failure_ratio))
    config->max_failure_ratio = ctl_args_double (args, options->max_failure_ratio);
  if (ctl_args_given (args, options->order))
    swarm_update_order_from_string (ctl_args_string (args, options->order), &config->order);
}

gboolean
ctl_policy_update (CtlArgs *args, SwarmServiceSpec *spec, GError **error)
{
  SwarmServiceKind kind = swarm_service_spec_kind (spec);
  gboolean job = kind == SWARM_SERVICE_REPLICATED_JOB || kind == SWARM_SERVICE_GLOBAL_JOB;

  if (job && (is_given (args, &update_options) || is_given (args, &rollback_options)))
    return ctl_invalid (error, "update and rollback configuration is not supported for jobs");
  apply_update (args, &update_options, &spec->update);
  apply_update (args, &rollback_options, &spec->rollback);
  return TRUE;
}

/* ---- health ---- */

static const char *const health_options[] = { "health-cmd",          "health-interval",       "health-timeout", "health-retries",
                                              "health-start-period", "health-start-interval", NULL };

static void
set_test (SwarmHealthcheck *health, const char *kind, const char *command)
{
  g_clear_pointer (&health->test, g_ptr_array_unref);
  if (kind != NULL)
    ctl_fields_append (&health->test, kind);
  if (command != NULL)
    ctl_fields_append (&health->test, command);
}

static gboolean
is_switched_off (const SwarmHealthcheck *health)
{
  return health->test != NULL && health->test->len > 0 && g_str_equal (g_ptr_array_index (health->test, 0), "NONE");
}

gboolean
ctl_policy_health (CtlArgs *args, SwarmContainerSpec *container, GError **error)
{
  SwarmHealthcheck *health;
  gboolean any = ctl_fields_any_given (args, health_options);

  if (ctl_args_bool (args, "no-healthcheck")) {
    if (any)
      return ctl_invalid (error, "--no-healthcheck conflicts with --health-* options");
    swarm_message_clear_pointer (&container->healthcheck);
    container->healthcheck = swarm_healthcheck_new ();
    set_test (container->healthcheck, "NONE", NULL);
    return TRUE;
  }
  if (!any)
    return TRUE;
  CTL_FIELDS_OWN (container->healthcheck, swarm_healthcheck);
  health = container->healthcheck;
  if (is_switched_off (health))
    set_test (health, NULL, NULL);
  if (ctl_args_given (args, "health-cmd")) {
    const char *command = ctl_args_string (args, "health-cmd");
    set_test (health, *command != 0 ? "CMD-SHELL" : NULL, *command != 0 ? command : NULL);
  }
  ctl_fields_set_int (args, "health-interval", &health->interval);
  ctl_fields_set_int (args, "health-timeout", &health->timeout);
  ctl_fields_set_int (args, "health-retries", &health->retries);
  ctl_fields_set_int (args, "health-start-period", &health->start_period);
  ctl_fields_set_int (args, "health-start-interval", &health->start_interval);
  return TRUE;
}
