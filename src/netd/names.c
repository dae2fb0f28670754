// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/names.h"
#include "netd/address.h"
#include <string.h>

struct _SwarmNetdNames {
  GHashTable *entries; /* Entry → itself */
};

typedef struct {
  guint32 vni;
  const char *name;
  GArray *addresses; /* NULL in a key to look for */
} Entry;

static guint
entry_hash (gconstpointer data)
{
  const Entry *entry = data;
  return g_str_hash (entry->name) ^ entry->vni * 2654435761u;
}

static gboolean
entry_equal (gconstpointer a, gconstpointer b)
{
  const Entry *ea = a, *eb = b;
  return ea->vni == eb->vni && strcmp (ea->name, eb->name) == 0;
}

static void
entry_free (gpointer data)
{
  Entry *entry = data;
  g_array_unref (entry->addresses);
  g_free ((char *) entry->name);
  g_free (entry);
}

SwarmNetdNames *
swarm_netd_names_new (void)
{
  SwarmNetdNames *self = g_new0 (SwarmNetdNames, 1);
  self->entries = g_hash_table_new_full (entry_hash, entry_equal, NULL, entry_free);
  return self;
}

void
swarm_netd_names_free (SwarmNetdNames *self)
{
  g_hash_table_unref (self->entries);
  g_free (self);
}

static Entry *
find (SwarmNetdNames *self, guint32 vni, const char *name)
{
  return g_hash_table_lookup (self->entries, &(Entry){ vni, name, NULL });
}

static gint
index_of (const Entry *entry, const SwarmNetdAddress *address)
{
  for (guint i = 0; i < entry->addresses->len; i++)
    if (swarm_netd_address_equal (&g_array_index (entry->addresses, SwarmNetdAddress, i), address))
      return i;
  return -1;
}

void
swarm_netd_names_add (SwarmNetdNames *self, const SwarmNetdName *name)
{
  Entry *entry = find (self, name->vni, name->name);
  if (entry == NULL) {
    entry = g_new0 (Entry, 1);
    entry->vni = name->vni;
    entry->name = g_strdup (name->name);
    entry->addresses = g_array_sized_new (FALSE, FALSE, sizeof (SwarmNetdAddress), 1);
    g_hash_table_add (self->entries, entry);
  }
  if (index_of (entry, &name->address) < 0)
    g_array_append_val (entry->addresses, name->address);
}

void
swarm_netd_names_remove (SwarmNetdNames *self, const SwarmNetdName *name)
{
  Entry *entry = find (self, name->vni, name->name);
  gint at = entry != NULL ? index_of (entry, &name->address) : -1;
  if (at < 0)
    return;
  g_array_remove_index_fast (entry->addresses, at);
  if (entry->addresses->len == 0)
    g_hash_table_remove (self->entries, entry);
}

const SwarmNetdAddress *
swarm_netd_names_find (SwarmNetdNames *self, guint32 vni, const char *name, guint *n)
{
  const Entry *entry = find (self, vni, name);
  *n = entry != NULL ? entry->addresses->len : 0;
  return entry != NULL ? (void *) entry->addresses->data : NULL;
}
