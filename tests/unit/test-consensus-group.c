// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who may join, vote, go and lead among several members, and what callers are told. */
#include "consensus-fixture.h"

/* ---- joining ---- */

static void
test_join (void)
{
  g_autoptr (Group) g = group_new (1);
  g_auto (Answer) again = { 0 }, answer = { 0 };
  Member *m = g->members;
  SwarmConsensusMember seen;
  guint told = m[0].members_told;

  propose_fine (g, "one");
  add_standby (g, 1);
  g_assert_cmpuint (m[1].raft_id >> 20, >, 1); /* named after the entry that added it */
  g_assert_cmpuint (m[0].members_told, >, told);
  run (g, 500 * MS);
  g_assert_cmpstr (m[1].state->str, ==, "one;");
  g_assert_cmpuint (swarm_consensus_raft_id (m[1].consensus), ==, m[1].raft_id);
  seen = member_of (&m[0], 1);
  g_assert_false (seen.voter || seen.leader);
  g_assert_true (seen.reachable);
  g_assert_cmpuint (seen.raft_id, ==, m[1].raft_id);
  g_assert_cmpstr (seen.address, ==, "10.99.0.2:2377");
  g_assert_cmpuint (seen.match_index, ==, stats_of (&m[0]).last_index);
  seen = member_of (&m[1], 0); /* the leader, as a follower sees it */
  g_assert_true (seen.voter && seen.leader && seen.reachable);
  g_assert_cmpuint (seen.match_index, ==, 0);
  seen = member_of (&m[1], 1);
  g_assert_true (!seen.voter && !seen.leader && seen.reachable);
  g_assert_true (swarm_id_equal (&m[1].leader, &m[0].id));
  g_assert_false (m[1].leads || swarm_consensus_is_leader (m[1].consensus));
  g_assert_true (swarm_consensus_is_leader (m[0].consensus));
  add (g, 1, &again);
  wait_error (g, &again, SECOND, SWARM_ERROR_ALREADY_EXISTS, "manager already");
  g_assert_cmpuint (again.raft_id, ==, m[1].raft_id);
  /* A standby does not count. */
  g_assert_true (swarm_consensus_has_lease (m[0].consensus));
  cut_off (g, 1, TRUE);
  run (g, 2 * SECOND);
  propose_fine (g, "two");
  g_assert_true (swarm_consensus_has_lease (m[0].consensus));
  g_assert_false (member_of (&m[0], 1).reachable);
  cut_off (g, 1, FALSE);
  told = m[1].members_told;
  promote (g, 1);
  run (g, 500 * MS);
  g_assert_cmpuint (m[1].members_told, >, told);
  g_assert_true (member_of (&m[0], 1).voter && member_of (&m[1], 1).voter);
  g_assert_cmpstr (m[1].state->str, ==, "one;two;");
  promote (g, 1); /* fine when it is one */
  swarm_consensus_promote (m[0].consensus, &m[5].id, note, &answer);
  wait_error (g, &answer, SECOND, SWARM_ERROR_NOT_FOUND, "not among the managers");
  g_assert_cmpuint (n_members (&m[0]), ==, 2);
  g_assert_cmpuint (n_members (&m[1]), ==, 2);
}

static void
test_bad_changes (void)
{
  g_autoptr (Group) g = group_new (2);
  g_auto (Answer) first = { 0 }, second = { 0 }, third = { 0 }, fourth = { 0 }, fifth = { 0 };
  Member *m = g->members;
  char address[65] = { 0 };

  memset (address, 'a', 64);
  swarm_consensus_add (m[0].consensus, &m[2].id, "", note_added, &first);
  swarm_consensus_add (m[0].consensus, &m[2].id, address, note_added, &second);
  wait_error (g, &first, SECOND, SWARM_ERROR_INVALID_ARGUMENT, "empty or too long");
  wait_error (g, &second, SECOND, SWARM_ERROR_INVALID_ARGUMENT, "empty or too long");
  address[63] = '\0';
  swarm_consensus_add (m[0].consensus, &m[2].id, address, note_added, &third);
  swarm_consensus_remove (m[0].consensus, &m[1].id, note, &fourth);
  wait_error (g, &fourth, SECOND, SWARM_ERROR_FAILED_PRECONDITION, "another change of managers is under way");
  wait_fine (g, &third, SECOND);
  g_assert_cmpstr (member_of (&m[0], 2).address, ==, address);
  g_assert_cmpuint (n_members (&m[0]), ==, 3);
  swarm_consensus_remove (m[1].consensus, &m[2].id, note, &fifth);
  wait_error (g, &fifth, SECOND, SWARM_ERROR_NO_QUORUM, "does not lead");
}

static void
test_many_members (void)
{
  g_autoptr (Group) g = group_new (1);
  g_auto (Answer) answer = { 0 };

  for (guint i = 1; i < 32; i++) {
    g_auto (Answer) added = { 0 };
    add (g, i, &added);
    wait_fine (g, &added, SECOND);
  }
  g_assert_cmpuint (n_members (&g->members[0]), ==, 32);
  add (g, 32, &answer);
  wait_error (g, &answer, SECOND, SWARM_ERROR_LIMIT_EXCEEDED, "32 managers at most");
}

/* A standby that does not catch up is waited for, for 30 s, and holds nobody up. */
static void
test_catching_up (void)
{
  g_autoptr (Group) g = group_new (1);
  g_auto (Answer) late = { 0 }, first = { 0 }, other = { 0 }, fine = { 0 };
  Member *m = g->members;

  add_standby (g, 1);
  run (g, 500 * MS);
  cut_off (g, 1, TRUE);
  propose_many (g, 30);
  swarm_consensus_promote (m[0].consensus, &m[1].id, note, &late);
  run (g, 29 * SECOND);
  g_assert_cmpuint (late.done, ==, 0);
  wait_error (g, &late, 2 * SECOND, SWARM_ERROR_UNAVAILABLE, "did not catch up in time");
  swarm_consensus_promote (m[0].consensus, &m[1].id, note, &first);
  run (g, SECOND);
  add (g, 2, &other);
  wait_error (g, &first, SECOND, SWARM_ERROR_UNAVAILABLE, "another change of managers came first");
  wait_fine (g, &other, SECOND);
  m[2].raft_id = other.raft_id;
  swarm_consensus_promote (m[0].consensus, &m[1].id, note, &fine);
  run (g, 20 * SECOND);
  g_assert_false (member_of (&m[0], 1).voter);
  cut_off (g, 1, FALSE);
  wait_fine (g, &fine, 2 * SECOND);
  g_assert_true (member_of (&m[0], 1).voter);
}

/* A standby becomes a voter while others write on: what is on its way does not hold it up. */
static void
test_promote_under_load (void)
{
  g_autoptr (Group) g = group_new (1);
  g_auto (Answer) answer = { 0 };

  add_standby (g, 1);
  run (g, 500 * MS);
  swarm_consensus_promote (g->members[0].consensus, &g->members[1].id, note, &answer);
  for (guint i = 0; i < 3000 && answer.done == 0; i++) {
    propose (&g->members[0], "load", 4, NULL);
    run (g, 1 * MS);
  }
  wait_fine (g, &answer, 0);
}

/* ---- going ---- */

static void
remove_member (Group *g, guint n, SwarmError code, const char *text)
{
  g_auto (Answer) answer = { 0 };

  swarm_consensus_remove (leader (g)->consensus, &g->members[n].id, note, &answer);
  if (text != NULL)
    wait_error (g, &answer, SECOND, code, text);
  else
    wait_fine (g, &answer, SECOND);
}

static void
test_remove (void)
{
  g_autoptr (Group) g = group_new (4);
  Member *m = g->members;

  remove_member (g, 0, SWARM_ERROR_FAILED_PRECONDITION, "hand over leadership first");
  remove_member (g, 9, 0, NULL); /* none: fine */
  remove_member (g, 3, 0, NULL);
  run (g, 500 * MS);
  g_assert_true (m[3].removed);
  g_assert_false (m[1].removed || m[2].removed);
  g_assert_cmpuint (n_members (&m[0]), ==, 3);
  g_assert_cmpuint (n_members (&m[1]), ==, 3);
  /* With one away the other two are needed, the one that is away is not. */
  stop (g, 2);
  run (g, 2 * SECOND);
  remove_member (g, 1, SWARM_ERROR_FAILED_PRECONDITION, "loss of quorum");
  g_assert_cmpuint (n_members (&m[0]), ==, 3);
  remove_member (g, 2, 0, NULL);
  remove_member (g, 1, 0, NULL); /* one alone is a quorum of itself */
  run (g, 500 * MS);
  g_assert_true (m[1].removed);
  propose_fine (g, "alone");
  /* It was away when it was removed, and learns it when it asks. */
  start (g, 2);
  run (g, 3 * SECOND);
  g_assert_true (m[2].removed);
}

/* A standby may always go; one that was away when it was removed asks after a while. */
static void
test_remove_standby (void)
{
  g_autoptr (Group) g = group_new (2);
  Member *m = g->members;

  add_standby (g, 2);
  add_standby (g, 3);
  run (g, 500 * MS);
  cut_off (g, 2, TRUE);
  remove_member (g, 2, 0, NULL);
  run (g, 5 * SECOND);
  g_assert_false (m[2].removed);
  cut_off (g, 2, FALSE);
  run (g, 3 * SECOND);
  g_assert_true (m[2].removed);
  g_assert_false (m[3].removed);
  stop (g, 3);
  stop (g, 1);
  run (g, SECOND);
  g_assert_false (m[0].leads);
}

/* What was removed may come back, under another number. */
static void
test_come_back (void)
{
  g_autoptr (Group) g = group_new (3);
  Member *m = g->members;
  guint64 before = m[2].raft_id;

  remove_member (g, 2, 0, NULL);
  run (g, 500 * MS);
  g_assert_true (m[2].removed);
  stop (g, 2);
  sim_disk_free (m[2].disk);
  m[2].disk = sim_disk_new (g->clock, &g->random, 100, 1000);
  m[2].removed = FALSE;
  add_standby (g, 2);
  promote (g, 2);
  propose_fine (g, "back");
  run (g, 5 * SECOND);
  g_assert_cmpuint (m[2].raft_id, >, before);
  g_assert_false (m[2].removed);
  g_assert_cmpstr (m[2].state->str, ==, "back;");
}

static void
test_address (void)
{
  g_autoptr (Group) g = group_new (2);
  g_auto (Answer) same = { 0 }, moved = { 0 }, nobody = { 0 };
  Member *m = g->members;
  guint64 last = stats_of (&m[0]).last_index;

  swarm_consensus_set_address (m[0].consensus, &m[1].id, "10.99.0.2:2377", note, &same);
  wait_fine (g, &same, SECOND);
  g_assert_cmpuint (stats_of (&m[0]).last_index, ==, last);
  swarm_consensus_set_address (m[0].consensus, &m[1].id, "10.99.0.77:2377", note, &moved);
  wait_fine (g, &moved, SECOND);
  run (g, 300 * MS);
  for (guint i = 0; i < 2; i++) {
    g_assert_cmpstr (member_of (&m[i], 1).address, ==, "10.99.0.77:2377");
    g_assert_cmpstr (member_of (&m[i], 0).address, ==, "10.99.0.1:2377");
    g_assert_true (member_of (&m[i], 1).voter && member_of (&m[i], 0).voter);
    g_assert_cmpuint (member_of (&m[i], 1).raft_id, ==, m[1].raft_id);
  }
  swarm_consensus_set_address (m[0].consensus, &m[7].id, "10.99.0.8:2377", note, &nobody);
  wait_error (g, &nobody, SECOND, SWARM_ERROR_NOT_FOUND, "not among the managers");
}

/* ---- leading ---- */

static void
test_transfer (void)
{
  g_autoptr (Group) g = group_new (3);
  g_auto (Answer) to = { 0 }, any = { 0 }, standby = { 0 }, self = { 0 }, nobody = { 0 };
  Member *m = g->members, *first = leader (g), *now_leads;
  guint64 term = swarm_consensus_term (first->consensus);

  add_standby (g, 3);
  run (g, 300 * MS);
  swarm_consensus_transfer (first->consensus, &m[3].id, note, &standby);
  wait_error (g, &standby, SECOND, SWARM_ERROR_INVALID_ARGUMENT, "another manager that votes");
  swarm_consensus_transfer (first->consensus, &first->id, note, &self);
  wait_error (g, &self, SECOND, SWARM_ERROR_INVALID_ARGUMENT, "another manager that votes");
  swarm_consensus_transfer (first->consensus, &m[8].id, note, &nobody);
  wait_error (g, &nobody, SECOND, SWARM_ERROR_INVALID_ARGUMENT, "another manager that votes");
  g_assert_true (first->leads && swarm_consensus_has_lease (first->consensus));
  swarm_consensus_transfer (first->consensus, &m[2].id, note, &to);
  wait_fine (g, &to, SECOND);
  run (g, 100 * MS);
  g_assert_true (m[2].leads && !m[0].leads);
  g_assert_true (swarm_id_equal (&m[0].leader, &m[2].id));
  g_assert_cmpuint (swarm_consensus_term (m[2].consensus), ==, term + 1);
  propose_fine (g, "under another");
  swarm_consensus_transfer (m[2].consensus, NULL, note, &any);
  wait_fine (g, &any, SECOND);
  run (g, 200 * MS);
  now_leads = leader (g);
  g_assert_true (now_leads != &m[2] && now_leads != &m[3]);
  propose_fine (g, "and another");
  run (g, 200 * MS);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpstr (m[i].state->str, ==, "under another;and another;");
}

/* Nobody else can lead, or the other one does not answer: it leads on. */
static void
test_transfer_fails (void)
{
  g_autoptr (Group) g = group_new (1);
  g_auto (Answer) alone = { 0 }, dead = { 0 }, meanwhile = { 0 };
  Member *m = g->members;

  swarm_consensus_transfer (m[0].consensus, NULL, note, &alone);
  wait_error (g, &alone, SECOND, SWARM_ERROR_UNAVAILABLE, "no other manager that could lead");
  for (guint i = 1; i < 3; i++) {
    add_standby (g, i);
    promote (g, i);
  }
  cut_off (g, 2, TRUE);
  propose_fine (g, "it lags");
  swarm_consensus_transfer (m[0].consensus, &m[2].id, note, &dead);
  run (g, 50 * MS);
  g_assert_false (swarm_consensus_has_lease (m[0].consensus));
  propose (&m[0], "meanwhile", 9, &meanwhile);
  wait_error (g, &meanwhile, SECOND, SWARM_ERROR_NO_QUORUM, "being handed over");
  wait_error (g, &dead, 2 * SECOND, SWARM_ERROR_UNAVAILABLE, "did not take over");
  propose_fine (g, "after it");
  g_assert_true (m[0].leads);
  cut_off (g, 2, FALSE);
}

/* What was proposed before leadership is handed over has an answer. */
static void
test_transfer_under_load (void)
{
  g_autoptr (Group) g = group_new (3);
  g_auto (Answer) to = { 0 };
  Answer answers[50] = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    propose (&g->members[0], "before", 6, &answers[i]);
  run (g, 1);
  swarm_consensus_transfer (g->members[0].consensus, &g->members[1].id, note, &to);
  wait_fine (g, &to, 2 * SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    wait_fine (g, &answers[i], 0);
  run (g, 100 * MS);
  g_assert_true (g->members[1].leads);
}

/* The leader that nobody hears: no lease after 13/16 of the election timeout, no leadership after it; what it took in meanwhile is unknown. */
static void
test_lease (void)
{
  g_autoptr (Group) g = group_new (3);
  g_auto (Answer) lost = { 0 }, refused = { 0 }, change = { 0 };
  Member *m = g->members;
  gint64 until;

  g_assert_true (swarm_consensus_has_lease (m[0].consensus));
  g_assert_false (swarm_consensus_has_lease (m[1].consensus));
  g->cut[1][0] = TRUE; /* one of two answers is enough */
  run (g, 2 * SECOND);
  g_assert_true (swarm_consensus_has_lease (m[0].consensus));
  g_assert_true (m[0].leads);
  until = now (g) + 243750;
  cut_off (g, 0, TRUE);
  run (g, 170 * MS); /* a heartbeat's time less */
  g_assert_true (swarm_consensus_has_lease (m[0].consensus));
  propose (&m[0], "lost", 4, &lost);
  swarm_consensus_set_address (m[0].consensus, &m[2].id, "10.99.0.9:2377", note, &change);
  run (g, until - now (g));
  g_assert_false (swarm_consensus_has_lease (m[0].consensus));
  wait_error (g, &lost, 3 * SECOND, SWARM_ERROR_UNKNOWN, "it may have been made or not");
  wait_error (g, &change, 3 * SECOND, SWARM_ERROR_UNKNOWN, "it may have been made or not");
  g_assert_false (m[0].leads);
  propose (&m[0], "refused", 7, &refused);
  wait_error (g, &refused, SECOND, SWARM_ERROR_NO_QUORUM, "does not lead");
  run (g, 2 * SECOND);
  g_assert_true (leader (g) != &m[0]);
  propose_fine (g, "kept");
  cut_off (g, 0, FALSE);
  run (g, 2 * SECOND);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpstr (m[i].state->str, ==, "kept;");
}

/* Free under a lease; else through the log. Nothing that was committed before is missing then. */
static void
test_barrier (void)
{
  g_autoptr (Group) g = group_new (3);
  g_auto (Answer) leased = { 0 }, logged = { 0 }, follower = { 0 }, written = { 0 }, behind = { 0 };
  Member *m = g->members;
  guint64 last = stats_of (&m[0]).last_index;

  swarm_consensus_barrier (m[0].consensus, note, &leased);
  wait_fine (g, &leased, 1);
  g_assert_cmpuint (leased.index, ==, last);
  g_assert_cmpuint (stats_of (&m[0]).last_index, ==, last);
  swarm_consensus_barrier (m[1].consensus, note, &follower);
  wait_error (g, &follower, SECOND, SWARM_ERROR_NO_QUORUM, "does not lead");
  cut_off (g, 0, TRUE);
  run (g, 260 * MS);
  swarm_consensus_barrier (m[0].consensus, note, &logged);
  cut_off (g, 0, FALSE);
  wait_fine (g, &logged, 2 * SECOND);
  g_assert_cmpuint (stats_of (&m[0]).last_index, ==, last + 1);
  propose (&m[0], "x", 1, &written);
  swarm_consensus_barrier (m[0].consensus, note, &behind);
  wait_fine (g, &written, SECOND);
  wait_fine (g, &behind, SECOND);
}

static gboolean
has_applied_two (gpointer data)
{
  return ((Member *) data)->state->len > 3;
}

static void
test_wait (void)
{
  g_autoptr (Group) g = group_new (2);
  g_auto (Answer) past = { 0 }, next = { 0 }, never = { 0 }, more = { 0 };
  Answer many[4096] = { 0 };
  Member *m = g->members;
  guint64 last = stats_of (&m[0]).last_index;
  gint64 begun = now (g);

  never.group = g;
  swarm_consensus_wait (m[1].consensus, last, 0, note, &past);
  wait_fine (g, &past, 1);
  g_assert_cmpuint (past.index, ==, last);
  swarm_consensus_wait (m[1].consensus, last + 1, SECOND, note, &next);
  swarm_consensus_wait (m[1].consensus, last + 100, SECOND, note, &never);
  propose_fine (g, "a");
  wait_fine (g, &next, 200 * MS);
  g_assert_cmpuint (next.index, ==, last + 1);
  wait_error (g, &never, 2 * SECOND, SWARM_ERROR_TIMED_OUT, "has not seen change");
  g_assert_cmpint (never.at, ==, begun + SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    swarm_consensus_wait (m[1].consensus, last + 2, 5 * SECOND, note, &many[i]);
  swarm_consensus_wait (m[1].consensus, last + 2, 5 * SECOND, note, &more);
  wait_error (g, &more, 1, SWARM_ERROR_LIMIT_EXCEEDED, "too many callers wait");
  propose_fine (g, "bb");
  g_assert_true (sim_clock_run_until (g->clock, SECOND, has_applied_two, &m[1]));
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    wait_fine (g, &many[i], 1);
}

/* 64 MiB are under way at most, and a message of a follower's entries is bounded. */
static void
test_bytes (void)
{
  g_autoptr (Group) g = group_new (2);
  Answer answers[64] = { 0 };
  g_auto (Answer) large = { 0 };
  g_autofree char *text = g_strnfill (SWARM_CONSENSUS_MAX_ENTRY + 1, 'x');
  guint fine = 0;

  propose (&g->members[0], text, SWARM_CONSENSUS_MAX_ENTRY + 1, &large);
  wait_error (g, &large, 1, SWARM_ERROR_LIMIT_EXCEEDED, "too large");
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    propose (&g->members[0], text, 1 << 20, &answers[i]);
  run (g, 1);
  g_assert_cmpuint (answers[63].done, ==, 0);
  propose (&g->members[0], "y", 1, &large);
  run (g, 1);
  g_assert_error (large.error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  run (g, 2 * SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    fine += answers[i].done == 1 && answers[i].error == NULL;
  g_assert_cmpuint (fine, ==, G_N_ELEMENTS (answers));
  propose_fine (g, "and there is room again");
  run (g, SECOND);
  g_assert_cmpuint (g->largest, <, SWARM_CONSENSUS_MAX_MESSAGE);
  g_assert_cmpstr (g->members[1].state->str, ==, g->members[0].state->str);
}

/* Small entries go together, but not more than 256 KiB. */
static void
test_message_size (void)
{
  g_autoptr (Group) g = group_new (2);
  g_autofree char *text = g_strnfill (100 * 1024, 'x');

  g->largest = 0;
  for (guint i = 0; i < 20; i++)
    propose (&g->members[0], text, 100 * 1024, NULL);
  run (g, 500 * MS);
  g_assert_cmpuint (g->largest, >, 200 * 1024);
  g_assert_cmpuint (g->largest, <, 257 * 1024);
  g_assert_cmpstr (g->members[1].state->str, ==, g->members[0].state->str);
}

/* Whoever was away does not take what it catches up with for the present. */
static void
test_current (void)
{
  g_autoptr (Group) g = group_new (3);
  Member *m = g->members;
  gboolean seen_behind = FALSE;

  g_assert_true (m[0].leads);
  run (g, 500 * MS);
  for (guint i = 0; i < 3; i++)
    g_assert_true (swarm_consensus_is_current (m[i].consensus));
  cut_off (g, 1, TRUE);
  for (guint i = 0; i < 40; i++) { /* several messages' worth */
    g_autofree char *text = g_strnfill (30000, 'x');
    propose_fine (g, text);
  }
  run (g, 3 * SECOND);
  g_assert_false (swarm_consensus_is_current (m[1].consensus));
  g_assert_true (swarm_consensus_is_current (m[2].consensus));
  guint64 missed = m[0].applied;
  cut_off (g, 1, FALSE);
  for (guint i = 0; i < 200000 && !swarm_consensus_is_current (m[1].consensus); i++) {
    SwarmId leader = swarm_consensus_leader (m[1].consensus);
    seen_behind |= swarm_id_equal (&leader, &m[0].id) && m[1].applied < missed;
    swarm_virtual_clock_step (g->clock);
  }
  g_assert_true (swarm_consensus_is_current (m[1].consensus));
  g_assert_true (seen_behind);
  g_assert_cmpuint (m[1].applied, >=, missed);
}

/* Whoever is waited for hears at once what is committed, and once; the others with the next heartbeat. */
static void
test_hurry (void)
{
  g_autoptr (Group) g = group_new (3);
  Member *m = g->members;
  guint sent;

  propose_fine (g, "zero");
  run (g, 200 * MS);
  propose_fine (g, "one");
  run (g, 5 * MS); /* until all have it on disk */
  g_assert_cmpstr (m[1].state->str, ==, "zero;");
  sent = g->sent[MESSAGE_APPEND];
  swarm_consensus_hurry (m[1].consensus, &m[2].id); /* does not lead: nothing happens */
  swarm_consensus_hurry (m[0].consensus, &m[1].id);
  swarm_consensus_hurry (m[0].consensus, &m[1].id);
  swarm_consensus_hurry (m[0].consensus, &m[5].id); /* unknown */
  run (g, 2 * PACKET_US);
  g_assert_cmpstr (m[1].state->str, ==, "zero;one;");
  g_assert_cmpstr (m[2].state->str, ==, "zero;");
  swarm_consensus_hurry (m[0].consensus, &m[1].id); /* knows it already */
  run (g, 2 * PACKET_US);
  g_assert_cmpuint (g->sent[MESSAGE_APPEND], ==, sent + 1);
  /* Entries that leave meanwhile tell it, too. */
  propose_fine (g, "two");
  run (g, 5 * MS);
  swarm_consensus_hurry (m[0].consensus, &m[1].id);
  sent = g->sent[MESSAGE_APPEND];
  propose (&m[0], "three", 5, NULL);
  run (g, 2 * PACKET_US);
  g_assert_cmpuint (g->sent[MESSAGE_APPEND], ==, sent + 2);
  g_assert_cmpstr (m[1].state->str, ==, "zero;one;two;");
  run (g, 200 * MS);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpstr (m[i].state->str, ==, "zero;one;two;three;");
  /* One that has it not yet on disk hears when it has. */
  sim_disk_set_delay (m[1].disk, 20 * MS, 20 * MS);
  propose_fine (g, "four");
  swarm_consensus_hurry (m[0].consensus, &m[1].id);
  run (g, 10 * MS);
  g_assert_cmpstr (m[1].state->str, ==, "zero;one;two;three;");
  run (g, 15 * MS);
  g_assert_cmpstr (m[1].state->str, ==, "zero;one;two;three;four;");
  g_assert_cmpstr (m[2].state->str, ==, "zero;one;two;three;");
  g_assert_true (m[0].leads);
}

static void
receive_as (Member *member, Member *from, Message *message)
{
  message->from = from->raft_id;
  message->to = member->raft_id;
  g_autoptr (GBytes) bytes = message_encode (message, NULL, 0);
  swarm_consensus_receive (member->consensus, &from->id, bytes);
}

/* One that was removed and does not want to know it: with a later term it claims to lead, asks for votes, and says that others are removed. */
static void
test_stranger (void)
{
  g_autoptr (Group) g = group_new (4);
  Member *m = g->members;
  guint64 term;

  remove_member (g, 3, 0, NULL);
  run (g, 500 * MS);
  g_assert_true (m[3].removed);
  term = swarm_consensus_term (m[0].consensus);
  for (guint who = 0; who < 2; who++) { /* the leader and a follower */
    Message append = { .type = MESSAGE_APPEND }, vote = { .type = MESSAGE_VOTE }, removed = { .type = MESSAGE_REMOVED, .conf_index = 1000000 };
    guint64 dropped = stats_of (&m[who]).dropped_messages;
    append.raft.append_entries.term = vote.raft.request_vote.term = term + 5;
    vote.raft.request_vote.disrupt_leader = true;
    receive_as (&m[who], &m[3], &append);
    receive_as (&m[who], &m[3], &vote);
    receive_as (&m[who], &m[3], &removed);
    g_assert_cmpuint (stats_of (&m[who]).dropped_messages, ==, dropped + 3);
  }
  run (g, 2 * SECOND);
  g_assert_cmpuint (swarm_consensus_term (m[0].consensus), ==, term);
  g_assert_true (m[0].leads);
  g_assert_false (m[0].removed || m[1].removed);
  propose_fine (g, "on");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/consensus-group/join", test_join);
  g_test_add_func ("/consensus-group/bad-changes", test_bad_changes);
  g_test_add_func ("/consensus-group/many-members", test_many_members);
  g_test_add_func ("/consensus-group/catching-up", test_catching_up);
  g_test_add_func ("/consensus-group/promote-under-load", test_promote_under_load);
  g_test_add_func ("/consensus-group/remove", test_remove);
  g_test_add_func ("/consensus-group/stranger", test_stranger);
  g_test_add_func ("/consensus-group/remove-standby", test_remove_standby);
  g_test_add_func ("/consensus-group/come-back", test_come_back);
  g_test_add_func ("/consensus-group/address", test_address);
  g_test_add_func ("/consensus-group/transfer", test_transfer);
  g_test_add_func ("/consensus-group/transfer-fails", test_transfer_fails);
  g_test_add_func ("/consensus-group/transfer-under-load", test_transfer_under_load);
  g_test_add_func ("/consensus-group/lease", test_lease);
  g_test_add_func ("/consensus-group/current", test_current);
  g_test_add_func ("/consensus-group/barrier", test_barrier);
  g_test_add_func ("/consensus-group/wait", test_wait);
  g_test_add_func ("/consensus-group/hurry", test_hurry);
  g_test_add_func ("/consensus-group/bytes", test_bytes);
  g_test_add_func ("/consensus-group/message-size", test_message_size);
  return g_test_run ();
}
