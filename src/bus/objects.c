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
      g_variant_builder_add_value (&builder, g_variant_new_dict_entry (g_variant_new_string (row->name), g_variant_new_variant (value)));
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

static gboolean
write_property (SwarmBusWriter *writer, const SwarmBusProperty *row, GVariant *value)
{
  return swarm_bus_write_struct (writer) && swarm_bus_write_text (writer, 's', row->name)
         && swarm_bus_write_text (writer, 'g', row->signature) && swarm_bus_write_value (writer, value, 0);
}

static gboolean
write_interface (SwarmBusWriter *writer, const SwarmBusInterface *iface, gpointer object, gpointer data)
{
  SwarmBusWriterArray properties;

  if (!swarm_bus_write_struct (writer) || !swarm_bus_write_text (writer, 's', iface->name)
      || !swarm_bus_write_array_begin (writer, '{', &properties))
    return FALSE;
  for (const SwarmBusProperty *row = iface->properties; row != NULL && row->name != NULL; row++) {
    g_autoptr (GVariant) value = swarm_bus_property_value (iface, row, object, data);

    if (value != NULL && !write_property (writer, row, value))
      return FALSE;
  }
  return swarm_bus_write_array_end (writer, &properties);
}

gboolean
swarm_bus_write_interfaces (SwarmBusWriter *writer, const SwarmBusKind *kind, gpointer object, gpointer data)
{
  SwarmBusWriterArray interfaces;

  if (!swarm_bus_write_array_begin (writer, '{', &interfaces))
    return FALSE;
  for (guint i = 0; kind->interfaces[i] != NULL; i++)
    if (swarm_bus_interface_on_bus (kind->interfaces[i]) && !write_interface (writer, kind->interfaces[i], object, data))
      return FALSE;
  return swarm_bus_write_array_end (writer, &interfaces);
}

/* ---- GetManagedObjects: some hundred objects per turn ---- */

#define TURN_OBJECTS 200
#define MAX_LISTS 4 /* being built at once */

typedef struct {
  SwarmBus *bus;
  char *sender;
  guint32 serial;
  GPtrArray *paths;
  guint next;
  SwarmBusArray *array;
  GSource *source;
  GList in_lists;
  const SwarmBusKind *kind; /* of which paths are being taken */
} List;

static void
free_list (List *self)
{
  if (self->source != NULL) {
    g_source_destroy (self->source);
    g_source_unref (self->source);
    g_queue_unlink (&self->bus->lists, &self->in_lists);
  }
  g_clear_pointer (&self->array, swarm_bus_array_free);
  g_ptr_array_unref (self->paths);
  g_free (self->sender);
  g_free (self);
}

static void
take_path (const char *tail, gpointer object, gpointer data)
{
  List *self = data;
  g_autofree char *path = g_strconcat (self->kind->path, tail, NULL);

  if (dbus_validate_path (path, NULL))
    g_ptr_array_add (self->paths, g_steal_pointer (&path));
}

static void
take_paths (List *self, const SwarmBusKind *kind)
{
  gsize length = strlen (kind->path);

  self->kind = kind;
  if (!swarm_bus_kind_on_bus (kind) || strcmp (kind->path, self->bus->root) == 0)
    return;
  if (kind->path[length - 1] != '/') {
    gpointer object = kind->find ("", self->bus->data);

    if (object != NULL)
      take_path ("", object, self);
  } else if (kind->each != NULL) {
    kind->each (self->bus->data, take_path, self);
  }
}

static gboolean
add_object (List *self, const char *path, GError **error)
{
  const char *tail;
  const SwarmBusKind *kind = swarm_bus_find_kind (self->bus->kinds, path, &tail);
  gpointer object = kind->find (tail, self->bus->data);

  if (object == NULL) /* went meanwhile */
    return TRUE;
  return swarm_bus_array_add (
    self->array, g_variant_new ("{o@a{sa{sv}}}", path, swarm_bus_object_interfaces (kind, object, self->bus->data)), error);
}

/* FALSE: answered. */
static gboolean
build_some (List *self)
{
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < TURN_OBJECTS && self->next < self->paths->len && error == NULL; i++)
    add_object (self, self->paths->pdata[self->next++], &error);
  if (error != NULL)
    swarm_bus_send (self->bus, swarm_bus_message_new_error (self->sender, self->serial, swarm_error_to_name (error), error->message));
  else if (self->next == self->paths->len)
    swarm_bus_send (self->bus, swarm_bus_array_end (g_steal_pointer (&self->array)));
  else
    return TRUE;
  return FALSE;
}

static gboolean
build_more (gpointer data)
{
  List *self = data;
  SwarmBus *bus = self->bus;

  if (build_some (self))
    return G_SOURCE_CONTINUE;
  free_list (self);
  swarm_bus_changes_list_ended (bus->changes);
  return G_SOURCE_REMOVE;
}

static void
build_over_turns (List *self)
{
  self->in_lists.data = self;
  g_queue_push_tail_link (&self->bus->lists, &self->in_lists);
  self->source = g_idle_source_new ();
  g_source_set_priority (self->source, G_PRIORITY_DEFAULT);
  g_source_set_callback (self->source, build_more, self, NULL);
  g_source_attach (self->source, self->bus->context);
  swarm_bus_changes_list_begun (self->bus->changes);
}

void
swarm_bus_drop_lists (SwarmBus *self)
{
  while (!g_queue_is_empty (&self->lists))
    free_list (g_queue_peek_head (&self->lists));
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

gboolean
swarm_bus_managed_objects (SwarmBus *self, const char *sender, guint32 serial, GError **error)
{
  List *list = g_new0 (List, 1);

  list->bus = self;
  list->sender = g_strdup (sender);
  list->serial = serial;
  list->paths = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; self->kinds[i] != NULL; i++)
    take_paths (list, self->kinds[i]);
  if (list->paths->len > SWARM_BUS_MAX_MANAGED) {
    g_autofree char *methods = list_methods (self->kinds);

    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
                 "%u objects are too many for GetManagedObjects (limit %u); use the paged calls instead: %s", list->paths->len,
                 SWARM_BUS_MAX_MANAGED, methods);
    free_list (list);
    return FALSE;
  }
  if (self->lists.length >= MAX_LISTS) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "too many lists of objects are being built; try again later");
    free_list (list);
    return FALSE;
  }
  list->array = swarm_bus_array_new (swarm_bus_message_new_return (sender, serial), "{oa{sa{sv}}}", SWARM_BUS_MESSAGE_MAX);
  if (build_some (list))
    build_over_turns (list);
  else
    free_list (list);
  return TRUE;
}
