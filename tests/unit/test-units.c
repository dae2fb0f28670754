// SPDX-License-Identifier: LGPL-2.1-or-later
/* units.c against a pretended systemd on a private bus: jobs, what is asked and what is not, watches, reloads, no answers. */
#include "bus-fixture.h"
#include "daemon/units.h"
#include "fixture-tests.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define UNIT_PATH SYSTEMD_PATH "/unit/"
#define MANAGER SYSTEMD ".Manager"
#define TASK "swarm_task.service" /* a name whose path is itself but for the dot */

static const char manager_xml[]
  = "<node><interface name='" MANAGER "'><method name='Subscribe'/>"
    "<method name='StartTransientUnit'><arg type='s'/><arg type='s'/><arg type='a(sv)'/><arg type='a(sa(sv))'/><arg type='o' direction='out'/></method>"
    "<method name='StopUnit'><arg type='s'/><arg type='s'/><arg type='o' direction='out'/></method>"
    "<method name='ResetFailedUnit'><arg type='s'/></method><method name='GetUnit'><arg type='s'/><arg type='o' direction='out'/></method>"
    "<method name='ListUnitsByPatterns'><arg type='as'/><arg type='as'/><arg type='a(ssssssouso)' direction='out'/></method>"
    "</interface></node>";
static const char unit_xml[]
  = "<node><interface name='" SYSTEMD ".Unit'><property name='ActiveState' type='s' access='read'/><property name='SubState' type='s' access='read'/></interface>"
    "<interface name='" SYSTEMD ".Service'><property name='MainPID' type='u' access='read'/><property name='ExecMainCode' type='i' access='read'/>"
    "<property name='ExecMainStatus' type='i' access='read'/><property name='Result' type='s' access='read'/></interface></node>";

typedef struct {
  const char *active, *sub, *result;
  guint pid;
  int code, status;
} Unit;

/* The unit's path is UNIT_PATH with "." as "_2e"; there is one unit in these tests, there or not. */
typedef struct {
  TestBus *bus;
  GDBusConnection *systemd;
  SwarmBus *client;
  SwarmPluginServices *units;
  GDBusNodeInfo *manager_info, *unit_info;
  GString *calls;   /* members of the Manager that were called, but for Subscribe and lists */
  gboolean loaded;
  Unit unit;
  const char *job_path;
  const char *fails;  /* member … */
  const char *failure; /* … with this error name */
  /* what came back */
  guint answers;
  GError *error;
  gboolean has_state;
  SwarmPluginUnitState state;
  GString *told; /* phases told to the watch */
  guint n_listed;
} Fixture;

/* ---- systemd ---- */

static void
signal_out (Fixture *self, const char *path, const char *iface, const char *member, GVariant *args)
{
  g_assert_true (g_dbus_connection_emit_signal (self->systemd, NULL, path, iface, member, args, NULL));
}

static GVariant *
property_of (Fixture *self, const char *name)
{
  if (strcmp (name, "ActiveState") == 0)
    return g_variant_new_string (self->unit.active);
  if (strcmp (name, "SubState") == 0)
    return g_variant_new_string (self->unit.sub);
  if (strcmp (name, "MainPID") == 0)
    return g_variant_new_uint32 (self->unit.pid);
  if (strcmp (name, "Result") == 0)
    return g_variant_new_string (self->unit.result);
  return g_variant_new_int32 (strcmp (name, "ExecMainCode") == 0 ? self->unit.code : self->unit.status);
}

static GVariant *
get_property (GDBusConnection *connection, const char *sender, const char *path, const char *iface, const char *name, GError **error, gpointer data)
{
  Fixture *self = data;
  if (g_str_has_suffix (name, "State") && strcmp (name, "ActiveState") == 0)
    g_string_append (self->calls, "Get ");
  return property_of (self, name);
}

static void
emit_changed (Fixture *self, guint iface)
{
  GVariantBuilder changed;
  const GDBusInterfaceInfo *info = self->unit_info->interfaces[iface];
  g_variant_builder_init (&changed, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; info->properties[i] != NULL; i++)
    g_variant_builder_add (&changed, "{sv}", info->properties[i]->name, property_of (self, info->properties[i]->name));
  signal_out (self, UNIT_PATH "swarm_5ftask_2eservice", "org.freedesktop.DBus.Properties", "PropertiesChanged",
              g_variant_new ("(sa{sv}as)", info->name, &changed, NULL));
}

/* As systemd does it: the service's part first. */
static void
unit_becomes (Fixture *self, Unit unit)
{
  self->unit = unit;
  emit_changed (self, 1);
  emit_changed (self, 0);
}

static void
job_removed (Fixture *self, const char *result)
{
  signal_out (self, SYSTEMD_PATH, MANAGER, "JobRemoved", g_variant_new ("(uoss)", 1, "/job/1", TASK, result));
}

static void
unit_event (Fixture *self, const char *member)
{
  signal_out (self, SYSTEMD_PATH, MANAGER, member, g_variant_new ("(so)", TASK, UNIT_PATH "swarm_5ftask_2eservice"));
}

static void
return_list (Fixture *self, GDBusMethodInvocation *invocation)
{
  GVariantBuilder list;
  g_variant_builder_init (&list, G_VARIANT_TYPE ("a(ssssssouso)"));
  if (self->loaded)
    g_variant_builder_add (&list, "(ssssssouso)", TASK, "", "loaded", self->unit.active, self->unit.sub, "", UNIT_PATH "swarm_5ftask_2eservice", 0, "", "/");
  g_dbus_method_invocation_return_value (invocation, g_variant_new ("(a(ssssssouso))", &list));
}

static void
manager_called (GDBusConnection *connection, const char *sender, const char *path, const char *iface, const char *member, GVariant *args,
                GDBusMethodInvocation *invocation, gpointer data)
{
  Fixture *self = data;
  if (strcmp (member, "Subscribe") == 0) {
    g_dbus_method_invocation_return_value (invocation, NULL);
    return;
  }
  if (strcmp (member, "ListUnitsByPatterns") != 0)
    g_string_append_printf (self->calls, "%s ", member);
  if (self->fails != NULL && strcmp (member, self->fails) == 0)
    g_dbus_method_invocation_return_dbus_error (invocation, self->failure, "this does not work");
  else if (strcmp (member, "ListUnitsByPatterns") == 0)
    return_list (self, invocation);
  else if (strcmp (member, "ResetFailedUnit") == 0)
    g_dbus_method_invocation_return_value (invocation, NULL);
  else if (!self->loaded && strcmp (member, "StartTransientUnit") != 0)
    g_dbus_method_invocation_return_dbus_error (invocation, SYSTEMD ".NoSuchUnit", "Unit swarm_task.service not loaded.");
  else if (strcmp (member, "GetUnit") == 0)
    g_dbus_method_invocation_return_value (invocation, g_variant_new ("(o)", UNIT_PATH "swarm_5ftask_2eservice"));
  else
    g_dbus_method_invocation_return_value (invocation, g_variant_new ("(o)", "/job/1"));
}

/* ---- the bed ---- */

static void
setup (Fixture *self, gconstpointer data)
{
  static const GDBusInterfaceVTable manager_vtable = { manager_called, NULL, NULL, { 0 } }, unit_vtable = { NULL, get_property, NULL, { 0 } };
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = NULL;

  self->bus = test_bus_start ();
  self->calls = g_string_new (NULL);
  self->told = g_string_new (NULL);
  self->unit = (Unit){ "active", "running", "success", 42, 0, 0 };
  self->systemd = test_bus_connect (self->bus);
  self->manager_info = g_dbus_node_info_new_for_xml (manager_xml, &error);
  g_assert_no_error (error);
  self->unit_info = g_dbus_node_info_new_for_xml (unit_xml, &error);
  g_assert_no_error (error);
  g_dbus_connection_register_object (self->systemd, SYSTEMD_PATH, self->manager_info->interfaces[0], &manager_vtable, self, NULL, &error);
  for (guint i = 0; i < 2; i++)
    g_dbus_connection_register_object (self->systemd, UNIT_PATH "swarm_5ftask_2eservice", self->unit_info->interfaces[i], &unit_vtable, self, NULL, &error);
  g_assert_no_error (error);
  reply = g_dbus_connection_call_sync (self->systemd, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName",
                                       g_variant_new ("(su)", SYSTEMD, 0), NULL, 0, -1, NULL, &error);
  self->client = swarm_bus_new (self->bus->address, &error);
  g_assert_no_error (error);
  self->units = swarm_units_new (self->client);
}

static void
teardown (Fixture *self, gconstpointer data)
{
  swarm_units_free (self->units);
  swarm_bus_free (self->client);
  g_dbus_connection_close_sync (self->systemd, NULL, NULL);
  g_object_unref (self->systemd);
  g_dbus_node_info_unref (self->manager_info);
  g_dbus_node_info_unref (self->unit_info);
  g_string_free (self->calls, TRUE);
  g_string_free (self->told, TRUE);
  g_clear_error (&self->error);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  test_bus_stop (self->bus);
}

static void
answered (const SwarmPluginUnitState *state, const GError *error, gpointer data)
{
  Fixture *self = data;
  g_clear_error (&self->error);
  self->error = error != NULL ? g_error_copy (error) : NULL;
  self->has_state = state != NULL;
  if (state != NULL)
    self->state = *state;
  self->answers++;
}

static void
listed (const SwarmPluginUnitState *states, gsize n_states, const GError *error, gpointer data)
{
  Fixture *self = data;
  self->n_listed = n_states;
  answered (n_states > 0 ? &states[0] : NULL, error, data);
}

static void
told (const SwarmPluginUnitState *state, gpointer data)
{
  static const char marks[] = { 'a', 's', 'R', 't', 'E' };
  Fixture *self = data;
  g_string_append_c (self->told, marks[state->phase]);
}

static void
begin_start (Fixture *self)
{
  self->units->start (self->units, TASK, g_variant_new_array (G_VARIANT_TYPE ("(sv)"), NULL, 0), answered, self);
}

/* Until systemd has answered the call that began the job. */
static void
job_is_known (Fixture *self, const char *member)
{
  WAIT_UNTIL (strstr (self->calls->str, member) != NULL);
  test_bus_run_for (30);
}

/* ---- jobs ---- */

/* Of a watched unit everything is told: a start is one call and nothing is asked. */
static void
test_start_watched (Fixture *self, gconstpointer data)
{
  self->units->watch (self->units, "swarm_", told, self);
  begin_start (self);
  job_is_known (self, "StartTransientUnit");
  self->loaded = TRUE;
  unit_event (self, "UnitNew");
  unit_becomes (self, (Unit){ "activating", "start", "success", 0, 0, 0 });
  unit_becomes (self, (Unit){ "active", "running", "success", 42, 0, 0 });
  job_removed (self, "done");
  WAIT_UNTIL (self->answers == 1);
  g_assert_no_error (self->error);
  g_assert_cmpuint (self->state.phase, ==, SWARM_PLUGIN_UNIT_RUNNING);
  g_assert_cmpuint (self->state.main_pid, ==, 42);
  g_assert_cmpstr (self->calls->str, ==, "StartTransientUnit ");
  g_assert_cmpstr (self->told->str, ==, "sR");
}

/* Signals of before the job are not enough: asked. */
static void
test_start_unwatched (Fixture *self, gconstpointer data)
{
  begin_start (self);
  job_is_known (self, "StartTransientUnit");
  self->loaded = TRUE;
  job_removed (self, "done");
  WAIT_UNTIL (self->answers == 1);
  g_assert_no_error (self->error);
  g_assert_cmpuint (self->state.main_pid, ==, 42);
  g_assert_nonnull (strstr (self->calls->str, "GetUnit Get "));
}

/* A oneshot unit that is gone already. */
static void
test_start_gone (Fixture *self, gconstpointer data)
{
  begin_start (self);
  job_is_known (self, "StartTransientUnit");
  job_removed (self, "done");
  WAIT_UNTIL (self->answers == 1);
  g_assert_no_error (self->error);
  g_assert_cmpuint (self->state.phase, ==, SWARM_PLUGIN_UNIT_ABSENT);
}

static void
test_start_fails (Fixture *self, gconstpointer data)
{
  self->unit = (Unit){ "failed", "failed", "exit-code", 0, 1, 125 };
  self->loaded = TRUE;
  begin_start (self);
  job_is_known (self, "StartTransientUnit");
  job_removed (self, "failed");
  WAIT_UNTIL (self->answers == 1);
  g_assert_error (self->error, SWARM_ERROR, SWARM_ERROR_FAILED);
  g_assert_true (self->has_state);
  g_assert_cmpint (self->state.exit_code, ==, 125);
}

static void
test_start_timeout (Fixture *self, gconstpointer data)
{
  begin_start (self);
  job_is_known (self, "StartTransientUnit");
  job_removed (self, "timeout");
  WAIT_UNTIL (self->answers == 1);
  g_assert_error (self->error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
}

static void
test_start_exists (Fixture *self, gconstpointer data)
{
  self->fails = "StartTransientUnit";
  self->failure = SYSTEMD ".UnitExists";
  begin_start (self);
  WAIT_UNTIL (self->answers == 1);
  g_assert_error (self->error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS);
}

/* A stop is over when systemd has forgotten the unit. */
static void
test_stop (Fixture *self, gconstpointer data)
{
  self->loaded = TRUE;
  self->units->stop (self->units, TASK, answered, self);
  job_is_known (self, "StopUnit");
  g_assert_cmpuint (self->answers, ==, 0);
  job_removed (self, "done");
  WAIT_UNTIL (self->answers == 1);
  g_assert_no_error (self->error);
  g_assert_cmpuint (self->state.phase, ==, SWARM_PLUGIN_UNIT_ABSENT);
  g_assert_cmpstr (self->calls->str, ==, "StopUnit ResetFailedUnit ");
}

/* systemd merges two stops of a unit into one job: both are answered when it ends. */
static void
test_stop_twice (Fixture *self, gconstpointer data)
{
  self->loaded = TRUE;
  self->units->stop (self->units, TASK, answered, self);
  self->units->stop (self->units, TASK, answered, self);
  job_is_known (self, "StopUnit StopUnit");
  job_removed (self, "done");
  WAIT_UNTIL (self->answers == 2);
  g_assert_no_error (self->error);
}

/* And when all ends first, both are forgotten. */
static void
test_stop_twice_free (Fixture *self, gconstpointer data)
{
  self->loaded = TRUE;
  self->units->stop (self->units, TASK, answered, self);
  self->units->stop (self->units, TASK, answered, self);
  job_is_known (self, "StopUnit StopUnit");
  swarm_units_free (g_steal_pointer (&self->units));
  test_bus_run_for (50);
  g_assert_cmpuint (self->answers, ==, 0);
}

static void
test_stop_absent (Fixture *self, gconstpointer data)
{
  self->units->stop (self->units, TASK, answered, self);
  WAIT_UNTIL (self->answers == 1);
  g_assert_no_error (self->error);
}

/* ---- states ---- */

static void
test_query (Fixture *self, gconstpointer data)
{
  self->units->query (self->units, TASK, answered, self);
  WAIT_UNTIL (self->answers == 1);
  g_assert_no_error (self->error);
  g_assert_cmpuint (self->state.phase, ==, SWARM_PLUGIN_UNIT_ABSENT);
  self->loaded = TRUE;
  self->unit = (Unit){ "active", "exited", "success", 0, 1, 3 };
  self->units->query (self->units, TASK, answered, self);
  WAIT_UNTIL (self->answers == 2);
  g_assert_cmpuint (self->state.phase, ==, SWARM_PLUGIN_UNIT_EXITED);
  g_assert_cmpint (self->state.exit_code, ==, 3);
}

/* No answer is not "no such unit". */
static void
test_query_no_answer (Fixture *self, gconstpointer data)
{
  self->loaded = TRUE;
  self->fails = "GetUnit";
  self->failure = "org.freedesktop.DBus.Error.LimitsExceeded";
  self->units->query (self->units, TASK, answered, self);
  WAIT_UNTIL (self->answers == 1);
  g_assert_nonnull (self->error);
  g_assert_false (self->has_state);
}

static void
test_list (Fixture *self, gconstpointer data)
{
  self->loaded = TRUE;
  self->units->list (self->units, "swarm_", listed, self);
  WAIT_UNTIL (self->answers == 1);
  g_assert_cmpuint (self->n_listed, ==, 1);
  g_assert_cmpuint (self->state.main_pid, ==, 42);
  self->fails = "GetUnit"; /* one that cannot be asked about spoils the list */
  self->failure = "org.freedesktop.DBus.Error.LimitsExceeded";
  self->units->list (self->units, "swarm_", listed, self);
  WAIT_UNTIL (self->answers == 2);
  g_assert_nonnull (self->error);
}

/* ---- watches ---- */

/* One that was there before; changes once each, when the unit's part has come. */
static void
test_watch (Fixture *self, gconstpointer data)
{
  self->loaded = TRUE;
  self->units->watch (self->units, "swarm_", told, self);
  WAIT_UNTIL (self->told->len == 1);
  unit_becomes (self, (Unit){ "active", "running", "success", 42, 0, 0 });
  unit_becomes (self, (Unit){ "active", "exited", "success", 0, 1, 7 });
  WAIT_UNTIL (self->told->len == 2);
  g_assert_cmpstr (self->told->str, ==, "RE");
}

/* A daemon-reload announces every unit as removed. */
static void
test_watch_reload (Fixture *self, gconstpointer data)
{
  self->loaded = TRUE;
  self->units->watch (self->units, "swarm_", told, self);
  WAIT_UNTIL (self->told->len == 1);
  g_string_truncate (self->calls, 0);
  unit_event (self, "UnitRemoved");
  unit_event (self, "UnitNew");
  WAIT_UNTIL (strstr (self->calls->str, "GetUnit") != NULL);
  test_bus_run_for (50);
  g_assert_cmpstr (self->told->str, ==, "R");
  self->loaded = FALSE;
  unit_event (self, "UnitRemoved");
  WAIT_UNTIL (self->told->len == 2);
  g_assert_cmpstr (self->told->str, ==, "Ra");
}

/* Removed, and systemd does not say so when asked: asked again. */
static void
test_watch_doubt (Fixture *self, gconstpointer data)
{
  self->loaded = TRUE;
  self->units->watch (self->units, "swarm_", told, self);
  WAIT_UNTIL (self->told->len == 1);
  self->fails = "GetUnit";
  self->failure = "org.freedesktop.DBus.Error.LimitsExceeded";
  g_string_truncate (self->calls, 0);
  unit_event (self, "UnitRemoved");
  WAIT_UNTIL (strstr (self->calls->str, "GetUnit") != NULL);
  test_bus_run_for (50);
  g_assert_cmpstr (self->told->str, ==, "R");
  self->fails = NULL;
  self->loaded = FALSE;
  WAIT_UNTIL (self->told->len == 2);
  g_assert_cmpstr (self->told->str, ==, "Ra");
}

/* A start that failed leaves no watch of a unit that never was. */
static void
test_watch_failed_start (Fixture *self, gconstpointer data)
{
  self->units->watch (self->units, "swarm_", told, self);
  self->fails = "StartTransientUnit";
  self->failure = "org.freedesktop.DBus.Error.AccessDenied";
  begin_start (self);
  WAIT_UNTIL (self->answers == 1 && strstr (self->calls->str, "GetUnit") != NULL);
  g_assert_nonnull (self->error);
}

/* What is under way when all ends touches nothing. */
static void
test_free_early (Fixture *self, gconstpointer data)
{
  self->loaded = TRUE;
  self->units->watch (self->units, "swarm_", told, self);
  begin_start (self);
  self->units->query (self->units, TASK, answered, self);
  swarm_units_free (g_steal_pointer (&self->units));
  test_bus_run_for (50);
}

int
main (int argc, char **argv)
{
  static const FIXTURE_TEST tests[] = {
    { "start-watched", test_start_watched }, { "start-unwatched", test_start_unwatched }, { "start-gone", test_start_gone },
    { "start-fails", test_start_fails },     { "start-timeout", test_start_timeout },     { "start-exists", test_start_exists },
    { "stop", test_stop },                   { "stop-absent", test_stop_absent },         { "query", test_query },
    { "query-no-answer", test_query_no_answer }, { "list", test_list },                   { "watch", test_watch },
    { "watch-reload", test_watch_reload },   { "watch-doubt", test_watch_doubt },         { "watch-failed-start", test_watch_failed_start },
    { "free-early", test_free_early },       { "stop-twice", test_stop_twice },           { "stop-twice-free", test_stop_twice_free },
  };
  g_test_init (&argc, &argv, NULL);
  ADD_FIXTURE_TESTS ("/units", tests, setup, teardown);
  return g_test_run ();
}
