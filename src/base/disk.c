// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/disk.h"

static void
op_clear (gpointer data)
{
  SwarmDiskOp *op = data;

  g_free (op->name);
  g_free (op->to);
  g_clear_pointer (&op->data, g_bytes_unref);
}

GArray *
swarm_disk_ops_new (void)
{
  GArray *ops = g_array_new (FALSE, TRUE, sizeof (SwarmDiskOp));

  g_array_set_clear_func (ops, op_clear);
  return ops;
}

static void
add (GArray *ops, SwarmDiskOp op)
{
  g_array_append_val (ops, op);
}

void
swarm_disk_ops_write (GArray *ops, const char *name, guint64 offset, GBytes *data)
{
  add (ops, (SwarmDiskOp){ SWARM_DISK_WRITE, g_strdup (name), NULL, offset, g_bytes_ref (data) });
}

void
swarm_disk_ops_truncate (GArray *ops, const char *name, guint64 size)
{
  add (ops, (SwarmDiskOp){ SWARM_DISK_TRUNCATE, g_strdup (name), NULL, size, NULL });
}

void
swarm_disk_ops_rename (GArray *ops, const char *name, const char *to)
{
  add (ops, (SwarmDiskOp){ SWARM_DISK_RENAME, g_strdup (name), g_strdup (to), 0, NULL });
}

void
swarm_disk_ops_unlink (GArray *ops, const char *name)
{
  add (ops, (SwarmDiskOp){ SWARM_DISK_UNLINK, g_strdup (name), NULL, 0, NULL });
}
