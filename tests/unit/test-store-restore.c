// SPDX-License-Identifier: LGPL-2.1-or-later
/* A store over a log of one: what those who follow it hear when a snapshot replaces it, its time, and limits to the byte. */
#include "base/clock-glib.h"
#include "base/clock-virtual.h"
#include "base/error.h"
#include "base/random-system.h"
#include "store/entry.h"
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

/* ---- time ---- */

/* Stamps never go back, whoever leads next and whatever its clock says: the snapshot knows the time, too. */
static void
test_time (void)
{
  SwarmVirtualClock *clock = swarm_virtual_clock_new (G_USEC_PER_SEC);
  Leader leader = { 0 };
  g_autoptr (GError) error = NULL;

  leader.store = swarm_store_new (swarm_virtual_clock_iface (clock), swarm_random_system (), propose, &leader);
  g_assert_cmpuint (swarm_store_cluster_level (leader.store), ==, SWARM_FEATURE_LEVEL); /* without a cluster: what this program knows */
  swarm_virtual_clock_step_wall (swarm_virtual_clock_iface (clock), (gint64) 3600 * G_USEC_PER_SEC);
  SwarmId id = create (&leader, "web");
  gint64 stamp = SWARM_OBJECT (swarm_store_get (leader.store, SWARM_KIND_SERVICE, &id))->created_at;
  g_autoptr (GBytes) bytes = snapshot_of (leader.store);
  swarm_virtual_clock_step_wall (swarm_virtual_clock_iface (clock), (gint64) -7200 * G_USEC_PER_SEC);
  g_assert_cmpint (swarm_store_now (leader.store), >=, stamp);
  SwarmStore *fresh = swarm_store_new (swarm_virtual_clock_iface (clock), swarm_random_system (), propose, &leader);
  g_assert_true (swarm_store_restore (fresh, leader.index, bytes, &error));
  g_assert_cmpint (swarm_store_now (fresh), >=, stamp);
  swarm_store_free (leader.store);
  leader.store = fresh;
  SwarmId next = create (&leader, "next");
  g_assert_cmpint (SWARM_OBJECT (swarm_store_get (fresh, SWARM_KIND_SERVICE, &next))->created_at, >, stamp);
  swarm_store_free (fresh);
  swarm_virtual_clock_free (clock);
}

/* What plans over a copy of a store has its index, its time and its objects, however small the steps. */
static void
test_load (void)
{
  SwarmVirtualClock *clock = swarm_virtual_clock_new (G_USEC_PER_SEC);
  Leader leader = { 0 };

  leader.store = swarm_store_new (swarm_virtual_clock_iface (clock), swarm_random_system (), propose, &leader);
  swarm_virtual_clock_step_wall (swarm_virtual_clock_iface (clock), (gint64) 3600 * G_USEC_PER_SEC);
  for (guint i = 0; i < 10; i++) {
    g_autofree char *name = g_strdup_printf ("s%u", i);
    create (&leader, name);
  }
  for (guint step = 1; step < 12; step++) {
    SwarmStore *copy = swarm_store_new (swarm_virtual_clock_iface (clock), swarm_random_system (), propose, &leader);
    SwarmSnapshot *snapshot = swarm_store_snapshot (leader.store);
    guint cursor = 0, calls = 1;
    while (swarm_store_load (copy, snapshot, &cursor, step))
      calls++;
    g_assert_cmpuint (calls, ==, 1 + 10 / step);
    g_assert_cmpuint (swarm_store_index (copy), ==, leader.index);
    g_assert_cmpuint (swarm_store_count (copy, SWARM_KIND_SERVICE), ==, 10);
    g_assert_cmpint (swarm_store_now (copy), >=, (gint64) 3600 * G_USEC_PER_SEC);
    g_autoptr (GBytes) a = snapshot_of (leader.store), b = snapshot_of (copy);
    g_assert_true (g_bytes_equal (a, b));
    swarm_snapshot_free (snapshot);
    swarm_store_free (copy);
  }
  swarm_store_free (leader.store);
  swarm_virtual_clock_free (clock);
}

/* ---- limits ---- */

static void
note_outcome (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM);
}

/* What has room is not too large: whoever asked before it put something in is not refused for it. */
static void
test_room (void)
{
  Leader leader = { 0 };
  guint rooms = 0, full = 0;

  leader.store = swarm_store_new (swarm_clock_glib (), swarm_random_system (), propose, &leader);
  for (gsize len = SWARM_TX_MAX_BYTES / SWARM_TX_MAX_CHANGES - 200; len < SWARM_TX_MAX_BYTES / SWARM_TX_MAX_CHANGES; len += 4) {
    g_autofree char *text = g_strnfill (len, 'x');
    SwarmTx *tx = swarm_store_tx (leader.store);

    for (guint i = 0; i < SWARM_TX_MAX_CHANGES; i++) {
      g_autoptr (SwarmService) service = swarm_service_new ();
      service->spec = swarm_service_spec_new ();
      service->spec->name = g_strdup_printf ("n%03u", i);
      service->spec->task = swarm_task_spec_new ();
      service->spec->task->container = swarm_container_spec_new ();
      swarm_string_set (&service->spec->task->container->user, text);
      if (!swarm_tx_has_room (tx, 1)) {
        full++;
        break;
      }
      swarm_tx_create (tx, service);
      rooms += i == SWARM_TX_MAX_CHANGES - 1;
    }
    swarm_tx_commit (tx, NULL, note_outcome, NULL);
    g_assert_nonnull (leader.entry); /* proposed, not refused */
    g_assert_cmpuint (g_bytes_get_size (leader.entry), <=, SWARM_TX_MAX_BYTES);
    g_clear_pointer (&leader.entry, g_bytes_unref);
    leader.done (0, &(GError){ SWARM_ERROR, SWARM_ERROR_NO_QUORUM, (char *) "not now" }, leader.done_data);
  }
  g_assert_cmpuint (rooms, >, 5);
  g_assert_cmpuint (full, >, 5);
  swarm_store_free (leader.store);
}

static void
create_named (Leader *leader, const char *id, const char *name)
{
  g_autoptr (SwarmService) service = swarm_service_new ();
  SwarmTx *tx = swarm_store_tx (leader->store);

  g_assert_true (swarm_id_parse (id, &service->object.id));
  service->spec = swarm_service_spec_new ();
  service->spec->name = g_strdup (name);
  swarm_tx_create (tx, service);
  commit (leader, tx);
}

/* An id is an id, though another has it as its name. */
static void
test_id_before_name (void)
{
  Leader leader = { 0 };

  leader.store = swarm_store_new (swarm_clock_glib (), swarm_random_system (), propose, &leader);
  create_named (&leader, "aaa0000000000000000000001", "web");
  create_named (&leader, "aab0000000000000000000001", "aaa0000000000000000000001");
  const SwarmService *found = swarm_store_resolve (leader.store, SWARM_KIND_SERVICE, "aaa0000000000000000000001", NULL);
  g_assert_cmpstr (found->spec->name, ==, "web");
  swarm_store_free (leader.store);
}

/* Who made an entry is told from its first bytes, if they are all there. */
static void
test_peek (void)
{
  for (guint bits = 0; bits < 64; bits++) {
    SwarmEntryHead head = { .proposer = { { 7, 8, 9 } }, .sequence = (guint64) 1 << bits, .stamp = 1 };
    g_autoptr (GBytes) entry = swarm_entry_encode (&head, NULL, 0, (const guint8 *) "");
    guint64 sequence = 0;
    SwarmId proposer = { { 0 } };

    g_assert_true (swarm_entry_peek (entry, &proposer, &sequence));
    g_assert_cmpuint (sequence, ==, head.sequence);
    g_assert_true (swarm_id_equal (&proposer, &head.proposer));
    for (gsize cut = 0; cut < 4 + 16 + 1 + 1 + bits / 7; cut++) {
      gpointer copy = g_memdup2 (g_bytes_get_data (entry, NULL), MAX (cut, 1));
      g_autoptr (GBytes) part = g_bytes_new_take (copy, cut);
      g_assert_false (swarm_entry_peek (part, &proposer, &sequence));
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/store/restore-differences", test_differences);
  g_test_add_func ("/store/time", test_time);
  g_test_add_func ("/store/load", test_load);
  g_test_add_func ("/store/room", test_room);
  g_test_add_func ("/store/id-before-name", test_id_before_name);
  g_test_add_func ("/store/peek", test_peek);
  return g_test_run ();
}
