// SPDX-License-Identifier: LGPL-2.1-or-later
/* A small world of objects for the tests of the bus: a manager, nodes, tasks on demand, a wire-only object. */
#pragma once
#include "base/error.h"
#include "bus/bus.h"
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  char *id;
  char *state;
  guint count;
} Thing;

typedef struct {
  SwarmBus *bus;
  GPtrArray *nodes; /* Thing */
  SwarmInvocation *held; /* the last Hold */
  GPtrArray *all_held;   /* not answered */
  gboolean no_manager;
  guint ran; /* handlers that ran */
  guint32 last_uid;
  char *last_request_id;
} World;

static inline void
thing_free (gpointer data)
{
  Thing *thing = data;

  g_free (thing->id);
  g_free (thing->state);
  g_free (thing);
}

static inline Thing *
world_add (World *world, const char *id)
{
  Thing *thing = g_new0 (Thing, 1);

  thing->id = g_strdup (id);
  thing->state = g_strdup ("ready");
  g_ptr_array_add (world->nodes, thing);
  return thing;
}

static inline Thing *
world_find (World *world, const char *id)
{
  for (guint i = 0; i < world->nodes->len; i++)
    if (strcmp (((Thing *) world->nodes->pdata[i])->id, id) == 0)
      return world->nodes->pdata[i];
  return NULL;
}

static inline void
world_init (World *world)
{
  memset (world, 0, sizeof *world);
  world->nodes = g_ptr_array_new_with_free_func (thing_free);
  world->all_held = g_ptr_array_new ();
}

/* ---- handlers ---- */

static inline void
note_call (SwarmInvocation *invocation)
{
  World *world = swarm_invocation_data (invocation);

  world->ran++;
  world->last_uid = swarm_invocation_caller (invocation)->uid;
  g_free (world->last_request_id);
  world->last_request_id = g_strdup (swarm_invocation_caller (invocation)->request_id);
}

static inline void
manager_info (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  note_call (invocation);
  swarm_invocation_return (invocation, g_variant_new ("(s)", "hello"));
}

static inline void
manager_echo (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  swarm_invocation_return (invocation, args);
}

static inline void
manager_hold (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  World *world = swarm_invocation_data (invocation);

  g_ptr_array_add (world->all_held, world->held = invocation);
}

static inline void
world_answer (World *world, SwarmInvocation *invocation, const char *text)
{
  g_ptr_array_remove (world->all_held, invocation);
  world->held = NULL;
  swarm_invocation_return (invocation, g_variant_new ("(s)", text));
}

static inline void
world_clear (World *world)
{
  while (world->all_held->len > 0)
    world_answer (world, world->all_held->pdata[0], "");
  g_ptr_array_unref (world->all_held);
  g_ptr_array_unref (world->nodes);
  g_free (world->last_request_id);
}

static inline void
manager_open (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  int pipes[2];

  g_assert_true (g_unix_open_pipe (pipes, FD_CLOEXEC, NULL));
  g_assert_cmpint (write (pipes[1], "through", 7), ==, 7);
  g_unix_fd_list_append (fds, pipes[0], NULL);
  close (pipes[0]);
  close (pipes[1]);
  swarm_invocation_return_fds (invocation, g_variant_new ("(h)", 0), fds);
}

static inline void
manager_wrong (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  swarm_invocation_return (invocation, g_variant_new ("(u)", 1));
}

static inline void
node_update (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  World *world = swarm_invocation_data (invocation);
  Thing *thing = object;
  const char *state;

  note_call (invocation);
  g_variant_get (args, "(&s)", &state);
  if (*state == '\0') {
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_INVALID_ARGUMENT, "no state given");
    return;
  }
  g_free (thing->state);
  thing->state = g_strdup (state);
  if (swarm_invocation_caller (invocation)->on_bus)
    swarm_bus_emit_changed (world->bus, swarm_invocation_path (invocation), "org.swarmagent1.Node", NULL, TRUE);
  swarm_invocation_return (invocation, NULL);
}

static inline void
node_update_details (gpointer object, GVariant *args, GHashTable *details)
{
  g_hash_table_insert (details, g_strdup ("node"), g_strdup (((Thing *) object)->id));
}

static inline void
wire_secret (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  note_call (invocation);
  swarm_invocation_return (invocation, g_variant_new ("(s)", "psst"));
}

static inline GVariant *
node_get_id (gpointer object, gpointer data)
{
  return g_variant_new_string (((Thing *) object)->id);
}

static inline GVariant *
node_get_state (gpointer object, gpointer data)
{
  return g_variant_new_string (((Thing *) object)->state);
}

static inline GVariant *
node_get_count (gpointer object, gpointer data)
{
  return g_variant_new_uint32 (((Thing *) object)->count);
}

static inline GVariant *
node_get_absent (gpointer object, gpointer data)
{
  return NULL;
}

static inline GVariant *
manager_get_version (gpointer object, gpointer data)
{
  return g_variant_new_string ("1.2");
}

/* ---- tables ---- */

static const SwarmBusMethod manager_methods[] = {
  { "Info", NULL, "s:text", manager_info, SWARM_ACTION_PUBLIC, SWARM_ROLES_MEMBER, SWARM_METHOD_LOCAL, NULL, "Says <hello> & more." },
  { "Echo", "v:value", "v:value", manager_echo, SWARM_ACTION_PUBLIC, SWARM_ROLES_MEMBER, 0, NULL, "Gives back." },
  { "Hold", NULL, "s:text", manager_hold, SWARM_ACTION_PUBLIC, SWARM_ROLES_MANAGER, 0, NULL, "Answers later." },
  { "Open", NULL, "h:pipe", manager_open, SWARM_ACTION_PUBLIC, SWARM_ROLES_BUS_ONLY, 0, NULL, "Opens." },
  { "Wrong", NULL, "s:text", manager_wrong, SWARM_ACTION_PUBLIC, SWARM_ROLES_MEMBER, 0, NULL, "Answers with the wrong type." },
  { "ListNodes", NULL, "s:text", manager_info, SWARM_ACTION_READ, SWARM_ROLES_BUS_ONLY, 0, NULL, "Reads." },
  { NULL },
};
static const SwarmBusProperty manager_properties[] = {
  { "Version", "s", manager_get_version, TRUE, "The version." },
  { NULL },
};
static const SwarmBusInterface manager_iface = { "org.swarmagent1.Manager", manager_methods, manager_properties, NULL, "The manager." };

static const SwarmBusMethod node_methods[] = {
  { "Update", "s:state", NULL, node_update, SWARM_ACTION_MANAGE_NODES, SWARM_ROLES_BUS_ONLY, SWARM_METHOD_WRITE, node_update_details,
    "Sets the state." },
  { "Remove", "s:state", NULL, node_update, SWARM_ACTION_PROMOTE_NODE, SWARM_ROLES_BUS_ONLY, SWARM_METHOD_WRITE, NULL, "Other." },
  { NULL },
};
static const SwarmBusProperty node_properties[] = {
  { "Id", "s", node_get_id, TRUE, "The id." },
  { "State", "s", node_get_state, FALSE, "The state." },
  { "Count", "u", node_get_count, FALSE, "A count." },
  { "Absent", "s", node_get_absent, FALSE, "Never there." },
  { NULL },
};
static const SwarmBusSignal node_signals[] = {
  { "Moved", "s:from s:to", "It moved." },
  { NULL },
};
static const SwarmBusInterface node_iface = { "org.swarmagent1.Node", node_methods, node_properties, node_signals, "A node." };

static const SwarmBusMethod wire_methods[] = {
  { "Secret", NULL, "s:text", wire_secret, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MANAGER, 0, NULL, "Between nodes." },
  { "Write", NULL, "s:text", wire_secret, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE, NULL, "Changes something." },
  { NULL },
};
static const SwarmBusInterface wire_iface = { "org.swarmagent1.Wire", wire_methods, NULL, NULL, "Between nodes." };

static inline gpointer
find_root (const char *tail, gpointer data)
{
  return data;
}

static inline gpointer
find_node (const char *tail, gpointer data)
{
  return world_find (data, tail);
}

static inline void
each_node (gpointer data, SwarmBusEachFunc func, gpointer each_data)
{
  World *world = data;

  for (guint i = 0; i < world->nodes->len; i++)
    func (((Thing *) world->nodes->pdata[i])->id, world->nodes->pdata[i], each_data);
}

static inline GError *
absent_thing (gpointer data)
{
  World *world = data;

  return world->no_manager ? g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NOT_MANAGER, "ask a manager") : NULL;
}

static const SwarmBusInterface *const manager_ifaces[] = { &manager_iface, NULL };
static const SwarmBusInterface *const node_ifaces[] = { &node_iface, NULL };
static const SwarmBusInterface *const wire_ifaces[] = { &wire_iface, NULL };
static const SwarmBusKind manager_kind = { "/org/swarmagent1", manager_ifaces, find_root, NULL };
static const SwarmBusKind node_kind = { "/org/swarmagent1/node/", node_ifaces, find_node, each_node, absent_thing };
static const SwarmBusKind task_kind = { "/org/swarmagent1/task/", node_ifaces, find_node, NULL };
static const SwarmBusKind wire_kind = { SWARM_LINK_PATH, wire_ifaces, find_root, NULL };
static const SwarmBusKind *const test_kinds[] = { &manager_kind, &node_kind, &task_kind, &wire_kind, NULL };
