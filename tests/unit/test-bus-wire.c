// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tables over the second door: links between nodes, and bus calls that another manager relays. */
#include "base/clock-glib.h"
#include "bus-things.h"
#include "bus/wire.h"

#define MANAGER "org.swarmagent1.Manager"
#define NODE "org.swarmagent1.Node"
#define WIRE "org.swarmagent1.Wire"

typedef struct {
  World world;
  SwarmLink *caller, *served;
  SwarmPeerRole role;
  guint done;
  char *answer; /* text, or the error's */
  int code;     /* -1: no error */
  gboolean take_over;
  SwarmInvocation *kept; /* taken over, to run after all */
  gboolean keep;
  guint filtered;
  GString *trail;
} Fixture;

static void
audit (SwarmInvocation *invocation, SwarmAuditResult result, GVariant *value, const GError *error, gpointer data)
{
  Fixture *self = (Fixture *) ((char *) data - G_STRUCT_OFFSET (Fixture, world));

  g_string_append_printf (self->trail, "%s %d %s\n", swarm_invocation_method (invocation)->name, result, error != NULL ? error->message : "-");
}

static gboolean
filter (SwarmInvocation *invocation, gpointer data)
{
  Fixture *self = (Fixture *) ((char *) data - G_STRUCT_OFFSET (Fixture, world));

  self->filtered++;
  if (self->keep) {
    self->kept = invocation;
    self->keep = FALSE;
    return TRUE;
  }
  if (self->take_over)
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_NOT_MANAGER, "taken over");
  return self->take_over;
}

static void
incoming (SwarmLink *link, SwarmCall *call, gpointer data)
{
  Fixture *self = data;

  swarm_bus_wire_call (test_kinds, &self->world, NULL, call, filter, audit);
}

static const SwarmLinkEvents served_events = { NULL, NULL, incoming };

static void
setup (Fixture *self, gconstpointer role)
{
  SwarmPeer caller = { .role = (SwarmPeerRole) GPOINTER_TO_UINT (role) }, server = { .role = SWARM_PEER_MANAGER };

  world_init (&self->world);
  self->trail = g_string_new (NULL);
  world_add (&self->world, "one");
  swarm_link_pair (swarm_clock_glib (), &caller, &server, &self->caller, &self->served);
  swarm_link_set_events (self->served, &served_events, self);
  self->code = -1;
}

static void
teardown (Fixture *self, gconstpointer data)
{
  swarm_link_close (self->caller, NULL);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  swarm_link_unref (self->caller);
  swarm_link_unref (self->served);
  world_clear (&self->world);
  g_free (self->answer);
  g_string_free (self->trail, TRUE);
}

static void
answered (GVariant *reply, const GError *error, gpointer data)
{
  Fixture *self = data;

  self->done++;
  g_free (self->answer);
  self->answer = error != NULL ? g_strdup (error->message) : g_variant_print (reply, FALSE);
  self->code = error != NULL ? error->code : -1;
}

static void
wait_answer (Fixture *self)
{
  while (self->done == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (self->done, ==, 1);
  self->done = 0;
}

static void
expect (Fixture *self, const char *path, const char *iface, const char *member, GVariant *args, int code, const char *part)
{
  swarm_link_call_at (self->caller, path, iface, member, args, 5 * G_USEC_PER_SEC, answered, self);
  wait_answer (self);
  g_assert_cmpint (self->code, ==, code);
  if (strstr (self->answer, part) == NULL)
    g_error ("'%s' does not contain '%s'", self->answer, part);
}

/* A filter that took a call over lets it run: here, or as it decides then. */
static void
test_run_after_all (Fixture *self, gconstpointer role)
{
  for (guint here = 0; here < 2; here++) {
    self->keep = TRUE;
    swarm_link_call_at (self->caller, "/org/swarmagent1", MANAGER, "Info", NULL, 5 * G_USEC_PER_SEC, answered, self);
    while (self->kept == NULL)
      g_main_context_iteration (NULL, TRUE);
    g_assert_cmpuint (self->done, ==, 0);
    self->take_over = here == 1; /* is not asked */
    swarm_invocation_run (g_steal_pointer (&self->kept), here == 1);
    wait_answer (self);
    g_assert_cmpstr (self->answer, ==, "('hello',)");
    g_assert_cmpuint (self->filtered, ==, here == 0 ? 2 : 3);
  }
}

static void
test_manager (Fixture *self, gconstpointer role)
{
  expect (self, "/org/swarmagent1", MANAGER, "Info", NULL, -1, "('hello',)");
  expect (self, SWARM_LINK_PATH, WIRE, "Secret", NULL, -1, "('psst',)");
  expect (self, "/org/swarmagent1", MANAGER, "Info", g_variant_new ("(u)", 1), SWARM_ERROR_INVALID_ARGUMENT, "takes arguments (), not (u)");
  expect (self, "/org/swarmagent1", MANAGER, "Nothing", NULL, SWARM_ERROR_NOT_SUPPORTED, "Nothing");
  expect (self, "/org/swarmagent1/node/two", NODE, "Update", g_variant_new ("(s)", "x"), SWARM_ERROR_ACCESS_DENIED, "may not call Update");
  expect (self, "/org/swarmagent1/other", NODE, "Update", NULL, SWARM_ERROR_NOT_FOUND, "no such object");
  expect (self, "/org/swarmagent1", MANAGER, "Open", NULL, SWARM_ERROR_ACCESS_DENIED, "a manager may not call Open");
  expect (self, "/org/swarmagent1", MANAGER, "Wrong", NULL, SWARM_ERROR_FAILED, "internal error");
  g_assert_cmpuint (self->world.ran, ==, 2);
  g_assert_cmpuint (self->filtered, ==, 3);
  self->take_over = TRUE;
  expect (self, "/org/swarmagent1", MANAGER, "Info", NULL, SWARM_ERROR_NOT_MANAGER, "taken over");
}

static void
test_worker (Fixture *self, gconstpointer role)
{
  expect (self, "/org/swarmagent1", MANAGER, "Info", NULL, -1, "('hello',)");
  expect (self, SWARM_LINK_PATH, WIRE, "Secret", NULL, SWARM_ERROR_ACCESS_DENIED, "a worker may not call Secret");
}

static void
test_joining (Fixture *self, gconstpointer role)
{
  expect (self, "/org/swarmagent1", MANAGER, "Info", NULL, SWARM_ERROR_ACCESS_DENIED, "without a certificate");
  expect (self, SWARM_LINK_PATH, WIRE, "Secret", NULL, SWARM_ERROR_ACCESS_DENIED, "without a certificate");
  g_assert_cmpuint (self->world.ran, ==, 0);
}

static void
test_late (Fixture *self, gconstpointer role)
{
  swarm_link_call_at (self->caller, "/org/swarmagent1", MANAGER, "Hold", NULL, 5 * G_USEC_PER_SEC, answered, self);
  while (self->world.held == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (swarm_invocation_link (self->world.held) == self->served);
  g_assert_false (swarm_invocation_caller (self->world.held)->on_bus);
  world_answer (&self->world, self->world.held, "late");
  wait_answer (self);
  g_assert_cmpstr (self->answer, ==, "('late',)");
}

static void
relay (Fixture *self, const char *path, const char *iface, const char *member, GVariant *args, SwarmAction action, int code,
       const char *part)
{
  g_autoptr (GVariant) sunk = g_variant_ref_sink (args);
  SwarmCaller caller = { .uid = 1000, .action = action, .request_id = (char *) "request-1" };

  swarm_bus_relay_call (test_kinds, &self->world, path, iface, member, sunk, &caller, NULL, audit, answered, self);
  wait_answer (self);
  g_assert_cmpint (self->code, ==, code);
  if (strstr (self->answer, part) == NULL)
    g_error ("'%s' does not contain '%s'", self->answer, part);
}

static void
test_relay (Fixture *self, gconstpointer role)
{
  const char *one = "/org/swarmagent1/node/one";

  relay (self, one, NODE, "Update", g_variant_new ("(s)", "busy"), SWARM_ACTION_MANAGE_NODES, -1, "()");
  g_assert_cmpstr (world_find (&self->world, "one")->state, ==, "busy");
  g_assert_cmpuint (self->world.last_uid, ==, 1000);
  g_assert_cmpstr (self->world.last_request_id, ==, "request-1");
  relay (self, one, NODE, "Update", g_variant_new ("(s)", "busy"), SWARM_ACTION_READ, SWARM_ERROR_ACCESS_DENIED, "another authorisation");
  relay (self, one, NODE, "Update", g_variant_new ("(u)", 1), SWARM_ACTION_MANAGE_NODES, SWARM_ERROR_INVALID_ARGUMENT, "takes arguments");
  relay (self, one, NODE, "Update", g_variant_new ("(s)", ""), SWARM_ACTION_MANAGE_NODES, SWARM_ERROR_INVALID_ARGUMENT, "no state");
  relay (self, "/org/swarmagent1/node/two", NODE, "Update", g_variant_new ("(s)", "x"), SWARM_ACTION_MANAGE_NODES, SWARM_ERROR_NOT_FOUND,
         "two");
  relay (self, "/org/swarmagent1", MANAGER, "Info", g_variant_new ("()"), SWARM_ACTION_PUBLIC, SWARM_ERROR_NOT_SUPPORTED, "relayed");
  relay (self, "/org/swarmagent1", MANAGER, "Open", g_variant_new ("()"), SWARM_ACTION_PUBLIC, SWARM_ERROR_NOT_SUPPORTED, "relayed");
  relay (self, SWARM_LINK_PATH, WIRE, "Secret", g_variant_new ("()"), SWARM_ACTION_WIRE_ONLY, SWARM_ERROR_NOT_SUPPORTED, "relayed");
  /* Once for each that was run. */
  g_assert_cmpstr (self->trail->str, ==, "Update 0 -\nUpdate 1 no state given\nUpdate 1 no such object: /org/swarmagent1/node/two\n");
}

/* Between nodes only what writes leaves a trail. */
static void
test_trail (Fixture *self, gconstpointer role)
{
  expect (self, SWARM_LINK_PATH, WIRE, "Secret", NULL, -1, "");
  g_assert_cmpstr (self->trail->str, ==, "");
  expect (self, SWARM_LINK_PATH, WIRE, "Write", NULL, -1, "");
  expect (self, SWARM_LINK_PATH, WIRE, "Write", NULL, -1, "");
  g_assert_cmpstr (self->trail->str, ==, "Write 0 -\nWrite 0 -\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, role, func) g_test_add ("/bus/wire/" path, Fixture, GUINT_TO_POINTER (role), setup, func, teardown)
  ADD ("manager", SWARM_PEER_MANAGER, test_manager);
  ADD ("run-after-all", SWARM_PEER_MANAGER, test_run_after_all);
  ADD ("worker", SWARM_PEER_WORKER, test_worker);
  ADD ("joining", SWARM_PEER_NONE, test_joining);
  ADD ("late", SWARM_PEER_MANAGER, test_late);
  ADD ("relay", SWARM_PEER_MANAGER, test_relay);
  ADD ("trail", SWARM_PEER_MANAGER, test_trail);
  return g_test_run ();
}
