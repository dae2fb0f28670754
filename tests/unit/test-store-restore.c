// SPDX-License-Identifier: LGPL-2.1-or-later
/* What those who follow a store hear when a snapshot replaces it. */
#include "base/clock-glib.h"
#include "base/random-system.h"
#include "store/store.h"

/* A log of one: what is proposed is applied when the test says so. */
typedef struct {
  SwarmStore *store;
  GBytes *entry;
  SwarmProposedFunc done;
  gpointer done_data;
  guint64 index;
} Leader;

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  Leader *leader = data;

  leader->entry = g_bytes_ref (entry);
  leader->done = done;
  leader->done_data = done_data;
}

static void
committed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

static void
commit (Leader *leader, SwarmTx *tx)
{
  g_autoptr (GError) error = NULL;

  swarm_tx_commit (tx, NULL, committed, NULL);
  g_assert_true (swarm_store_apply (leader->store, ++leader->index, leader->entry, &error));
  g_clear_pointer (&leader->entry, g_bytes_unref);
  leader->done (leader->index, NULL, leader->done_data);
}

static SwarmId
create (Leader *leader, const char *name)
{
  g_autoptr (SwarmService) service = swarm_service_new ();
  SwarmTx *tx = swarm_store_tx (leader->store);

  service->spec = swarm_service_spec_new ();
  service->spec->name = g_strdup (name);
  swarm_tx_create (tx, service);
  commit (leader, tx);
  return service->object.id;
}

static GBytes *
snapshot_of (SwarmStore *store)
{
  SwarmSnapshot *snapshot = swarm_store_snapshot (store);
  GBytes *bytes = swarm_snapshot_encode (snapshot);

  swarm_snapshot_free (snapshot);
  return bytes;
}

typedef struct {
  SwarmId created, updated, removed;
  guint resets, others;
} Seen;

static void
note (const SwarmEvent *event, gpointer data)
{
  Seen *seen = data;

  if (event->event == SWARM_EVENT_RESET) {
    seen->resets++;
    g_assert_true (swarm_id_is_nil (&seen->created) && swarm_id_is_nil (&seen->updated) && swarm_id_is_nil (&seen->removed));
  } else if (event->event == SWARM_EVENT_CREATE && swarm_id_is_nil (&seen->created))
    seen->created = SWARM_OBJECT (event->object)->id;
  else if (event->event == SWARM_EVENT_REMOVE && swarm_id_is_nil (&seen->removed))
    seen->removed = SWARM_OBJECT (event->object)->id;
  else if (event->event == SWARM_EVENT_UPDATE && swarm_id_is_nil (&seen->updated)) {
    seen->updated = SWARM_OBJECT (event->object)->id;
    g_assert_cmpuint (SWARM_OBJECT (event->previous)->version, <, SWARM_OBJECT (event->object)->version);
  } else
    seen->others++;
}

/* A manager that was behind gets a snapshot: whoever follows its store hears of each object that differs, once, and of no other. */
static void
test_differences (void)
{
  Leader leader = { 0 };
  Seen seen = { 0 };
  g_autoptr (GError) error = NULL;
  SwarmStore *behind = swarm_store_new (swarm_clock_glib (), swarm_random_system (), propose, &leader);

  leader.store = swarm_store_new (swarm_clock_glib (), swarm_random_system (), propose, &leader);
  create (&leader, "stays");
  SwarmId changes = create (&leader, "changes"), goes = create (&leader, "goes");
  g_autoptr (GBytes) early = snapshot_of (leader.store);
  SwarmId comes = create (&leader, "comes");
  g_autoptr (SwarmService) changed = swarm_service_copy (swarm_store_get (leader.store, SWARM_KIND_SERVICE, &changes));
  SwarmTx *tx = swarm_store_tx (leader.store);
  swarm_tx_update (tx, changed);
  swarm_tx_remove (tx, SWARM_KIND_SERVICE, &goes, 0);
  commit (&leader, tx);
  g_autoptr (GBytes) late = snapshot_of (leader.store);
  g_assert_true (swarm_store_restore (behind, 3, early, &error));
  swarm_store_watch (behind, 0, note, &seen);
  g_assert_true (swarm_store_restore (behind, leader.index, late, &error));
  g_assert_cmpuint (seen.resets, ==, 1);
  g_assert_cmpuint (seen.others, ==, 0);
  g_assert_true (swarm_id_equal (&seen.created, &comes));
  g_assert_true (swarm_id_equal (&seen.updated, &changes));
  g_assert_true (swarm_id_equal (&seen.removed, &goes));
  swarm_store_free (behind);
  swarm_store_free (leader.store);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/store/restore-differences", test_differences);
  return g_test_run ();
}
