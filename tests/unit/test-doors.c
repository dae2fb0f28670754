// SPDX-License-Identifier: LGPL-2.1-or-later
/* Least privilege on the wire: what a worker, and a host without certificate, may call is these methods and no other. A new one must be
 * written down here, on purpose. */
#include "api/api.h"
#include <string.h>

static char *
rows_for (SwarmRoles role)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  GString *text = g_string_new (NULL);

  for (const SwarmBusKind *const *kind = swarm_api_wire_kinds (); *kind != NULL; kind++)
    for (const SwarmBusInterface *const *iface = (*kind)->interfaces; *iface != NULL; iface++) {
      if (!g_hash_table_add (seen, (gpointer) *iface))
        continue;
      for (const SwarmBusMethod *row = (*iface)->methods; row != NULL && row->name != NULL; row++)
        if ((row->roles & role) != 0)
          g_string_append_printf (text, "%s.%s\n", (*iface)->name + strlen ("org.swarmagent1."), row->name);
    }
  return g_string_free (text, FALSE);
}

static void
test_worker (void)
{
  g_autofree char *rows = rows_for (SWARM_ROLES_WORKER);

  g_assert_cmpstr (rows, ==,
                   "Dispatcher.Register\nDispatcher.Heartbeat\nDispatcher.Describe\nDispatcher.UpdateTaskStatus\nDispatcher.Attach\n"
                   "Dispatcher.Detach\nDispatcher.Goodbye\n"
                   "CA.GetRootCA\nCA.Renew\nCA.Withdraw\n");
}

static void
test_joining (void)
{
  g_autofree char *rows = rows_for (SWARM_ROLES_JOINING);

  g_assert_cmpstr (rows, ==, "CA.GetRootCA\nCA.Issue\n");
}

/* What changes something between nodes leaves a trail, and so does what is told only to those who may more than read. */
static void
test_trail (void)
{
  static const char *const untold[] = { "Register", "Heartbeat", "Describe", "UpdateTaskStatus", "Goodbye", "GetRootCA", "Message", "Call", "Read", NULL };

  for (const SwarmBusKind *const *kind = swarm_api_wire_kinds (); *kind != NULL; kind++)
    for (const SwarmBusInterface *const *iface = (*kind)->interfaces; *iface != NULL; iface++)
      for (const SwarmBusMethod *row = (*iface)->methods; row != NULL && row->name != NULL; row++)
        if (row->action == SWARM_ACTION_WIRE_ONLY && (row->flags & SWARM_METHOD_WRITE) == 0 && !g_strv_contains (untold, row->name))
          g_error ("%s.%s: is it to leave no trail?", (*iface)->name, row->name);
        else if ((row->flags & SWARM_METHOD_WRITE) != 0 && (row->action == SWARM_ACTION_READ || row->action == SWARM_ACTION_PUBLIC))
          g_error ("%s.%s changes something and asks for no more than reading", (*iface)->name, row->name);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/doors/worker", test_worker);
  g_test_add_func ("/doors/joining", test_joining);
  g_test_add_func ("/doors/trail", test_trail);
  return g_test_run ();
}
