// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/tables.h"
#include "base/error.h"
#include <stddef.h>
#include <string.h>

struct _SwarmNetdTables {
  GTree *trees[SWARM_NETD_N_TYPES]; /* SwarmNetdRow* → itself; NULL where there is no such type */
  gsize bytes; /* of all rows as records of a batch */
};

/* Where one row names another: the bytes at @offset of the @child are the key of the @parent. */
typedef struct {
  guint16 child;
  guint16 parent;
  guint16 offset;
  gboolean may_be_zero;
} Reference;

static const Reference references[] = {
  { SWARM_NETD_TYPE_HOST, SWARM_NETD_TYPE_NODE, offsetof (SwarmNetdHost, node), FALSE },
  { SWARM_NETD_TYPE_ENDPOINT, SWARM_NETD_TYPE_NETWORK, offsetof (SwarmNetdEndpoint, vni), FALSE },
  { SWARM_NETD_TYPE_ENDPOINT, SWARM_NETD_TYPE_NODE, offsetof (SwarmNetdEndpoint, node), FALSE },
  { SWARM_NETD_TYPE_INTERFACE, SWARM_NETD_TYPE_SANDBOX, offsetof (SwarmNetdInterface, sandbox), FALSE },
  { SWARM_NETD_TYPE_INTERFACE, SWARM_NETD_TYPE_NETWORK, offsetof (SwarmNetdInterface, vni), TRUE },
  { SWARM_NETD_TYPE_SERVICE, SWARM_NETD_TYPE_NETWORK, offsetof (SwarmNetdService, vni), FALSE },
  { SWARM_NETD_TYPE_BACKEND, SWARM_NETD_TYPE_SERVICE, offsetof (SwarmNetdBackend, vni), FALSE },
  { SWARM_NETD_TYPE_PORT_BACKEND, SWARM_NETD_TYPE_PORT, offsetof (SwarmNetdPortBackend, port), FALSE },
  { SWARM_NETD_TYPE_NAME, SWARM_NETD_TYPE_NETWORK, offsetof (SwarmNetdName, vni), FALSE },
  { SWARM_NETD_TYPE_RESOLVER, SWARM_NETD_TYPE_SANDBOX, offsetof (SwarmNetdResolver, sandbox), FALSE },
  { SWARM_NETD_TYPE_WIREGUARD, SWARM_NETD_TYPE_NODE, offsetof (SwarmNetdWireguard, node), FALSE },
};

static int
compare (gconstpointer a, gconstpointer b, gpointer data)
{
  return swarm_netd_row_compare (a, b);
}

SwarmNetdTables *
swarm_netd_tables_new (void)
{
  SwarmNetdTables *self = g_new0 (SwarmNetdTables, 1);
  for (guint i = 1; i < SWARM_NETD_N_TYPES; i++)
    self->trees[i] = g_tree_new_full (compare, NULL, (GDestroyNotify) swarm_netd_row_unref, NULL);
  return self;
}

void
swarm_netd_tables_free (SwarmNetdTables *self)
{
  for (guint i = 1; i < SWARM_NETD_N_TYPES; i++)
    g_tree_unref (self->trees[i]);
  g_free (self);
}

guint
swarm_netd_tables_count (SwarmNetdTables *self, guint16 type)
{
  return g_tree_nnodes (self->trees[type]);
}

/* A row of which only the first bytes count, on the caller's stack. */
typedef union {
  SwarmNetdRow row;
  guint8 room[sizeof (SwarmNetdRow) + 64];
} Probe;

static const SwarmNetdRow *
probe (Probe *probe_row, guint16 type, const void *key, gsize length)
{
  memset (probe_row, 0, sizeof *probe_row);
  probe_row->row.type = type;
  probe_row->row.length = length;
  memcpy (probe_row->row.data, key, length);
  return &probe_row->row;
}

const SwarmNetdRow *
swarm_netd_tables_find (SwarmNetdTables *self, guint16 type, const void *key)
{
  Probe room;
  return g_tree_lookup (self->trees[type], probe (&room, type, key, swarm_netd_row_key_size (type)));
}

static GTreeNode *
first_with_prefix (SwarmNetdTables *self, guint16 type, const void *prefix, gsize length)
{
  Probe room;
  return length == 0 ? g_tree_node_first (self->trees[type]) : g_tree_lower_bound (self->trees[type], probe (&room, type, prefix, length));
}

void
swarm_netd_tables_each (SwarmNetdTables *self, guint16 type, const void *prefix, gsize length, SwarmNetdRowFunc func, gpointer data)
{
  for (GTreeNode *node = first_with_prefix (self, type, prefix, length); node != NULL; node = g_tree_node_next (node)) {
    const SwarmNetdRow *row = g_tree_node_key (node);
    if (length > 0 && memcmp (row->data, prefix, length) != 0)
      return;
    func (row, data);
  }
}

/* ---- applying ---- */

static SwarmNetdChange *
change_new (const SwarmNetdRow *before, const SwarmNetdRow *after)
{
  SwarmNetdChange *change = g_new0 (SwarmNetdChange, 1);
  change->before = before != NULL ? swarm_netd_row_ref ((SwarmNetdRow *) before) : NULL;
  change->after = after != NULL ? swarm_netd_row_ref ((SwarmNetdRow *) after) : NULL;
  return change;
}

static void
change_free (gpointer data)
{
  SwarmNetdChange *change = data;
  g_clear_pointer (&change->before, swarm_netd_row_unref);
  g_clear_pointer (&change->after, swarm_netd_row_unref);
  g_free (change);
}

static gsize
record_size (const SwarmNetdRow *row)
{
  return row != NULL ? sizeof (SwarmNetdRecord) + ((row->length + 7u) & ~7u) : 0;
}

/* One row to @after (NULL: away); notes the change. */
static void
set_row (SwarmNetdTables *self, const SwarmNetdRow *before, SwarmNetdRow *after, GPtrArray *changes)
{
  if (before == after || (before != NULL && after != NULL && swarm_netd_row_equal (before, after)))
    return;
  g_ptr_array_add (changes, change_new (before, after));
  self->bytes += record_size (after) - record_size (before);
  if (after != NULL)
    g_tree_replace (self->trees[after->type], swarm_netd_row_ref (after), after);
  else
    g_tree_remove (self->trees[before->type], before);
}

static void
undo (SwarmNetdTables *self, GPtrArray *changes)
{
  for (guint i = changes->len; i-- > 0;) {
    SwarmNetdChange *change = g_ptr_array_index (changes, i);
    self->bytes += record_size (change->before) - record_size (change->after);
    if (change->before != NULL)
      g_tree_replace (self->trees[change->before->type], swarm_netd_row_ref (change->before), change->before);
    else
      g_tree_remove (self->trees[change->after->type], change->after);
  }
}

/* Takes away the rows that @edits do not put. */
static void
remove_others (SwarmNetdTables *self, GArray *edits, GPtrArray *changes)
{
  g_autoptr (SwarmNetdTables) wanted = swarm_netd_tables_new ();
  for (guint i = 0; i < edits->len; i++) {
    SwarmNetdRow *row = g_array_index (edits, SwarmNetdEdit, i).row;
    g_tree_replace (wanted->trees[row->type], swarm_netd_row_ref (row), row);
  }
  g_autoptr (GPtrArray) others = g_ptr_array_new ();
  for (guint type = 1; type < SWARM_NETD_N_TYPES; type++) {
    for (GTreeNode *node = g_tree_node_first (self->trees[type]); node != NULL; node = g_tree_node_next (node))
      if (g_tree_lookup (wanted->trees[type], g_tree_node_key (node)) == NULL)
        g_ptr_array_add (others, g_tree_node_key (node));
  }
  for (guint i = 0; i < others->len; i++)
    set_row (self, g_ptr_array_index (others, i), NULL, changes);
}

static gboolean
refuse (const SwarmNetdRow *row, const char *why, const char *what, GError **error)
{
  g_autofree char *name = swarm_netd_row_describe (row);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s %s %s", name, why, what);
  return FALSE;
}

static gboolean
has_its_parents (SwarmNetdTables *self, const SwarmNetdRow *row, GError **error)
{
  static const guint8 none[64];
  for (guint i = 0; i < G_N_ELEMENTS (references); i++) {
    const Reference *r = &references[i];
    if (r->child != row->type || (r->may_be_zero && memcmp (row->data + r->offset, none, swarm_netd_row_key_size (r->parent)) == 0))
      continue;
    if (swarm_netd_tables_find (self, r->parent, row->data + r->offset) == NULL)
      return refuse (row, "belongs to one that is not there, a", swarm_netd_type_to_string (r->parent), error);
  }
  return TRUE;
}

static const SwarmNetdRow *
a_child (SwarmNetdTables *self, const Reference *r, const SwarmNetdRow *parent)
{
  gsize size = swarm_netd_row_key_size (r->parent);
  for (GTreeNode *node = r->offset == 0 ? first_with_prefix (self, r->child, parent->data, size) : g_tree_node_first (self->trees[r->child]);
       node != NULL; node = g_tree_node_next (node)) {
    const SwarmNetdRow *child = g_tree_node_key (node);
    if (memcmp (child->data + r->offset, parent->data, size) == 0)
      return child;
    if (r->offset == 0)
      return NULL;
  }
  return NULL;
}

static gboolean
left_no_children (SwarmNetdTables *self, const SwarmNetdRow *gone, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (references); i++) {
    const SwarmNetdRow *child = references[i].parent == gone->type ? a_child (self, &references[i], gone) : NULL;
    if (child == NULL)
      continue;
    g_autofree char *name = swarm_netd_row_describe (child);
    return refuse (gone, "cannot go while there is", name, error);
  }
  return TRUE;
}

typedef struct {
  const SwarmNetdInterface *interface;
  gboolean twice;
} SameIndex;

static void
same_index (const SwarmNetdRow *row, gpointer data)
{
  SameIndex *same = data;
  const SwarmNetdInterface *other = (const void *) row->data;
  same->twice |= other->vni != same->interface->vni && other->index == same->interface->index;
}

static void
count_ingress (const SwarmNetdRow *row, gpointer data)
{
  if (((const SwarmNetdNetwork *) row->data)->flags & SWARM_NETD_NETWORK_INGRESS)
    ++*(guint *) data;
}

static gboolean
is_unique (SwarmNetdTables *self, const SwarmNetdRow *row, GError **error)
{
  if (row->type == SWARM_NETD_TYPE_INTERFACE) {
    SameIndex same = { (const void *) row->data, FALSE };
    swarm_netd_tables_each (self, row->type, same.interface->sandbox.text, sizeof same.interface->sandbox, same_index, &same);
    return !same.twice || refuse (row, "has the index of", "another one", error);
  }
  if (row->type == SWARM_NETD_TYPE_NETWORK) {
    guint ingress = 0;
    swarm_netd_tables_each (self, row->type, NULL, 0, count_ingress, &ingress);
    return ingress <= 1 || refuse (row, "is one ingress network", "too many", error);
  }
  return TRUE;
}

static gboolean
fits_together (SwarmNetdTables *self, GPtrArray *changes, GError **error)
{
  for (guint i = 0; i < changes->len; i++) {
    SwarmNetdChange *change = g_ptr_array_index (changes, i);
    if (change->after == NULL ? !left_no_children (self, change->before, error)
                              : !has_its_parents (self, change->after, error) || !is_unique (self, change->after, error))
      return FALSE;
  }
  if (swarm_netd_tables_count (self, SWARM_NETD_TYPE_HOST) == 0)
    for (guint type = SWARM_NETD_TYPE_HOST + 1; type < SWARM_NETD_N_TYPES; type++)
      if (swarm_netd_tables_count (self, type) > 0)
        return refuse (g_tree_node_key (g_tree_node_first (self->trees[type])), "needs the", "host row", error);
  return TRUE;
}

/* A row that two edits of a batch name would depend on their order. */
static gboolean
check_once (GArray *edits, gint *bad_edit, GError **error)
{
  g_autoptr (SwarmNetdTables) seen = swarm_netd_tables_new ();
  for (guint i = 0; i < edits->len; i++) {
    SwarmNetdRow *row = g_array_index (edits, SwarmNetdEdit, i).row;
    if (g_tree_lookup (seen->trees[row->type], row) != NULL) {
      *bad_edit = i;
      return refuse (row, "is in the batch", "twice", error);
    }
    g_tree_insert (seen->trees[row->type], swarm_netd_row_ref (row), row);
  }
  return TRUE;
}

GPtrArray *
swarm_netd_tables_apply (SwarmNetdTables *self, GArray *edits, gboolean full, gint *bad_edit, GError **error)
{
  g_autoptr (GPtrArray) changes = g_ptr_array_new_with_free_func (change_free);
  *bad_edit = -1;
  if (!check_once (edits, bad_edit, error))
    return NULL;
  if (full)
    remove_others (self, edits, changes);
  for (guint i = 0; i < edits->len; i++) {
    SwarmNetdEdit *edit = &g_array_index (edits, SwarmNetdEdit, i);
    set_row (self, g_tree_lookup (self->trees[edit->row->type], edit->row), edit->remove ? NULL : edit->row, changes);
  }
  if (self->bytes > SWARM_NETD_BATCH_MAX)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "all rows together would be more than the 64 MiB of a full batch");
  else if (fits_together (self, changes, error))
    return g_steal_pointer (&changes);
  undo (self, changes);
  return NULL;
}

static gboolean
add_all (gpointer key, gpointer value, gpointer data)
{
  g_ptr_array_add (data, change_new (NULL, value));
  return FALSE;
}

GPtrArray *
swarm_netd_tables_all (SwarmNetdTables *self)
{
  GPtrArray *all = g_ptr_array_new_with_free_func (change_free);
  for (guint type = 1; type < SWARM_NETD_N_TYPES; type++)
    g_tree_foreach (self->trees[type], add_all, all);
  return all;
}
