// SPDX-License-Identifier: LGPL-2.1-or-later
/* What objects show of themselves: property values and ObjectManager's list. */
#include "base/error.h"
#include "base/log.h"
#include "bus/private.h"
#include <string.h>

GVariant *
swarm_bus_property_value (const SwarmBusInterface *iface, const SwarmBusProperty *row, gpointer object, gpointer data)
{
  GVariant *value = row->get (object, data);

  if (value == NULL)
    return NULL;
  g_variant_ref_sink (value);
  if (strcmp (g_variant_get_type_string (value), row->signature) != 0) {
    swarm_warning ("Bug: property %s.%s has type %s, its row says %s", iface->name, row->name, g_variant_get_type_string (value),
                   row->signature);
    g_clear_pointer (&value, g_variant_unref);
  }
  return value;
}

GVariant *
swarm_bus_interface_properties (const SwarmBusInterface *iface, gpointer object, gpointer data)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  for (const SwarmBusProperty *row = iface->properties; row != NULL && row->name != NULL; row++) {
    g_autoptr (GVariant) value = swarm_bus_property_value (iface, row, object, data);

    if (value != NULL)
      g_variant_builder_add (&builder, "{sv}", row->name, value);
  }
  return g_variant_builder_end (&builder);
}

GVariant *
swarm_bus_object_interfaces (const SwarmBusKind *kind, gpointer object, gpointer data)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{sa{sv}}"));
  for (guint i = 0; kind->interfaces[i] != NULL; i++)
    if (swarm_bus_interface_on_bus (kind->interfaces[i]))
      g_variant_builder_add (&builder, "{s@a{sv}}", kind->interfaces[i]->name,
                             swarm_bus_interface_properties (kind->interfaces[i], object, data));
  return g_variant_builder_end (&builder);
}

/* ---- GetManagedObjects ---- */

typedef struct {
  const SwarmBusKind *kind;
  gpointer data;
  GVariantBuilder builder;
  guint n;
} Managed;

static void
count_object (const char *tail, gpointer object, gpointer data)
{
  ((Managed *) data)->n++;
}

static void
add_object (const char *tail, gpointer object, gpointer data)
{
  Managed *self = data;
  g_autofree char *path = g_strconcat (self->kind->path, tail, NULL);

  if (dbus_validate_path (path, NULL))
    g_variant_builder_add (&self->builder, "{o@a{sa{sv}}}", path, swarm_bus_object_interfaces (self->kind, object, self->data));
}

static void
each_object (Managed *self, const SwarmBusKind *kind, const char *root, SwarmBusEachFunc func)
{
  gsize length = strlen (kind->path);

  self->kind = kind;
  if (!swarm_bus_kind_on_bus (kind) || strcmp (kind->path, root) == 0)
    return;
  if (kind->path[length - 1] != '/') {
    gpointer object = kind->find ("", self->data);

    if (object != NULL)
      func ("", object, self);
  } else if (kind->each != NULL) {
    kind->each (self->data, func, self);
  }
}

static char *
list_methods (const SwarmBusKind *const *kinds)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; kinds[i] != NULL; i++)
    for (guint j = 0; kinds[i]->interfaces[j] != NULL; j++)
      for (const SwarmBusMethod *row = kinds[i]->interfaces[j]->methods; row != NULL && row->name != NULL; row++)
        if (g_str_has_prefix (row->name, "List"))
          g_string_append_printf (out, "%s%s", out->len > 0 ? ", " : "", row->name);
  return g_string_free (out, FALSE);
}

GVariant *
swarm_bus_managed_objects (SwarmBus *self, GError **error)
{
  Managed managed = { .data = self->data };

  for (guint i = 0; self->kinds[i] != NULL; i++)
    each_object (&managed, self->kinds[i], self->root, count_object);
  if (managed.n > SWARM_BUS_MAX_MANAGED) {
    g_autofree char *methods = list_methods (self->kinds);

    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
                 "%u objects are too many for GetManagedObjects (limit %u); use the paged calls instead: %s", managed.n,
                 SWARM_BUS_MAX_MANAGED, methods);
    return NULL;
  }
  g_variant_builder_init (&managed.builder, G_VARIANT_TYPE ("a{oa{sa{sv}}}"));
  for (guint i = 0; self->kinds[i] != NULL; i++)
    each_object (&managed, self->kinds[i], self->root, add_object);
  return g_variant_builder_end (&managed.builder);
}
