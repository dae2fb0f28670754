// SPDX-License-Identifier: LGPL-2.1-or-later
/* When a node asks for another role, when a write waits for the next leader, whose word counts. */
#include "daemon/decisions.h"

#define SECOND ((gint64) G_USEC_PER_SEC)

static gboolean
is_due (SwarmRole role, gboolean member, gboolean cert_due, SwarmRoleFacts facts)
{
  g_autoptr (SwarmNode) node = swarm_node_new ();
  node->spec = swarm_node_spec_new ();
  node->spec->role = role;
  node->cert_serial = g_strdup ("aa");
  node->cert_due = cert_due;
  node->manager_status = member ? swarm_manager_status_new () : NULL;
  return swarm_role_is_due (node, &facts);
}

static void
test_role (void)
{
  const SwarmRoleFacts worker = { "aa", FALSE, FALSE }, manager = { "aa", TRUE, FALSE }, broken = { "aa", FALSE, TRUE };
  g_assert_false (is_due (SWARM_ROLE_WORKER, FALSE, FALSE, worker));
  g_assert_true (is_due (SWARM_ROLE_MANAGER, FALSE, FALSE, worker)); /* promoted */
  g_assert_true (is_due (SWARM_ROLE_MANAGER, TRUE, FALSE, worker));  /* it lost its log, or has not come up yet */
  g_assert_false (is_due (SWARM_ROLE_MANAGER, TRUE, FALSE, manager));
  g_assert_false (is_due (SWARM_ROLE_WORKER, TRUE, FALSE, manager)); /* demoted, but still a member: its vote may be needed */
  g_assert_true (is_due (SWARM_ROLE_WORKER, FALSE, FALSE, manager));
  g_assert_false (is_due (SWARM_ROLE_MANAGER, TRUE, FALSE, broken)); /* joining anew each time would not mend it */
  g_assert_false (is_due (SWARM_ROLE_WORKER, FALSE, FALSE, broken));
}

/* The cluster's root changes: once for each certificate. */
static void
test_root (void)
{
  const SwarmRoleFacts old = { "aa", TRUE, FALSE }, renewed = { "bb", TRUE, FALSE }, none = { NULL, FALSE, FALSE }, broken = { "aa", FALSE, TRUE };
  g_assert_true (is_due (SWARM_ROLE_MANAGER, TRUE, TRUE, old));
  g_assert_false (is_due (SWARM_ROLE_MANAGER, TRUE, TRUE, renewed));
  g_assert_false (is_due (SWARM_ROLE_WORKER, FALSE, TRUE, none));
  g_assert_true (is_due (SWARM_ROLE_MANAGER, TRUE, TRUE, broken));
}

static void
test_hold (void)
{
  gint64 now = 100 * SECOND;
  g_assert_true (swarm_may_hold (TRUE, 1, now, 0, 0));
  g_assert_true (swarm_may_hold (TRUE, 1, now, now - SWARM_HOLD_US, 0));
  g_assert_false (swarm_may_hold (TRUE, 1, now, now - SWARM_HOLD_US - 1, 0)); /* none came when it could have */
  g_assert_true (swarm_may_hold (TRUE, SWARM_HOLD_TRIES, now, 0, 0));
  g_assert_false (swarm_may_hold (TRUE, SWARM_HOLD_TRIES + 1, now, 0, 0)); /* leaders that come and go */
  g_assert_true (swarm_may_hold (TRUE, 1, now, now, SWARM_HOLD_MAX - 1));
  g_assert_false (swarm_may_hold (TRUE, 1, now, now, SWARM_HOLD_MAX));
  g_assert_true (swarm_may_hold (FALSE, 1, now, now - SWARM_READ_HOLD_US, 0));
  g_assert_false (swarm_may_hold (FALSE, 1, now, now - SWARM_READ_HOLD_US - 1, 0)); /* an old answer at once */
  g_assert_true (swarm_may_hold (FALSE, 1, now, now, SWARM_HOLD_MAX / 2 - 1));
  g_assert_false (swarm_may_hold (FALSE, 1, now, now, SWARM_HOLD_MAX / 2)); /* writes have room */
}

/* A demoted node keeps a manager's certificate until it has renewed it. */
static void
test_epoch (void)
{
  g_assert_true (swarm_believes_epoch (SWARM_PEER_MANAGER, TRUE));
  g_assert_true (swarm_believes_epoch (SWARM_PEER_MANAGER, FALSE));
  g_assert_false (swarm_believes_epoch (SWARM_PEER_WORKER, TRUE));
  g_assert_false (swarm_believes_epoch (SWARM_PEER_NONE, TRUE));
  g_assert_true (swarm_believes_epoch (SWARM_PEER_WORKER, FALSE)); /* cut off from the others: promoted since, maybe */
}

static void
test_speak_for (void)
{
  const SwarmId one = { { 1 } }, other = { { 2 } };
  g_assert_true (swarm_may_speak_for (SWARM_PEER_MANAGER, &one, &other)); /* a follower that passes it on */
  g_assert_true (swarm_may_speak_for (SWARM_PEER_MANAGER, &one, &one));
  g_assert_true (swarm_may_speak_for (SWARM_PEER_WORKER, &one, &one));
  g_assert_false (swarm_may_speak_for (SWARM_PEER_WORKER, &one, &other)); /* else a demoted node could have a manager's address changed */
  g_assert_false (swarm_may_speak_for (SWARM_PEER_NONE, &one, &other));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/decisions/role", test_role);
  g_test_add_func ("/decisions/root", test_root);
  g_test_add_func ("/decisions/hold", test_hold);
  g_test_add_func ("/decisions/epoch", test_epoch);
  g_test_add_func ("/decisions/speak-for", test_speak_for);
  return g_test_run ();
}
