// SPDX-License-Identifier: LGPL-2.1-or-later
#include "private.h"
#include <stddef.h>
#include <string.h>

/* One key: who wants it, and what swarm-netd was sent. */
typedef struct {
  guint16 type;
  guint16 key_length;
  guint8 *key;
  GPtrArray *wanted; /* OverlayRow of others; the last one wins */
  OverlayRow *sent;  /* a copy; NULL: swarm-netd has none */
  gboolean dirty;
} Cell;

struct OverlayTable {
  GHashTable *cells; /* Cell → itself */
  GPtrArray *dirty;  /* Cell */
};

static gsize
key_size (const OverlayRow *row)
{
  switch ((SwarmNetdType) row->type) {
  case SWARM_NETD_TYPE_HOST:
    return 0;
  case SWARM_NETD_TYPE_NODE:
    return offsetof (SwarmNetdNode, gateway4_prefix);
  case SWARM_NETD_TYPE_NETWORK:
    return offsetof (SwarmNetdNetwork, flags);
  case SWARM_NETD_TYPE_ENDPOINT:
    return offsetof (SwarmNetdEndpoint, node);
  case SWARM_NETD_TYPE_SANDBOX:
    return offsetof (SwarmNetdSandbox, flags);
  case SWARM_NETD_TYPE_INTERFACE:
    return offsetof (SwarmNetdInterface, index);
  case SWARM_NETD_TYPE_SERVICE:
    return offsetof (SwarmNetdService, flags);
  case SWARM_NETD_TYPE_BACKEND:
    return offsetof (SwarmNetdBackend, flags);
  case SWARM_NETD_TYPE_PORT:
    return offsetof (SwarmNetdPort, flags);
  case SWARM_NETD_TYPE_PORT_BACKEND:
    return offsetof (SwarmNetdPortBackend, flags);
  case SWARM_NETD_TYPE_WIREGUARD:
    return offsetof (SwarmNetdWireguard, key);
  default:
    return row->length; /* names */
  }
}

static guint
cell_hash (gconstpointer data)
{
  const Cell *cell = data;
  guint hash = cell->type;
  for (guint i = 0; i < cell->key_length; i++)
    hash = hash * 31 + cell->key[i];
  return hash;
}

static gboolean
cell_equal (gconstpointer a, gconstpointer b)
{
  const Cell *ca = a, *cb = b;
  return ca->type == cb->type && ca->key_length == cb->key_length && (ca->key_length == 0 || memcmp (ca->key, cb->key, ca->key_length) == 0);
}

static void
cell_free (gpointer data)
{
  Cell *cell = data;
  g_ptr_array_unref (cell->wanted);
  g_free (cell->sent);
  g_free (cell->key);
  g_free (cell);
}

OverlayTable *
overlay_table_new (void)
{
  OverlayTable *self = g_new0 (OverlayTable, 1);
  self->cells = g_hash_table_new_full (cell_hash, cell_equal, cell_free, NULL);
  self->dirty = g_ptr_array_new ();
  return self;
}

void
overlay_table_free (OverlayTable *self)
{
  g_ptr_array_unref (self->dirty);
  g_hash_table_unref (self->cells);
  g_free (self);
}

static Cell *
cell_of (OverlayTable *self, OverlayRow *row)
{
  Cell probe = { .type = row->type, .key_length = key_size (row), .key = row->data };
  Cell *cell = g_hash_table_lookup (self->cells, &probe);
  if (cell != NULL)
    return cell;
  cell = g_new0 (Cell, 1);
  cell->type = probe.type;
  cell->key_length = probe.key_length;
  cell->key = g_memdup2 (row->data, probe.key_length);
  cell->wanted = g_ptr_array_sized_new (1);
  g_hash_table_add (self->cells, cell);
  return cell;
}

static void
mark (OverlayTable *self, Cell *cell)
{
  if (cell->dirty)
    return;
  cell->dirty = TRUE;
  g_ptr_array_add (self->dirty, cell);
}

void
overlay_table_want (OverlayTable *self, OverlayRow *row)
{
  Cell *cell = cell_of (self, row);
  g_ptr_array_add (cell->wanted, row);
  mark (self, cell);
}

void
overlay_table_withdraw (OverlayTable *self, OverlayRow *row)
{
  Cell *cell = cell_of (self, row);
  g_ptr_array_remove (cell->wanted, row);
  mark (self, cell);
}

gboolean
overlay_table_is_dirty (OverlayTable *self)
{
  return self->dirty->len > 0;
}

static gsize
row_size (const OverlayRow *row)
{
  return sizeof *row + row->length;
}

static gboolean
same (const OverlayRow *a, const OverlayRow *b)
{
  return a == b || (a != NULL && b != NULL && a->length == b->length && memcmp (a->data, b->data, a->length) == 0);
}

static void
append (GByteArray *out, const OverlayRow *row, SwarmNetdOp op)
{
  static const guint8 zeros[8];
  gsize rest = (8 - row->length % 8) % 8;
  SwarmNetdRecord record = { row->type, op, sizeof record + row->length + rest };
  g_byte_array_append (out, (const guint8 *) &record, sizeof record);
  g_byte_array_append (out, row->data, row->length);
  g_byte_array_append (out, zeros, rest);
}

static void
take_cell (Cell *cell, gboolean full, GByteArray *out)
{
  OverlayRow *now = cell->wanted->len > 0 ? g_ptr_array_index (cell->wanted, cell->wanted->len - 1) : NULL;
  if (now != NULL && (full || !same (now, cell->sent)))
    append (out, now, SWARM_NETD_PUT);
  else if (now == NULL && cell->sent != NULL && !full)
    append (out, cell->sent, SWARM_NETD_REMOVE);
  if (!same (now, cell->sent)) {
    g_free (cell->sent);
    cell->sent = now != NULL ? g_memdup2 (now, row_size (now)) : NULL;
  }
  cell->dirty = FALSE;
}

static gboolean
is_gone (gpointer key, gpointer value, gpointer data)
{
  const Cell *cell = key;
  return cell->wanted->len == 0 && cell->sent == NULL;
}

GByteArray *
overlay_table_take (OverlayTable *self, gboolean full)
{
  GByteArray *out = g_byte_array_new ();
  if (full) {
    GHashTableIter iter;
    gpointer cell;
    g_hash_table_iter_init (&iter, self->cells);
    while (g_hash_table_iter_next (&iter, &cell, NULL))
      take_cell (cell, TRUE, out);
    g_hash_table_foreach_remove (self->cells, is_gone, NULL);
    g_ptr_array_set_size (self->dirty, 0);
    return out;
  }
  for (guint i = 0; i < self->dirty->len; i++) {
    Cell *cell = g_ptr_array_index (self->dirty, i);
    take_cell (cell, FALSE, out);
    if (is_gone (cell, cell, NULL))
      g_hash_table_remove (self->cells, cell);
  }
  g_ptr_array_set_size (self->dirty, 0);
  if (out->len > 0)
    return out;
  g_byte_array_unref (out);
  return NULL;
}
