// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tables and their indexes; nothing here knows of the log. */
#pragma once
#include "base/id-table.h"
#include "model/objects.h"

/* Objects of one kind. */
typedef struct {
  SwarmIdTable by_id;  /* objects (references), in order of id */
  GHashTable *by_name; /* name in the object → object, borrowed; NULL: names need not be unique */
} SwarmTable;

typedef struct {
  SwarmTable table[_SWARM_KIND_MAX];
  SwarmIdTable tasks_of_service; /* SwarmTaskList by id of the service */
  SwarmIdTable tasks_of_node;
} SwarmTables;

SwarmTables *swarm_tables_new (void);
void swarm_tables_free (SwarmTables *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmTables, swarm_tables_free)

/* Borrowed; NULL: absent. */
gpointer swarm_tables_get (SwarmTables *self, SwarmKind kind, const SwarmId *id);
/* The holder of a name among kinds whose names are unique; NULL for others. */
gpointer swarm_tables_get_by_name (SwarmTables *self, SwarmKind kind, const char *name);
/* Puts @object (a reference is taken; NULL: removal) in place of whatever has @id. Names must be free. */
void swarm_tables_set (SwarmTables *self, SwarmKind kind, const SwarmId *id, gpointer object);
/* Parts of @object (not yet in the tables) that equal those of @previous (may be NULL) become the very same in memory, and a task shares its
 * spec with its service: thousands of equal ones cost one. */
void swarm_tables_share (SwarmTables *self, SwarmObject *object, const SwarmObject *previous);
/* Copies of index entries; never NULL. @slot NULL: all. */
GPtrArray *swarm_tables_tasks_of_service (SwarmTables *self, const SwarmId *service, const guint64 *slot);
GPtrArray *swarm_tables_tasks_from_slot (SwarmTables *self, const SwarmId *service, guint64 first, guint n);
GPtrArray *swarm_tables_tasks_of_node (SwarmTables *self, const SwarmId *node, const guint64 *slot);
