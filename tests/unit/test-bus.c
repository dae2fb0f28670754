// SPDX-License-Identifier: LGPL-2.1-or-later
/* The object server on a private bus: dispatch, properties, introspection, ObjectManager, order and rate of changes. */
#include "bus-fixture.h"
#include "bus-things.h"

typedef struct {
  TestBus *bus;
  World world;
  GDBusConnection *client;
} Fixture;

static void
setup (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  self->bus = test_bus_start ();
  world_init (&self->world);
  world_add (&self->world, "one");
  world_add (&self->world, "two");
  self->world.bus = swarm_bus_new (self->bus->address, &error);
  g_assert_no_error (error);
  g_assert_true (swarm_bus_export (self->world.bus, ROOT, test_kinds, &self->world, &error));
  g_assert_true (swarm_bus_own_name (self->world.bus, NAME, &error));
  self->client = test_bus_connect (self->bus);
}

static void
teardown (Fixture *self, gconstpointer data)
{
  g_dbus_connection_close_sync (self->client, NULL, NULL);
  g_object_unref (self->client);
  swarm_bus_free (self->world.bus);
  world_clear (&self->world);
  test_bus_stop (self->bus);
}

#define MANAGER "org.swarmagent1.Manager"
#define NODE "org.swarmagent1.Node"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define DBUS_ERROR(x) "org.freedesktop.DBus.Error." x

static const GError *kept_behind;

static gboolean
look_again (gpointer missing)
{
  swarm_bus_look_again (missing, kept_behind);
  return G_SOURCE_REMOVE;
}

static gboolean
take_missing (SwarmBusMissing *missing, gpointer data)
{
  g_idle_add (look_again, missing);
  return TRUE;
}

/* That an object is not there is said only by a process that knows it. */
static void
test_behind (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) away = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, "nobody leads");
  GVariant *args = g_variant_ref_sink (g_variant_new ("(s)", "x"));

  swarm_bus_set_behind (self->world.bus, take_missing, NULL);
  test_bus_expect_error (self->client, ROOT "/node/three", NODE, "Update", args, DBUS_ERROR ("UnknownObject"), "three");
  kept_behind = away;
  test_bus_expect_error (self->client, ROOT "/node/three", NODE, "Update", args, "org.swarmagent1.Error.NoQuorum", "nobody leads");
  self->world.no_manager = TRUE;
  test_bus_expect_error (self->client, ROOT "/node/three", NODE, "Update", args, "org.swarmagent1.Error.NotManager", "ask a manager");
  kept_behind = NULL;
  g_variant_unref (args);
}

static void
test_dispatch (Fixture *self, gconstpointer data)
{
  GDBusConnection *c = self->client;
  gint64 before = swarm_bus_last_activity (self->world.bus);

  test_bus_expect (c, ROOT, MANAGER, "Info", NULL, "('hello',)");
  test_bus_expect (c, ROOT, MANAGER, "Echo", g_variant_new ("(v)", g_variant_new_parsed ("{'a': <[1, 2]>}")), "(<{'a': <[1, 2]>}>,)");
  g_assert_cmpint (swarm_bus_last_activity (self->world.bus), >, before);
  test_bus_expect (c, ROOT, "org.freedesktop.DBus.Peer", "Ping", NULL, "()");
  test_bus_expect_error (c, ROOT, MANAGER, "Info", g_variant_new ("(s)", "x"), DBUS_ERROR ("InvalidArgs"), "Info takes arguments (), not (s)");
  test_bus_expect_error (c, ROOT, MANAGER, "Nothing", NULL, DBUS_ERROR ("UnknownMethod"), "Nothing");
  test_bus_expect_error (c, ROOT, "a.b", "Info", NULL, DBUS_ERROR ("UnknownInterface"), "a.b");
  test_bus_expect_error (c, ROOT "/node/three", NODE, "Update", g_variant_new ("(s)", "x"), DBUS_ERROR ("UnknownObject"), "three");
  self->world.no_manager = TRUE;
  test_bus_expect_error (c, ROOT "/node/three", NODE, "Update", g_variant_new ("(s)", "x"), "org.swarmagent1.Error.NotManager", "ask a manager");
  test_bus_expect_error (c, ROOT "/node/three", NODE, "Nothing", NULL, DBUS_ERROR ("UnknownObject"), "three");
  self->world.no_manager = FALSE;
  test_bus_expect_error (c, "/elsewhere", MANAGER, "Info", NULL, DBUS_ERROR ("UnknownObject"), NULL);
  test_bus_expect_error (c, ROOT "/node/one/two", NODE, "Update", g_variant_new ("(s)", "x"), DBUS_ERROR ("UnknownObject"), NULL);
  test_bus_expect_error (c, SWARM_LINK_PATH, "org.swarmagent1.Wire", "Secret", NULL, DBUS_ERROR ("UnknownObject"), NULL);
  test_bus_expect_error (c, ROOT, MANAGER, "Wrong", NULL, "org.swarmagent1.Error.Failed", "internal error");
  test_bus_expect_error (c, ROOT, PROPERTIES, "Get", g_variant_new ("(s)", "x"), DBUS_ERROR ("InvalidArgs"), NULL);
  g_assert_cmpuint (swarm_bus_pending_calls (self->world.bus), ==, 0);
}

static void
test_no_interface (Fixture *self, gconstpointer data)
{
  g_autoptr (GDBusMessage) call = g_dbus_message_new_method_call (NAME, ROOT, NULL, "Info");
  TestLog *log = test_log_new (self->client);

  g_dbus_connection_send_message (self->client, call, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
  WAIT_UNTIL (test_log_count (log, "reply ('hello',)") == 1);
  test_log_free (log, self->client);
}

static void
test_late_answer (Fixture *self, gconstpointer data)
{
  g_auto (TestReply) reply;

  test_bus_call_begin (self->client, ROOT, MANAGER, "Hold", NULL, 0, &reply);
  WAIT_UNTIL (self->world.held != NULL);
  g_assert_cmpuint (swarm_bus_pending_calls (self->world.bus), ==, 1);
  test_bus_expect (self->client, ROOT, MANAGER, "Info", NULL, "('hello',)");
  world_answer (&self->world, self->world.held, "late");
  WAIT_UNTIL (reply.done);
  g_assert_no_error (reply.error);
  g_assert_cmpuint (swarm_bus_pending_calls (self->world.bus), ==, 0);
}

/* The bus goes while a handler still holds a call. */
static void
test_orphaned_call (Fixture *self, gconstpointer data)
{
  TestReply reply;

  test_bus_call_begin (self->client, ROOT, MANAGER, "Hold", NULL, 0, &reply);
  WAIT_UNTIL (self->world.held != NULL);
  g_clear_pointer (&self->world.bus, swarm_bus_free);
  world_answer (&self->world, self->world.held, "too late");
  WAIT_UNTIL (reply.done);
  g_assert_nonnull (reply.error);
  test_reply_clear (&reply);
}

static void
test_limits (Fixture *self, gconstpointer data)
{
  gsize size = 3 * 1024 * 1024;
  g_autofree char *zeros = g_malloc0 (size);
  TestReply replies[200];
  guint refused = 0;

  test_bus_expect_error (self->client, ROOT, MANAGER, "Echo",
                         g_variant_new ("(v)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, zeros, size, 1)),
                         DBUS_ERROR ("LimitsExceeded"), "too long");
  for (guint i = 0; i < G_N_ELEMENTS (replies); i++)
    test_bus_call_begin (self->client, ROOT, MANAGER, "Hold", NULL, 0, &replies[i]);
  test_bus_expect_error (self->client, ROOT, MANAGER, "Hold", NULL, DBUS_ERROR ("LimitsExceeded"), "too many calls");
  g_assert_cmpuint (swarm_bus_pending_calls (self->world.bus), ==, 128);
  test_bus_run_for (20);
  g_clear_pointer (&self->world.bus, swarm_bus_free);
  for (guint i = 0; i < G_N_ELEMENTS (replies); i++) {
    WAIT_UNTIL (replies[i].done);
    refused += strstr (replies[i].error->message, "too many calls") != NULL;
    test_reply_clear (&replies[i]);
  }
  g_assert_cmpuint (refused, ==, 200 - 128);
}

static void
test_descriptor (Fixture *self, gconstpointer data)
{
  g_auto (TestReply) reply;
  char text[8] = "";
  int fd;

  test_bus_call (self->client, ROOT, MANAGER, "Open", NULL, &reply);
  g_assert_no_error (reply.error);
  fd = g_unix_fd_list_get (reply.fds, 0, NULL);
  g_assert_cmpint (read (fd, text, 7), ==, 7);
  g_assert_cmpstr (text, ==, "through");
  close (fd);
}

static void
test_properties (Fixture *self, gconstpointer data)
{
  GDBusConnection *c = self->client;
  const char *one = ROOT "/node/one";

  test_bus_expect (c, one, PROPERTIES, "Get", g_variant_new ("(ss)", NODE, "State"), "(<'ready'>,)");
  test_bus_expect (c, one, PROPERTIES, "Get", g_variant_new ("(ss)", "", "Count"), "(<uint32 0>,)");
  test_bus_expect (c, one, PROPERTIES, "GetAll", g_variant_new ("(s)", NODE),
                   "({'Id': <'one'>, 'State': <'ready'>, 'Count': <uint32 0>},)");
  test_bus_expect (c, one, PROPERTIES, "GetAll", g_variant_new ("(s)", PROPERTIES), "({},)");
  test_bus_expect (c, ROOT "/task/two", PROPERTIES, "Get", g_variant_new ("(ss)", NODE, "Id"), "(<'two'>,)");
  test_bus_expect_error (c, one, PROPERTIES, "Get", g_variant_new ("(ss)", NODE, "Absent"), DBUS_ERROR ("UnknownProperty"), "Absent");
  test_bus_expect_error (c, one, PROPERTIES, "Get", g_variant_new ("(ss)", NODE, "None"), DBUS_ERROR ("UnknownProperty"), NULL);
  test_bus_expect_error (c, one, PROPERTIES, "GetAll", g_variant_new ("(s)", "a.b"), DBUS_ERROR ("UnknownInterface"), NULL);
  test_bus_expect_error (c, one, PROPERTIES, "Set", g_variant_new ("(ssv)", NODE, "State", g_variant_new_string ("x")),
                         DBUS_ERROR ("PropertyReadOnly"), "read-only");
  test_bus_expect_error (c, one, PROPERTIES, "Set", g_variant_new ("(ssv)", NODE, "None", g_variant_new_string ("x")),
                         DBUS_ERROR ("UnknownProperty"), NULL);
  test_bus_expect_error (c, ROOT "/node/three", PROPERTIES, "GetAll", g_variant_new ("(s)", NODE), DBUS_ERROR ("UnknownObject"), NULL);
}

/* ---- introspection ---- */

static GDBusNodeInfo *
introspect (Fixture *self, const char *path)
{
  g_auto (TestReply) reply;
  g_autoptr (GError) error = NULL;
  GDBusNodeInfo *info;
  const char *xml;

  test_bus_call (self->client, path, "org.freedesktop.DBus.Introspectable", "Introspect", NULL, &reply);
  g_assert_no_error (reply.error);
  g_variant_get (reply.reply, "(&s)", &xml);
  info = g_dbus_node_info_new_for_xml (xml, &error);
  g_assert_no_error (error);
  return info;
}

static void
test_introspection (Fixture *self, gconstpointer data)
{
  g_autoptr (GDBusNodeInfo) top = introspect (self, "/");
  g_autoptr (GDBusNodeInfo) org = introspect (self, "/org");
  g_autoptr (GDBusNodeInfo) root = introspect (self, ROOT);
  g_autoptr (GDBusNodeInfo) nodes = introspect (self, ROOT "/node");
  g_autoptr (GDBusNodeInfo) tasks = introspect (self, ROOT "/task");
  g_autoptr (GDBusNodeInfo) one = introspect (self, ROOT "/node/one");
  GDBusInterfaceInfo *iface = g_dbus_node_info_lookup_interface (root, MANAGER);
  GDBusMethodInfo *method = g_dbus_interface_info_lookup_method (iface, "Info");

  g_assert_cmpstr (top->nodes[0]->path, ==, "org");
  g_assert_cmpstr (org->nodes[0]->path, ==, "swarmagent1");
  g_assert_cmpstr (root->nodes[0]->path, ==, "node");
  g_assert_cmpstr (root->nodes[1]->path, ==, "task");
  g_assert_null (root->nodes[2]); /* the wire-only object is not there */
  g_assert_nonnull (g_dbus_node_info_lookup_interface (root, "org.freedesktop.DBus.ObjectManager"));
  g_assert_cmpstr (g_dbus_annotation_info_lookup (method->annotations, "org.gtk.GDBus.DocString"), ==, "Says <hello> & more.");
  g_assert_cmpstr (method->out_args[0]->name, ==, "text");
  g_assert_cmpstr (nodes->nodes[0]->path, ==, "one");
  g_assert_cmpstr (nodes->nodes[1]->path, ==, "two");
  g_assert_null (g_dbus_node_info_lookup_interface (nodes, PROPERTIES));
  g_assert_true (tasks->nodes == NULL || tasks->nodes[0] == NULL); /* on demand only */
  iface = g_dbus_node_info_lookup_interface (one, NODE);
  g_assert_cmpstr (g_dbus_interface_info_lookup_property (iface, "State")->signature, ==, "s");
  g_assert_cmpstr (g_dbus_interface_info_lookup_signal (iface, "Moved")->args[1]->name, ==, "to");
  g_assert_cmpstr (g_dbus_annotation_info_lookup (g_dbus_interface_info_lookup_method (iface, "Update")->annotations,
                                                  "org.swarmagent1.PolkitAction"),
                   ==, "org.swarmagent1.manage-nodes");
  test_bus_expect_error (self->client, ROOT "/node/three", "org.freedesktop.DBus.Introspectable", "Introspect", NULL,
                         DBUS_ERROR ("UnknownObject"), NULL);
}

/* The server answers on our loop, so the program must not be waited for blockingly. */
typedef struct {
  gboolean done;
  char *out;
} Output;

static void
program_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Output *output = data;
  g_autoptr (GError) error = NULL;

  g_subprocess_communicate_utf8_finish (G_SUBPROCESS (source), result, &output->out, NULL, &error);
  g_assert_no_error (error);
  output->done = TRUE;
}

/* Its output, NULL when it is not installed; it must succeed. */
static char *
run_program (const char *const *argv, const char *input)
{
  g_autofree char *found = g_find_program_in_path (argv[0]);
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GError) error = NULL;
  Output output = { FALSE };

  if (found == NULL)
    return NULL;
  process = g_subprocess_newv (argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE | G_SUBPROCESS_FLAGS_STDIN_PIPE,
                               &error);
  g_assert_no_error (error);
  g_subprocess_communicate_utf8_async (process, input, NULL, program_done, &output);
  WAIT_UNTIL (output.done);
  if (!g_subprocess_get_successful (process))
    g_error ("%s: %s", argv[0], output.out);
  return output.out;
}

static void
test_busctl (Fixture *self, gconstpointer data)
{
  g_autofree char *address = g_strdup_printf ("--address=%s", self->bus->address);
  const char *const tree_argv[] = { "busctl", address, "tree", "--list", NAME, NULL };
  const char *const introspect_argv[] = { "busctl", address, "introspect", NAME, ROOT "/node/one", NULL };
  g_autofree char *tree = run_program (tree_argv, "");
  g_autofree char *one = run_program (introspect_argv, "");

  if (tree == NULL) {
    g_test_skip ("busctl is not installed");
    return;
  }
  g_assert_nonnull (strstr (tree, ROOT "/node/two\n"));
  g_assert_null (strstr (tree, "wire"));
  g_assert_nonnull (strstr (one, ".State"));
  g_assert_nonnull (strstr (one, "\"ready\""));
  g_assert_nonnull (strstr (one, ".Moved"));
}

static void
test_xml_file (void)
{
  const char *const argv[] = { "xmllint", "--noout", "--nonet", "-", NULL };
  g_autofree char *xml = swarm_bus_interface_xml (&manager_iface);
  g_autofree char *wire = swarm_bus_interface_xml (&wire_iface);
  g_autofree char *out = run_program (argv, xml);
  g_autoptr (GDBusNodeInfo) info = g_dbus_node_info_new_for_xml (xml, NULL);

  g_assert_nonnull (info);
  g_assert_nonnull (strstr (wire, "\"Secret\""));
  if (out == NULL)
    g_test_skip ("xmllint is not installed");
  else
    g_assert_cmpstr (out, ==, "");
}

/* ---- tables ---- */

static void
expect_bad_method (const SwarmBusMethod *row, const char *part)
{
  const SwarmBusMethod methods[] = { *row, { NULL } };
  const SwarmBusInterface iface = { "org.example.Bad", methods, NULL, NULL, "Bad." };
  const SwarmBusInterface *const ifaces[] = { &iface, NULL };
  const SwarmBusKind kind = { "/org/example", ifaces, find_root, NULL };
  const SwarmBusKind *const kinds[] = { &kind, NULL };
  g_autoptr (GError) error = NULL;

  g_assert_false (swarm_bus_tables_check (kinds, &error));
  if (strstr (error->message, part) == NULL || strstr (error->message, "org.example.Bad") == NULL)
    g_error ("'%s' does not say '%s'", error->message, part);
}

static void
test_tables (void)
{
  const SwarmBusMethod good = { "Do", "s:a a{sv}:b", "u:c", manager_info, SWARM_ACTION_READ, SWARM_ROLES_MANAGER, 0, NULL, "Does." };
  SwarmBusMethod row;
  g_autoptr (GError) error = NULL;
  g_autofree char *signature = swarm_bus_args_signature (good.in);

  g_assert_cmpstr (signature, ==, "(sa{sv})");
  g_assert_true (swarm_bus_tables_check (test_kinds, &error));
  g_assert_true (swarm_bus_find_method (&manager_kind, MANAGER, "Info") == &manager_methods[0]);
  g_assert_null (swarm_bus_find_method (&manager_kind, NODE, "Info"));
#define BAD(change, part) \
  row = good; \
  row.change; \
  expect_bad_method (&row, part)
  BAD (action = SWARM_ACTION_NONE, "no polkit action");
  BAD (roles = 0, "no peer roles");
  BAD (roles = SWARM_ROLES_BUS_ONLY | SWARM_ROLES_MANAGER, "at once");
  BAD (out = "h:fd", "SWARM_ROLES_BUS_ONLY");
  BAD (in = "a(sh):fds", "SWARM_ROLES_BUS_ONLY");
  BAD (in = "s", "no name");
  BAD (in = "ss:two", "no valid signature");
  BAD (in = "ms:maybe", "no valid signature");
  BAD (doc = "", "no documentation");
  BAD (handler = NULL, "no handler");
  BAD (name = "Do-it", "not a valid method name");
  BAD (action = SWARM_ACTION_PUBLIC; row.flags = SWARM_METHOD_WRITE, "may not write");
  BAD (flags = SWARM_METHOD_WRITE | SWARM_METHOD_LOCAL, "local");
  BAD (action = SWARM_ACTION_WIRE_ONLY; row.roles = SWARM_ROLES_BUS_ONLY, "neither");
#undef BAD
}

/* ---- ObjectManager and signals ---- */

#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

static void
test_object_manager (Fixture *self, gconstpointer data)
{
  TestLog *log;

  test_bus_expect (self->client, ROOT, OBJECT_MANAGER, "GetManagedObjects", NULL,
                   "({'/org/swarmagent1/node/one': {'org.swarmagent1.Node': {'Id': <'one'>, 'State': <'ready'>, 'Count': <uint32 0>}}, "
                   "'/org/swarmagent1/node/two': {'org.swarmagent1.Node': {'Id': <'two'>, 'State': <'ready'>, 'Count': <uint32 0>}}},)");
  test_bus_expect_error (self->client, ROOT "/node/one", OBJECT_MANAGER, "GetManagedObjects", NULL, DBUS_ERROR ("UnknownMethod"), NULL);
  test_bus_subscribe (self->client);
  log = test_log_new (self->client);
  world_add (&self->world, "three");
  swarm_bus_emit_added (self->world.bus, ROOT "/node/three");
  swarm_bus_emit_changed (self->world.bus, ROOT "/node/three", NODE, NULL, FALSE);
  swarm_bus_emit_added (self->world.bus, ROOT "/task/three"); /* on demand: not announced */
  g_ptr_array_remove_index (self->world.nodes, 0);
  swarm_bus_emit_removed (self->world.bus, ROOT "/node/one");
  swarm_bus_emit_added (self->world.bus, ROOT "/node/four"); /* came and went unseen */
  swarm_bus_emit_removed (self->world.bus, ROOT "/node/four");
  swarm_bus_emit_signal (self->world.bus, ROOT "/node/two", NODE, "Moved", g_variant_new ("(ss)", "a", "b"));
  test_bus_expect (self->client, ROOT, MANAGER, "Info", NULL, "('hello',)");
  g_assert_cmpuint (log->lines->len, ==, 4);
  g_assert_cmpstr (log->lines->pdata[0], ==,
                   ROOT " InterfacesRemoved ('/org/swarmagent1/node/one', ['org.swarmagent1.Node'])");
  g_assert_cmpstr (log->lines->pdata[1], ==,
                   ROOT " InterfacesAdded ('/org/swarmagent1/node/three', "
                        "{'org.swarmagent1.Node': {'Id': <'three'>, 'State': <'ready'>, 'Count': <uint32 0>}})");
  g_assert_cmpstr (log->lines->pdata[2], ==, ROOT "/node/two Moved ('a', 'b')");
  g_assert_nonnull (strstr (log->lines->pdata[3], "reply"));
  test_log_free (log, self->client);
}

static void
test_too_many_objects (Fixture *self, gconstpointer data)
{
  g_auto (TestReply) reply;
  gint64 start;

  for (guint i = self->world.nodes->len; i < 5000; i++) {
    g_autofree char *id = g_strdup_printf ("n%u", i);
    world_add (&self->world, id);
  }
  start = g_get_monotonic_time ();
  test_bus_call (self->client, ROOT, OBJECT_MANAGER, "GetManagedObjects", NULL, &reply);
  g_assert_no_error (reply.error);
  g_test_message ("5000 objects: %.1f ms", (double) (g_get_monotonic_time () - start) / 1000);
  world_add (&self->world, "more");
  test_bus_expect_error (self->client, ROOT, OBJECT_MANAGER, "GetManagedObjects", NULL, "org.swarmagent1.Error.NotSupported", "ListNodes");
}

/* What changes while a long list is built is told again after it. */
static void
test_list_and_changes (Fixture *self, gconstpointer data)
{
  g_auto (TestReply) reply;
  TestLog *log;
  gint64 before;
  int end;

  for (guint i = self->world.nodes->len; i < 3000; i++) {
    g_autofree char *id = g_strdup_printf ("n%u", i);
    world_add (&self->world, id);
  }
  test_bus_subscribe (self->client);
  log = test_log_new (self->client);
  before = swarm_bus_last_activity (self->world.bus);
  test_bus_call_begin (self->client, ROOT, OBJECT_MANAGER, "GetManagedObjects", NULL, 0, &reply);
  WAIT_UNTIL (swarm_bus_last_activity (self->world.bus) > before); /* it is being built now */
  world_find (&self->world, "one")->count = 77;
  swarm_bus_emit_changed (self->world.bus, ROOT "/node/one", NODE, NULL, TRUE);
  g_ptr_array_remove_index (self->world.nodes, 1);
  swarm_bus_emit_removed (self->world.bus, ROOT "/node/two");
  WAIT_UNTIL (reply.done);
  g_assert_no_error (reply.error);
  test_bus_expect (self->client, ROOT, MANAGER, "Info", NULL, "('hello',)");
  end = test_log_find (log, "reply ({");
  g_assert_cmpuint (test_log_count (log, "/node/one PropertiesChanged"), ==, 2);
  g_assert_cmpint (test_log_find (log, "/node/one PropertiesChanged"), <, end);
  g_assert_cmpuint (test_log_count (log, "InterfacesRemoved ('/org/swarmagent1/node/two'"), ==, 2);
  g_assert_nonnull (strstr (log->lines->pdata[end + 1], "InterfacesRemoved"));
  g_assert_nonnull (strstr (log->lines->pdata[end + 2], "PropertiesChanged"));
  test_log_free (log, self->client);
}

/* The change that a call causes is there before its reply, also when the object has just sent one. */
static void
test_change_before_reply (Fixture *self, gconstpointer data)
{
  test_bus_subscribe (self->client);
  for (guint i = 0; i < 20; i++) {
    TestLog *log = test_log_new (self->client);
    g_autofree char *state = g_strdup_printf ("state%u", i);
    Thing *one = world_find (&self->world, "one");
    g_auto (TestReply) reply;

    test_bus_call_begin (self->client, ROOT, MANAGER, "Hold", NULL, 0, &reply);
    WAIT_UNTIL (self->world.held != NULL);
    g_free (one->state);
    one->state = g_strdup (state);
    swarm_bus_emit_changed (self->world.bus, ROOT "/node/one", NODE, NULL, TRUE);
    world_answer (&self->world, self->world.held, "done");
    WAIT_UNTIL (reply.done);
    g_assert_cmpint (test_log_find (log, state), ==, 0);
    g_assert_cmpint (test_log_find (log, "reply"), ==, 1);
    test_log_free (log, self->client);
  }
}

static void
test_coalescing (Fixture *self, gconstpointer data)
{
  static const char *const only_count[] = { "Count", NULL };
  Thing *one = world_find (&self->world, "one"), *two = world_find (&self->world, "two");
  gint64 start = g_get_monotonic_time ();
  TestLog *log;
  guint signals;
  gint64 took;

  test_bus_subscribe (self->client);
  log = test_log_new (self->client);
  for (guint i = 0; i < 100; i++) {
    one->count = two->count = i + 1;
    swarm_bus_emit_changed (self->world.bus, ROOT "/node/one", NODE, only_count, FALSE);
    if (i == 50)
      swarm_bus_emit_changed (self->world.bus, ROOT "/node/two", NODE, NULL, FALSE);
    test_bus_run_for (5);
  }
  WAIT_UNTIL (test_log_find (log, "/node/one PropertiesChanged ('org.swarmagent1.Node', {'Count': <uint32 100>}") >= 0);
  took = g_get_monotonic_time () - start;
  signals = test_log_count (log, "/node/one PropertiesChanged");
  g_assert_cmpuint (signals, <=, (guint) (took / 100000) + 2); /* every tenth of a second one, and the first */
  g_assert_cmpuint (signals, >=, 3);
  g_assert_cmpuint (test_log_count (log, "/node/two PropertiesChanged"), ==, 1);
  /* All but the constant ones; the absent one is invalidated. */
  g_assert_cmpint (test_log_find (log, "('org.swarmagent1.Node', {'State': <'ready'>, 'Count': <uint32 51>}, ['Absent'])"), >=, 0);
  test_log_free (log, self->client);
}

/* A change that comes while the object cools leaves at once when a call caused it. */
static void
test_urgent_while_cooling (Fixture *self, gconstpointer data)
{
  Thing *one = world_find (&self->world, "one");
  TestLog *log;
  gint64 begun;

  test_bus_subscribe (self->client);
  log = test_log_new (self->client);
  do { /* where two calls take longer than the tenth of a second of cooling, this says nothing: once more */
    test_bus_run_for (150);
    g_mutex_lock (&log->mutex);
    g_ptr_array_set_size (log->lines, 0);
    g_mutex_unlock (&log->mutex);
    begun = g_get_monotonic_time ();
    for (guint i = 1; i <= 3; i++) {
      one->count = i;
      swarm_bus_emit_changed (self->world.bus, ROOT "/node/one", NODE, NULL, i == 3);
      if (i < 3)
        test_bus_expect (self->client, ROOT, MANAGER, "Info", NULL, "('hello',)");
    }
  } while (g_get_monotonic_time () - begun > 80000);
  test_bus_expect (self->client, ROOT, MANAGER, "Info", NULL, "('hello',)");
  g_assert_cmpuint (test_log_count (log, "<uint32 1>"), ==, 1);
  g_assert_cmpuint (test_log_count (log, "<uint32 2>"), ==, 0);
  g_assert_cmpuint (test_log_count (log, "<uint32 3>"), ==, 1);
  test_bus_run_for (150);
  g_assert_cmpuint (test_log_count (log, "PropertiesChanged"), ==, 2);
  test_log_free (log, self->client);
}

/* ---- the connection ---- */

static void
set_flag (gpointer data)
{
  *(gboolean *) data = TRUE;
}

static void
test_lost (Fixture *self, gconstpointer data)
{
  gboolean lost = FALSE;

  swarm_bus_set_lost_func (self->world.bus, set_flag, &lost);
  kill (self->bus->pid, SIGKILL);
  waitpid (self->bus->pid, NULL, 0);
  self->bus->pid = 0;
  WAIT_UNTIL (lost);
}

static void
test_names (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmBus) other = swarm_bus_new (self->bus->address, &error);

  g_assert_no_error (error);
  g_assert_false (swarm_bus_own_name (other, NAME, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS);
  g_clear_error (&error);
  g_assert_false (swarm_bus_own_name (other, "no name", &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  swarm_bus_release_name (self->world.bus);
  g_assert_true (swarm_bus_own_name (other, NAME, &error));
  g_assert_null (swarm_bus_new ("unix:path=/nonexistent/socket", &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/bus/" path, Fixture, NULL, setup, func, teardown)
  ADD ("dispatch", test_dispatch);
  ADD ("behind", test_behind);
  ADD ("no-interface", test_no_interface);
  ADD ("late-answer", test_late_answer);
  ADD ("orphaned-call", test_orphaned_call);
  ADD ("limits", test_limits);
  ADD ("descriptor", test_descriptor);
  ADD ("properties", test_properties);
  ADD ("introspection", test_introspection);
  ADD ("busctl", test_busctl);
  ADD ("object-manager", test_object_manager);
  ADD ("too-many-objects", test_too_many_objects);
  ADD ("list-and-changes", test_list_and_changes);
  ADD ("change-before-reply", test_change_before_reply);
  ADD ("coalescing", test_coalescing);
  ADD ("urgent-while-cooling", test_urgent_while_cooling);
  ADD ("lost", test_lost);
  ADD ("names", test_names);
  g_test_add_func ("/bus/xml-file", test_xml_file);
  g_test_add_func ("/bus/tables", test_tables);
  return g_test_run ();
}
