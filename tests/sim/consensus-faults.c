// SPDX-License-Identifier: LGPL-2.1-or-later
/* What happens to the members: they come and go, crash, stand still, their disks are slow or fail, their clocks jump, the network is divided. */
#include "consensus-world.h"
#include "base/error.h"
#include <string.h>

/* ---- members come and go ---- */

static void
change_done (guint64 index, const GError *error, gpointer data)
{
  Request *request = data;

  if (error == NULL)
    request->node->world->n[FIGURE_CHANGES]++;
  g_free (request);
}

static void
transfer_done (guint64 index, const GError *error, gpointer data)
{
  Request *request = data;

  note (request->node->world, "transfer: %s", error != NULL ? error->message : "done");
  if (error == NULL)
    request->node->world->n[FIGURE_TRANSFERS]++;
  g_free (request);
}

static void
remove_done (guint64 index, const GError *error, gpointer data)
{
  Request *request = data;
  World *world = request->node->world;
  Node *target = &world->nodes[request->target];

  note (world, "remove n%u: %s", request->target, error != NULL ? error->message : "done");
  if (error == NULL) {
    world->n[FIGURE_CHANGES]++;
    /* It is out for good: mostly it hears so itself, sometimes it is just switched off. */
    if (target->consensus == NULL || sim_random_chance (&world->random, 30))
      wipe (target);
  }
  g_free (request);
}

void
add_done (guint64 raft_id, const GError *error, gpointer data)
{
  Request *request = data;
  World *world = request->node->world;
  Node *target = &world->nodes[request->target];

  note (world, "add n%u: %s", request->target, error != NULL ? error->message : "done");
  if (error == NULL && !target->enrolled) {
    world->n[FIGURE_CHANGES]++;
    target->join_as = raft_id;
    target->enrolled = TRUE;
    boot (target);
  }
  g_free (request);
}

const SwarmConsensusMember *
find_member (GArray *members, const SwarmId *id)
{
  for (guint i = 0; i < members->len; i++) {
    const SwarmConsensusMember *member = &g_array_index (members, SwarmConsensusMember, i);
    if (swarm_id_equal (&member->node, id))
      return member;
  }
  return NULL;
}

static void
change_members (Node *leader)
{
  World *world = leader->world;
  g_autoptr (GArray) members = swarm_consensus_members (leader->consensus);
  Node *target = &world->nodes[sim_random_range (&world->random, 0, MAX_NODES - 1)];
  const SwarmConsensusMember *member = find_member (members, &target->id);
  Request *request = request_new (leader);
  g_autofree char *address = g_strdup_printf ("10.99.0.%u:%u", target->number + 1, (guint) sim_random_range (&world->random, 2377, 2379));
  guint voters = 0;

  for (guint i = 0; i < members->len; i++)
    voters += g_array_index (members, SwarmConsensusMember, i).voter;
  request->target = target->number;
  if (member == NULL && !target->enrolled)
    swarm_consensus_add (leader->consensus, &target->id, address, add_done, request);
  else if (member != NULL && (!target->enrolled || (voters > world->few && sim_random_chance (&world->random, 40))))
    swarm_consensus_remove (leader->consensus, &target->id, remove_done, request);
  else if (member != NULL && !member->voter && (world->few > 1 || sim_random_chance (&world->random, 10)))
    swarm_consensus_promote (leader->consensus, &target->id, change_done, request);
  else if (member != NULL && sim_random_chance (&world->random, 30))
    swarm_consensus_set_address (leader->consensus, &target->id, address, change_done, request);
  else
    swarm_consensus_transfer (leader->consensus, sim_random_chance (&world->random, 50) ? &target->id : NULL, transfer_done, request);
}

/* ---- they break ---- */

void
crash (Node *node)
{
  World *world = node->world;
  gboolean power = sim_random_chance (&world->random, 70);

  note (world, "n%u %s", node->number, power ? "loses power" : "is killed");
  world->n[power ? FIGURE_POWER_CUTS : FIGURE_KILLS]++;
  turn_off (node);
  if (power) {
    SimDiskLosses losses = sim_disk_crash (node->disk);
    world->n[FIGURE_TORN] += losses.torn;
    world->n[FIGURE_LOST] += losses.lost;
  } else {
    sim_disk_kill (node->disk);
  }
  node->boot_at = sim_clock_time (world->clock) + sim_random_range (&world->random, 0, sim_random_chance (&world->random, 50) ? 10 * MS : 1500 * MS);
}

/* It wakes up, and before anything else happens somebody reads from it. */
static void
thaw (gpointer data)
{
  Node *node = data;

  check_leases (node->world);
  if (node->consensus != NULL && !sim_clock_is_frozen (node->clock))
    clients_read (node);
}

static void
freeze (Node *node)
{
  World *world = node->world;
  gint64 us = sim_random_range (&world->random, 10 * MS, sim_random_chance (&world->random, 70) ? 700 * MS : 3000 * MS);

  world->n[FIGURE_SUSPENDS]++;
  note (world, "n%u stands still for %.3f s", node->number, (double) us / G_USEC_PER_SEC);
  sim_clock_freeze (node->clock, sim_clock_time (world->clock) + us);
  swarm_clock_timer (sim_clock_iface (world->clock), us, SWARM_PRIORITY_URGENT, thaw, node);
}

/* Each write takes up to a second for a while. */
static void
slow_down (Node *node)
{
  World *world = node->world;
  gint64 longest = sim_random_range (&world->random, 20 * MS, sim_random_chance (&world->random, 70) ? 150 * MS : 1000 * MS);

  world->n[FIGURE_SLOW_DISKS]++;
  node->slow_until = sim_clock_time (world->clock) + sim_random_range (&world->random, 100 * MS, 4000 * MS);
  note (world, "n%u has a slow disk: up to %.3f s", node->number, (double) longest / G_USEC_PER_SEC);
  sim_disk_set_delay (node->disk, longest / 10, longest);
}

static void
speed_up (Node *node)
{
  node->slow_until = 0;
  sim_disk_set_delay (node->disk, node->disk_min, node->disk_max);
}

/* Of the wall clock, by up to hours: nothing may depend on it. */
static void
step_clock (Node *node)
{
  World *world = node->world;
  gint64 limit = sim_random_chance (&world->random, 50) ? 2 * (gint64) G_USEC_PER_SEC : 7200 * (gint64) G_USEC_PER_SEC;

  world->n[FIGURE_CLOCK_STEPS]++;
  sim_clock_step_wall (node->clock, sim_random_range (&world->random, -limit, limit));
}

void
faults_of_node (Node *node)
{
  World *world = node->world;
  SimRandom *random = &world->random;

  if (node->slow_until > 0 && sim_clock_time (world->clock) > node->slow_until)
    speed_up (node);
  if (node->leads && sim_random_range (random, 0, 299) == 0)
    change_members (node);
  if (sim_random_range (random, 0, node->leads ? 1499 : 5999) == 0)
    freeze (node);
  if (node->slow_until == 0 && sim_random_range (random, 0, node->leads ? 3999 : 9999) == 0)
    slow_down (node);
  if (sim_random_range (random, 0, 3999) == 0)
    step_clock (node);
  if (sim_random_range (random, 0, 2999) == 0) {
    crash (node);
  } else if (sim_random_range (random, 0, 19999) == 0) {
    world->n[FIGURE_DISK_FAILURES]++;
    sim_disk_fail (node->disk, "injected: no space left on device");
  } else if (sim_random_range (random, 0, 4999) == 0) {
    swarm_consensus_compact (node->consensus);
  }
}

/* ---- the network ---- */

void
faults_of_network (World *world)
{
  if (sim_random_range (&world->random, 0, 899) == 0) {
    Partition kind = partition_draw (&world->random, &world->cut[0][0], MAX_NODES);
    world->n[FIGURE_PARTITIONS + kind]++;
    note (world, "partition of kind %d", kind);
  }
  if (sim_random_range (&world->random, 0, 1999) == 0)
    world->loss = (guint) sim_random_range (&world->random, 0, 8);
}

void
faults_end (World *world)
{
  world->faults = FALSE;
  world->loss = 0;
  memset (world->cut, 0, sizeof world->cut);
  for (guint i = 0; i < MAX_NODES; i++) {
    Node *node = &world->nodes[i];
    sim_disk_repair (node->disk);
    speed_up (node);
    sim_clock_freeze (node->clock, 0);
    node->boot_at = 0;
  }
}
