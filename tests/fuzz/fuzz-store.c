// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the store reads of the log and of snapshots. The first byte says as what: a snapshot (s), an entry (e), an entry on top of a snapshot
 * (u: length of the snapshot in two bytes, big endian), a request's result (r). What is refused changes nothing. */
#include "base/clock-glib.h"
#include "base/random-system.h"
#include "fuzz.h"
#include "store/entry.h"
#include "store/store.h"

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
}

static GBytes *
snapshot_of (SwarmStore *store)
{
  SwarmSnapshot *snapshot = swarm_store_snapshot (store);
  GBytes *bytes = swarm_snapshot_encode (snapshot);

  swarm_snapshot_free (snapshot);
  return bytes;
}

/* What was read can be written and read again, and is the same. */
static void
check_same (SwarmStore *store)
{
  g_autoptr (GBytes) written = snapshot_of (store), again = NULL;
  g_autoptr (GError) error = NULL;
  SwarmStore *other = swarm_store_new (swarm_clock_glib (), swarm_random_system (), propose, NULL);

  if (!swarm_store_restore (other, swarm_store_index (store), written, &error))
    g_error ("an own snapshot is refused: %s", error->message);
  again = snapshot_of (other);
  g_assert (g_bytes_equal (written, again));
  swarm_store_free (other);
}

static void
try (GBytes *snapshot, GBytes *entry)
{
  SwarmStore *store = swarm_store_new (swarm_clock_glib (), swarm_random_system (), propose, NULL);
  g_autoptr (GError) error = NULL;

  if (snapshot != NULL && !swarm_store_restore (store, 1, snapshot, &error))
    g_assert (error != NULL && swarm_store_count (store, SWARM_KIND_SERVICE) == 0);
  g_clear_error (&error);
  if (entry != NULL) {
    g_autoptr (GBytes) before = snapshot_of (store), after = NULL;
    if (!swarm_store_apply (store, 2, entry, &error)) {
      g_assert (error != NULL);
      after = snapshot_of (store);
      g_assert (g_bytes_equal (before, after));
    }
  }
  check_same (store);
  swarm_store_free (store);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  if (size < 3)
    return 0;
  g_autoptr (GBytes) rest = g_bytes_new (data + 1, size - 1), head = NULL, tail = NULL;
  switch (data[0]) {
  case 's':
    try (rest, NULL);
    break;
  case 'e':
    try (NULL, rest);
    break;
  case 'u': {
    gsize len = MIN ((gsize) data[1] << 8 | data[2], size - 3);
    head = g_bytes_new (data + 3, len);
    tail = g_bytes_new (data + 3 + len, size - 3 - len);
    try (head, tail);
    break;
  }
  case 'r': {
    GVariant *result = swarm_result_decode (rest);
    g_clear_pointer (&result, g_variant_unref);
    break;
  }
  }
  return 0;
}
