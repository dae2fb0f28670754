// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tasks in order of slot, creation and id, cut into pieces so that a change in a list of a million costs no more than one piece. */
#pragma once
#include "model/objects.h"

typedef struct {
  guint64 slot; /* of the task: most comparisons need not look at it */
  SwarmTask *task; /* borrowed */
} SwarmTaskEntry;

typedef struct {
  guint64 first; /* slot of its first entry */
  guint n;
  guint size;
  SwarmTaskEntry *entries;
} SwarmTaskPiece;

/* What one service or one node has. */
typedef struct {
  SwarmId id; /* its: the key among lists */
  guint n;
  guint n_pieces;
  SwarmTaskPiece *pieces; /* none is empty */
} SwarmTaskList;

SwarmTaskList *swarm_task_list_new (const SwarmId *id);
void swarm_task_list_free (SwarmTaskList *self);
void swarm_task_list_add (SwarmTaskList *self, SwarmTask *task);
void swarm_task_list_remove (SwarmTaskList *self, const SwarmTask *task);
/* @task takes the place of @previous, whose slot, creation and id are the same. */
void swarm_task_list_replace (SwarmTaskList *self, const SwarmTask *previous, SwarmTask *task);
/* Those of one slot, NULL: all. Caller frees the array only. */
GPtrArray *swarm_task_list_get (const SwarmTaskList *self, const guint64 *slot);
/* Those of the slots from @first on: at least @n, but no slot in part, unless there are no more. Caller frees the array only. */
GPtrArray *swarm_task_list_get_from (const SwarmTaskList *self, guint64 first, guint n);
