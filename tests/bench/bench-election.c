// SPDX-License-Identifier: LGPL-2.1-or-later
/* Does a leader that has very much to do lose its lead? Three managers, each a process with its own brain, log and disk; their messages go through
 * sockets. The cluster is filled, a part of its nodes is lost, and the elections are counted.
 *   bench-election DIRECTORY [NODES [TASKS [LOST]]] */
#include "base/aside.h"
#include "base/clock-glib.h"
#include "base/random-system.h"
#include "ca/crypto.h"
#include "daemon/disk-file.h"
#include "manager/stack.h"
#include "sim/bench-world.h"
#include "sim/late-encode.h"
#include <errno.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANAGERS 3
#define TASKS_OF_SERVICE 180 /* with their service they fit into one transaction */
#define IN_FLIGHT 2
#define QUIET_US (3 * G_TIME_SPAN_SECOND)

extern const SwarmPluginDescriptor swarm_plugin_builtin_scheduler_spread;

enum { FRAME_RAFT, FRAME_JOIN, FRAME_QUIT };

typedef struct {
  guint number;
  int fd;
  GByteArray *in;
  GByteArray *out;
  guint writer;
} Peer;

typedef struct {
  guint number;
  Peer peers[MANAGERS];
  SimBench bench; /* makes objects */
  SwarmStack *stack;
  guint joined;
  guint in_flight;
  guint64 term;
  guint elections; /* changes of the term that it saw */
  gint64 last_event;
  gboolean ending;
} Member;

static SwarmId
id_of (guint number)
{
  SwarmId id = SWARM_ID_NIL;

  id.bytes[0] = (guint8) (number + 1);
  return id;
}

/* One turn of the loop; what is long is counted. */
static void
turn (Member *self)
{
  gint64 began;

  while (!g_main_context_pending (NULL))
    g_usleep (200);
  began = sim_bench_cpu_time ();
  g_main_context_iteration (NULL, FALSE);
  sim_bench_count_turn (&self->bench, sim_bench_cpu_time () - began);
}

static void
run_while (gboolean (*waits) (Member *self), Member *self)
{
  while (waits (self))
    turn (self);
}

/* ---- messages ---- */

static gboolean
write_more (int fd, GIOCondition condition, gpointer data)
{
  Peer *peer = data;
  gssize n = write (fd, peer->out->data, peer->out->len);

  if (n > 0)
    g_byte_array_remove_range (peer->out, 0, (guint) n);
  if (peer->out->len > 0 && (n >= 0 || errno == EAGAIN))
    return G_SOURCE_CONTINUE;
  peer->writer = 0;
  return G_SOURCE_REMOVE;
}

static void
send_frame (Peer *peer, guint32 kind, gconstpointer data, gsize len)
{
  guint32 head[2] = { kind, (guint32) len };

  g_byte_array_append (peer->out, (const guint8 *) head, sizeof head);
  g_byte_array_append (peer->out, data, (guint) len);
  if (peer->writer == 0)
    peer->writer = g_unix_fd_add_full (G_PRIORITY_HIGH, peer->fd, G_IO_OUT, write_more, peer, NULL);
}

static void
received (Member *self, Peer *peer, guint32 kind, gconstpointer data, gsize len)
{
  SwarmConsensus *consensus = swarm_stack_consensus (self->stack);
  SwarmId from = id_of (peer->number);
  g_autoptr (GBytes) bytes = g_bytes_new (data, len);

  if (kind == FRAME_RAFT)
    swarm_consensus_receive (consensus, &from, bytes);
  else if (kind == FRAME_JOIN)
    swarm_consensus_join (consensus, *(const guint64 *) data);
  else
    self->ending = TRUE;
}

typedef struct {
  Member *member;
  Peer *peer;
} Reader;

static gboolean
read_more (int fd, GIOCondition condition, gpointer data)
{
  Reader *reader = data;
  Peer *peer = reader->peer;
  guint8 buffer[65536];
  gssize n = read (fd, buffer, sizeof buffer);

  if (n <= 0)
    return n < 0 && errno == EAGAIN;
  g_byte_array_append (peer->in, buffer, (guint) n);
  for (;;) {
    guint32 head[2];
    if (peer->in->len < sizeof head)
      return G_SOURCE_CONTINUE;
    memcpy (head, peer->in->data, sizeof head);
    if (peer->in->len < sizeof head + head[1])
      return G_SOURCE_CONTINUE;
    g_autofree guint8 *frame = g_memdup2 (peer->in->data + sizeof head, head[1]);
    g_byte_array_remove_range (peer->in, 0, (guint) (sizeof head + head[1]));
    received (reader->member, peer, head[0], frame, head[1]);
  }
}

/* ---- what the stack asks for ---- */

static void
stack_send (const SwarmId *to, GBytes *message, gpointer data)
{
  Member *self = data;

  send_frame (&self->peers[to->bytes[0] - 1], FRAME_RAFT, g_bytes_get_data (message, NULL), g_bytes_get_size (message));
}

static void
stack_changed (gpointer data)
{
  Member *self = data;
  guint64 term = swarm_consensus_term (swarm_stack_consensus (self->stack));

  self->elections += term != self->term;
  self->term = term;
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

typedef struct {
  SwarmSnapshot *snapshot;
  LateEncoding late;
} Encoding;

static gboolean
encoded (gpointer data)
{
  late_encoding_due (data);
  return G_SOURCE_REMOVE;
}

static gpointer
encode_thread (gpointer data)
{
  g_autofree Encoding *encoding = data;

  encoding->late.bytes = swarm_bytes_free_aside (swarm_snapshot_encode (encoding->snapshot));
  swarm_snapshot_free (encoding->snapshot);
  g_idle_add_full (G_PRIORITY_DEFAULT, encoded, g_memdup2 (&encoding->late, sizeof encoding->late), NULL);
  return NULL;
}

static void
stack_encode (SwarmSnapshot *snapshot, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data)
{
  Encoding *encoding = g_new0 (Encoding, 1);

  *encoding = (Encoding){ snapshot, { NULL, done, done_data } };
  g_thread_unref (g_thread_new ("encode", encode_thread, encoding));
}

static const SwarmStackEvents stack_events = { stack_send, stack_changed, ignore, fatal, stack_encode };

/* ---- members ---- */

static SwarmSchedulerSet *
make_schedulers (SwarmClock *clock)
{
  SwarmPluginHostConfig host = { .clock = clock, .random = swarm_random_system () };
  SwarmSchedulerSet *set = swarm_scheduler_set_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmPlugin) plugin = swarm_plugin_from_descriptor (&swarm_plugin_builtin_scheduler_spread, SWARM_PLUGIN_SCHEDULER, &error);

  if (plugin == NULL || !swarm_scheduler_set_add (set, plugin, &host, &error))
    g_error ("%s", error->message);
  return set;
}

static void
member_open (Member *self, const char *directory)
{
  static const guint8 key[32] = "0123456789abcdef0123456789abcdef";
  g_autofree char *name = g_strdup_printf ("%s/%u", directory, self->number);
  g_autoptr (GError) error = NULL;
  SwarmConsensusStart state;
  SwarmStackConfig config = { .clock = swarm_clock_glib (), .random = swarm_random_system (), .crypto = swarm_crypto_openssl (),
                              .log_key = g_bytes_new_static (key, sizeof key), .node = id_of (self->number), .cluster = id_of (100) };

  config.disk = swarm_disk_file_new (name, &error);
  if (config.disk == NULL)
    g_error ("%s", error->message);
  config.schedulers = make_schedulers (config.clock);
  self->stack = swarm_stack_new (&config, &stack_events, self);
  if (!swarm_stack_start (self->stack, &state, &error))
    g_error ("%s", error->message);
  for (guint i = 0; i < MANAGERS; i++) {
    Peer *peer = &self->peers[i];
    Reader *reader = g_new (Reader, 1);
    if (i == self->number)
      continue;
    peer->number = i;
    peer->in = g_byte_array_new ();
    peer->out = g_byte_array_new ();
    *reader = (Reader){ self, peer };
    g_unix_set_fd_nonblocking (peer->fd, TRUE, NULL);
    g_unix_fd_add_full (G_PRIORITY_HIGH, peer->fd, G_IO_IN, read_more, reader, NULL);
  }
}

/* ---- the leader's story ---- */

static void
promoted (guint64 index, const GError *error, gpointer data)
{
  Member *self = data;

  if (error != NULL)
    g_error ("promote: %s", error->message);
  self->joined++;
}

static void
added (guint64 raft_id, const GError *error, gpointer data)
{
  Member *self = data;
  SwarmId id = id_of (self->joined + 1);

  if (error != NULL)
    g_error ("add: %s", error->message);
  send_frame (&self->peers[self->joined + 1], FRAME_JOIN, &raft_id, sizeof raft_id);
  swarm_consensus_promote (swarm_stack_consensus (self->stack), &id, promoted, self);
}


static guint joined_before;

static gboolean
is_joining (Member *self)
{
  return self->joined == joined_before;
}

static gboolean
leads_not (Member *self)
{
  return !swarm_manager_leads (swarm_stack_manager (self->stack));
}

static gboolean
is_full (Member *self)
{
  return self->in_flight >= IN_FLIGHT;
}

static gboolean
is_writing (Member *self)
{
  return self->in_flight > 0;
}

static void
committed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  if (error != NULL) {
    printf ("the leader lost its lead; longest turn %.1f ms of CPU: %s\n", (double) ((Member *) data)->bench.longest / 1000, error->message);
    fflush (stdout);
    exit (1);
  }
  ((Member *) data)->in_flight--;
}

static void
commit (Member *self, SwarmTx **tx)
{
  if (*tx == NULL)
    return;
  self->in_flight++;
  swarm_tx_commit (g_steal_pointer (tx), NULL, committed, self);
  run_while (is_full, self);
}

static SwarmTx *
room (Member *self, SwarmTx **tx)
{
  if (*tx != NULL && !swarm_tx_has_room (*tx, 1))
    commit (self, tx);
  if (*tx == NULL)
    *tx = swarm_store_tx (swarm_stack_store (self->stack));
  return *tx;
}

static void
fill (Member *self, GArray *nodes)
{
  const SimBenchShape *shape = self->bench.shape;
  SwarmTx *tx = NULL;
  guint at = 0;

  for (guint i = 0; i < shape->nodes; i++) {
    g_autoptr (SwarmNode) node = sim_bench_make_node (&self->bench, i);
    swarm_tx_create (room (self, &tx), node);
    g_array_append_val (nodes, node->object.id);
  }
  commit (self, &tx);
  for (guint i = 0; i < shape->services; i++) {
    g_autoptr (SwarmService) service = sim_bench_make_service (&self->bench, i, sim_bench_replicas_of (shape, i));
    swarm_tx_create (room (self, &tx), service);
    for (guint slot = 1; slot <= sim_bench_replicas_of (shape, i); slot++) {
      g_autoptr (SwarmTask) task = sim_bench_make_task (&self->bench, service, slot);
      task->node_id = g_array_index (nodes, SwarmId, at++ % nodes->len);
      task->status->state = SWARM_TASK_RUNNING;
      task->status->started_at = task->status->timestamp;
      swarm_tx_create (tx, task);
    }
    commit (self, &tx);
  }
  run_while (is_writing, self);
}

static void
note_change (const SwarmEvent *event, gpointer data)
{
  if (event->event != SWARM_EVENT_COMMIT)
    ((Member *) data)->last_event = g_get_monotonic_time ();
}

static gboolean
goes_on (Member *self)
{
  return g_get_monotonic_time () < self->last_event + QUIET_US;
}

static void
lose (Member *self, const GArray *nodes, guint lost)
{
  SwarmTx *tx = NULL;

  for (guint i = 0; i < MIN (lost, nodes->len); i++) {
    const SwarmNode *node = swarm_store_get (swarm_stack_store (self->stack), SWARM_KIND_NODE, &g_array_index (nodes, SwarmId, i));
    g_autoptr (SwarmNode) copy = swarm_node_copy (node);
    swarm_node_set_state (copy, SWARM_NODE_DOWN, "heartbeat failure");
    swarm_tx_update (room (self, &tx), copy);
  }
  commit (self, &tx);
}

static guint
count_moved (Member *self, const GArray *nodes, guint lost)
{
  guint n = 0;

  for (guint i = lost; i < nodes->len; i++) {
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (swarm_stack_store (self->stack), &g_array_index (nodes, SwarmId, i));
    for (guint k = 0; k < tasks->len; k++)
      n += ((SwarmTask *) tasks->pdata[k])->status->state == SWARM_TASK_ASSIGNED;
  }
  return n;
}

static gboolean
goes_on_for_ever (Member *self)
{
  return !self->ending;
}

static gboolean
tick (gpointer data)
{
  return G_SOURCE_CONTINUE; /* waits are looked at again */
}

static void
lead (Member *self, guint lost)
{
  g_autoptr (GArray) nodes = swarm_ids_new ();
  gint64 began;
  guint64 term;

  swarm_consensus_bootstrap (swarm_stack_consensus (self->stack), "x:1");
  run_while (leads_not, self);
  while (self->joined + 1 < MANAGERS) {
    SwarmId id = id_of (self->joined + 1);
    joined_before = self->joined;
    swarm_consensus_add (swarm_stack_consensus (self->stack), &id, "x:1", added, self);
    run_while (is_joining, self);
  }
  g_timeout_add (100, tick, NULL);
  term = swarm_consensus_term (swarm_stack_consensus (self->stack));
  began = g_get_monotonic_time ();
  fill (self, nodes);
  swarm_store_watch (swarm_stack_store (self->stack), 0, note_change, self);
  self->last_event = g_get_monotonic_time ();
  run_while (goes_on, self);
  printf ("filled in %.1f s: %u nodes, %u tasks; elections since the beginning: %" G_GUINT64_FORMAT "; longest turn %.1f ms of CPU\n",
          (double) (self->last_event - began) / G_USEC_PER_SEC, nodes->len, swarm_store_count (swarm_stack_store (self->stack), SWARM_KIND_TASK),
          swarm_consensus_term (swarm_stack_consensus (self->stack)) - term, (double) self->bench.longest / 1000);
  term = swarm_consensus_term (swarm_stack_consensus (self->stack));
  began = self->last_event = g_get_monotonic_time ();
  self->bench.longest = 0;
  lose (self, nodes, lost);
  run_while (goes_on, self);
  printf ("%u nodes lost, %u tasks placed anew in %.1f s; elections: %" G_GUINT64_FORMAT ", it leads: %s; longest turn %.1f ms of CPU\n", lost,
          count_moved (self, nodes, lost), (double) (self->last_event - began) / G_USEC_PER_SEC,
          swarm_consensus_term (swarm_stack_consensus (self->stack)) - term,
          swarm_manager_leads (swarm_stack_manager (self->stack)) ? "yes" : "no", (double) self->bench.longest / 1000);
  for (guint i = 1; i < MANAGERS; i++)
    send_frame (&self->peers[i], FRAME_QUIT, "", 0);
  for (guint i = 1; i < MANAGERS; i++)
    while (self->peers[i].out->len > 0 && self->peers[i].writer != 0)
      turn (self);
}

static guint
argument (int argc, char **argv, int at, guint otherwise)
{
  return argc > at ? (guint) atoi (argv[at]) : otherwise;
}

int
main (int argc, char **argv)
{
  SimBenchShape shape = { .nodes = argument (argc, argv, 2, 10000), .tasks = argument (argc, argv, 3, 1000000) };
  int fds[MANAGERS][MANAGERS];
  pid_t children[MANAGERS] = { 0 };
  Member self = { 0 };

  if (argc < 2)
    return 2;
  shape.services = MAX (shape.tasks / TASKS_OF_SERVICE, 1);
  for (guint i = 0; i < MANAGERS; i++)
    for (guint k = i + 1; k < MANAGERS; k++) {
      int pair[2];
      if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        g_error ("socketpair: %s", g_strerror (errno));
      fds[i][k] = pair[0];
      fds[k][i] = pair[1];
    }
  for (guint i = 1; i < MANAGERS && self.number == 0; i++) {
    children[i] = fork ();
    if (children[i] == 0)
      self.number = i;
  }
  for (guint i = 0; i < MANAGERS; i++)
    self.peers[i].fd = i != self.number ? fds[self.number][i] : -1;
  self.bench = (SimBench){ .shape = &shape, .clock = swarm_clock_glib () };
  sim_random_init (&self.bench.random, 1);
  member_open (&self, argv[1]);
  if (self.number == 0) {
    lead (&self, argument (argc, argv, 4, 1000));
  } else {
    run_while (goes_on_for_ever, &self);
    printf ("manager %u: %u terms seen, %u tasks, longest turn %.1f ms of CPU\n", self.number + 1, self.elections,
            swarm_store_count (swarm_stack_store (self.stack), SWARM_KIND_TASK), (double) self.bench.longest / 1000);
  }
  fflush (stdout);
  for (guint i = 1; self.number == 0 && i < MANAGERS; i++)
    waitpid (children[i], NULL, 0);
  _exit (0);
}
