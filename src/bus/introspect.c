// SPDX-License-Identifier: LGPL-2.1-or-later
/* Introspection data, generated from the tables (D-Bus specification, "Introspection Data Format"). */
#include "bus/private.h"
#include <string.h>

#define DOC "org.gtk.GDBus.DocString"
#define EMITS "org.freedesktop.DBus.Property.EmitsChangedSignal"
#define ACTION "org.swarmagent1.PolkitAction"

static const char standard_xml[] =
  "  <interface name=\"" DBUS_INTERFACE_INTROSPECTABLE "\">\n"
  "    <method name=\"Introspect\">\n"
  "      <arg type=\"s\" name=\"xml_data\" direction=\"out\"/>\n"
  "    </method>\n"
  "  </interface>\n"
  "  <interface name=\"" DBUS_INTERFACE_PEER "\">\n"
  "    <method name=\"Ping\"/>\n"
  "    <method name=\"GetMachineId\">\n"
  "      <arg type=\"s\" name=\"machine_uuid\" direction=\"out\"/>\n"
  "    </method>\n"
  "  </interface>\n";

static const char properties_xml[] =
  "  <interface name=\"" DBUS_INTERFACE_PROPERTIES "\">\n"
  "    <method name=\"Get\">\n"
  "      <arg type=\"s\" name=\"interface_name\" direction=\"in\"/>\n"
  "      <arg type=\"s\" name=\"property_name\" direction=\"in\"/>\n"
  "      <arg type=\"v\" name=\"value\" direction=\"out\"/>\n"
  "    </method>\n"
  "    <method name=\"GetAll\">\n"
  "      <arg type=\"s\" name=\"interface_name\" direction=\"in\"/>\n"
  "      <arg type=\"a{sv}\" name=\"props\" direction=\"out\"/>\n"
  "    </method>\n"
  "    <method name=\"Set\">\n"
  "      <arg type=\"s\" name=\"interface_name\" direction=\"in\"/>\n"
  "      <arg type=\"s\" name=\"property_name\" direction=\"in\"/>\n"
  "      <arg type=\"v\" name=\"value\" direction=\"in\"/>\n"
  "    </method>\n"
  "    <signal name=\"PropertiesChanged\">\n"
  "      <arg type=\"s\" name=\"interface_name\"/>\n"
  "      <arg type=\"a{sv}\" name=\"changed_properties\"/>\n"
  "      <arg type=\"as\" name=\"invalidated_properties\"/>\n"
  "    </signal>\n"
  "  </interface>\n";

static const char object_manager_xml[] =
  "  <interface name=\"" SWARM_BUS_OBJECT_MANAGER "\">\n"
  "    <method name=\"GetManagedObjects\">\n"
  "      <arg type=\"a{oa{sa{sv}}}\" name=\"objects\" direction=\"out\"/>\n"
  "    </method>\n"
  "    <signal name=\"InterfacesAdded\">\n"
  "      <arg type=\"o\" name=\"object_path\"/>\n"
  "      <arg type=\"a{sa{sv}}\" name=\"interfaces\"/>\n"
  "    </signal>\n"
  "    <signal name=\"InterfacesRemoved\">\n"
  "      <arg type=\"o\" name=\"object_path\"/>\n"
  "      <arg type=\"as\" name=\"interfaces\"/>\n"
  "    </signal>\n"
  "  </interface>\n";

static void
annotation (GString *out, const char *indent, const char *name, const char *value)
{
  g_autofree char *escaped = g_markup_escape_text (value, -1);

  g_string_append_printf (out, "%s<annotation name=\"%s\" value=\"%s\"/>\n", indent, name, escaped);
}

static void
append_args (GString *out, const char *args, const char *direction)
{
  SwarmBusArg arg;

  while (swarm_bus_arg_next (&args, &arg)) {
    g_string_append_printf (out, "      <arg type=\"%.*s\" name=\"%.*s\"", (int) arg.signature_len, arg.signature, (int) arg.name_len,
                            arg.name);
    if (direction != NULL)
      g_string_append_printf (out, " direction=\"%s\"", direction);
    g_string_append (out, "/>\n");
  }
}

static void
append_methods (GString *out, const SwarmBusInterface *iface, gboolean wire)
{
  for (const SwarmBusMethod *row = iface->methods; row != NULL && row->name != NULL; row++) {
    if (row->action == SWARM_ACTION_WIRE_ONLY && !wire)
      continue;
    g_string_append_printf (out, "    <method name=\"%s\">\n", row->name);
    annotation (out, "      ", DOC, row->doc);
    if (swarm_action_to_string (row->action) != NULL)
      annotation (out, "      ", ACTION, swarm_action_to_string (row->action));
    append_args (out, row->in, "in");
    append_args (out, row->out, "out");
    g_string_append (out, "    </method>\n");
  }
}

static void
append_properties (GString *out, const SwarmBusInterface *iface)
{
  for (const SwarmBusProperty *row = iface->properties; row != NULL && row->name != NULL; row++) {
    g_string_append_printf (out, "    <property name=\"%s\" type=\"%s\" access=\"read\">\n", row->name, row->signature);
    annotation (out, "      ", DOC, row->doc);
    if (row->constant)
      annotation (out, "      ", EMITS, "const");
    g_string_append (out, "    </property>\n");
  }
}

static void
append_signals (GString *out, const SwarmBusInterface *iface)
{
  for (const SwarmBusSignal *row = iface->signals; row != NULL && row->name != NULL; row++) {
    g_string_append_printf (out, "    <signal name=\"%s\">\n", row->name);
    annotation (out, "      ", DOC, row->doc);
    append_args (out, row->args, NULL);
    g_string_append (out, "    </signal>\n");
  }
}

static void
append_interface (GString *out, const SwarmBusInterface *iface, gboolean wire)
{
  g_string_append_printf (out, "  <interface name=\"%s\">\n", iface->name);
  annotation (out, "    ", DOC, iface->doc);
  append_methods (out, iface, wire);
  append_properties (out, iface);
  append_signals (out, iface);
  g_string_append (out, "  </interface>\n");
}

char *
swarm_bus_interface_xml (const SwarmBusInterface *iface)
{
  GString *out = g_string_new (DBUS_INTROSPECT_1_0_XML_DOCTYPE_DECL_NODE);

  g_string_append (out, "<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->\n"
                        "<!-- Generated from the interface table; do not edit. -->\n<node>\n");
  append_interface (out, iface, TRUE);
  g_string_append (out, "</node>\n");
  return g_string_free (out, FALSE);
}

/* ---- the tree ---- */

typedef struct {
  GString *out;
  GHashTable *seen; /* child names */
  guint left;
} Children;

static void
add_child (Children *self, const char *name, gsize length)
{
  g_autofree char *child = g_strndup (name, length);

  if (self->left == 0 || g_hash_table_contains (self->seen, child))
    return;
  self->left--;
  g_string_append_printf (self->out, "  <node name=\"%s\"/>\n", child);
  g_hash_table_add (self->seen, g_steal_pointer (&child));
}

static void
add_listed (const char *tail, gpointer object, gpointer data)
{
  add_child (data, tail, strlen (tail));
}

/* The part of @kind's path below @path, NULL when it does not lie below. */
static const char *
part_below (const SwarmBusKind *kind, const char *path)
{
  gsize length = strcmp (path, "/") == 0 ? 0 : strlen (path);

  if (strncmp (kind->path, path, length) != 0 || kind->path[length] != '/')
    return NULL;
  return kind->path + length + 1;
}

static guint
append_children (GString *out, const SwarmBusKind *const *kinds, gpointer data, const char *path)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  Children self = { out, seen, SWARM_BUS_MAX_MANAGED };
  guint below = 0;

  for (guint i = 0; kinds[i] != NULL; i++) {
    const char *rest = part_below (kinds[i], path);

    if (rest == NULL || !swarm_bus_kind_on_bus (kinds[i]) || (*rest == '\0' && strcmp (path, "/") == 0))
      continue;
    below++;
    if (*rest != '\0')
      add_child (&self, rest, strcspn (rest, "/"));
    else if (kinds[i]->each != NULL)
      kinds[i]->each (data, add_listed, &self);
  }
  return below;
}

char *
swarm_bus_introspect (SwarmBus *self, const SwarmBusKind *kind, const char *path)
{
  gboolean is_root = g_strcmp0 (path, self->root) == 0;
  GString *out = g_string_new (DBUS_INTROSPECT_1_0_XML_DOCTYPE_DECL_NODE "<node>\n");
  guint below;

  g_string_append (out, standard_xml);
  if (kind != NULL)
    g_string_append (out, properties_xml);
  if (is_root)
    g_string_append (out, object_manager_xml);
  for (guint i = 0; kind != NULL && kind->interfaces[i] != NULL; i++)
    if (swarm_bus_interface_on_bus (kind->interfaces[i]))
      append_interface (out, kind->interfaces[i], FALSE);
  below = append_children (out, self->kinds, self->data, path);
  g_string_append (out, "</node>\n");
  if (kind == NULL && below == 0 && !is_root) {
    g_string_free (out, TRUE);
    return NULL;
  }
  return g_string_free (out, FALSE);
}
