// SPDX-License-Identifier: LGPL-2.1-or-later
/* Snapshots from one member to another, starting again, and what comes from whom. */
#include "consensus-fixture.h"

/* ---- snapshots from the leader ---- */

/* Member 2 is away while so much is written that the log does not reach back. */
static Group *
lagging_group (gsize padding)
{
  Group *g = group_new (3);

  g->padding = padding;
  stop (g, 2);
  propose_many (g, 400);
  swarm_consensus_compact (g->members[0].consensus);
  run (g, SECOND);
  g_assert_cmpuint (stats_of (&g->members[0]).snapshot_index, >, 400);
  g_assert_cmpuint (stats_of (&g->members[0]).first_index, >, 100);
  return g;
}

static gboolean
caught_up (gpointer data)
{
  Group *g = data;

  return g->members[2].consensus != NULL && strcmp (g->members[2].state->str, g->members[0].state->str) == 0;
}

static void
test_install (void)
{
  g_autoptr (Group) g = lagging_group (0);
  Member *m = g->members;

  memset (g->sent, 0, sizeof g->sent);
  start (g, 2);
  g_assert_true (sim_clock_run_until (g->clock, 5 * SECOND, caught_up, g));
  g_assert_cmpuint (m[2].restored, >, 400);
  g_assert_cmpuint (stats_of (&m[2]).snapshots_installed, ==, 1);
  g_assert_cmpuint (g->sent[MESSAGE_SNAPSHOT], ==, 1);
  propose_fine (g, "next");
  run (g, 300 * MS);
  g_assert_true (caught_up (g));
  g_assert_cmpuint (n_members (&m[2]), ==, 3);
  /* It stands on its disk, with what came behind it. */
  m[2].restored = 0;
  stop (g, 2);
  stop (g, 0);
  start (g, 2);
  g_assert_cmpuint (m[2].restored, >, 400);
  propose_fine (g, "without the old leader");
  run (g, 300 * MS);
  g_assert_cmpstr (m[2].state->str, ==, m[1].state->str);
}

/* Large ones go in pieces with a small window, each piece once. */
static void
test_install_large (void)
{
  g_autoptr (Group) g = lagging_group (3 << 20);
  guint pieces = ((3 << 20) + RAFT_SNAPSHOT_PIECE) / RAFT_SNAPSHOT_PIECE;

  memset (g->sent, 0, sizeof g->sent);
  start (g, 2);
  g_assert_true (sim_clock_run_until (g->clock, 5 * SECOND, caught_up, g));
  g_assert_cmpuint (g->sent[MESSAGE_SNAPSHOT], >=, pieces);
  g_assert_cmpuint (g->sent[MESSAGE_SNAPSHOT], <=, pieces + 1);
  g_assert_cmpuint (g->sent[MESSAGE_SNAPSHOT_ACK], ==, g->sent[MESSAGE_SNAPSHOT]);
  /* The last piece once more, late: it belongs to nothing any more. */
  swarm_consensus_receive (g->members[2].consensus, &g->members[0].id, g->piece);
  run (g, 300 * MS);
  g_assert_cmpuint (stats_of (&g->members[2]).snapshots_installed, ==, 1);
}

static gboolean
pieces_left (gpointer data)
{
  return ((Group *) data)->sent[MESSAGE_SNAPSHOT] >= 8;
}

/* The connection breaks in the middle: it begins anew, at once when told, else after a while. */
static void
test_install_broken (gconstpointer data)
{
  g_autoptr (Group) g = lagging_group (3 << 20);
  gboolean told = GPOINTER_TO_INT (data);

  memset (g->sent, 0, sizeof g->sent);
  start (g, 2);
  g_assert_true (sim_clock_run_until (g->clock, 5 * SECOND, pieces_left, g));
  cut_off (g, 2, TRUE);
  run (g, 10 * MS);
  g_assert_cmpuint (g->sent[MESSAGE_SNAPSHOT], <=, 12); /* no more than the window */
  cut_off (g, 2, FALSE);
  if (told) {
    swarm_consensus_peer_disconnected (g->members[0].consensus, &g->members[2].id);
    swarm_consensus_peer_connected (g->members[0].consensus, &g->members[2].id);
  }
  if (told)
    g_assert_true (sim_clock_run_until (g->clock, 1800 * MS, caught_up, g));
  else
    g_assert_true (sim_clock_run_until (g->clock, 6 * SECOND, caught_up, g));
  g_assert_cmpuint (stats_of (&g->members[2]).snapshots_installed, ==, 1);
}

/* An answer to a stream that is given up says nothing about the one under way. */
static void
test_install_stale_answer (void)
{
  g_autoptr (Group) g = lagging_group (3 << 20);
  Member *m = g->members;
  Message message = { .type = MESSAGE_SNAPSHOT_ACK, .from = m[2].raft_id, .to = m[0].raft_id, .stream = 1, .offset = 3 << 20 };
  g_autoptr (GBytes) stale = NULL;

  memset (g->sent, 0, sizeof g->sent);
  start (g, 2);
  g_assert_true (sim_clock_run_until (g->clock, 5 * SECOND, pieces_left, g));
  message.term = swarm_consensus_term (m[0].consensus);
  for (message.stream = 0; message.stream < 3; message.stream++) {
    g_clear_pointer (&stale, g_bytes_unref);
    stale = message_encode (&message, NULL, 0);
    if (g->stream != message.stream)
      swarm_consensus_receive (m[0].consensus, &m[2].id, stale);
  }
  g_assert_true (sim_clock_run_until (g->clock, 500 * MS, caught_up, g));
}

/* A piece is lost: nothing wrong is put together. */
static void
test_install_loss (void)
{
  g_autoptr (Group) g = lagging_group (3 << 20);

  start (g, 2);
  g_assert_true (sim_clock_run_until (g->clock, 5 * SECOND, pieces_left, g));
  g->lose_type = MESSAGE_SNAPSHOT;
  g->lose = 1;
  g_assert_true (sim_clock_run_until (g->clock, 10 * SECOND, caught_up, g));
  g_assert_cmpuint (stats_of (&g->members[2]).snapshots_installed, ==, 1);
}

/* What is kept behind a snapshot spares those that lag little the whole state. */
static void
test_trailing (void)
{
  g_autoptr (Group) g = group_new (3);
  Member *m = g->members;

  stop (g, 2);
  propose_many (g, 100);
  swarm_consensus_compact (m[0].consensus);
  run (g, SECOND);
  g_assert_cmpuint (stats_of (&m[0]).snapshot_index, >, 100);
  start (g, 2);
  g_assert_true (sim_clock_run_until (g->clock, 2 * SECOND, caught_up, g));
  g_assert_cmpuint (m[2].restored, ==, 0);
  g_assert_cmpuint (g->sent[MESSAGE_SNAPSHOT], ==, 0);
}

/* A new member of an old cluster begins with a snapshot. */
static void
test_join_late (void)
{
  g_autoptr (Group) g = lagging_group (100000);
  Member *m = g->members;

  add_standby (g, 3);
  promote (g, 3);
  run (g, 500 * MS);
  g_assert_cmpstr (m[3].state->str, ==, m[0].state->str);
  g_assert_cmpuint (stats_of (&m[3]).snapshots_installed, ==, 1);
  g_assert_true (member_of (&m[3], 3).voter);
  stop (g, 1); /* two of four are too few */
  run (g, 3 * SECOND);
  g_assert_false (m[0].leads || m[3].leads);
  start (g, 2);
  propose_fine (g, "three are enough");
}

/* ---- starting again ---- */

static void
test_restart_all (void)
{
  g_autoptr (Group) g = group_new (3);
  Member *m = g->members;
  guint64 term;

  add_standby (g, 3);
  propose_fine (g, "kept");
  run (g, 200 * MS);
  term = swarm_consensus_term (m[0].consensus);
  for (guint i = 0; i < 4; i++)
    stop (g, i);
  for (guint i = 0; i < 4; i++)
    start (g, i);
  leader (g);
  run (g, 2 * SECOND);
  for (guint i = 0; i < 4; i++) {
    g_assert_cmpstr (m[i].state->str, ==, "kept;");
    g_assert_cmpuint (n_members (&m[i]), ==, 4);
    g_assert_cmpuint (member_of (&m[i], 3).raft_id, ==, m[3].raft_id);
    g_assert_true (i == 3 || member_of (&m[0], i).voter);
    g_assert_true (swarm_id_equal (&m[i].leader, &leader (g)->id));
  }
  g_assert_false (member_of (&m[0], 3).voter || m[3].leads);
  g_assert_cmpuint (swarm_consensus_term (m[0].consensus), >, term);
}

/* What a member said in an election it must know after a crash: nothing is said before it is on the disk. */
static void
test_votes_are_kept (void)
{
  g_autoptr (Group) g = group_new (3);

  for (guint i = 1; i < 3; i++) {
    g->votes_need[i] = sim_disk_batches (g->members[i].disk) + 1;
    sim_disk_set_delay (g->members[i].disk, 40 * MS, 40 * MS);
  }
  stop (g, 0);
  leader (g);
  g_assert_cmpuint (g->votes, >=, 2);
}

/* Who was removed while it was away learns it from managers that know their members from a snapshot alone. */
static void
test_removed_before_snapshot (void)
{
  g_autoptr (Group) g = group_new (3);
  g_auto (Answer) answer = { 0 };
  Member *m = g->members;

  g->trailing = 1;
  stop (g, 0);
  stop (g, 1);
  start (g, 0);
  start (g, 1);
  leader (g);
  swarm_consensus_transfer (leader (g)->consensus, &m[0].id, note, &answer);
  run (g, 2 * SECOND);
  stop (g, 2);
  run (g, 2 * SECOND);
  g_auto (Answer) gone = { 0 };
  swarm_consensus_remove (leader (g)->consensus, &m[2].id, note, &gone);
  wait_fine (g, &gone, SECOND);
  propose_many (g, 20);
  for (guint i = 0; i < 2; i++)
    swarm_consensus_compact (m[i].consensus);
  run (g, SECOND);
  for (guint i = 0; i < 2; i++) {
    stop (g, i);
    start (g, i);
  }
  run (g, 3 * SECOND);
  g_assert_cmpuint (m[0].restored, >, 0);
  g_assert_cmpuint (n_members (&m[0]), ==, 2);
  start (g, 2);
  run (g, 4 * SECOND);
  g_assert_true (m[2].removed);
  g_assert_false (m[0].removed || m[1].removed);
}

/* One of two cannot lead alone, whoever it is; with the other it can again. */
static void
test_two (void)
{
  g_autoptr (Group) g = group_new (2);
  Member *m = g->members;

  stop (g, 0);
  run (g, 5 * SECOND);
  g_assert_false (m[1].leads);
  g_assert_true (swarm_id_is_nil (&m[1].leader));
  start (g, 0);
  propose_fine (g, "both");
  stop (g, leader (g)->number);
  run (g, 5 * SECOND);
  g_assert_false (m[0].leads || m[1].leads);
}

/* Without faults nobody else stands for election. */
static void
test_calm (void)
{
  g_autoptr (Group) g = group_new (3);
  guint64 term = swarm_consensus_term (g->members[0].consensus);
  guint roles[3];

  for (guint i = 0; i < 3; i++)
    roles[i] = g->members[i].roles;
  memset (g->sent, 0, sizeof g->sent);
  run (g, 60 * SECOND);
  for (guint i = 0; i < 3; i++) {
    g_assert_cmpuint (swarm_consensus_term (g->members[i].consensus), ==, term);
    g_assert_cmpuint (g->members[i].roles, ==, roles[i]);
    g_assert_cmpuint (stats_of (&g->members[i]).dropped_messages, ==, 0);
  }
  g_assert_cmpuint (g->sent[MESSAGE_VOTE] + g->sent[MESSAGE_PROBE] + g->sent[MESSAGE_REMOVED], ==, 0);
  /* a heartbeat each 60 ms, to two */
  g_assert_cmpuint (g->sent[MESSAGE_APPEND], >, 1500);
  g_assert_cmpuint (g->sent[MESSAGE_APPEND], <, 2500);
}

/* Who sends under another's number is not heard. */
static void
test_impostor (void)
{
  g_autoptr (Group) g = group_new (3);
  Member *m = g->members;
  Message message = { .type = MESSAGE_TIMEOUT_NOW, .from = m[1].raft_id, .to = m[0].raft_id };
  guint64 dropped = stats_of (&m[0]).dropped_messages;
  g_autoptr (GBytes) bytes = NULL, foreign = NULL;

  message.raft.timeout_now.term = swarm_consensus_term (m[0].consensus);
  bytes = message_encode (&message, NULL, 0);
  swarm_consensus_receive (m[0].consensus, &m[2].id, bytes);
  g_assert_cmpuint (stats_of (&m[0]).dropped_messages, ==, dropped + 1);
  message.to = m[1].raft_id; /* for somebody else */
  foreign = message_encode (&message, NULL, 0);
  swarm_consensus_receive (m[0].consensus, &m[1].id, foreign);
  g_assert_cmpuint (stats_of (&m[0]).dropped_messages, ==, dropped + 2);
  swarm_consensus_receive (m[1].consensus, &m[1].id, foreign); /* from itself */
  g_assert_cmpuint (stats_of (&m[1]).dropped_messages, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/consensus-install/install", test_install);
  g_test_add_func ("/consensus-install/install-large", test_install_large);
  g_test_add_data_func ("/consensus-install/install-broken", GINT_TO_POINTER (FALSE), test_install_broken);
  g_test_add_data_func ("/consensus-install/install-broken-told", GINT_TO_POINTER (TRUE), test_install_broken);
  g_test_add_func ("/consensus-install/install-stale-answer", test_install_stale_answer);
  g_test_add_func ("/consensus-install/install-loss", test_install_loss);
  g_test_add_func ("/consensus-install/trailing", test_trailing);
  g_test_add_func ("/consensus-install/join-late", test_join_late);
  g_test_add_func ("/consensus-install/restart-all", test_restart_all);
  g_test_add_func ("/consensus-install/votes-are-kept", test_votes_are_kept);
  g_test_add_func ("/consensus-install/removed-before-snapshot", test_removed_before_snapshot);
  g_test_add_func ("/consensus-install/two", test_two);
  g_test_add_func ("/consensus-install/calm", test_calm);
  g_test_add_func ("/consensus-install/impostor", test_impostor);
  return g_test_run ();
}
