// SPDX-License-Identifier: LGPL-2.1-or-later
/* Proposals per second on real disks: N members in one process, each with its own directory and writer thread, messages handed over by the loop.
 *   bench-consensus DIRECTORY [MEMBERS [OUTSTANDING [SECONDS]]] */
#include "base/clock-glib.h"
#include "base/random-system.h"
#include "consensus/consensus.h"
#include "daemon/disk-file.h"
#include "sim/sim-crypto.h"
#include "sim/late-encode.h"
#include <stdio.h>
#include <stdlib.h>

#define MAX_NODES 7

typedef struct {
  guint number;
  SwarmId id;
  SwarmDisk *disk;
  SwarmConsensus *consensus;
  gboolean leads;
  guint64 raft_id;
} Node;

typedef struct {
  guint to, from;
  GBytes *bytes;
} Packet;

static Node nodes[MAX_NODES];
static guint members, outstanding, promoted;
static gint64 end_at, started_at;
static GArray *latencies;
static GMainLoop *loop;
static char payload[256];

static gboolean
apply (guint64 index, GBytes *entry, gboolean ours, gpointer data, GError **error)
{
  return TRUE;
}

static gpointer
snapshot (gpointer data)
{
  return g_bytes_new_static ("state", 5);
}

static void
encode (gpointer handle, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data)
{
  late_encode (swarm_clock_glib (), 0, handle, done, done_data);
}

static gboolean
restore (guint64 index, GBytes *bytes, gpointer data, GError **error)
{
  return TRUE;
}

static void
deliver (gpointer data)
{
  Packet *packet = data;

  if (nodes[packet->to].consensus != NULL)
    swarm_consensus_receive (nodes[packet->to].consensus, &nodes[packet->from].id, packet->bytes);
  g_bytes_unref (packet->bytes);
  g_free (packet);
}

static void
send (const SwarmId *to, GBytes *message, gpointer data)
{
  Packet *packet = g_new0 (Packet, 1);

  *packet = (Packet){ to->bytes[0] - 1u, ((Node *) data)->number, g_bytes_ref (message) };
  swarm_clock_timer (swarm_clock_glib (), 0, SWARM_PRIORITY_URGENT, deliver, packet);
}

static void propose (void);

static void
proposed (guint64 index, const GError *error, gpointer data)
{
  gint64 *begun = data, now = swarm_clock_boottime (swarm_clock_glib ()), took = now - *begun;

  g_free (begun);
  if (error != NULL)
    g_error ("%s", error->message);
  g_array_append_val (latencies, took);
  if (now < end_at)
    propose ();
  else if (--outstanding == 0)
    g_main_loop_quit (loop);
}

static void
propose (void)
{
  g_autoptr (GBytes) entry = g_bytes_new_static (payload, sizeof payload);
  gint64 *begun = g_new (gint64, 1);

  *begun = swarm_clock_boottime (swarm_clock_glib ());
  swarm_consensus_propose (nodes[0].consensus, entry, proposed, begun);
}

static void
begin (void)
{
  started_at = swarm_clock_boottime (swarm_clock_glib ());
  end_at += started_at;
  for (guint i = 0; i < outstanding; i++)
    propose ();
}

static void add_next (void);

static void
promote_done (guint64 index, const GError *error, gpointer data)
{
  if (error != NULL)
    g_error ("promote: %s", error->message);
  promoted++;
  add_next ();
}

static void
added (guint64 raft_id, const GError *error, gpointer data)
{
  Node *node = data;

  if (error != NULL)
    g_error ("add: %s", error->message);
  swarm_consensus_join (node->consensus, raft_id);
  swarm_consensus_promote (nodes[0].consensus, &node->id, promote_done, NULL);
}

static void
add_next (void)
{
  if (promoted + 1 < members)
    swarm_consensus_add (nodes[0].consensus, &nodes[promoted + 1].id, "x:1", added, &nodes[promoted + 1]);
  else
    begin ();
}

static void
role_changed (gboolean is_leader, const SwarmId *leader, guint64 term, gpointer data)
{
  Node *node = data;

  if (is_leader && node->number == 0 && !node->leads)
    add_next ();
  node->leads = is_leader;
}

static void
ignore (gpointer data)
{
}

static void
fatal (const GError *error, gpointer data)
{
  g_error ("%s", error->message);
}

static const SwarmConsensusEvents events = { apply, snapshot, encode, restore, send, role_changed, ignore, ignore, fatal };

static int
compare (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return x < y ? -1 : x > y;
}

int
main (int argc, char **argv)
{
  SimRandom random;
  SimCrypto crypto;
  g_autoptr (GBytes) key = g_bytes_new_static ("0123456789abcdef0123456789abcdef", 32);
  double seconds;

  if (argc < 2)
    return 2;
  members = argc > 2 ? (guint) atoi (argv[2]) : 1;
  outstanding = argc > 3 ? (guint) atoi (argv[3]) : 1;
  end_at = (argc > 4 ? atoi (argv[4]) : 5) * (gint64) G_USEC_PER_SEC;
  sim_random_init (&random, 1);
  sim_crypto_init (&crypto, &random);
  latencies = g_array_new (FALSE, FALSE, sizeof (gint64));
  loop = g_main_loop_new (NULL, FALSE);
  for (guint i = 0; i < members; i++) {
    g_autofree char *name = g_strdup_printf ("%s/%u", argv[1], i);
    g_autoptr (GError) error = NULL;
    SwarmConsensusStart state;
    SwarmConsensusConfig config = { .clock = swarm_clock_glib (), .random = swarm_random_system (), .crypto = &crypto.iface, .key = key };

    nodes[i].number = i;
    nodes[i].id.bytes[0] = (guint8) (i + 1);
    config.disk = nodes[i].disk = swarm_disk_file_new (name, &error);
    config.node = nodes[i].id;
    if (error != NULL)
      g_error ("%s", error->message);
    nodes[i].consensus = swarm_consensus_new (&config, &events, &nodes[i]);
    if (!swarm_consensus_start (nodes[i].consensus, &state, &error))
      g_error ("%s", error->message);
    if (state != SWARM_CONSENSUS_EMPTY)
      g_error ("%s is not empty", name);
  }
  swarm_consensus_bootstrap (nodes[0].consensus, "x:1");
  g_main_loop_run (loop);
  seconds = (double) (swarm_clock_boottime (swarm_clock_glib ()) - started_at) / G_USEC_PER_SEC;
  g_array_sort (latencies, compare);
  printf ("%u members: %.0f proposals of %zu bytes per second, p50 %.2f ms, p99 %.2f ms\n", members, latencies->len / seconds, sizeof payload,
          (double) g_array_index (latencies, gint64, latencies->len / 2) / 1000,
          (double) g_array_index (latencies, gint64, latencies->len * 99 / 100) / 1000);
  for (guint i = 0; i < members; i++) {
    swarm_consensus_free (nodes[i].consensus);
    nodes[i].consensus = NULL;
    swarm_disk_file_free (nodes[i].disk);
  }
  return 0;
}
