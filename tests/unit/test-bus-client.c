// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls to others and their signals, against a peer that is not ours. */
#include "bus-fixture.h"

#define PEER "org.example.Peer"
#define PATH "/org/example"

static const char peer_xml[] = "<node><interface name='org.example.Peer'>"
                               "<method name='Echo'><arg type='v' direction='in'/><arg type='v' direction='out'/></method>"
                               "<method name='Fail'><arg type='s' direction='in'/></method>"
                               "<method name='Hold'/>"
                               "<method name='Open'><arg type='h' direction='out'/></method>"
                               "</interface></node>";

typedef struct {
  TestBus *bus;
  SwarmBus *client;
  GDBusConnection *peer;
  guint registered;
  GPtrArray *held; /* GDBusMethodInvocation */
  gboolean interactive;
} Fixture;

static void
peer_called (GDBusConnection *connection, const char *sender, const char *path, const char *iface, const char *member, GVariant *args,
             GDBusMethodInvocation *invocation, gpointer data)
{
  Fixture *self = data;
  const char *name;

  self->interactive = (g_dbus_message_get_flags (g_dbus_method_invocation_get_message (invocation))
                       & G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION)
                      != 0;
  if (strcmp (member, "Echo") == 0) {
    g_dbus_method_invocation_return_value (invocation, args);
  } else if (strcmp (member, "Fail") == 0) {
    g_variant_get (args, "(&s)", &name);
    g_dbus_method_invocation_return_dbus_error (invocation, name, "it failed");
  } else if (strcmp (member, "Open") == 0) {
    g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
    int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

    g_unix_fd_list_append (fds, fd, NULL);
    close (fd);
    g_dbus_method_invocation_return_value_with_unix_fd_list (invocation, g_variant_new ("(h)", 0), fds);
  } else {
    g_ptr_array_add (self->held, invocation);
  }
}

static void
request_name (GDBusConnection *connection, const char *member, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_sync (
    connection, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", member,
    strcmp (member, "RequestName") == 0 ? g_variant_new ("(su)", name, 0) : g_variant_new ("(s)", name), NULL, 0, -1, NULL, &error);

  g_assert_no_error (error);
}

static void
setup (Fixture *self, gconstpointer data)
{
  static const GDBusInterfaceVTable vtable = { peer_called, NULL, NULL, { 0 } };
  g_autoptr (GDBusNodeInfo) info = g_dbus_node_info_new_for_xml (peer_xml, NULL);
  g_autoptr (GError) error = NULL;

  self->bus = test_bus_start ();
  self->held = g_ptr_array_new ();
  self->client = swarm_bus_new (self->bus->address, &error);
  g_assert_no_error (error);
  self->peer = test_bus_connect (self->bus);
  self->registered = g_dbus_connection_register_object (self->peer, PATH, info->interfaces[0], &vtable, self, NULL, &error);
  g_assert_no_error (error);
  request_name (self->peer, "RequestName", PEER);
}

static void
teardown (Fixture *self, gconstpointer data)
{
  swarm_bus_free (self->client);
  for (guint i = 0; i < self->held->len; i++)
    g_dbus_method_invocation_return_value (self->held->pdata[i], NULL);
  g_ptr_array_unref (self->held);
  g_dbus_connection_unregister_object (self->peer, self->registered);
  g_dbus_connection_close_sync (self->peer, NULL, NULL);
  g_object_unref (self->peer);
  test_bus_stop (self->bus);
}

typedef struct {
  guint n; /* times told */
  GVariant *reply;
  GUnixFDList *fds;
  GError *error;
} Result;

static void
told (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  Result *self = data;

  self->n++;
  g_assert_true ((reply == NULL) == (error != NULL));
  self->reply = reply != NULL ? g_variant_ref (reply) : NULL;
  self->fds = fds != NULL ? g_object_ref (fds) : NULL;
  self->error = error != NULL ? g_error_copy (error) : NULL;
}

static void
result_clear (Result *self)
{
  g_clear_pointer (&self->reply, g_variant_unref);
  g_clear_object (&self->fds);
  g_clear_error (&self->error);
  self->n = 0;
}

static void
expect_error (Result *self, int code, const char *part)
{
  WAIT_UNTIL (self->n > 0);
  g_assert_cmpuint (self->n, ==, 1);
  g_assert_error (self->error, SWARM_ERROR, code);
  if (strstr (self->error->message, part) == NULL)
    g_error ("'%s' does not contain '%s'", self->error->message, part);
  result_clear (self);
}

static void
call (Fixture *self, const char *member, GVariant *args, Result *result)
{
  swarm_bus_call (self->client, PEER, PATH, PEER, member, args, -1, NULL, told, result);
  g_assert_cmpuint (result->n, ==, 0); /* never from within */
}

static void
test_calls (Fixture *self, gconstpointer data)
{
  Result result = { 0 };
  g_autofree char *text = NULL;

  call (self, "Echo", g_variant_new ("(v)", g_variant_new_string ("x")), &result);
  WAIT_UNTIL (result.n > 0);
  text = g_variant_print (result.reply, FALSE);
  g_assert_cmpstr (text, ==, "(<'x'>,)");
  g_assert_false (self->interactive);
  result_clear (&result);
  call (self, "Open", NULL, &result);
  WAIT_UNTIL (result.n > 0);
  g_assert_cmpint (g_unix_fd_list_get_length (result.fds), ==, 1);
  result_clear (&result);
  call (self, "Fail", g_variant_new ("(s)", "org.freedesktop.systemd1.NoSuchUnit"), &result);
  expect_error (&result, SWARM_ERROR_NOT_FOUND, "it failed");
  call (self, "Fail", g_variant_new ("(s)", "org.swarmagent1.Error.OutOfSequence"), &result);
  expect_error (&result, SWARM_ERROR_OUT_OF_SEQUENCE, "it failed");
  call (self, "Nothing", NULL, &result);
  expect_error (&result, SWARM_ERROR_NOT_SUPPORTED, "Nothing");
  swarm_bus_call (self->client, "org.example.Nobody", PATH, PEER, "Echo", NULL, -1, NULL, told, &result);
  expect_error (&result, SWARM_ERROR_UNAVAILABLE, "");
  swarm_bus_call (self->client, PEER, PATH, PEER, "Hold", NULL, 50, NULL, told, &result);
  expect_error (&result, SWARM_ERROR_UNKNOWN, "");
  swarm_bus_call (self->client, "bad name", PATH, PEER, "Hold", NULL, 50, NULL, told, &result);
  expect_error (&result, SWARM_ERROR_INVALID_ARGUMENT, "bus name");
  call (self, "Echo", g_variant_new_parsed ("(<@ms nothing>,)"), &result);
  expect_error (&result, SWARM_ERROR_INVALID_ARGUMENT, "variant");
  swarm_bus_call (self->client, PEER, PATH, PEER, "Echo", g_variant_new ("(v)", g_variant_new_string ("x")), -1, NULL, NULL, NULL);
}

static void
test_cancel (Fixture *self, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Result results[70] = { { 0 } };

  /* Under way and waiting ones alike, and one that comes too late. */
  for (guint i = 0; i < 69; i++)
    swarm_bus_call (self->client, PEER, PATH, PEER, "Hold", NULL, -1, cancellable, told, &results[i]);
  WAIT_UNTIL (self->held->len == 64);
  g_cancellable_cancel (cancellable);
  g_assert_cmpuint (results[0].n, ==, 0);
  swarm_bus_call (self->client, PEER, PATH, PEER, "Hold", NULL, -1, cancellable, told, &results[69]);
  for (guint i = 0; i < 70; i++)
    expect_error (&results[i], SWARM_ERROR_CANCELLED, "cancelled");
  g_assert_cmpuint (self->held->len, ==, 64);
  call (self, "Echo", g_variant_new ("(v)", g_variant_new_string ("x")), &results[0]);
  WAIT_UNTIL (results[0].n == 1);
  result_clear (&results[0]);
}

/* 64 under way, the rest in turn, none beyond the bound. */
static void
test_in_flight (Fixture *self, gconstpointer data)
{
  guint n = 64 + 4096;
  g_autofree Result *results = g_new0 (Result, n + 1);

  for (guint i = 0; i <= n; i++)
    call (self, "Hold", NULL, &results[i]);
  expect_error (&results[n], SWARM_ERROR_LIMIT_EXCEEDED, "4096 calls wait");
  WAIT_UNTIL (self->held->len == 64);
  test_bus_run_for (30);
  g_assert_cmpuint (self->held->len, ==, 64);
  for (guint i = 0; i < 10; i++)
    g_dbus_method_invocation_return_value (g_ptr_array_remove_index (self->held, 0), NULL);
  WAIT_UNTIL (self->held->len == 64);
  for (guint i = 0; i < 10; i++)
    WAIT_UNTIL (results[i].n == 1);
  g_clear_pointer (&self->client, swarm_bus_free);
  for (guint i = 0; i < n; i++) {
    g_assert_cmpuint (results[i].n, ==, 1);
    result_clear (&results[i]);
  }
}

static void
test_bus_dies (Fixture *self, gconstpointer data)
{
  Result results[100] = { { 0 } }, late = { 0 };

  for (guint i = 0; i < 100; i++)
    call (self, "Hold", NULL, &results[i]);
  WAIT_UNTIL (self->held->len == 64);
  kill (self->bus->pid, SIGKILL);
  waitpid (self->bus->pid, NULL, 0);
  self->bus->pid = 0;
  for (guint i = 0; i < 100; i++)
    expect_error (&results[i], i < 64 ? SWARM_ERROR_UNKNOWN : SWARM_ERROR_UNAVAILABLE, "");
  call (self, "Hold", NULL, &late);
  expect_error (&late, SWARM_ERROR_UNAVAILABLE, "closed");
}

typedef struct {
  Fixture *fixture;
  gboolean done;
} Sync;

static void
test_sync (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) reply
    = swarm_bus_call_sync (self->client, PEER, PATH, PEER, "Echo", g_variant_new ("(v)", g_variant_new_int32 (5)), -1, NULL, &error);
  g_autoptr (GVariant) opened = NULL;
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  text = g_variant_print (reply, FALSE);
  g_assert_cmpstr (text, ==, "(<5>,)");
  g_assert_true (self->interactive);
  opened = swarm_bus_call_sync (self->client, PEER, PATH, PEER, "Open", NULL, -1, &fds, &error);
  g_assert_no_error (error);
  g_assert_nonnull (fds);
  g_assert_null (swarm_bus_call_sync (self->client, PEER, PATH, PEER, "Fail", g_variant_new ("(s)", "a.b"), -1, NULL, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED);
}

static void
blocking_from_within (GVariant *reply, GUnixFDList *fds, const GError *from, gpointer data)
{
  Sync *sync = data;
  g_autoptr (GError) error = NULL;

  g_assert_null (swarm_bus_call_sync (sync->fixture->client, PEER, PATH, PEER, "Hold", NULL, -1, NULL, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED);
  sync->done = TRUE;
}

/* libdbus would hang; we say so. */
static void
test_sync_from_within (Fixture *self, gconstpointer data)
{
  Sync sync = { self, FALSE };

  swarm_bus_call (self->client, PEER, PATH, PEER, "Open", NULL, -1, NULL, blocking_from_within, &sync);
  WAIT_UNTIL (sync.done);
}

/* ---- signals ---- */

typedef struct {
  SwarmBus *bus;
  guint id;
  guint n;
  char *last;
} Heard;

static void
heard (const char *sender, const char *path, const char *member, GVariant *args, gpointer data)
{
  Heard *self = data;

  self->n++;
  g_free (self->last);
  self->last = g_variant_print (args, FALSE);
  if (self->id != 0) /* leaves after the first */
    swarm_bus_unsubscribe (self->bus, self->id);
}

static void
emit (GDBusConnection *connection, const char *destination, const char *member, const char *text)
{
  g_dbus_connection_emit_signal (connection, destination, PATH, PEER, member, g_variant_new ("(s)", text), NULL);
}

static void
sync_up (Fixture *self)
{
  Result result = { 0 };

  call (self, "Open", NULL, &result);
  WAIT_UNTIL (result.n > 0);
  result_clear (&result);
}

static void
test_signals (Fixture *self, gconstpointer data)
{
  GDBusConnection *stranger = test_bus_connect (self->bus);
  Heard all = { 0 }, one = { 0 }, only_b = { 0 }, twice[2] = { { 0 }, { 0 } };
  guint ids[2];

  ids[0] = swarm_bus_subscribe (self->client, PEER, PATH, PEER, NULL, heard, &all);
  one.bus = self->client;
  one.id = swarm_bus_subscribe (self->client, PEER, PATH, PEER, "Said", heard, &one);
  ids[1] = swarm_bus_subscribe_arg0 (self->client, g_dbus_connection_get_unique_name (self->peer), NULL, PEER, "Said", "b", heard,
                                     &only_b);
  sync_up (self);
  emit (self->peer, NULL, "Said", "a");
  emit (self->peer, NULL, "Said", "b");
  emit (self->peer, NULL, "Sang", "c");
  WAIT_UNTIL (all.n == 3);
  g_assert_cmpuint (one.n, ==, 1);
  g_assert_cmpuint (only_b.n, ==, 1);
  g_assert_cmpstr (only_b.last, ==, "('b',)");
  /* Nobody else speaks for the name, not even directly to us. */
  emit (stranger, swarm_bus_unique_name (self->client), "Said", "b");
  emit (self->peer, NULL, "Said", "d");
  WAIT_UNTIL (g_strcmp0 (all.last, "('d',)") == 0);
  g_assert_cmpuint (all.n, ==, 4);
  g_assert_cmpuint (only_b.n, ==, 1);
  /* The name's next owner does. */
  request_name (self->peer, "ReleaseName", PEER);
  request_name (stranger, "RequestName", PEER);
  emit (self->peer, NULL, "Said", "old");
  emit (stranger, NULL, "Said", "new");
  WAIT_UNTIL (g_strcmp0 (all.last, "('new',)") == 0);
  g_assert_cmpuint (all.n, ==, 5);
  swarm_bus_unsubscribe (self->client, ids[0]);
  swarm_bus_unsubscribe (self->client, ids[1]);
  emit (stranger, NULL, "Said", "unheard");
  test_bus_run_for (30);
  g_assert_cmpuint (all.n, ==, 5);
  /* The same rule twice. */
  ids[0] = swarm_bus_subscribe (self->client, PEER, PATH, PEER, "Said", heard, &twice[0]);
  ids[1] = swarm_bus_subscribe (self->client, PEER, PATH, PEER, "Said", heard, &twice[1]);
  swarm_bus_unsubscribe (self->client, ids[0]);
  request_name (stranger, "ReleaseName", PEER);
  request_name (self->peer, "RequestName", PEER);
  sync_up (self);
  emit (self->peer, NULL, "Said", "still");
  WAIT_UNTIL (twice[1].n == 1);
  g_assert_cmpuint (twice[0].n, ==, 0);
  g_free (all.last);
  g_free (one.last);
  g_free (only_b.last);
  g_free (twice[1].last);
  g_dbus_connection_close_sync (stranger, NULL, NULL);
  g_object_unref (stranger);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/bus/client/" path, Fixture, NULL, setup, func, teardown)
  ADD ("calls", test_calls);
  ADD ("cancel", test_cancel);
  ADD ("in-flight", test_in_flight);
  ADD ("bus-dies", test_bus_dies);
  ADD ("sync", test_sync);
  ADD ("sync-from-within", test_sync_from_within);
  ADD ("signals", test_signals);
  return g_test_run ();
}
