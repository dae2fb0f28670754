// SPDX-License-Identifier: LGPL-2.1-or-later
/* Signals about objects that wait for their moment.
 *
 * A changed object is in one of three queues: `urgent` (a call caused the change), `ready` (no signal in the last tenth of a
 * second) or `cooling` (there was one; what changes meanwhile leaves together when the time is over). Urgent and ready ones leave at the
 * end of the turn or before the next reply, whichever comes first. All objects cool equally long, so that queue is in order of time.
 * Objects that came or went are in a fourth queue, by depth. */
#include "bus/private.h"
#include <string.h>

#define COOL_US (G_USEC_PER_SEC / 10)
#define TURN_SIGNALS 256
#define CONGESTED_US (G_USEC_PER_SEC / 20)

typedef struct {
  const SwarmBusInterface *iface;
  guint64 properties; /* bit n: row n */
} Changed;

typedef struct {
  char *path;
  guint depth;
  gboolean added;
  gboolean removed; /* before added, when both */
  GArray *changed;  /* Changed */
  GQueue *queue;    /* urgent, ready, cooling or NULL */
  gint64 cool_until;
  GList in_queue;
  gboolean structural; /* in the structure queue */
  GList in_structure;
} Entry;

struct _SwarmBusChanges {
  SwarmBus *bus;
  GHashTable *entries; /* path (in entry) → Entry */
  GQueue urgent, ready, cooling, structure;
  GSource *source;
  gint64 when; /* it wakes up next, monotonic; -1: never */
  gboolean flushing;
  guint lists;          /* being built */
  GHashTable *retell;   /* paths that signals told of meanwhile */
};

static void plan (SwarmBusChanges *self);
static void note_told (SwarmBusChanges *self, const Entry *entry);

/* ---- entries ---- */

static void
free_entry (gpointer data)
{
  Entry *entry = data;

  g_array_unref (entry->changed);
  g_free (entry->path);
  g_free (entry);
}

static Entry *
get_entry (SwarmBusChanges *self, const char *path)
{
  Entry *entry = g_hash_table_lookup (self->entries, path);

  if (entry != NULL)
    return entry;
  entry = g_new0 (Entry, 1);
  entry->path = g_strdup (path);
  for (const char *at = path; *at != '\0'; at++)
    entry->depth += *at == '/';
  entry->changed = g_array_new (FALSE, FALSE, sizeof (Changed));
  entry->in_queue.data = entry->in_structure.data = entry;
  g_hash_table_insert (self->entries, entry->path, entry);
  return entry;
}

static void
put_in (Entry *entry, GQueue *queue)
{
  if (entry->queue != NULL)
    g_queue_unlink (entry->queue, &entry->in_queue);
  entry->queue = queue;
  if (queue != NULL)
    g_queue_push_tail_link (queue, &entry->in_queue);
}

static void
drop_if_idle (SwarmBusChanges *self, Entry *entry)
{
  if (entry->queue == NULL && !entry->structural)
    g_hash_table_remove (self->entries, entry->path);
}

static void
put_in_structure (SwarmBusChanges *self, Entry *entry)
{
  GList *after = self->structure.tail;

  if (entry->structural)
    return;
  while (after != NULL && ((Entry *) after->data)->depth > entry->depth)
    after = after->prev;
  g_queue_insert_after_link (&self->structure, after, &entry->in_structure);
  entry->structural = TRUE;
}

/* ---- signals ---- */

/* Takes @message. NULL: it holds values that D-Bus does not carry; such an object is shown to nobody. */
static void
send (SwarmBusChanges *self, DBusMessage *message)
{
  if (message == NULL)
    return;
  if (!dbus_connection_send (self->bus->connection, message, NULL))
    g_error ("out of memory");
  dbus_message_unref (message);
}

static void
send_signal (SwarmBusChanges *self, const char *path, const char *iface, const char *member, GVariant *args)
{
  g_autoptr (GVariant) sunk = g_variant_ref_sink (args);
  SwarmBusHead head = { .type = DBUS_MESSAGE_TYPE_SIGNAL, .path = path, .iface = iface, .member = member };

  send (self, swarm_bus_message_new (&head, sunk, SWARM_BUS_MESSAGE_MAX, NULL));
}

static void
send_changed (SwarmBusChanges *self, const char *path, const Changed *changed, gpointer object)
{
  GVariantBuilder values, invalidated;
  guint64 bit = 1;

  g_variant_builder_init (&values, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_init (&invalidated, G_VARIANT_TYPE ("as"));
  for (const SwarmBusProperty *row = changed->iface->properties; row->name != NULL; row++, bit <<= 1) {
    g_autoptr (GVariant) value = NULL;

    if (!(changed->properties & bit))
      continue;
    value = swarm_bus_property_value (changed->iface, row, object, self->bus->data);
    if (value != NULL)
      g_variant_builder_add (&values, "{sv}", row->name, value);
    else
      g_variant_builder_add (&invalidated, "s", row->name);
  }
  send_signal (self, path, DBUS_INTERFACE_PROPERTIES, "PropertiesChanged",
               g_variant_new ("(sa{sv}as)", changed->iface->name, &values, &invalidated));
}

static void
send_entry (SwarmBusChanges *self, Entry *entry)
{
  const char *tail;
  const SwarmBusKind *kind = swarm_bus_find_kind (self->bus->kinds, entry->path, &tail);
  gpointer object = kind->find (tail, self->bus->data);

  for (guint i = 0; object != NULL && i < entry->changed->len; i++) {
    Changed changed = g_array_index (entry->changed, Changed, i);

    send_changed (self, entry->path, &changed, object);
  }
  g_array_set_size (entry->changed, 0);
  note_told (self, entry);
  entry->cool_until = g_get_monotonic_time () + COOL_US;
  put_in (entry, &self->cooling);
}

static void
send_removed (SwarmBusChanges *self, Entry *entry)
{
  const char *tail;
  const SwarmBusKind *kind = swarm_bus_find_kind (self->bus->kinds, entry->path, &tail);
  GVariantBuilder names;

  entry->removed = FALSE;
  note_told (self, entry);
  g_variant_builder_init (&names, G_VARIANT_TYPE ("as"));
  for (guint i = 0; kind->interfaces[i] != NULL; i++)
    if (swarm_bus_interface_on_bus (kind->interfaces[i]))
      g_variant_builder_add (&names, "s", kind->interfaces[i]->name);
  send_signal (self, self->bus->root, SWARM_BUS_OBJECT_MANAGER, "InterfacesRemoved", g_variant_new ("(oas)", entry->path, &names));
}

static void
send_added (SwarmBusChanges *self, Entry *entry)
{
  const char *tail;
  const SwarmBusKind *kind = swarm_bus_find_kind (self->bus->kinds, entry->path, &tail);
  gpointer object = kind->find (tail, self->bus->data);
  SwarmBusHead head
    = { .type = DBUS_MESSAGE_TYPE_SIGNAL, .path = self->bus->root, .iface = SWARM_BUS_OBJECT_MANAGER, .member = "InterfacesAdded" };
  SwarmBusWriter writer;
  g_autoptr (GBytes) bytes = NULL;

  entry->added = FALSE;
  note_told (self, entry);
  if (object == NULL)
    return;
  swarm_bus_writer_begin (&writer, &head, "oa{sa{sv}}", SWARM_BUS_MESSAGE_MAX);
  bytes = swarm_bus_writer_end (&writer, swarm_bus_write_text (&writer, 'o', entry->path)
                                           && swarm_bus_write_interfaces (&writer, kind, object, self->bus->data));
  if (bytes != NULL)
    send (self, swarm_bus_message_of (bytes, NULL));
}

/* ---- lists that are being built ---- */

static void
note_told (SwarmBusChanges *self, const Entry *entry)
{
  if (self->lists > 0)
    g_hash_table_add (self->retell, g_strdup (entry->path));
}

void
swarm_bus_changes_list_begun (SwarmBusChanges *self)
{
  self->lists++;
}

static void
retell (SwarmBusChanges *self, const char *path)
{
  const char *tail;
  const SwarmBusKind *kind = swarm_bus_find_kind (self->bus->kinds, path, &tail);

  if (kind->find (tail, self->bus->data) == NULL) {
    swarm_bus_emit_removed (self->bus, path);
    return;
  }
  for (guint i = 0; kind->interfaces[i] != NULL; i++)
    swarm_bus_emit_changed (self->bus, path, kind->interfaces[i]->name, NULL, TRUE);
}

void
swarm_bus_changes_list_ended (SwarmBusChanges *self)
{
  g_autoptr (GHashTable) told = g_steal_pointer (&self->retell);
  GHashTableIter iter;
  gpointer path;

  self->retell = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->lists--;
  g_hash_table_iter_init (&iter, told);
  while (g_hash_table_iter_next (&iter, &path, NULL))
    retell (self, path);
}

/* ---- flushing ---- */

/* Went: children first. Came: parents first. */
static guint
flush_structure (SwarmBusChanges *self, guint budget)
{
  g_autoptr (GPtrArray) batch = g_ptr_array_new ();

  while (batch->len < budget && !g_queue_is_empty (&self->structure)) {
    Entry *entry = g_queue_pop_head_link (&self->structure)->data;

    entry->structural = FALSE;
    g_ptr_array_add (batch, entry);
  }
  for (guint i = batch->len; i > 0; i--)
    if (((Entry *) batch->pdata[i - 1])->removed)
      send_removed (self, batch->pdata[i - 1]);
  for (guint i = 0; i < batch->len; i++) {
    if (((Entry *) batch->pdata[i])->added)
      send_added (self, batch->pdata[i]);
    drop_if_idle (self, batch->pdata[i]);
  }
  return batch->len;
}

static void
flush_queue (SwarmBusChanges *self, GQueue *queue, guint budget)
{
  for (; budget > 0 && !g_queue_is_empty (queue); budget--)
    send_entry (self, g_queue_peek_head (queue));
}

static void
flush (SwarmBusChanges *self, guint budget)
{
  if (self->flushing) /* a property function that answers a call */
    return;
  self->flushing = TRUE;
  budget -= flush_structure (self, budget);
  flush_queue (self, &self->urgent, budget);
  flush_queue (self, &self->ready, budget);
  self->flushing = FALSE;
}

void
swarm_bus_changes_flush (SwarmBusChanges *self)
{
  if (g_queue_is_empty (&self->structure) && g_queue_is_empty (&self->urgent) && g_queue_is_empty (&self->ready))
    return;
  flush (self, G_MAXUINT);
  plan (self);
}

static void
end_cooling (SwarmBusChanges *self)
{
  gint64 now = g_get_monotonic_time ();

  while (!g_queue_is_empty (&self->cooling)) {
    Entry *entry = g_queue_peek_head (&self->cooling);

    if (entry->cool_until > now)
      return;
    put_in (entry, entry->changed->len > 0 ? &self->ready : NULL);
    drop_if_idle (self, entry);
  }
}

/* When to wake up next. The source asks before the loop sleeps: g_source_set_ready_time() would wake up a loop that runs already. */
static void
plan (SwarmBusChanges *self)
{
  gint64 when = -1;

  if (!g_queue_is_empty (&self->structure) || !g_queue_is_empty (&self->urgent) || !g_queue_is_empty (&self->ready))
    when = swarm_bus_congested (self->bus) ? g_get_monotonic_time () + CONGESTED_US : 0;
  else if (!g_queue_is_empty (&self->cooling))
    when = ((Entry *) g_queue_peek_head (&self->cooling))->cool_until;
  self->when = when;
}

typedef struct {
  GSource source;
  SwarmBusChanges *changes;
} ChangesSource;

static gboolean
is_time (GSource *source)
{
  SwarmBusChanges *self = ((ChangesSource *) source)->changes;

  return self->when >= 0 && self->when <= g_source_get_time (source);
}

static gboolean
prepare (GSource *source, int *timeout)
{
  SwarmBusChanges *self = ((ChangesSource *) source)->changes;
  gint64 left = self->when - g_source_get_time (source);

  *timeout = self->when < 0 ? -1 : (int) CLAMP ((left + 999) / 1000, 0, G_MAXINT);
  return is_time (source);
}

static gboolean
woke_up (GSource *source, GSourceFunc func, gpointer data)
{
  SwarmBusChanges *self = ((ChangesSource *) source)->changes;

  end_cooling (self);
  if (!swarm_bus_congested (self->bus))
    flush (self, TURN_SIGNALS);
  plan (self);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { prepare, is_time, woke_up, NULL, NULL, NULL };

SwarmBusChanges *
swarm_bus_changes_new (SwarmBus *bus)
{
  SwarmBusChanges *self = g_new0 (SwarmBusChanges, 1);

  self->bus = bus;
  self->entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, free_entry);
  self->retell = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_queue_init (&self->urgent);
  g_queue_init (&self->ready);
  g_queue_init (&self->cooling);
  g_queue_init (&self->structure);
  self->when = -1;
  self->source = g_source_new (&source_funcs, sizeof (ChangesSource));
  ((ChangesSource *) self->source)->changes = self;
  g_source_set_static_name (self->source, "bus-changes");
  g_source_attach (self->source, bus->context);
  return self;
}

void
swarm_bus_changes_free (SwarmBusChanges *self)
{
  g_source_destroy (self->source);
  g_source_unref (self->source);
  g_hash_table_unref (self->entries);
  g_hash_table_unref (self->retell);
  g_free (self);
}

/* ---- what the owner of the objects says ---- */

static guint64
properties_mask (const SwarmBusInterface *iface, const char *const *names)
{
  guint64 mask = 0, bit = 1;

  for (const SwarmBusProperty *row = iface->properties; row != NULL && row->name != NULL; row++, bit <<= 1)
    if (names == NULL ? !row->constant : g_strv_contains (names, row->name))
      mask |= bit;
  return mask;
}

static void
add_changed (Entry *entry, const SwarmBusInterface *iface, guint64 mask)
{
  Changed changed = { iface, mask };

  for (guint i = 0; i < entry->changed->len; i++)
    if (g_array_index (entry->changed, Changed, i).iface == iface) {
      g_array_index (entry->changed, Changed, i).properties |= mask;
      return;
    }
  g_array_append_val (entry->changed, changed);
}

void
swarm_bus_emit_changed (SwarmBus *self, const char *path, const char *iface, const char *const *names, gboolean now)
{
  const char *tail;
  const SwarmBusKind *kind = self->kinds != NULL ? swarm_bus_find_kind (self->kinds, path, &tail) : NULL;
  const SwarmBusInterface *row = kind != NULL ? swarm_bus_find_interface (kind, iface) : NULL;
  guint64 mask = row != NULL ? properties_mask (row, names) : 0;
  Entry *entry;

  g_return_if_fail (row != NULL);
  if (mask == 0)
    return;
  entry = get_entry (self->changes, path);
  if (entry->added) /* tells all its properties anyway */
    return;
  add_changed (entry, row, mask);
  if (now && entry->queue != &self->changes->urgent)
    put_in (entry, &self->changes->urgent);
  else if (entry->queue == NULL)
    put_in (entry, &self->changes->ready);
  plan (self->changes);
}

static Entry *
structural_entry (SwarmBus *self, const char *path)
{
  const char *tail;
  const SwarmBusKind *kind = self->kinds != NULL ? swarm_bus_find_kind (self->kinds, path, &tail) : NULL;
  Entry *entry;

  g_return_val_if_fail (kind != NULL, NULL);
  if (!swarm_bus_kind_on_bus (kind) || (kind->each == NULL && *tail != '\0') || strcmp (path, self->root) == 0)
    return NULL;
  entry = get_entry (self->changes, path);
  g_array_set_size (entry->changed, 0);
  if (entry->queue != &self->changes->cooling)
    put_in (entry, NULL);
  put_in_structure (self->changes, entry);
  return entry;
}

void
swarm_bus_emit_added (SwarmBus *self, const char *path)
{
  Entry *entry = structural_entry (self, path);

  if (entry == NULL)
    return;
  entry->added = TRUE;
  plan (self->changes);
}

void
swarm_bus_emit_removed (SwarmBus *self, const char *path)
{
  Entry *entry = structural_entry (self, path);

  if (entry == NULL)
    return;
  /* An object that came and went unseen was never there. */
  if (entry->added)
    entry->added = FALSE;
  else
    entry->removed = TRUE;
  plan (self->changes);
}

void
swarm_bus_emit_signal (SwarmBus *self, const char *path, const char *iface, const char *name, GVariant *args)
{
  g_autoptr (GVariant) sunk = g_variant_ref_sink (args != NULL ? args : g_variant_new ("()"));
  const char *tail;
  const SwarmBusKind *kind = self->kinds != NULL ? swarm_bus_find_kind (self->kinds, path, &tail) : NULL;
  const SwarmBusInterface *found = kind != NULL ? swarm_bus_find_interface (kind, iface) : NULL;
  const SwarmBusSignal *row = found != NULL ? found->signals : NULL;
  g_autofree char *declared = NULL;

  while (row != NULL && row->name != NULL && strcmp (row->name, name) != 0)
    row++;
  g_return_if_fail (row != NULL && row->name != NULL);
  declared = swarm_bus_args_signature (row->args);
  g_return_if_fail (strcmp (declared, g_variant_get_type_string (sunk)) == 0);
  swarm_bus_changes_flush (self->changes);
  send_signal (self->changes, path, iface, name, sunk);
}
