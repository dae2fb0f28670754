// SPDX-License-Identifier: LGPL-2.1-or-later
/* Links, disks and plugins outlive a worker and answer when it is gone. What they are handed is a number, looked up here: a worker that is
 * freed takes its numbers out. */
#include "worker/private.h"

static GHashTable *ops; /* number → SwarmWorkerOp */
static guint64 last_number;

gpointer
swarm_worker_op_new (SwarmWorker *self, const SwarmId *task, guint64 tag)
{
  SwarmWorkerOp *op = g_new0 (SwarmWorkerOp, 1);
  gpointer number = GSIZE_TO_POINTER ((gsize) ++last_number);

  if (ops == NULL)
    ops = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  op->worker = self;
  op->task = task != NULL ? *task : SWARM_ID_NIL;
  op->tag = tag;
  g_hash_table_insert (ops, number, op);
  return number;
}

gboolean
swarm_worker_op_take (gpointer data, SwarmWorkerOp *ret)
{
  SwarmWorkerOp *op = ops != NULL ? g_hash_table_lookup (ops, data) : NULL;

  if (op == NULL)
    return FALSE;
  *ret = *op;
  g_hash_table_remove (ops, data);
  return TRUE;
}

static gboolean
is_of (gpointer number, gpointer op, gpointer worker)
{
  return ((SwarmWorkerOp *) op)->worker == worker;
}

void
swarm_worker_op_forget (SwarmWorker *self)
{
  if (ops == NULL)
    return;
  g_hash_table_foreach_remove (ops, is_of, self);
  if (g_hash_table_size (ops) == 0)
    g_clear_pointer (&ops, g_hash_table_unref);
}
