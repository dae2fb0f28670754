// SPDX-License-Identifier: LGPL-2.1-or-later
#include "consensus-fixture.h"
#include "sim/late-encode.h"

typedef struct {
  Group *group;
  guint to, incarnation;
  SwarmId from;
  GBytes *bytes;
} Packet;

void
answer_clear (Answer *answer)
{
  g_clear_error (&answer->error);
}

gint64
now (Group *g)
{
  return swarm_clock_boottime (sim_clock_iface (g->clock));
}

void
run (Group *g, gint64 us)
{
  sim_clock_run (g->clock, us);
}

/* ---- events ---- */

static gboolean
apply (guint64 index, GBytes *entry, gboolean ours, gpointer data, GError **error)
{
  Member *m = data;
  gsize len;
  const char *text = g_bytes_get_data (entry, &len);

  g_assert_cmpuint (index, >, m->applied);
  m->applied = index;
  g_string_append_len (m->state, text, MIN (len, 100));
  g_string_append_c (m->state, ';');
  return TRUE;
}

static gpointer
snapshot (gpointer data)
{
  Member *m = data;
  gsize len = m->state->len + 1 + m->group->padding;
  char *copy = g_malloc0 (len);

  memcpy (copy, m->state->str, m->state->len);
  return g_bytes_new_take (copy, len);
}

static void
encode (gpointer handle, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data)
{
  late_encode (sim_clock_iface (((Member *) data)->group->clock), 1000, handle, done, done_data);
}

static gboolean
restore (guint64 index, GBytes *bytes, gpointer data, GError **error)
{
  Member *m = data;

  g_string_assign (m->state, g_bytes_get_data (bytes, NULL));
  m->applied = m->restored = index;
  return TRUE;
}

static void
packet_due (gpointer data)
{
  Packet *packet = data;
  Member *to = &packet->group->members[packet->to];

  if (to->consensus != NULL && to->incarnation == packet->incarnation)
    swarm_consensus_receive (to->consensus, &packet->from, packet->bytes);
  g_bytes_unref (packet->bytes);
  g_free (packet);
}

/* A vote that is asked for or given, not only probed for, stands on the disk of whoever sends it. */
static void
check_vote (Member *from, GBytes *bytes)
{
  g_auto (Message) message = { 0 };

  g_assert_true (message_decode (bytes, &message));
  if (from->group->votes_need[from->number] == 0 || (message.type == MESSAGE_VOTE && message.raft.request_vote.pre_vote)
      || (message.type == MESSAGE_VOTE_RESULT && (message.raft.request_vote_result.pre_vote || !message.raft.request_vote_result.vote_granted)))
    return;
  from->group->votes++;
  g_assert_cmpuint (sim_disk_batches (from->disk), >=, from->group->votes_need[from->number]);
}

static void
send_message (const SwarmId *to, GBytes *message, gpointer data)
{
  Member *from = data;
  Group *g = from->group;
  guint8 type = ((const guint8 *) g_bytes_get_data (message, NULL))[1];

  g->sent[type]++;
  if (type == MESSAGE_SNAPSHOT) {
    g_auto (Message) piece = { 0 };
    g_assert_true (message_decode (message, &piece));
    g->stream = piece.stream;
    g_clear_pointer (&g->piece, g_bytes_unref);
    g->piece = g_bytes_ref (message);
  }
  if (type == MESSAGE_VOTE || type == MESSAGE_VOTE_RESULT)
    check_vote (from, message);
  g->largest = MAX (g->largest, g_bytes_get_size (message));
  if (g->lose > 0 && type == g->lose_type) {
    g->lose--;
    return;
  }
  for (guint i = 0; i < N_MAX; i++) {
    Packet *packet;

    if (!swarm_id_equal (&g->members[i].id, to) || g->cut[from->number][i])
      continue;
    packet = g_new0 (Packet, 1);
    *packet = (Packet){ g, i, g->members[i].incarnation, from->id, g_bytes_ref (message) };
    swarm_clock_timer (sim_clock_iface (g->clock), PACKET_US, SWARM_PRIORITY_NORMAL, packet_due, packet);
  }
}

static void
role_changed (gboolean is_leader, const SwarmId *leader, guint64 term, gpointer data)
{
  Member *m = data;


  m->leads = is_leader;
  m->leader = *leader;
  m->roles++;
}

static void
members_changed (gpointer data)
{
  ((Member *) data)->members_told++;
}

static void
removed (gpointer data)
{
  ((Member *) data)->removed = TRUE;
}

static void
fatal (const GError *error, gpointer data)
{
  Member *m = data;

  m->fatal = g_strdup (error->message);
}

static const SwarmConsensusEvents events = { apply, snapshot, encode, restore, send_message, role_changed, members_changed, removed, fatal };

/* ---- answers ---- */

void
note (guint64 index, const GError *error, gpointer data)
{
  Answer *answer = data;

  answer->done++;
  answer->index = index;
  if (answer->group != NULL)
    answer->at = now (answer->group);
  g_clear_error (&answer->error);
  answer->error = error != NULL ? g_error_copy (error) : NULL;
  g_assert_true ((error == NULL) == (index != 0));
}

void
note_added (guint64 raft_id, const GError *error, gpointer data)
{
  Answer *answer = data;

  answer->done++;
  answer->raft_id = raft_id;
  answer->error = error != NULL ? g_error_copy (error) : NULL;
}

gboolean
is_done (gpointer data)
{
  return ((Answer *) data)->done > 0;
}

/* It is fine, within @us. */
void
wait_fine (Group *g, Answer *answer, gint64 us)
{
  g_assert_true (sim_clock_run_until (g->clock, us, is_done, answer));
  g_assert_no_error (answer->error);
  g_assert_cmpuint (answer->done, ==, 1);
}

void
wait_error (Group *g, Answer *answer, gint64 us, SwarmError code, const char *text)
{
  g_assert_true (sim_clock_run_until (g->clock, us, is_done, answer));
  g_assert_error (answer->error, SWARM_ERROR, (gint) code);
  g_assert_nonnull (strstr (answer->error->message, text));
  g_assert_cmpuint (answer->done, ==, 1);
}

/* ---- members ---- */

void
stop (Group *g, guint n)
{
  Member *m = &g->members[n];

  m->incarnation++;
  g_clear_pointer (&m->consensus, swarm_consensus_free);
  m->leads = FALSE;
  m->leader = SWARM_ID_NIL;
  g_string_truncate (m->state, 0);
  m->applied = 0;
}

void
start (Group *g, guint n)
{
  Member *m = &g->members[n];
  SwarmConsensusConfig config = { .clock = sim_clock_iface (g->clock), .random = &g->random.iface, .disk = sim_disk_iface (m->disk),
                                  .crypto = &g->crypto.iface, .key = g->key, .node = m->id, .cluster = { { 9, 8, 7 } },
                                  .trailing_entries = g->trailing, .snapshot_entries = (guint) g->snapshot_entries };
  g_autoptr (GError) error = NULL;
  g_autofree char *address = g_strdup_printf ("10.99.0.%u:2377", n + 1);
  SwarmConsensusStart state;

  m->consensus = swarm_consensus_new (&config, &events, m);
  g_assert_true (swarm_consensus_start (m->consensus, &state, &error));
  g_assert_no_error (error);
  if (state == SWARM_CONSENSUS_EMPTY && m->raft_id == 0)
    swarm_consensus_bootstrap (m->consensus, address);
  else if (state == SWARM_CONSENSUS_EMPTY)
    swarm_consensus_join (m->consensus, m->raft_id);
}

static gboolean
somebody_leads (gpointer data)
{
  Group *g = data;

  for (guint i = 0; i < N_MAX; i++)
    if (g->members[i].consensus != NULL && g->members[i].leads)
      return TRUE;
  return FALSE;
}

Member *
leader (Group *g)
{
  g_assert_true (sim_clock_run_until (g->clock, 10 * SECOND, somebody_leads, g));
  for (guint i = 0; i < N_MAX; i++)
    if (g->members[i].consensus != NULL && g->members[i].leads)
      return &g->members[i];
  g_assert_not_reached ();
}

void
add (Group *g, guint n, Answer *answer)
{
  g_autofree char *address = g_strdup_printf ("10.99.0.%u:2377", n + 1);

  *answer = (Answer){ 0 };
  swarm_consensus_add (leader (g)->consensus, &g->members[n].id, address, note_added, answer);
}

void
add_standby (Group *g, guint n)
{
  g_auto (Answer) answer = { 0 };

  add (g, n, &answer);
  wait_fine (g, &answer, SECOND);
  g_assert_cmpuint (answer.raft_id, !=, 0);
  g->members[n].raft_id = answer.raft_id;
  start (g, n);
}

void
promote (Group *g, guint n)
{
  g_auto (Answer) answer = { 0 };

  swarm_consensus_promote (leader (g)->consensus, &g->members[n].id, note, &answer);
  wait_fine (g, &answer, 2 * SECOND);
}

Group *
group_new (guint voters)
{
  Group *g = g_new0 (Group, 1);

  g->clock = sim_clock_new (SECOND);
  sim_random_init (&g->random, 42);
  sim_crypto_init (&g->crypto, &g->random);
  g->key = g_bytes_new_static ("0123456789abcdef0123456789abcdef", 32);
  for (guint i = 0; i < N_MAX; i++) {
    Member *m = &g->members[i];
    *m = (Member){ .group = g, .number = i, .id = { { (guint8) (i + 1), 2, 3 } } };
    m->disk = sim_disk_new (g->clock, &g->random, 100, 1000);
    m->state = g_string_new (NULL);
  }
  for (guint i = 0; i < voters; i++) {
    if (i == 0) {
      start (g, 0);
      leader (g);
      g->members[0].raft_id = swarm_consensus_raft_id (g->members[0].consensus);
    } else {
      add_standby (g, i);
      promote (g, i);
    }
  }
  run (g, 300 * MS);
  return g;
}

void
group_free (Group *g)
{
  for (guint i = 0; i < N_MAX; i++) {
    g_assert_null (g->members[i].fatal);
    stop (g, i);
  }
  run (g, 10 * SECOND);
  for (guint i = 0; i < N_MAX; i++) {
    sim_disk_free (g->members[i].disk);
    g_string_free (g->members[i].state, TRUE);
  }
  sim_clock_free (g->clock);
  g_bytes_unref (g->key);
  g_clear_pointer (&g->piece, g_bytes_unref);
  g_free (g);
}

/* Cuts one off from all others, or heals it. */
void
cut_off (Group *g, guint n, gboolean is_cut)
{
  for (guint i = 0; i < N_MAX; i++)
    g->cut[n][i] = g->cut[i][n] = is_cut;
}

void
propose (Member *m, const char *text, gsize len, Answer *answer)
{
  g_autoptr (GBytes) entry = g_bytes_new (text, len);

  swarm_consensus_propose (m->consensus, entry, answer != NULL ? note : NULL, answer);
}

void
propose_fine (Group *g, const char *text)
{
  g_auto (Answer) answer = { 0 };

  propose (leader (g), text, strlen (text), &answer);
  wait_fine (g, &answer, SECOND);
}

void
propose_many (Group *g, guint n)
{
  for (guint i = 0; i < n; i++)
    propose (leader (g), "some", 4, NULL);
  run (g, 200 * MS);
}

SwarmConsensusMember
member_of (Member *m, guint n)
{
  g_autoptr (GArray) list = swarm_consensus_members (m->consensus);

  for (guint i = 0; i < list->len; i++) {
    SwarmConsensusMember member = g_array_index (list, SwarmConsensusMember, i);
    if (swarm_id_equal (&member.node, &m->group->members[n].id))
      return member;
  }
  return (SwarmConsensusMember){ 0 };
}

guint
n_members (Member *m)
{
  g_autoptr (GArray) list = swarm_consensus_members (m->consensus);

  return list->len;
}

SwarmConsensusStats
stats_of (Member *m)
{
  SwarmConsensusStats stats;

  swarm_consensus_stats (m->consensus, &stats);
  return stats;
}
