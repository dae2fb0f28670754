// SPDX-License-Identifier: LGPL-2.1-or-later
/* Consensus under faults, by seed: up to seven members over virtual time, disks that lose, tear and fail, a network that delays, loses and splits,
 * members that come and go, leadership that is handed over. What must hold is checked at every step, that all comes right again at the end.
 *
 *   test-consensus-sim [--seeds A..B] [--seconds N] [--lie] [--stale] [--verbose]
 *
 * --lie lets the disks forget what they said was synced, --stale lets clients read from whoever thinks that it leads: then seeds must fail, or this
 * test sees nothing (consensus-control). */
#include "base/error.h"
#include "consensus-world.h"
#include "sim/late-encode.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  World *world;
  guint to, from, incarnation;
  GBytes *bytes;
} Packet;

static gboolean verbose, lie, stale;

static void maybe_doom (Node *node, guint per_mille, gint64 within_us);

void
violate (World *world, const char *format, ...)
{
  va_list args;

  if (world->violation != NULL)
    return;
  va_start (args, format);
  world->violation = g_strdup_vprintf (format, args);
  va_end (args);
  g_printerr ("seed %" G_GUINT64_FORMAT " at %.3f s: %s\n", world->seed, (double) sim_clock_time (world->clock) / G_USEC_PER_SEC,
              world->violation);
}

void
note (World *world, const char *format, ...)
{
  va_list args;

  if (!verbose)
    return;
  printf ("%9.3f ", (double) sim_clock_time (world->clock) / G_USEC_PER_SEC);
  va_start (args, format);
  vprintf (format, args);
  va_end (args);
  putchar ('\n');
}

Request *
request_new (Node *node)
{
  Request *request = g_new0 (Request, 1);

  *request = (Request){ node, node->incarnation, node->term, 0, node->world->max_acknowledged };
  return request;
}

/* ---- the state machine: a hash over all entries ---- */

/* The same at the same index on every member, whenever. */
static void
check_state (Node *node)
{
  World *world = node->world;
  Applied *known;

  if (world->applied->len <= node->applied)
    g_array_set_size (world->applied, node->applied + 1);
  known = &g_array_index (world->applied, Applied, node->applied);
  if (known->known && known->hash != node->hash)
    violate (world, "n%u has another state at index %" G_GUINT64_FORMAT, node->number, node->applied);
  known->known = TRUE;
  known->hash = node->hash;
}

/* Which register an entry writes. */
static guint64
key_of (GBytes *entry)
{
  guint64 key;
  memcpy (&key, (const guint8 *) g_bytes_get_data (entry, NULL) + sizeof key, sizeof key); /* it lies anywhere in a message */
  return key - 1;
}

static gboolean
apply (guint64 index, GBytes *entry, gboolean ours, gpointer data, GError **error)
{
  Node *node = data;
  guint64 value;

  if (index <= node->applied)
    violate (node->world, "n%u applies %" G_GUINT64_FORMAT " after %" G_GUINT64_FORMAT, node->number, index, node->applied);
  memcpy (&value, g_bytes_get_data (entry, NULL), sizeof value);
  node->applied = index;
  if (key_of (entry) < REGISTERS)
    node->registers[key_of (entry)] = value;
  node->hash = (node->hash ^ value ^ index) * 0x9E3779B97F4A7C15ull;
  node->hash ^= node->hash >> 31;
  node->count++;
  check_state (node);
  return TRUE;
}

static gpointer
snapshot (gpointer data)
{
  Node *node = data;
  /* Sometimes large enough for several pieces. */
  gsize size = 24 + sizeof node->registers + (sim_random_chance (&node->world->random, 5) ? (gsize) sim_random_range (&node->world->random, 0, 900000) : 0);
  guint64 *bytes = g_malloc0 (size);

  bytes[0] = node->applied;
  bytes[1] = node->hash;
  bytes[2] = node->count;
  memcpy (bytes + 3, node->registers, sizeof node->registers);
  node->world->n[FIGURE_SNAPSHOTS]++;
  return g_bytes_new_take (bytes, size);
}

static void
encode (gpointer handle, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data)
{
  Node *node = data;

  late_encode (sim_clock_iface (node->world->clock), sim_random_range (&node->world->random, 0, 20 * MS), handle, done, done_data);
}

static gboolean
restore (guint64 index, GBytes *bytes, gpointer data, GError **error)
{
  Node *node = data;
  const guint8 *content = g_bytes_get_data (bytes, NULL);
  guint64 values[3];

  memcpy (values, content, sizeof values);
  if (node->applied > index)
    violate (node->world, "n%u goes back from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, node->number, node->applied, index);
  if (node->consensus != NULL && node->applied > 0)
    node->world->n[FIGURE_INSTALLS]++;
  node->applied = values[0];
  node->hash = values[1];
  node->count = values[2];
  memcpy (node->registers, content + sizeof values, sizeof node->registers);
  check_state (node);
  return TRUE;
}

/* ---- the network ---- */

static void
packet_due (gpointer data)
{
  Packet *packet = data;
  World *world = packet->world;
  Node *to = &world->nodes[packet->to];

  if (to->consensus != NULL && to->incarnation == packet->incarnation && !world->cut[packet->from][packet->to])
    swarm_consensus_receive (to->consensus, &world->nodes[packet->from].id, packet->bytes);
  g_bytes_unref (packet->bytes);
  g_free (packet);
}

static Node *
find_node (World *world, const SwarmId *id)
{
  for (guint i = 0; i < MAX_NODES; i++)
    if (swarm_id_equal (&world->nodes[i].id, id))
      return &world->nodes[i];
  return NULL;
}

static void
send (const SwarmId *id, GBytes *message, gpointer data)
{
  Node *node = data, *to = find_node (node->world, id);
  World *world = node->world;
  gint64 now = sim_clock_time (world->clock), due = now + sim_random_range (&world->random, 100, 20 * MS);
  Packet *packet;
  guint8 type;

  /* The second byte is the type: 3 and 4 are votes. */
  type = ((const guint8 *) g_bytes_get_data (message, NULL))[1];
  maybe_doom (node, type == 3 || type == 4 ? 15 : 0, 4 * MS);
  if (g_bytes_get_size (message) > SWARM_CONSENSUS_MAX_MESSAGE)
    violate (world, "n%u sends a message of %zu bytes", node->number, g_bytes_get_size (message));
  if (to == NULL || to == node || world->cut[node->number][to->number])
    return;
  if (sim_random_chance (&world->random, world->loss)) {
    world->n[FIGURE_DROPPED]++;
    return;
  }
  due = MAX (due, (gint64) node->last_due[to->number]);
  node->last_due[to->number] = due;
  packet = g_new0 (Packet, 1);
  *packet = (Packet){ world, to->number, node->number, to->incarnation, g_bytes_ref (message) };
  swarm_clock_timer (to->clock, due - now, SWARM_PRIORITY_NORMAL, packet_due, packet);
}

/* The moments around a vote or a write are where it hurts. */
static void
crash_due (gpointer data)
{
  Node *node = data;

  node->doomed = FALSE;
  if (node->consensus != NULL && node->world->faults)
    crash (node);
}

static void
maybe_doom (Node *node, guint per_mille, gint64 within_us)
{
  World *world = node->world;

  if (!world->faults || node->doomed || sim_random_range (&world->random, 0, 999) >= per_mille)
    return;
  node->doomed = TRUE;
  swarm_clock_timer (sim_clock_iface (world->clock), sim_random_range (&world->random, 0, within_us), SWARM_PRIORITY_NORMAL, crash_due, node);
}

/* ---- what consensus tells ---- */

static void
role_changed (gboolean is_leader, const SwarmId *leader, guint64 term, gpointer data)
{
  Node *node = data;
  World *world = node->world;
  gpointer before = g_hash_table_lookup (world->leaders, GUINT_TO_POINTER (term)), earlier, floor;
  GHashTableIter iter;

  note (world, "n%u %s, term %" G_GUINT64_FORMAT, node->number, is_leader ? "leads" : "follows", term);
  node->leads = is_leader;
  node->term = term;
  if (!is_leader)
    return;
  world->n[FIGURE_ELECTIONS]++;
  if (before != NULL && GPOINTER_TO_UINT (before) != node->number + 1)
    violate (world, "term %" G_GUINT64_FORMAT " is led by n%u and n%u", term, GPOINTER_TO_UINT (before) - 1, node->number);
  g_hash_table_insert (world->leaders, GUINT_TO_POINTER (term), GUINT_TO_POINTER (node->number + 1));
  /* It may have stood still and hear late that it leads: what leaders after it acknowledged does not count. */
  g_hash_table_iter_init (&iter, world->floors);
  while (g_hash_table_iter_next (&iter, &earlier, &floor))
    if (GPOINTER_TO_UINT (earlier) < term && node->applied < GPOINTER_TO_UINT (floor))
      violate (world, "n%u leads term %" G_GUINT64_FORMAT " with state %" G_GUINT64_FORMAT ", but %u was acknowledged in term %u",
               node->number, term, node->applied, GPOINTER_TO_UINT (floor), GPOINTER_TO_UINT (earlier));
}

static void
members_changed (gpointer data)
{
}

void
turn_off (Node *node)
{
  g_clear_pointer (&node->consensus, swarm_consensus_free);
  node->incarnation++;
  node->leads = FALSE;
  node->applied = node->hash = node->count = 0;
  memset (node->registers, 0, sizeof node->registers);
}

/* As a demoted manager does: the log is deleted. */
void
wipe (Node *node)
{
  World *world = node->world;

  turn_off (node);
  sim_disk_free (node->disk);
  node->slow_until = 0;
  node->disk_min = 50;
  node->disk_max = 3 * MS;
  node->disk = sim_disk_new (world->clock, &world->random, node->disk_min, node->disk_max);
  sim_disk_set_clock (node->disk, node->clock);
  node->enrolled = FALSE;
  node->boot_at = 0;
}

static void
removed (gpointer data)
{
  Node *node = data;

  note (node->world, "n%u hears that it is removed", node->number);
  wipe (node);
}

static void
fatal (const GError *error, gpointer data)
{
  Node *node = data;
  World *world = node->world;

  if (strstr (error->message, "injected") == NULL)
    violate (world, "n%u ended: %s", node->number, error->message);
  turn_off (node);
  /* The process ends: what it had under way does not go on beside its successor. */
  sim_disk_kill (node->disk);
  sim_disk_repair (node->disk);
  node->boot_at = sim_clock_time (world->clock) + sim_random_range (&world->random, 50 * MS, 1500 * MS);
}

static const SwarmConsensusEvents events = { apply, snapshot, encode, restore, send, role_changed, members_changed, removed, fatal };

/* ---- clients ---- */

static void
acknowledged (guint64 index, const GError *error, gpointer data)
{
  Request *request = data;
  World *world = request->node->world;
  gpointer floor;

  if (error == NULL) {
    world->n[FIGURE_ACKNOWLEDGED]++;
    world->max_acknowledged = MAX (world->max_acknowledged, index);
    floor = g_hash_table_lookup (world->floors, GUINT_TO_POINTER (request->term));
    if (GPOINTER_TO_UINT (floor) < index)
      g_hash_table_insert (world->floors, GUINT_TO_POINTER (request->term), GUINT_TO_POINTER (index));
    if (request->node->applied < index)
      violate (world, "n%u acknowledged %" G_GUINT64_FORMAT " before it was applied", request->node->number, index);
  } else if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM)) {
    world->n[FIGURE_REFUSED]++;
  } else {
    world->n[FIGURE_UNKNOWN]++;
  }
  g_free (request);
}

static void
propose (Node *node)
{
  World *world = node->world;
  /* Some entries are large, so that messages split. */
  gsize size = 16 + (sim_random_chance (&world->random, 2) ? (gsize) sim_random_range (&world->random, 0, 400000) : 0);
  guint64 *bytes = g_malloc0 (size);
  g_autoptr (GBytes) entry = NULL;

  bytes[0] = ++world->next_value;
  entry = g_bytes_new_take (bytes, size);
  swarm_consensus_propose (node->consensus, entry, acknowledged, request_new (node));
  maybe_doom (node, 1, 3 * MS);
}

static void
barrier_done (guint64 index, const GError *error, gpointer data)
{
  Request *request = data;
  World *world = request->node->world;

  if (error == NULL) {
    world->n[FIGURE_BARRIERS]++;
    if (request->node->incarnation == request->incarnation && request->node->applied < request->floor)
      violate (world, "n%u read %" G_GUINT64_FORMAT " behind a barrier, but %" G_GUINT64_FORMAT " was acknowledged before",
               request->node->number, request->node->applied, request->floor);
  }
  g_free (request);
}

/* Whoever has a lease reads what was acknowledged. */
void
check_leases (World *world)
{
  for (guint i = 0; i < MAX_NODES; i++) {
    Node *node = &world->nodes[i];
    if (node->consensus != NULL && !sim_clock_is_frozen (node->clock) && swarm_consensus_has_lease (node->consensus) && node->applied < world->max_acknowledged)
      violate (world, "n%u has a lease at %" G_GUINT64_FORMAT ", but %" G_GUINT64_FORMAT " was acknowledged", i, node->applied,
               world->max_acknowledged);
  }
}

/* ---- clients that write and read registers, one call after the other ---- */

typedef struct {
  Node *node;
  guint incarnation, client, call, key;
  gboolean write;
} Call;

static void
call_done (guint64 index, const GError *error, gpointer data)
{
  g_autofree Call *call = data;
  World *world = call->node->world;
  gboolean nothing = g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM) || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);

  world->busy[call->client] = FALSE;
  if (error == NULL && (call->write || call->node->incarnation == call->incarnation))
    history_done (world->history, call->call, call->node->registers[call->key], sim_clock_time (world->clock));
  else if (nothing)
    history_refused (world->history, call->call);
}

static void
client_call (Node *node, guint client, gboolean write)
{
  World *world = node->world;
  guint64 words[2] = { 0 };
  Call *call = g_new0 (Call, 1);
  gint64 now = sim_clock_time (world->clock);

  *call = (Call){ node, node->incarnation, client, 0, (guint) sim_random_range (&world->random, 0, REGISTERS - 1), write };
  words[0] = ++world->next_value;
  words[1] = call->key + 1;
  call->call = call->write ? history_write (world->history, call->key, words[0], now) : history_read (world->history, call->key, now);
  world->busy[client] = TRUE;
  if (call->write) {
    g_autoptr (GBytes) entry = g_bytes_new (words, sizeof words);
    swarm_consensus_propose (node->consensus, entry, call_done, call);
  } else if (stale || swarm_consensus_has_lease (node->consensus))
    call_done (0, NULL, call);
  else
    swarm_consensus_barrier (node->consensus, call_done, call);
}

/* ---- life of the nodes ---- */

void
boot (Node *node)
{
  World *world = node->world;
  SwarmConsensusConfig config = { .clock = node->clock,
                                  .random = &world->random.iface,
                                  .disk = sim_disk_iface (node->disk),
                                  .crypto = &world->crypto.iface,
                                  .key = world->key,
                                  .node = node->id,
                                  .cluster = { { 77 } },
                                  .snapshot_entries = 60,
                                  .snapshot_bytes = 3000000,
                                  .trailing_entries = 20,
                                  .segment_bytes = 4096 };
  g_autoptr (GError) error = NULL;
  SwarmConsensusStart state;

  node->boot_at = 0;
  node->consensus = swarm_consensus_new (&config, &events, node);
  if (!swarm_consensus_start (node->consensus, &state, &error)) {
    violate (world, "n%u does not start: %s", node->number, error->message);
    turn_off (node);
    return;
  }
  note (world, "n%u starts at %" G_GUINT64_FORMAT, node->number, node->applied);
  if (state != SWARM_CONSENSUS_EMPTY)
    return;
  if (node->join_as != 0)
    swarm_consensus_join (node->consensus, node->join_as);
  else
    swarm_consensus_bootstrap (node->consensus, "10.99.0.1:2377");
}

void
clients_read (Node *node)
{
  World *world = node->world;

  for (guint i = 0; node->leads && !world->quiet && i < CLIENTS; i++)
    if (!world->busy[i])
      client_call (node, i, FALSE);
}

static void
node_tick (Node *node)
{
  World *world = node->world;
  SimRandom *random = &world->random;

  if (sim_clock_is_frozen (node->clock))
    return;
  if (node->consensus == NULL) {
    if (node->enrolled && sim_clock_time (world->clock) >= node->boot_at)
      boot (node);
    return;
  }
  /* Clients ask whoever thinks that it leads. */
  if (node->leads && !world->quiet && sim_random_chance (random, 40))
    propose (node);
  if (node->leads && sim_random_chance (random, 5))
    swarm_consensus_barrier (node->consensus, barrier_done, request_new (node));
  for (guint i = 0; node->leads && !world->quiet && i < CLIENTS; i++)
    if (!world->busy[i] && sim_random_chance (random, 4))
      client_call (node, i, sim_random_chance (random, 40));
  if (world->faults)
    faults_of_node (node);
}

static void
tick (gpointer data)
{
  World *world = data;

  for (guint i = 0; i < MAX_NODES && world->violation == NULL; i++)
    node_tick (&world->nodes[i]);
  check_leases (world);
  if (world->faults)
    faults_of_network (world);
  swarm_clock_timer (sim_clock_iface (world->clock), MS, SWARM_PRIORITY_NORMAL, tick, world);
}

/* ---- one run ---- */

static gboolean
stop_now (gpointer data)
{
  return ((World *) data)->violation != NULL;
}

static void
run_ms (World *world, gint64 ms)
{
  sim_clock_run_until (world->clock, ms * MS, stop_now, world);
}

static Node *
find_leader (World *world)
{
  for (guint i = 0; i < MAX_NODES; i++)
    if (world->nodes[i].leads)
      return &world->nodes[i];
  return NULL;
}

static void
first_promoted (guint64 index, const GError *error, gpointer data)
{
}

/* Three voters to begin with, or one voter and two standbys. */
static void
set_up_cluster (World *world)
{
  world->nodes[0].enrolled = TRUE;
  boot (&world->nodes[0]);
  run_ms (world, 1000);
  for (guint i = 1; i < 3 && world->violation == NULL; i++) {
    Request *request;

    if (find_leader (world) != &world->nodes[0]) {
      violate (world, "the first member does not lead");
      return;
    }
    request = request_new (&world->nodes[0]);
    request->target = i;
    swarm_consensus_add (world->nodes[0].consensus, &world->nodes[i].id, "10.99.0.2:2377", add_done, request);
    run_ms (world, 500);
    if (world->few > 1)
      swarm_consensus_promote (world->nodes[0].consensus, &world->nodes[i].id, first_promoted, NULL);
    run_ms (world, 1000);
  }
}

static gboolean
same_members (GArray *a, GArray *b)
{
  if (a->len != b->len)
    return FALSE;
  for (guint i = 0; i < a->len; i++) {
    const SwarmConsensusMember *x = &g_array_index (a, SwarmConsensusMember, i), *y = &g_array_index (b, SwarmConsensusMember, i);
    if (x->raft_id != y->raft_id || x->voter != y->voter || strcmp (x->address, y->address) != 0)
      return FALSE;
  }
  return TRUE;
}

/* All members that run have the same state and the same members; nobody is left who does not know that it is out. */
static void
check_converged (World *world, Node *leader)
{
  g_autoptr (GArray) members = swarm_consensus_members (leader->consensus);
  guint up = 0;

  for (guint i = 0; i < MAX_NODES; i++) {
    Node *node = &world->nodes[i];
    const SwarmConsensusMember *member = find_member (members, &node->id);
    g_autoptr (GArray) theirs = NULL;
    SwarmConsensusStats stats;

    if (node->consensus == NULL)
      continue;
    theirs = swarm_consensus_members (node->consensus);
    if (member == NULL || member->raft_id != swarm_consensus_raft_id (node->consensus)) {
      /* One that was removed before it heard of anybody waits for whoever made it join. */
      if (theirs->len > 0)
        violate (world, "n%u was not told that it is removed", i);
      continue;
    }
    up++;
    swarm_consensus_stats (node->consensus, &stats);
    if (node->applied != leader->applied || node->hash != leader->hash)
      violate (world, "n%u stands at %" G_GUINT64_FORMAT ", the leader at %" G_GUINT64_FORMAT, i, node->applied, leader->applied);
    else if (!same_members (members, theirs))
      violate (world, "n%u has other members than the leader", i);
    else if (stats.log_entries > 1200)
      violate (world, "n%u keeps %" G_GUINT64_FORMAT " entries", i, stats.log_entries);
  }
  if (up == 0)
    violate (world, "no member runs");
}

static void
heal_and_check (World *world)
{
  guint64 before;
  Node *leader;

  faults_end (world);
  run_ms (world, 6000);
  before = world->n[FIGURE_ACKNOWLEDGED];
  run_ms (world, 2000);
  if (world->n[FIGURE_ACKNOWLEDGED] < before + 100)
    violate (world, "no progress after the faults: %" G_GUINT64_FORMAT " acknowledged in two seconds", world->n[FIGURE_ACKNOWLEDGED] - before);
  world->quiet = TRUE;
  run_ms (world, 3000);
  leader = find_leader (world);
  if (leader == NULL)
    violate (world, "nobody leads after the faults");
  else if (world->violation == NULL)
    check_converged (world, leader);
}

static void
dump (World *world)
{
  for (guint i = 0; i < MAX_NODES; i++) {
    Node *node = &world->nodes[i];
    g_autoptr (GArray) members = NULL;
    SwarmConsensusStats stats;

    if (node->consensus == NULL) {
      g_printerr ("  n%u off%s\n", i, node->enrolled ? "" : ", not enrolled");
      continue;
    }
    members = swarm_consensus_members (node->consensus);
    swarm_consensus_stats (node->consensus, &stats);
    g_printerr ("  n%u %s term %" G_GUINT64_FORMAT " applied %" G_GUINT64_FORMAT " (%" G_GUINT64_FORMAT ") commit %" G_GUINT64_FORMAT
                " log %" G_GUINT64_FORMAT "..%" G_GUINT64_FORMAT " stored %" G_GUINT64_FORMAT " snapshot %" G_GUINT64_FORMAT " members",
                i, node->leads ? "leads" : "follows", swarm_consensus_term (node->consensus), node->applied,
                swarm_consensus_applied_index (node->consensus), swarm_consensus_commit_index (node->consensus), stats.first_index,
                stats.last_index, stats.stored_index, stats.snapshot_index);
    for (guint j = 0; j < members->len; j++) {
      SwarmConsensusMember *member = &g_array_index (members, SwarmConsensusMember, j);
      Node *who = find_node (world, &member->node);
      g_printerr (" n%u%s", who != NULL ? who->number : 99, member->voter ? "" : "(standby)");
    }
    g_printerr ("\n");
  }
}

static void
world_init (World *world, guint64 seed)
{
  *world = (World){ .seed = seed };
  world->clock = sim_clock_new (1000 * (gint64) G_USEC_PER_SEC);
  sim_random_init (&world->random, seed * 7919 + 1);
  sim_crypto_init (&world->crypto, &world->random);
  world->few = seed % 4 == 0 ? 1 : seed % 4 == 1 ? 2 : 3;
  world->key = g_bytes_new_static ("0123456789abcdef0123456789abcdef", 32);
  world->applied = g_array_new (FALSE, TRUE, sizeof (Applied));
  world->history = history_new (REGISTERS);
  world->leaders = g_hash_table_new (NULL, NULL);
  world->floors = g_hash_table_new (NULL, NULL);
  for (guint i = 0; i < MAX_NODES; i++) {
    Node *node = &world->nodes[i];
    node->world = world;
    node->number = i;
    node->id.bytes[0] = (guint8) (i + 1);
    node->clock = sim_clock_view (world->clock, 0);
    gboolean slow = sim_random_chance (&world->random, 15);
    node->disk_min = slow ? 1 * MS : 50;
    node->disk_max = slow ? 60 * MS : 3 * MS;
    node->disk = sim_disk_new (world->clock, &world->random, node->disk_min, node->disk_max);
    sim_disk_set_clock (node->disk, node->clock);
    if (lie)
      sim_disk_lie (node->disk, 200 * MS);
  }
}

static void
world_clear (World *world)
{
  for (guint i = 0; i < MAX_NODES; i++)
    turn_off (&world->nodes[i]);
  world->faults = FALSE;
  world->quiet = TRUE;
  for (guint i = 0; i < MAX_NODES; i++) {
    world->nodes[i].enrolled = FALSE;
    sim_clock_freeze (world->nodes[i].clock, 0);
  }
  sim_clock_run (world->clock, 2 * G_USEC_PER_SEC);
  for (guint i = 0; i < MAX_NODES; i++)
    sim_disk_free (world->nodes[i].disk);
  g_array_unref (world->applied);
  history_free (world->history);
  g_hash_table_unref (world->leaders);
  g_hash_table_unref (world->floors);
  g_bytes_unref (world->key);
  g_free (world->violation);
  sim_clock_free (world->clock);
}

static void
check_history (World *world)
{
  g_autofree char *why = world->violation == NULL ? history_check (world->history) : NULL;

  if (why != NULL)
    violate (world, "what clients saw is not linearizable: %s", why);
}

static gboolean
run_seed (guint64 seed, gint64 seconds, World *total)
{
  World world;
  gboolean ok;

  world_init (&world, seed);
  tick (&world);
  set_up_cluster (&world);
  world.faults = TRUE;
  run_ms (&world, seconds * 1000);
  if (world.violation == NULL)
    heal_and_check (&world);
  check_history (&world);
  ok = world.violation == NULL;
  if (!ok)
    dump (&world);
  world.n[FIGURE_CALLS] = history_n_calls (world.history);
  for (guint i = 0; i < N_FIGURES; i++)
    total->n[i] += world.n[i];
  world_clear (&world);
  return ok;
}

static const char *const figures[N_FIGURES] = {
  "acknowledged",    "unknown",      "refused",    "calls of clients", "elections",           "barriers",          "changes of members", "transfers",
  "snapshots",       "restored while running", "power cuts", "kills", "torn writes",  "lost writes", "disk failures", "slow disks", "suspends",
  "clock steps",     "lost messages", "whole networks", "halves", "one way", "rings", "bridges", "pairs",
};

/* FALSE: something that the stories are to be about never came about. */
static gboolean
print_figures (const World *total)
{
  gboolean all = TRUE;
  for (guint i = 0; i < N_FIGURES; i++) {
    printf ("%s%s %" G_GUINT64_FORMAT, i > 0 ? ", " : "", figures[i], total->n[i]);
    all = all && total->n[i] > 0;
  }
  printf ("\n");
  return all;
}

int
main (int argc, char **argv)
{
  guint64 first = 1, last = 4, failed = 0;
  gint64 seconds = 12;
  World total = { 0 };

  for (int i = 1; i < argc; i++) {
    if (strcmp (argv[i], "--seeds") == 0 && i + 1 < argc) {
      char *end;
      first = last = g_ascii_strtoull (argv[++i], &end, 10);
      if (g_str_has_prefix (end, ".."))
        last = g_ascii_strtoull (end + 2, NULL, 10);
    } else if (strcmp (argv[i], "--seconds") == 0 && i + 1 < argc) {
      seconds = atoi (argv[++i]);
    } else if (strcmp (argv[i], "--lie") == 0) {
      lie = TRUE;
    } else if (strcmp (argv[i], "--stale") == 0) {
      stale = TRUE;
    } else if (strcmp (argv[i], "--verbose") == 0) {
      verbose = TRUE;
    } else {
      g_printerr ("usage: %s [--seeds A..B] [--seconds N] [--lie] [--stale] [--verbose]\n", argv[0]);
      return 2;
    }
  }
  gint64 began = g_get_monotonic_time ();
  for (guint64 seed = first; seed <= last; seed++)
    failed += !run_seed (seed, seconds, &total);
  printf ("%" G_GUINT64_FORMAT " seeds clean, %" G_GUINT64_FORMAT " failed (%" G_GUINT64_FORMAT "..%" G_GUINT64_FORMAT ", %" G_GINT64_FORMAT
          " s of faults each), %.2f s a seed\n", last + 1 - first - failed, failed, first, last, seconds,
          (double) (g_get_monotonic_time () - began) / G_USEC_PER_SEC / (double) (last + 1 - first));
  if (!print_figures (&total) && last - first >= 3 && failed == 0) {
    printf ("something never came about\n");
    return 1;
  }
  return failed > 0;
}
