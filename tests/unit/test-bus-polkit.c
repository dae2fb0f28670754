// SPDX-License-Identifier: LGPL-2.1-or-later
/* Authorisation on a private bus with a stand-in for polkitd: who is asked about whom, and what becomes of calls that wait.
 * The real polkitd is met in the lab. Callers other than root need root to be made; else the caller is our own uid. */
#include "bus-fixture.h"
#include "bus-things.h"

#define NODE "org.swarmagent1.Node"
#define PLAIN_UID 65534
#define POLKIT "org.freedesktop.PolicyKit1"
#define DENIED "org.swarmagent1.Error.AccessDenied"

static const char polkit_xml[] = "<node><interface name='org.freedesktop.PolicyKit1.Authority'>"
                                 "<method name='CheckAuthorization'><arg type='(sa{sv})' direction='in'/><arg type='s' direction='in'/>"
                                 "<arg type='a{ss}' direction='in'/><arg type='u' direction='in'/><arg type='s' direction='in'/>"
                                 "<arg type='(bba{ss})' direction='out'/></method>"
                                 "<method name='CancelCheckAuthorization'><arg type='s' direction='in'/></method>"
                                 "</interface></node>";

typedef enum { ALLOW, DENY, CHALLENGE, HOLD, GARBLE } Mood;

typedef struct {
  TestBus *bus;
  World world;
  GDBusConnection *polkit;
  GDBusConnection *client;
  GDBusConnection *root;
  Mood mood;
  guint asked;
  char *subject, *action, *cancellation_id, *cancelled;
  guint32 flags;
  char *detail;
  GDBusMethodInvocation *held; /* the last that waits for its answer */
  GPtrArray *all_held;
  guint registered;
  guint audited[3]; /* by SwarmAuditResult */
  char *about;
} Fixture;

static void
answer (Fixture *self, GDBusMethodInvocation *invocation, Mood mood)
{
  g_ptr_array_remove (self->all_held, invocation);
  if (mood == GARBLE)
    g_dbus_method_invocation_return_dbus_error (invocation, "org.freedesktop.PolicyKit1.Error.Failed", "out of order");
  else
    g_dbus_method_invocation_return_value (
      invocation, g_variant_new ("((bb@a{ss}))", mood == ALLOW, mood == CHALLENGE, g_variant_new_parsed ("@a{ss} {}")));
}

static void
polkit_called (GDBusConnection *connection, const char *sender, const char *path, const char *iface, const char *member, GVariant *args,
               GDBusMethodInvocation *invocation, gpointer data)
{
  Fixture *self = data;
  g_autoptr (GVariant) subject = NULL;
  g_autoptr (GVariant) details = NULL;
  const char *kind;

  if (strcmp (member, "CancelCheckAuthorization") == 0) {
    g_free (self->cancelled);
    g_variant_get (args, "(s)", &self->cancelled);
    g_dbus_method_invocation_return_value (invocation, NULL);
    return;
  }
  self->asked++;
  g_free (self->subject);
  g_free (self->action);
  g_free (self->detail);
  g_free (self->cancellation_id);
  self->subject = self->detail = NULL;
  g_variant_get (args, "((&s@a{sv})s@a{ss}us)", &kind, &subject, &self->action, &details, &self->flags, &self->cancellation_id);
  g_assert_cmpstr (kind, ==, "system-bus-name");
  g_variant_lookup (subject, "name", "s", &self->subject);
  g_variant_lookup (details, "node", "s", &self->detail);
  if (self->mood == HOLD)
    g_ptr_array_add (self->all_held, self->held = invocation);
  else
    answer (self, invocation, self->mood);
}

static void
start_polkit (Fixture *self)
{
  static const GDBusInterfaceVTable vtable = { polkit_called, NULL, NULL, { 0 } };
  g_autoptr (GDBusNodeInfo) info = g_dbus_node_info_new_for_xml (polkit_xml, NULL);
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GError) error = NULL;

  self->polkit = test_bus_connect (self->bus);
  self->registered = g_dbus_connection_register_object (self->polkit, "/org/freedesktop/PolicyKit1/Authority", info->interfaces[0],
                                                        &vtable, self, NULL, &error);
  g_assert_no_error (error);
  reply = g_dbus_connection_call_sync (self->polkit, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName",
                                       g_variant_new ("(su)", POLKIT, 0), NULL, 0, -1, NULL, &error);
  g_assert_no_error (error);
}

static void
audit (SwarmInvocation *invocation, SwarmAuditResult result, GVariant *value, const GError *error, gpointer data)
{
  Fixture *self = data;

  g_assert_true ((result == SWARM_AUDIT_DONE) == (error == NULL));
  self->audited[result]++;
  g_free (self->about);
  self->about = g_strdup (swarm_invocation_details_text (invocation));
}

static void
setup (Fixture *self, gconstpointer without_polkit)
{
  g_autoptr (GError) error = NULL;

  self->bus = test_bus_start ();
  self->all_held = g_ptr_array_new ();
  world_init (&self->world);
  world_add (&self->world, "one");
  world_add (&self->world, "two");
  self->world.bus = swarm_bus_new (self->bus->address, &error);
  g_assert_no_error (error);
  g_assert_true (swarm_bus_export (self->world.bus, ROOT, test_kinds, &self->world, &error));
  g_assert_true (swarm_bus_own_name (self->world.bus, NAME, &error));
  swarm_bus_set_audit (self->world.bus, audit, self);
  if (without_polkit == NULL)
    start_polkit (self);
  self->client = test_bus_connect_as (self->bus, PLAIN_UID);
}

static void
close_client (GDBusConnection **connection)
{
  if (*connection != NULL)
    g_dbus_connection_close_sync (*connection, NULL, NULL);
  g_clear_object (connection);
}

static void
teardown (Fixture *self, gconstpointer data)
{
  close_client (&self->client);
  close_client (&self->root);
  swarm_bus_free (self->world.bus);
  while (self->all_held->len > 0)
    answer (self, self->all_held->pdata[0], DENY);
  g_ptr_array_unref (self->all_held);
  if (self->polkit != NULL)
    g_dbus_connection_unregister_object (self->polkit, self->registered);
  close_client (&self->polkit);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  world_clear (&self->world);
  test_bus_stop (self->bus);
  g_free (self->about);
  g_free (self->subject);
  g_free (self->action);
  g_free (self->detail);
  g_free (self->cancellation_id);
  g_free (self->cancelled);
}

static guint32
client_uid (void)
{
  return geteuid () == 0 ? PLAIN_UID : geteuid ();
}

static GVariant *
state (const char *text)
{
  return g_variant_new ("(s)", text);
}

static void
test_allow (Fixture *self, gconstpointer data)
{
  self->mood = ALLOW;
  test_bus_expect (self->client, ROOT "/node/one", NODE, "Update", state ("busy"), "()");
  g_assert_cmpstr (world_find (&self->world, "one")->state, ==, "busy");
  g_assert_cmpuint (self->world.last_uid, ==, client_uid ());
  g_assert_cmpstr (self->subject, ==, g_dbus_connection_get_unique_name (self->client));
  g_assert_cmpstr (self->action, ==, "org.swarmagent1.manage-nodes");
  g_assert_cmpstr (self->detail, ==, "one");
  g_assert_cmpuint (self->flags, ==, 0);
  g_assert_cmpuint (self->audited[SWARM_AUDIT_DONE], ==, 1);
  g_assert_cmpstr (self->about, ==, "node=one");
  /* Each call is asked about anew; the uid is not. */
  test_bus_expect (self->client, ROOT "/node/two", NODE, "Remove", state ("gone"), "()");
  g_assert_cmpstr (self->action, ==, "org.swarmagent1.promote-node");
  g_assert_cmpuint (self->asked, ==, 2);
  test_bus_expect (self->client, ROOT, "org.swarmagent1.Manager", "ListNodes", NULL, "('hello',)");
  g_assert_cmpstr (self->action, ==, "org.swarmagent1.read");
  g_assert_cmpuint (self->audited[SWARM_AUDIT_DONE], ==, 2); /* reading leaves no trail */
}

static void
test_deny (Fixture *self, gconstpointer data)
{
  self->mood = DENY;
  test_bus_expect_error (self->client, ROOT "/node/one", NODE, "Update", state ("busy"), DENIED, "org.swarmagent1.manage-nodes");
  self->mood = CHALLENGE;
  test_bus_expect_error (self->client, ROOT "/node/one", NODE, "Update", state ("busy"),
                         "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "interactive");
  self->mood = GARBLE;
  test_bus_expect_error (self->client, ROOT "/node/one", NODE, "Update", state ("busy"), DENIED, "did not answer");
  g_assert_cmpuint (self->world.ran, ==, 0);
  g_assert_cmpuint (self->audited[SWARM_AUDIT_REFUSED], ==, 3);
  g_assert_cmpuint (self->audited[SWARM_AUDIT_DONE] + self->audited[SWARM_AUDIT_FAILED], ==, 0);
  /* What is public stays so. */
  test_bus_expect (self->client, ROOT, "org.swarmagent1.Manager", "Info", NULL, "('hello',)");
  test_bus_expect (self->client, ROOT "/node/one", "org.freedesktop.DBus.Properties", "Get", g_variant_new ("(ss)", NODE, "State"),
                   "(<'ready'>,)");
}

static void
test_no_polkit (Fixture *self, gconstpointer data)
{
  test_bus_expect_error (self->client, ROOT "/node/one", NODE, "Update", state ("busy"), DENIED, "polkit did not answer");
  g_assert_cmpuint (self->world.ran, ==, 0);
}

static void
test_interactive (Fixture *self, gconstpointer data)
{
  g_auto (TestReply) reply;

  self->mood = ALLOW;
  test_bus_call_begin (self->client, ROOT "/node/one", NODE, "Update", state ("busy"), G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION,
                       &reply);
  WAIT_UNTIL (reply.done);
  g_assert_no_error (reply.error);
  g_assert_cmpuint (self->flags, ==, 1);
}

static void
test_root (Fixture *self, gconstpointer data)
{
  if (geteuid () != 0) {
    g_test_skip ("needs root");
    return;
  }
  self->root = test_bus_connect (self->bus);
  self->mood = DENY;
  test_bus_expect (self->root, ROOT "/node/one", NODE, "Update", state ("busy"), "()");
  g_assert_cmpuint (self->asked, ==, 0);
  g_assert_cmpuint (self->world.last_uid, ==, 0);
  g_assert_cmpuint (self->audited[SWARM_AUDIT_DONE], ==, 1);
  test_bus_expect_error (self->root, ROOT "/node/one", NODE, "Update", state (""), "org.swarmagent1.Error.InvalidArgument",
                         "no state given");
  g_assert_cmpuint (self->audited[SWARM_AUDIT_FAILED], ==, 1);
}

/* While one call waits for a person, others are answered. */
static void
test_pending (Fixture *self, gconstpointer data)
{
  g_auto (TestReply) reply;

  self->mood = HOLD;
  test_bus_call_begin (self->client, ROOT "/node/one", NODE, "Update", state ("busy"), 0, &reply);
  WAIT_UNTIL (self->held != NULL);
  test_bus_expect (self->client, ROOT, "org.swarmagent1.Manager", "Info", NULL, "('hello',)");
  g_assert_cmpuint (swarm_bus_pending_calls (self->world.bus), ==, 1);
  g_assert_false (reply.done);
  answer (self, self->held, ALLOW);
  WAIT_UNTIL (reply.done);
  g_assert_no_error (reply.error);
  g_assert_cmpuint (swarm_bus_pending_calls (self->world.bus), ==, 0);
}

static void
test_object_gone (Fixture *self, gconstpointer data)
{
  g_auto (TestReply) reply;

  self->mood = HOLD;
  test_bus_call_begin (self->client, ROOT "/node/one", NODE, "Update", state ("busy"), 0, &reply);
  WAIT_UNTIL (self->held != NULL);
  g_ptr_array_remove_index (self->world.nodes, 0);
  answer (self, self->held, ALLOW);
  WAIT_UNTIL (reply.done);
  test_reply_assert_error (&reply, "org.freedesktop.DBus.Error.UnknownObject", "/node/one");
  g_assert_cmpuint (self->world.ran, ==, 0);
}

static void
test_vanish (Fixture *self, gconstpointer data)
{
  TestReply reply;

  self->mood = HOLD;
  test_bus_call_begin (self->client, ROOT "/node/one", NODE, "Update", state ("busy"), 0, &reply);
  WAIT_UNTIL (self->held != NULL);
  g_dbus_connection_close_sync (self->client, NULL, NULL);
  WAIT_UNTIL (reply.done && self->cancelled != NULL);
  g_assert_cmpstr (self->cancelled, ==, self->cancellation_id);
  g_assert_cmpuint (swarm_bus_pending_calls (self->world.bus), ==, 0);
  answer (self, self->held, ALLOW);
  test_bus_run_for (50);
  g_assert_cmpuint (self->world.ran, ==, 0);
  test_reply_clear (&reply);
}

/* The server goes while a call waits. */
static void
test_bus_gone (Fixture *self, gconstpointer data)
{
  TestReply reply;

  self->mood = HOLD;
  test_bus_call_begin (self->client, ROOT "/node/one", NODE, "Update", state ("busy"), 0, &reply);
  WAIT_UNTIL (self->held != NULL);
  g_clear_pointer (&self->world.bus, swarm_bus_free);
  WAIT_UNTIL (reply.done);
  answer (self, self->held, ALLOW);
  test_reply_clear (&reply);
}

static void
test_bounds (Fixture *self, gconstpointer data)
{
  TestReply replies[80];
  guint refused = 0;

  self->mood = HOLD;
  for (guint i = 0; i < G_N_ELEMENTS (replies); i++)
    test_bus_call_begin (self->client, ROOT "/node/one", NODE, "Update", state ("busy"), 0, &replies[i]);
  WAIT_UNTIL (self->asked == 64);
  test_bus_run_for (50);
  g_assert_cmpuint (self->asked, ==, 64);
  g_assert_cmpuint (swarm_bus_pending_calls (self->world.bus), ==, 64);
  g_dbus_connection_close_sync (self->client, NULL, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (replies); i++) {
    WAIT_UNTIL (replies[i].done);
    refused += g_dbus_error_is_remote_error (replies[i].error) && strstr (replies[i].error->message, "too many calls") != NULL;
    test_reply_clear (&replies[i]);
  }
  g_assert_cmpuint (refused, ==, 80 - 64);
  WAIT_UNTIL (swarm_bus_pending_calls (self->world.bus) == 0);
}

/* More senders than are remembered: each is served, the match rules stay bounded. */
static void
test_many_senders (Fixture *self, gconstpointer data)
{
  self->mood = ALLOW;
  for (guint i = 0; i < 150; i++) {
    GDBusConnection *client = test_bus_connect_as (self->bus, PLAIN_UID);

    test_bus_expect (client, ROOT "/node/one", NODE, "Update", state ("busy"), "()");
    g_assert_cmpstr (self->subject, ==, g_dbus_connection_get_unique_name (client));
    if (i % 50 != 0)
      g_object_set_data_full (G_OBJECT (self->client), g_dbus_connection_get_unique_name (client), client, g_object_unref);
    else
      close_client (&client);
  }
  test_bus_expect (self->client, ROOT "/node/one", NODE, "Update", state ("idle"), "()");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/bus/polkit/" path, Fixture, NULL, setup, func, teardown)
  ADD ("allow", test_allow);
  ADD ("deny", test_deny);
  ADD ("interactive", test_interactive);
  ADD ("root", test_root);
  ADD ("pending", test_pending);
  ADD ("object-gone", test_object_gone);
  ADD ("vanish", test_vanish);
  ADD ("bus-gone", test_bus_gone);
  ADD ("bounds", test_bounds);
  ADD ("many-senders", test_many_senders);
  g_test_add ("/bus/polkit/no-polkit", Fixture, "none", setup, test_no_polkit, teardown);
  return g_test_run ();
}
