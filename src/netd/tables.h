// SPDX-License-Identifier: LGPL-2.1-or-later
/* The wanted state: one ordered table of rows per type. */
#pragma once
#include "netd/row.h"

typedef struct _SwarmNetdTables SwarmNetdTables;

/* A row that came (@before NULL), went (@after NULL) or changed. */
typedef struct {
  SwarmNetdRow *before;
  SwarmNetdRow *after;
} SwarmNetdChange;

SwarmNetdTables *swarm_netd_tables_new (void);
void swarm_netd_tables_free (SwarmNetdTables *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdTables, swarm_netd_tables_free)

guint swarm_netd_tables_count (SwarmNetdTables *self, guint16 type);
/* The row of @type with the key at @key (its first bytes); NULL: none. Not for names. */
const SwarmNetdRow *swarm_netd_tables_find (SwarmNetdTables *self, guint16 type, const void *key);

typedef void (*SwarmNetdRowFunc) (const SwarmNetdRow *row, gpointer data);
/* Calls @func for the rows of @type whose first @length bytes are those at @prefix (0: all), in order of their keys. */
void swarm_netd_tables_each (SwarmNetdTables *self, guint16 type, const void *prefix, gsize length, SwarmNetdRowFunc func, gpointer data);

/* What one batch says: puts and removes. */
typedef struct {
  SwarmNetdRow *row;
  gboolean remove;
} SwarmNetdEdit;

/* All of @edits or, with an error, nothing. @full: what they do not put goes. Returns what changed (elements SwarmNetdChange*), in no order. */
GPtrArray *swarm_netd_tables_apply (SwarmNetdTables *self, GArray *edits, gboolean full, gint *bad_edit, GError **error);
/* All rows as the changes that would make them from nothing. */
GPtrArray *swarm_netd_tables_all (SwarmNetdTables *self);
