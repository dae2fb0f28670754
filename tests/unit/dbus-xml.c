// SPDX-License-Identifier: LGPL-2.1-or-later
/* dbus-xml DIR: writes dbus/<interface>.xml from the tables; dbus-xml --check DIR: compares. */
#include "api/api.h"
#include <string.h>

static gboolean
one (const SwarmBusInterface *iface, const char *dir, gboolean check)
{
  g_autofree char *name = g_strconcat (iface->name, ".xml", NULL), *path = g_build_filename (dir, name, NULL);
  g_autofree char *xml = swarm_bus_interface_xml (iface), *file = NULL;
  if (!check)
    return g_file_set_contents (path, xml, -1, NULL);
  if (g_file_get_contents (path, &file, NULL, NULL) && strcmp (file, xml) == 0)
    return TRUE;
  g_printerr ("%s differs from the tables; run dbus-xml on dbus/\n", path);
  return FALSE;
}

int
main (int argc, char **argv)
{
  gboolean check = argc == 3 && strcmp (argv[1], "--check") == 0, ok = argc >= 2;
  for (const SwarmBusKind *const *kind = swarm_api_bus_kinds (); ok && *kind != NULL; kind++)
    for (const SwarmBusInterface *const *iface = (*kind)->interfaces; *iface != NULL; iface++)
      ok = one (*iface, argv[argc - 1], check) && ok;
  g_autoptr (GError) error = NULL;
  if (!swarm_bus_tables_check (swarm_api_wire_kinds (), &error)) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  return ok ? 0 : 1;
}
