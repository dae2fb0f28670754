// SPDX-License-Identifier: LGPL-2.1-or-later
/* One member alone: start, log, restart, damage, a disk that fails. */
#include "base/error.h"
#include "consensus/codec.h"
#include "consensus/consensus.h"
#include "consensus/crc32c.h"
#include "consensus/log.h"
#include "consensus/message.h"
#include "sim/sim-clock.h"
#include "sim/sim-crypto.h"
#include "sim/sim-disk.h"
#include "sim/late-encode.h"

typedef struct {
  SimClock *clock;
  SimRandom random;
  SimCrypto crypto;
  SimDisk *disk;
  GBytes *key;
  SwarmConsensusConfig config;
  SwarmConsensus *consensus;
  GString *state; /* all entries applied, "text;" each */
  guint64 applied;
  gboolean leads, removed;
  gboolean newer; /* it knows what entries that begin with "new" mean */
  char *fatal;
  int done, failed;
  GError *error;
} Fixture;

/* ---- events ---- */

static gboolean
apply (guint64 index, GBytes *entry, gboolean ours, gpointer data, GError **error)
{
  Fixture *f = data;
  gsize len;
  const char *text = g_bytes_get_data (entry, &len);

  g_assert_cmpuint (index, >, f->applied);
  if (!f->newer && len >= 3 && memcmp (text, "new", 3) == 0) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "this version does not know it; upgrade it");
    return FALSE;
  }
  f->applied = index;
  g_string_append_len (f->state, text, len);
  g_string_append_c (f->state, ';');
  return TRUE;
}

static gpointer
snapshot (gpointer data)
{
  Fixture *f = data;

  return g_bytes_new (f->state->str, f->state->len);
}

static void
encode (gpointer handle, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data)
{
  late_encode (sim_clock_iface (((Fixture *) data)->clock), 1000, handle, done, done_data);
}

static gboolean
restore (guint64 index, GBytes *bytes, gpointer data, GError **error)
{
  Fixture *f = data;

  g_string_truncate (f->state, 0);
  g_string_append_len (f->state, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  f->applied = index;
  return TRUE;
}

static void
ignore_send (const SwarmId *to, GBytes *message, gpointer data)
{
}

static void
role_changed (gboolean is_leader, const SwarmId *leader, guint64 term, gpointer data)
{
  ((Fixture *) data)->leads = is_leader;
}

static void
members_changed (gpointer data)
{
}

static void
removed (gpointer data)
{
  ((Fixture *) data)->removed = TRUE;
}

static void
fatal (const GError *error, gpointer data)
{
  Fixture *f = data;

  g_assert_null (f->fatal);
  f->fatal = g_strdup (error->message);
}

static const SwarmConsensusEvents events = { apply, snapshot, encode, restore, ignore_send, role_changed, members_changed, removed, fatal };

/* ---- fixture ---- */

static void
set_up (Fixture *f, gconstpointer data)
{
  f->clock = sim_clock_new (G_USEC_PER_SEC);
  sim_random_init (&f->random, 42);
  sim_crypto_init (&f->crypto, &f->random);
  f->disk = sim_disk_new (f->clock, &f->random, 100, 2000);
  f->key = g_bytes_new_static ("0123456789abcdef0123456789abcdef", 32);
  f->config = (SwarmConsensusConfig){ .clock = sim_clock_iface (f->clock),
                                      .random = &f->random.iface,
                                      .disk = sim_disk_iface (f->disk),
                                      .crypto = &f->crypto.iface,
                                      .key = f->key,
                                      .node = { { 1, 2, 3 } },
                                      .cluster = { { 9, 8, 7 } },
                                      .snapshot_entries = 50,
                                      .trailing_entries = 10,
                                      .segment_bytes = 2000 };
  f->state = g_string_new (NULL);
}

static void
forget_state (Fixture *f)
{
  g_clear_pointer (&f->consensus, swarm_consensus_free);
  g_string_truncate (f->state, 0);
  f->applied = 0;
  f->leads = FALSE;
  g_clear_pointer (&f->fatal, g_free);
  g_clear_error (&f->error);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  forget_state (f);
  sim_clock_run (f->clock, 10 * G_USEC_PER_SEC);
  sim_disk_free (f->disk);
  sim_clock_free (f->clock);
  g_bytes_unref (f->key);
  g_string_free (f->state, TRUE);
}

static gboolean
start (Fixture *f, GError **error)
{
  SwarmConsensusStart state;

  f->consensus = swarm_consensus_new (&f->config, &events, f);
  if (!swarm_consensus_start (f->consensus, &state, error))
    return FALSE;
  if (state == SWARM_CONSENSUS_EMPTY)
    swarm_consensus_bootstrap (f->consensus, "10.99.0.1:2377");
  return TRUE;
}

static gboolean
leads (gpointer data)
{
  return ((Fixture *) data)->leads;
}

static void
start_ok (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (start (f, &error));
  g_assert_no_error (error);
  g_assert_true (sim_clock_run_until (f->clock, 5 * G_USEC_PER_SEC, leads, f));
}

static void
note_done (guint64 index, const GError *error, gpointer data)
{
  Fixture *f = data;

  f->done++;
  if (error != NULL) {
    f->failed++;
    if (f->error == NULL)
      f->error = g_error_copy (error);
  } else {
    g_assert_cmpuint (index, <=, swarm_consensus_applied_index (f->consensus));
  }
}

static void
propose (Fixture *f, const char *text)
{
  g_autoptr (GBytes) entry = g_bytes_new (text, strlen (text));

  swarm_consensus_propose (f->consensus, entry, note_done, f);
}

static void
propose_numbers (Fixture *f, guint from, guint to)
{
  for (guint i = from; i < to; i++) {
    g_autofree char *text = g_strdup_printf ("number %u", i);
    propose (f, text);
    sim_clock_run (f->clock, 5000);
  }
}

static char *
numbers (guint to)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < to; i++)
    g_string_append_printf (text, "number %u;", i);
  return g_string_free (text, FALSE);
}

/* Name of the newest (or oldest) file that begins so. */
static char *
find_file (Fixture *f, const char *prefix, gboolean newest)
{
  g_auto (GStrv) names = sim_disk_iface (f->disk)->list (sim_disk_iface (f->disk), NULL);
  char *found = NULL;

  for (guint i = 0; names[i] != NULL; i++)
    if (g_str_has_prefix (names[i], prefix) && (found == NULL || newest)) {
      g_free (found);
      found = g_strdup (names[i]);
    }
  g_assert_nonnull (found);
  return found;
}

/* ---- tests ---- */

static void
test_bootstrap_and_restart (Fixture *f, gconstpointer data)
{
  g_autoptr (GArray) members = NULL;
  SwarmConsensusMember *member;
  guint64 term, raft_id;

  start_ok (f);
  members = swarm_consensus_members (f->consensus);
  g_assert_cmpuint (members->len, ==, 1);
  member = &g_array_index (members, SwarmConsensusMember, 0);
  g_assert_cmpstr (member->address, ==, "10.99.0.1:2377");
  g_assert_true (member->voter && member->leader && member->reachable);
  g_assert_true (swarm_consensus_has_lease (f->consensus));
  propose (f, "one");
  propose (f, "two");
  g_assert_cmpint (f->done, ==, 0);
  sim_clock_run (f->clock, 10000);
  g_assert_cmpint (f->done, ==, 2);
  g_assert_cmpstr (f->state->str, ==, "one;two;");
  term = swarm_consensus_term (f->consensus);
  raft_id = swarm_consensus_raft_id (f->consensus);
  forget_state (f);
  sim_clock_run (f->clock, G_USEC_PER_SEC);
  start_ok (f);
  g_assert_cmpstr (f->state->str, ==, "one;two;");
  g_assert_cmpuint (swarm_consensus_term (f->consensus), >, term);
  g_assert_cmpuint (swarm_consensus_raft_id (f->consensus), ==, raft_id);
  swarm_consensus_barrier (f->consensus, note_done, f);
  swarm_consensus_wait (f->consensus, 1000, 10000, note_done, f);
  sim_clock_run (f->clock, 20000);
  g_assert_cmpint (f->done, ==, 4);
  g_assert_error (f->error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
}

static void
test_snapshots (Fixture *f, gconstpointer data)
{
  g_autofree char *expect = numbers (500);
  SwarmConsensusStats stats;
  guint files;

  start_ok (f);
  propose_numbers (f, 0, 500);
  sim_clock_run (f->clock, 100000);
  g_assert_cmpint (f->done, ==, 500);
  g_assert_cmpint (f->failed, ==, 0);
  swarm_consensus_stats (f->consensus, &stats);
  g_assert_cmpuint (stats.snapshots_taken, >=, 5);
  g_assert_cmpuint (stats.log_entries, <, 150);
  {
    g_auto (GStrv) names = sim_disk_iface (f->disk)->list (sim_disk_iface (f->disk), NULL);
    files = g_strv_length (names);
  }
  g_assert_cmpuint (files, <, 16);
  g_assert_cmpuint (sim_disk_used (f->disk), <, 40000);
  forget_state (f);
  start_ok (f);
  g_assert_cmpstr (f->state->str, ==, expect);
}

/* After a change of the data key nothing is left that the one before opens. */
static void
test_new_key (Fixture *f, gconstpointer data)
{
  g_autoptr (GBytes) old = g_bytes_ref (f->key), next = g_bytes_new_static ("fedcba9876543210fedcba9876543210", 32);
  g_autofree char *expect = numbers (20);
  SwarmConsensusStart state;
  g_autoptr (GError) error = NULL;

  start_ok (f);
  propose_numbers (f, 0, 20);
  g_assert_false (swarm_consensus_uses_old_key (f->consensus));
  swarm_consensus_set_key (f->consensus, 1, next);
  g_assert_true (swarm_consensus_uses_old_key (f->consensus));
  if (GPOINTER_TO_INT (data)) { /* the power goes before anything is written anew */
    sim_disk_crash (f->disk);
    forget_state (f);
    f->config.old_key = old;
  } else {
    sim_clock_run (f->clock, 100000);
    g_assert_false (swarm_consensus_uses_old_key (f->consensus));
    forget_state (f);
  }
  f->config.key = next;
  f->config.key_number = 1;
  start_ok (f);
  g_assert_cmpstr (f->state->str, ==, expect);
  propose_numbers (f, 0, 1);
  sim_clock_run (f->clock, 100000);
  g_assert_false (swarm_consensus_uses_old_key (f->consensus));
  forget_state (f);
  f->config.old_key = NULL;
  start_ok (f);
  forget_state (f);
  f->config.key = old;
  f->config.key_number = 0;
  f->consensus = swarm_consensus_new (&f->config, &events, f);
  g_assert_false (swarm_consensus_start (f->consensus, &state, &error));
  g_assert_nonnull (strstr (error->message, "is sealed with data key 1, which this node has not got"));
}

/* The process dies at any time, the disk loses power at any time: what was acknowledged is there. */
static void
test_power_cuts (Fixture *f, gconstpointer data)
{
  guint number = 0;

  for (guint round = 0; round < 200; round++) {
    g_autofree char *acknowledged = NULL;

    start_ok (f);
    acknowledged = numbers (number);
    g_assert_true (g_str_has_prefix (f->state->str, acknowledged));
    /* Entries that were not acknowledged may be there, too: the next number follows them. */
    number = 0;
    for (const char *p = f->state->str; *p != '\0'; p++)
      number += *p == ';';
    for (guint i = 0; i < 8; i++) {
      g_autofree char *text = g_strdup_printf ("number %u", number);
      int before = f->done;

      propose (f, text);
      sim_clock_run (f->clock, sim_random_range (&f->random, 500, 5000));
      if (f->done == before)
        break;
      number++;
    }
    forget_state (f);
    if (sim_random_chance (&f->random, 80))
      sim_disk_crash (f->disk);
    else
      sim_disk_kill (f->disk);
    f->failed = 0;
  }
}

static void
test_torn_tail (Fixture *f, gconstpointer data)
{
  g_autofree char *name = NULL;
  gint64 size;

  start_ok (f);
  propose (f, "kept");
  sim_clock_run (f->clock, 10000);
  propose (f, "cut off in the middle of its record, which was never acknowledged");
  sim_clock_run (f->clock, 10000);
  forget_state (f);
  name = find_file (f, "log-", TRUE);
  size = sim_disk_size (f->disk, name);
  sim_disk_cut (f->disk, name, size - 20);
  start_ok (f);
  g_assert_cmpstr (f->state->str, ==, "kept;");
  propose (f, "next");
  sim_clock_run (f->clock, 10000);
  forget_state (f);
  start_ok (f);
  g_assert_cmpstr (f->state->str, ==, "kept;next;");
}

/* Wherever the last record is cut off, also within its head: the log starts, without it; cut in its padding it is whole. */
static void
test_torn_anywhere (Fixture *f, gconstpointer data)
{
  g_autofree char *long_text = g_strnfill (100, 'x');
  guint whole = 0;

  start_ok (f);
  propose (f, "kept");
  sim_clock_run (f->clock, 10000);
  for (guint cut = 1; cut < 130; cut++) {
    g_autofree char *name = NULL, *before = g_strdup (f->state->str), *with = g_strconcat (before, long_text, ";", NULL);
    propose (f, long_text);
    sim_clock_run (f->clock, 10000);
    forget_state (f);
    name = find_file (f, "log-", TRUE);
    sim_disk_cut (f->disk, name, sim_disk_size (f->disk, name) - cut);
    start_ok (f);
    whole += g_str_equal (f->state->str, with);
    g_assert_true (g_str_equal (f->state->str, before) || g_str_equal (f->state->str, with));
  }
  g_assert_cmpuint (whole, <, 8);
}

/* One bit anywhere in the log, the snapshot or the meta file: refused by name, never another state. */
static void
flip_all (Fixture *f, const char *prefix, gboolean newest, const char *state)
{
  g_autofree char *name = find_file (f, prefix, newest);
  gint64 size = sim_disk_size (f->disk, name);

  for (gint64 offset = 0; offset < size; offset++) {
    g_autoptr (GError) error = NULL;
    guint bit = (guint) sim_random_range (&f->random, 0, 7);

    g_assert_true (sim_disk_flip (f->disk, name, offset, bit));
    if (start (f, &error))
      g_error ("%s: a flipped bit at %" G_GINT64_FORMAT " went unnoticed", name, offset);
    if (strstr (error->message, name) == NULL)
      g_error ("the error does not name %s: %s", name, error->message);
    forget_state (f);
    sim_disk_flip (f->disk, name, offset, bit);
  }
  start_ok (f);
  g_assert_cmpstr (f->state->str, ==, state);
  forget_state (f);
}

static void
test_flipped_bits (Fixture *f, gconstpointer data)
{
  g_autofree char *expect = numbers (80);

  start_ok (f);
  propose_numbers (f, 0, 80);
  sim_clock_run (f->clock, 100000);
  forget_state (f);
  flip_all (f, "log-", FALSE, expect);
  flip_all (f, "log-", TRUE, expect);
  flip_all (f, "snapshot-", TRUE, expect);
  flip_all (f, "meta", TRUE, expect);
}

static void
test_missing_files (Fixture *f, gconstpointer data)
{
  const char *prefixes[] = { "meta", "snapshot-", "log-" };

  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *name = NULL;
    GArray *ops = swarm_disk_ops_new ();

    tear_down (f, NULL);
    *f = (Fixture){ 0 };
    set_up (f, NULL);
    start_ok (f);
    propose_numbers (f, 0, 95);
    sim_clock_run (f->clock, 100000);
    forget_state (f);
    name = find_file (f, prefixes[i], FALSE);
    if (g_str_equal (prefixes[i], "log-")) /* one in the middle; the oldest may go, a snapshot covers it */
      name[strlen (name) - 1]++;
    swarm_disk_ops_unlink (ops, name);
    sim_disk_iface (f->disk)->submit (sim_disk_iface (f->disk), ops, NULL, NULL);
    sim_clock_run (f->clock, 100000);
    g_assert_false (start (f, &error));
    g_test_message ("%s: %s", prefixes[i], error->message);
  }
}

static void
test_foreign (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  start_ok (f);
  propose (f, "x");
  sim_clock_run (f->clock, 10000);
  forget_state (f);
  f->config.cluster.bytes[5] = 1;
  g_assert_false (start (f, &error));
  g_assert_nonnull (strstr (error->message, "another cluster"));
  g_clear_error (&error);
  forget_state (f);
  f->config.cluster.bytes[5] = 0;
  f->config.node.bytes[5] = 1;
  g_assert_false (start (f, &error));
  g_assert_nonnull (strstr (error->message, "another node"));
  g_clear_error (&error);
  forget_state (f);
  f->config.node.bytes[5] = 0;
  g_bytes_unref (f->key);
  f->config.key = f->key = g_bytes_new_static ("another key  cdef0123456789abcdef", 32);
  g_assert_false (start (f, &error));
  g_assert_nonnull (strstr (error->message, "cannot be unsealed"));
}

static void
test_full_disk (Fixture *f, gconstpointer data)
{
  start_ok (f);
  propose (f, "kept");
  sim_clock_run (f->clock, 10000);
  sim_disk_fail (f->disk, "No space left on device");
  propose (f, "lost");
  sim_clock_run (f->clock, 10000);
  g_assert_cmpint (f->done, ==, 2);
  g_assert_error (f->error, SWARM_ERROR, SWARM_ERROR_UNKNOWN);
  g_assert_false (f->leads);
  g_assert_nonnull (strstr (f->fatal, "No space left on device"));
  propose (f, "refused");
  sim_clock_run (f->clock, 10000);
  g_assert_cmpint (f->failed, ==, 2);
  forget_state (f);
  sim_disk_repair (f->disk);
  start_ok (f);
  g_assert_true (g_str_has_prefix (f->state->str, "kept;"));
}

static gboolean
has_stopped (gpointer data)
{
  return ((Fixture *) data)->fatal != NULL;
}

/* An entry that cannot be applied is never skipped: that is the end, at each start, until a program comes that knows it. */
static void
test_unknown_entry (Fixture *f, gconstpointer data)
{
  start_ok (f);
  propose (f, "known");
  sim_clock_run (f->clock, 10000);
  propose (f, "new");
  propose (f, "later");
  sim_clock_run (f->clock, 10000);
  g_assert_nonnull (strstr (f->fatal, "of the log cannot be applied: this version does not know it; upgrade it"));
  g_assert_false (f->leads);
  g_assert_cmpstr (f->state->str, ==, "known;");
  g_assert_cmpint (f->done, ==, 3);
  g_assert_cmpint (f->failed, ==, 2);
  for (guint i = 0; i < 3; i++) {
    forget_state (f);
    g_assert_true (start (f, NULL));
    g_assert_true (sim_clock_run_until (f->clock, 5 * G_USEC_PER_SEC, has_stopped, f));
    g_assert_false (f->leads);
    g_assert_cmpstr (f->state->str, ==, "known;");
    propose (f, "refused");
    sim_clock_run (f->clock, 10000);
    g_assert_error (f->error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM);
  }
  forget_state (f);
  f->newer = TRUE;
  start_ok (f);
  g_assert_true (g_str_has_prefix (f->state->str, "known;new;"));
}

static void
test_free_any_time (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 300; i++) {
    start (f, NULL);
    for (guint j = 0; j < 60; j++)
      propose (f, "something");
    swarm_consensus_compact (f->consensus);
    sim_clock_run (f->clock, i * 50);
    forget_state (f);
  }
}

static void
test_limits (Fixture *f, gconstpointer data)
{
  g_autofree char *large = g_strnfill (SWARM_CONSENSUS_MAX_ENTRY + 1, 'x');

  start_ok (f);
  propose (f, large);
  sim_clock_run (f->clock, 10000);
  g_assert_error (f->error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  large[SWARM_CONSENSUS_MAX_ENTRY] = '\0';
  propose (f, large);
  sim_clock_run (f->clock, 10000);
  g_assert_cmpint (f->failed, ==, 1);
  for (guint i = 0; i < 5000; i++)
    propose (f, "y");
  sim_clock_run (f->clock, 100000);
  g_assert_cmpint (f->done, ==, 5002);
  g_assert_cmpint (f->failed, ==, 1 + 5000 - 4096);
}

/* Bytes that a peer may send: refused or taken, never a crash. */
static void
test_garbage_messages (Fixture *f, gconstpointer data)
{
  SwarmId peer = { { 7 } };
  Message message = { .type = MESSAGE_APPEND, .from = 5, .stamp = 3 };
  g_autoptr (GBytes) text = g_bytes_new_static ("entry", 5);
  LogEntry entry = { 1, RAFT_COMMAND, text };
  const LogEntry *entries[] = { &entry, &entry };

  start_ok (f);
  message.to = swarm_consensus_raft_id (f->consensus);
  message.raft.append_entries = (struct raft_append_entries){ .term = 1, .prev_log_index = 1, .prev_log_term = 1 };
  for (guint i = 0; i < 3000; i++) {
    g_autoptr (GBytes) good = message_encode (&message, entries, 2);
    gsize len = g_bytes_get_size (good);
    g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (good, NULL), len);
    g_autoptr (GBytes) bad = NULL;

    if (i % 3 == 0)
      copy[1] = i % 11;
    copy[i % 3 == 1 ? 34 + i % (len - 34) : i % len] ^= 1u << (i % 8);
    bad = g_bytes_new (copy, i % 7 == 0 ? len - i % len : len);
    swarm_consensus_receive (f->consensus, &peer, bad);
    sim_clock_run (f->clock, 100);
    if (f->fatal == NULL)
      continue;
    /* It believed a leader that contradicts what is committed: that must end it, but not its log. */
    forget_state (f);
    sim_clock_run (f->clock, 10000);
    start_ok (f);
  }
}

/* Which files the log has, entry by entry: what is pruned leaves whole segments, and the newest stays. */
static void
test_prune (Fixture *f, gconstpointer data)
{
  SealContext seal = { .crypto = &f->crypto.iface, .key = f->key, .random = &f->random.iface, .cluster = f->config.cluster };
  RaftLog *log = raft_log_new (&seal, 1); /* a segment for each entry */
  g_autoptr (GBytes) text = g_bytes_new_static ("entry", 5);
  LogEntry entry = { 1, RAFT_COMMAND, text };

  for (guint64 i = 1; i <= 10; i++) {
    g_autoptr (GArray) ops = swarm_disk_ops_new ();
    raft_log_append (log, i, &entry, 1, ops);
  }
  g_assert_cmpuint (log->segments->len, ==, 10);
  g_assert_cmpuint (log->bytes, ==, 50);
  for (guint64 first = 1; first <= 11; first++) {
    g_autoptr (GArray) ops = swarm_disk_ops_new ();
    raft_log_prune (log, first, ops);
    g_assert_cmpuint (log->first, ==, first);
    g_assert_cmpuint (raft_log_last (log), ==, 10);
    g_assert_cmpuint (log->bytes, ==, 5 * (11 - first));
    g_assert_cmpuint (log->segments->len, ==, MAX (11 - first, 1));
    g_assert_cmpuint (ops->len, ==, first > 1 && first < 11 ? 1 : 0);
  }
  /* Sealed with an old key the newest goes, too, and a new one is begun with the next entry. */
  g_assert_false (raft_log_uses_old_key (log));
  seal.key_number++;
  g_assert_true (raft_log_uses_old_key (log));
  g_autoptr (GArray) last = swarm_disk_ops_new (), next = swarm_disk_ops_new ();
  raft_log_prune (log, 11, last);
  g_assert_cmpuint (last->len, ==, 1);
  g_assert_cmpuint (log->segments->len, ==, 0);
  raft_log_append (log, 11, &entry, 1, next);
  g_assert_cmpuint (log->segments->len, ==, 1);
  g_assert_false (raft_log_uses_old_key (log));
  raft_log_free (log);
}

static void
test_crc (void)
{
  guint8 data[32];

  /* RFC 3720, B.4 */
  memset (data, 0, sizeof data);
  g_assert_cmphex (swarm_crc32c (0, data, 32), ==, 0x8a9136aa);
  memset (data, 0xff, sizeof data);
  g_assert_cmphex (swarm_crc32c (0, data, 32), ==, 0x62a8ab43);
  for (guint i = 0; i < 32; i++)
    data[i] = i;
  g_assert_cmphex (swarm_crc32c (0, data, 32), ==, 0x46dd794e);
  g_assert_cmphex (swarm_crc32c (swarm_crc32c (0, data, 13), data + 13, 19), ==, 0x46dd794e);
}

#define TEST(path, func) g_test_add (path, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/consensus/crc", test_crc);
  TEST ("/consensus/bootstrap-and-restart", test_bootstrap_and_restart);
  TEST ("/consensus/snapshots", test_snapshots);
  TEST ("/consensus/new-key", test_new_key);
  g_test_add ("/consensus/new-key-power-cut", Fixture, GINT_TO_POINTER (1), set_up, test_new_key, tear_down);
  TEST ("/consensus/power-cuts", test_power_cuts);
  TEST ("/consensus/torn-tail", test_torn_tail);
  TEST ("/consensus/torn-anywhere", test_torn_anywhere);
  TEST ("/consensus/flipped-bits", test_flipped_bits);
  TEST ("/consensus/missing-files", test_missing_files);
  TEST ("/consensus/foreign", test_foreign);
  TEST ("/consensus/full-disk", test_full_disk);
  TEST ("/consensus/unknown-entry", test_unknown_entry);
  TEST ("/consensus/free-any-time", test_free_any_time);
  TEST ("/consensus/prune", test_prune);
  TEST ("/consensus/limits", test_limits);
  TEST ("/consensus/garbage-messages", test_garbage_messages);
  return g_test_run ();
}
