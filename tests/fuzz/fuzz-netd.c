// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the data plane is told: batches one after the other. However bad one is, the tables stay whole, and a refused one changes nothing. */
#include "fuzz.h"
#include "netd/batch.h"
#include "netd/tables.h"
#include <string.h>

static void
apply (SwarmNetdTables *tables, SwarmNetdBatch *batch)
{
  g_autoptr (GPtrArray) before = swarm_netd_tables_all (tables);
  gint bad_edit;
  g_autoptr (GPtrArray) changes =
    swarm_netd_tables_apply (tables, swarm_netd_batch_edits (batch), swarm_netd_batch_is_full (batch), &bad_edit, NULL);
  if (changes != NULL)
    return;
  g_autoptr (GPtrArray) after = swarm_netd_tables_all (tables);
  g_assert (before->len == after->len);
  for (guint i = 0; i < after->len; i++)
    g_assert (swarm_netd_row_equal (((SwarmNetdChange *) before->pdata[i])->after, ((SwarmNetdChange *) after->pdata[i])->after));
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (SwarmNetdTables) tables = swarm_netd_tables_new ();
  g_autoptr (SwarmNetdBatch) batch = NULL;
  while (size >= sizeof (SwarmNetdHeader)) {
    SwarmNetdHeader header;
    guint32 bad_record;
    memcpy (&header, data, sizeof header);
    data += sizeof header, size -= sizeof header;
    if (!swarm_netd_header_check (&header, NULL) || header.length > size)
      return 0;
    if (batch == NULL)
      batch = swarm_netd_batch_new (&header);
    if (!swarm_netd_batch_add (batch, &header, data, &bad_record, NULL))
      return 0;
    data += header.length, size -= header.length;
    if (swarm_netd_batch_is_whole (batch)) {
      apply (tables, batch);
      g_clear_pointer (&batch, swarm_netd_batch_free);
    }
  }
  return 0;
}
