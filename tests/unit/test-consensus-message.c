// SPDX-License-Identifier: LGPL-2.1-or-later
/* What members send each other comes out as it went in, and what makes no sense is refused; so with the lists of members. */
#include "consensus/codec.h"
#include "consensus/members.h"
#include "consensus/message.h"

#define FROM 0x500007
#define TO 0x600008

static const char *texts[] = { "dd00000000000000000000001 10.99.0.1:2377", "dd00000000000000000000002 10.99.0.2:2377" };

static void
fill_configuration (struct raft_configuration *conf, guint64 first, guint64 second)
{
  raft_configuration_init (conf);
  g_assert_cmpint (raft_configuration_add (conf, first, texts[0], RAFT_VOTER), ==, 0);
  if (second != 0)
    g_assert_cmpint (raft_configuration_add (conf, second, texts[1], RAFT_STANDBY), ==, 0);
}

static GBytes *
some_configuration (void)
{
  struct raft_configuration conf;
  GBytes *bytes;

  fill_configuration (&conf, 7, 9);
  bytes = conf_encode (&conf);
  raft_configuration_close (&conf);
  return bytes;
}

/* ---- round trips ---- */

static Message
message_of (MessageType type)
{
  Message message = { .type = type, .from = FROM, .to = TO, .stamp = 0x123456789 };

  switch (type) {
  case MESSAGE_APPEND:
    message.raft.append_entries = (struct raft_append_entries){ .version = 1, .term = 11, .prev_log_index = 22, .prev_log_term = 10, .leader_commit = 21 };
    break;
  case MESSAGE_APPEND_RESULT:
    message.raft.append_entries_result = (struct raft_append_entries_result){ .version = 1, .term = 11, .rejected = 30, .last_log_index = 29, .features = 3,
                                                                              .capacity = 515 };
    break;
  case MESSAGE_VOTE:
    message.raft.request_vote = (struct raft_request_vote){ .version = 1, .term = 11, .candidate_id = FROM, .last_log_index = 33, .last_log_term = 10,
                                                            .disrupt_leader = true };
    break;
  case MESSAGE_VOTE_RESULT:
    message.raft.request_vote_result = (struct raft_request_vote_result){ .version = 1, .term = 11, .vote_granted = true, .features = 3, .capacity = 515 };
    break;
  case MESSAGE_TIMEOUT_NOW:
    message.raft.timeout_now = (struct raft_timeout_now){ .version = 1, .term = 11, .last_log_index = 33, .last_log_term = 10 };
    break;
  case MESSAGE_SNAPSHOT:
    message.term = 11;
    message.stream = 5;
    message.size = 100;
    message.snapshot = (RaftSnapshot){ 44, 10, 40, some_configuration (), g_bytes_new_static ("piece", 5) };
    break;
  case MESSAGE_SNAPSHOT_ACK:
    message.term = 11;
    message.stream = 5;
    message.offset = 99;
    break;
  case MESSAGE_REMOVED:
    message.conf_index = 77;
    break;
  case MESSAGE_PROBE:
    break;
  }
  return message;
}

static gboolean
passes (const Message *message, const LogEntry *const *entries, guint n)
{
  g_autoptr (GBytes) bytes = message_encode (message, entries, n);
  g_auto (Message) back = { 0 };

  return message_decode (bytes, &back);
}

static void
compare_rest (const Message *a, const Message *b)
{
  const struct raft_message *x = &a->raft, *y = &b->raft;

  g_assert_cmpuint (x->server_id, ==, FROM);
  switch (a->type) {
  case MESSAGE_APPEND_RESULT:
    g_assert_cmpint (x->type, ==, RAFT_APPEND_ENTRIES_RESULT);
    g_assert_cmpuint (x->append_entries_result.version, ==, y->append_entries_result.version);
    g_assert_cmpuint (x->append_entries_result.term, ==, y->append_entries_result.term);
    g_assert_cmpuint (x->append_entries_result.rejected, ==, y->append_entries_result.rejected);
    g_assert_cmpuint (x->append_entries_result.last_log_index, ==, y->append_entries_result.last_log_index);
    g_assert_cmpuint (x->append_entries_result.features, ==, y->append_entries_result.features);
    g_assert_cmpuint (x->append_entries_result.capacity, ==, y->append_entries_result.capacity);
    break;
  case MESSAGE_VOTE:
    g_assert_cmpint (x->type, ==, RAFT_REQUEST_VOTE);
    g_assert_cmpuint (x->request_vote.version, ==, y->request_vote.version);
    g_assert_cmpuint (x->request_vote.term, ==, y->request_vote.term);
    g_assert_cmpuint (x->request_vote.candidate_id, ==, y->request_vote.candidate_id);
    g_assert_cmpuint (x->request_vote.last_log_index, ==, y->request_vote.last_log_index);
    g_assert_cmpuint (x->request_vote.last_log_term, ==, y->request_vote.last_log_term);
    g_assert_cmpint (x->request_vote.disrupt_leader, ==, y->request_vote.disrupt_leader);
    g_assert_cmpint (x->request_vote.pre_vote, ==, y->request_vote.pre_vote);
    break;
  case MESSAGE_VOTE_RESULT:
    g_assert_cmpint (x->type, ==, RAFT_REQUEST_VOTE_RESULT);
    g_assert_cmpuint (x->request_vote_result.version, ==, y->request_vote_result.version);
    g_assert_cmpuint (x->request_vote_result.term, ==, y->request_vote_result.term);
    g_assert_cmpint (x->request_vote_result.vote_granted, ==, y->request_vote_result.vote_granted);
    g_assert_cmpint (x->request_vote_result.pre_vote, ==, y->request_vote_result.pre_vote);
    g_assert_cmpuint (x->request_vote_result.features, ==, y->request_vote_result.features);
    g_assert_cmpuint (x->request_vote_result.capacity, ==, y->request_vote_result.capacity);
    break;
  case MESSAGE_TIMEOUT_NOW:
    g_assert_cmpint (x->type, ==, RAFT_TIMEOUT_NOW);
    g_assert_cmpuint (x->timeout_now.version, ==, y->timeout_now.version);
    g_assert_cmpuint (x->timeout_now.term, ==, y->timeout_now.term);
    g_assert_cmpuint (x->timeout_now.last_log_index, ==, y->timeout_now.last_log_index);
    g_assert_cmpuint (x->timeout_now.last_log_term, ==, y->timeout_now.last_log_term);
    break;
  case MESSAGE_SNAPSHOT:
    g_assert_cmpuint (a->size, ==, b->size);
    g_assert_cmpuint (a->snapshot.index, ==, b->snapshot.index);
    g_assert_cmpuint (a->snapshot.term, ==, b->snapshot.term);
    g_assert_cmpuint (a->snapshot.conf_index, ==, b->snapshot.conf_index);
    g_assert_true (g_bytes_equal (a->snapshot.data, b->snapshot.data));
    if (a->offset == 0)
      g_assert_true (g_bytes_equal (a->snapshot.conf, b->snapshot.conf));
    break;
  default:
    break;
  }
}

static void
round_trip (const Message *message)
{
  g_autoptr (GBytes) bytes = message_encode (message, NULL, 0);
  g_auto (Message) back = { 0 };
  gsize len = g_bytes_get_size (bytes);
  g_autofree guint8 *longer = g_malloc0 (len + 1);
  g_autoptr (GBytes) more = NULL;

  g_assert_true (message_decode (bytes, &back));
  g_assert_cmpint (back.type, ==, message->type);
  g_assert_cmpuint (back.from, ==, FROM);
  g_assert_cmpuint (back.to, ==, TO);
  g_assert_cmpuint (back.stamp, ==, message->stamp);
  g_assert_cmpuint (back.term, ==, message->term);
  g_assert_cmpuint (back.stream, ==, message->stream);
  g_assert_cmpuint (back.offset, ==, message->offset);
  g_assert_cmpuint (back.conf_index, ==, message->conf_index);
  compare_rest (&back, message);
  for (gsize cut = 0; cut < len; cut++) {
    g_autoptr (GBytes) part = g_bytes_new_from_bytes (bytes, 0, cut);
    g_auto (Message) refused = { 0 };
    g_assert_false (message_decode (part, &refused));
  }
  memcpy (longer, g_bytes_get_data (bytes, NULL), len);
  more = g_bytes_new (longer, len + 1);
  message_clear (&back);
  g_assert_false (message_decode (more, &back));
  message_clear (&back);
  longer[0]++;
  g_bytes_unref (more);
  more = g_bytes_new (longer, len);
  g_assert_false (message_decode (more, &back));
}

static void
test_round_trips (void)
{
  for (guint type = MESSAGE_APPEND; type <= MESSAGE_PROBE; type++) {
    g_auto (Message) message = message_of (type);
    Message wrong = message;

    g_assert_true (type == MESSAGE_APPEND || passes (&message, NULL, 0));
    round_trip (&message);
    wrong.from = 0;
    g_assert_false (passes (&wrong, NULL, 0));
    wrong.from = FROM;
    wrong.to = 0;
    g_assert_false (passes (&wrong, NULL, 0));
    wrong.to = TO;
    wrong.type = MESSAGE_PROBE + 1;
    g_assert_false (passes (&wrong, NULL, 0));
  }
}

static void
test_flags (void)
{
  Message vote = message_of (MESSAGE_VOTE), result = message_of (MESSAGE_VOTE_RESULT);

  vote.raft.request_vote.disrupt_leader = false;
  vote.raft.request_vote.pre_vote = true;
  round_trip (&vote);
  vote.raft.request_vote.disrupt_leader = true;
  round_trip (&vote);
  vote.raft.request_vote.disrupt_leader = vote.raft.request_vote.pre_vote = false;
  round_trip (&vote);
  result.raft.request_vote_result.vote_granted = false;
  result.raft.request_vote_result.pre_vote = true;
  round_trip (&result);
  result.raft.request_vote_result.vote_granted = true;
  round_trip (&result);
  result.raft.request_vote_result.vote_granted = result.raft.request_vote_result.pre_vote = false;
  round_trip (&result);
}

static void
test_terms (void)
{
  Message message = message_of (MESSAGE_APPEND);

  message.raft.append_entries.term = 0;
  g_assert_false (passes (&message, NULL, 0));
  message.raft.append_entries.term = 11;
  message.raft.append_entries.prev_log_index = 0;
  g_assert_false (passes (&message, NULL, 0)); /* a term without an entry */
  message.raft.append_entries.prev_log_term = 0;
  g_assert_true (passes (&message, NULL, 0));
  message.raft.append_entries.prev_log_index = 5;
  g_assert_false (passes (&message, NULL, 0));
  message = message_of (MESSAGE_APPEND_RESULT);
  message.raft.append_entries_result.term = 0;
  g_assert_false (passes (&message, NULL, 0));
  message = message_of (MESSAGE_VOTE);
  message.raft.request_vote.term = 0;
  g_assert_false (passes (&message, NULL, 0));
  message = message_of (MESSAGE_VOTE);
  message.raft.request_vote.candidate_id = TO;
  g_assert_false (passes (&message, NULL, 0)); /* on behalf of another */
  message = message_of (MESSAGE_VOTE_RESULT);
  message.raft.request_vote_result.term = 0;
  g_assert_false (passes (&message, NULL, 0));
  message = message_of (MESSAGE_TIMEOUT_NOW);
  message.raft.timeout_now.term = 0;
  g_assert_false (passes (&message, NULL, 0));
}

static void
test_entries (void)
{
  Message message = message_of (MESSAGE_APPEND);
  g_autoptr (GBytes) data = g_bytes_new_static ("command", 7), conf = some_configuration (), zeros = g_bytes_new_static ("\0\0\0\0\0\0\0", 8);
  LogEntry command = { 9, RAFT_COMMAND, data }, barrier = { 11, RAFT_BARRIER, zeros }, change = { 11, RAFT_CHANGE, conf };
  const LogEntry *entries[] = { &command, &barrier, &change };
  g_autoptr (GBytes) bytes = message_encode (&message, entries, 3);
  g_auto (Message) back = { 0 };
  const struct raft_append_entries *args = &back.raft.append_entries;

  g_assert_true (message_decode (bytes, &back));
  g_assert_cmpint (back.raft.type, ==, RAFT_APPEND_ENTRIES);
  g_assert_cmpuint (args->version, ==, 1);
  g_assert_cmpuint (args->term, ==, 11);
  g_assert_cmpuint (args->prev_log_index, ==, 22);
  g_assert_cmpuint (args->prev_log_term, ==, 10);
  g_assert_cmpuint (args->leader_commit, ==, 21);
  g_assert_cmpuint (back.entries->len, ==, 3);
  for (guint i = 0; i < 3; i++) {
    const LogEntry *entry = &g_array_index (back.entries, LogEntry, i);
    g_assert_cmpuint (entry->term, ==, entries[i]->term);
    g_assert_cmpuint (entry->type, ==, entries[i]->type);
    g_assert_true (g_bytes_equal (entry->data, entries[i]->data));
  }
  for (gsize cut = 0; cut < g_bytes_get_size (bytes); cut++) {
    g_autoptr (GBytes) part = g_bytes_new_from_bytes (bytes, 0, cut);
    g_auto (Message) refused = { 0 };
    g_assert_false (message_decode (part, &refused));
  }
  command.term = 12; /* of a term to come */
  g_assert_false (passes (&message, entries, 1));
  command.term = 0;
  g_assert_false (passes (&message, entries, 1));
  command.term = 11;
  g_assert_true (passes (&message, entries, 1));
  command.type = 77;
  g_assert_false (passes (&message, entries, 1));
  command.type = RAFT_CHANGE; /* and no list of members */
  g_assert_false (passes (&message, entries, 1));
}

static void
test_snapshots (void)
{
  g_auto (Message) message = message_of (MESSAGE_SNAPSHOT);
  Message wrong = message;

  wrong.term = 0;
  g_assert_false (passes (&wrong, NULL, 0));
  wrong = message;
  wrong.snapshot.index = 0;
  g_assert_false (passes (&wrong, NULL, 0));
  wrong = message;
  wrong.snapshot.term = 0;
  g_assert_false (passes (&wrong, NULL, 0));
  wrong = message;
  wrong.snapshot.conf_index = 0;
  g_assert_false (passes (&wrong, NULL, 0));
  wrong = message;
  wrong.snapshot.conf = wrong.snapshot.data; /* no list of members */
  g_assert_false (passes (&wrong, NULL, 0));
  wrong = message;
  wrong.size = RAFT_SNAPSHOT_MAX;
  g_assert_true (passes (&wrong, NULL, 0));
  wrong.size++;
  g_assert_false (passes (&wrong, NULL, 0));
  wrong = message;
  wrong.offset = 95; /* the last piece: the list of members came with the first */
  g_assert_true (passes (&wrong, NULL, 0));
  round_trip (&wrong);
  wrong.offset = 96; /* beyond the end */
  g_assert_false (passes (&wrong, NULL, 0));
  wrong.offset = 101;
  g_assert_false (passes (&wrong, NULL, 0));
  wrong.size = wrong.offset = 0; /* all of nothing */
  wrong.snapshot.data = g_bytes_new_static ("", 0);
  g_assert_true (passes (&wrong, NULL, 0));
  wrong.size = wrong.offset = 100;
  g_assert_true (passes (&wrong, NULL, 0));
  g_bytes_unref (wrong.snapshot.data);
}

/* ---- members ---- */

static gboolean
valid (const char *bytes, gsize len)
{
  g_autoptr (GBytes) conf = g_bytes_new (bytes, len);

  return conf_valid (conf);
}

static GByteArray *
configuration_bytes (guint64 count, const guint64 *ids, const char *const *addresses, guint8 role)
{
  GByteArray *out = g_byte_array_new ();

  put_u8 (out, 1);
  put_u64 (out, count);
  for (guint64 i = 0; ids[i] != G_MAXUINT64; i++) {
    put_u64 (out, ids[i]);
    g_byte_array_append (out, (const guint8 *) addresses[i % 2], (guint) strlen (addresses[i % 2]) + 1);
    put_u8 (out, role);
  }
  return out;
}

static gboolean
configuration_valid (guint64 count, const guint64 *ids, const char *const *addresses, guint8 role)
{
  g_autoptr (GByteArray) bytes = configuration_bytes (count, ids, addresses, role);

  for (guint cut = 0; cut < bytes->len; cut++)
    g_assert_false (valid ((const char *) bytes->data, cut));
  return valid ((const char *) bytes->data, bytes->len);
}

static void
test_configurations (void)
{
  const guint64 two[] = { 7, 9, G_MAXUINT64 }, same[] = { 7, 7, G_MAXUINT64 }, zero[] = { 0, G_MAXUINT64 }, none[] = { G_MAXUINT64 };
  const char *const twins[] = { texts[0], texts[0] }, *const bad[] = { "10.99.0.1:2377", texts[0] };
  const char *const digits[] = { "UPPER00000000000000000001 10.99.0.1:2377", texts[0] }, *const glued[] = { "dd00000000000000000000001-10.99.0.1:2377", texts[1] };
  g_autoptr (GByteArray) version = configuration_bytes (2, two, texts, RAFT_VOTER);

  g_assert_true (configuration_valid (2, two, texts, RAFT_VOTER));
  g_assert_true (configuration_valid (2, two, texts, RAFT_SPARE));
  g_assert_false (configuration_valid (2, two, texts, RAFT_SPARE + 1));
  g_assert_false (configuration_valid (2, same, texts, RAFT_VOTER));
  g_assert_false (configuration_valid (2, two, twins, RAFT_VOTER));
  g_assert_false (configuration_valid (1, zero, texts, RAFT_VOTER));
  g_assert_false (configuration_valid (0, none, texts, RAFT_VOTER));
  g_assert_false (configuration_valid (2, two, bad, RAFT_VOTER));
  g_assert_false (configuration_valid (2, two, digits, RAFT_VOTER));
  g_assert_false (configuration_valid (2, two, glued, RAFT_VOTER));
  g_assert_false (configuration_valid (3, two, texts, RAFT_VOTER));
  g_assert_false (conf_valid (NULL));
  version->data[0] = 2;
  g_assert_false (valid ((const char *) version->data, version->len));
}

static void
test_most_members (void)
{
  for (guint n = 31; n < 35; n++) {
    struct raft_configuration conf;
    g_autoptr (GBytes) bytes = NULL;

    raft_configuration_init (&conf);
    for (guint i = 0; i < n; i++) {
      g_autofree char *text = g_strdup_printf ("dd000000000000000000000%02u 10.99.0.%u:2377", i, i);
      g_assert_cmpint (raft_configuration_add (&conf, i + 1, text, RAFT_VOTER), ==, 0);
    }
    bytes = conf_encode (&conf);
    g_assert_cmpint (conf_valid (bytes), ==, n <= 32);
    raft_configuration_close (&conf);
  }
}

static void
test_look_up (void)
{
  struct raft_configuration conf, back;
  g_autoptr (GBytes) bytes = NULL;
  const char *address;
  SwarmId node;

  fill_configuration (&conf, 7, 9);
  bytes = conf_encode (&conf);
  conf_decode (bytes, &back);
  g_assert_cmpuint (back.n, ==, 2);
  g_assert_cmpuint (conf_voters (&back), ==, 1);
  g_assert_true (conf_find (&back, 9) == &back.servers[1]);
  g_assert_null (conf_find (&back, 8));
  g_assert_true (conf_sole_voter (&back, 7));
  g_assert_false (conf_sole_voter (&back, 9)); /* a standby */
  g_assert_false (conf_sole_voter (&back, 8));
  back.servers[1].role = RAFT_VOTER;
  g_assert_false (conf_sole_voter (&back, 7));
  g_assert_true (member_parse (texts[1], &node, &address));
  g_assert_cmpstr (address, ==, "10.99.0.2:2377");
  g_assert_cmpstr (swarm_id_string (&node).str, ==, "dd00000000000000000000002");
  g_assert_true (conf_find_node (&back, &node) == &back.servers[1]);
  node.bytes[3] ^= 1;
  g_assert_null (conf_find_node (&back, &node));
  g_assert_false (member_parse (NULL, &node, &address));
  g_assert_false (member_parse ("short", &node, &address));
  g_assert_true (member_parse ("dd00000000000000000000002 ", &node, &address));
  g_assert_cmpstr (address, ==, "");
  raft_configuration_close (&conf);
  raft_configuration_close (&back);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/consensus-message/round-trips", test_round_trips);
  g_test_add_func ("/consensus-message/flags", test_flags);
  g_test_add_func ("/consensus-message/terms", test_terms);
  g_test_add_func ("/consensus-message/entries", test_entries);
  g_test_add_func ("/consensus-message/snapshots", test_snapshots);
  g_test_add_func ("/consensus-message/configurations", test_configurations);
  g_test_add_func ("/consensus-message/most-members", test_most_members);
  g_test_add_func ("/consensus-message/look-up", test_look_up);
  return g_test_run ();
}
