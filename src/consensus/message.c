// SPDX-License-Identifier: LGPL-2.1-or-later
#include "consensus/message.h"
#include "consensus/codec.h"
#include "consensus/members.h"

#define VERSION 1
/* Most entries in a message that we believe in. */
#define MAX_ENTRIES 65536

static void
entry_clear (gpointer data)
{
  g_bytes_unref (((LogEntry *) data)->data);
}

void
message_clear (Message *self)
{
  g_clear_pointer (&self->entries, g_array_unref);
  raft_snapshot_clear (&self->snapshot);
}

/* ---- encoding ---- */

static void
put_append (GByteArray *out, const struct raft_append_entries *args, const LogEntry *const *entries, guint n_entries)
{
  put_u8 (out, args->version);
  put_u64 (out, args->term);
  put_u64 (out, args->prev_log_index);
  put_u64 (out, args->prev_log_term);
  put_u64 (out, args->leader_commit);
  put_u32 (out, n_entries);
  for (guint i = 0; i < n_entries; i++) {
    put_u64 (out, entries[i]->term);
    put_u8 (out, entries[i]->type);
    put_bytes (out, entries[i]->data);
  }
}

static void
put_append_result (GByteArray *out, const struct raft_append_entries_result *args)
{
  put_u8 (out, args->version);
  put_u64 (out, args->term);
  put_u64 (out, args->rejected);
  put_u64 (out, args->last_log_index);
  put_u16 (out, args->features);
  put_u16 (out, args->capacity);
}

static void
put_vote (GByteArray *out, const struct raft_request_vote *args)
{
  put_u8 (out, args->version);
  put_u64 (out, args->term);
  put_u64 (out, args->candidate_id);
  put_u64 (out, args->last_log_index);
  put_u64 (out, args->last_log_term);
  put_u8 (out, (args->disrupt_leader ? 1 : 0) | (args->pre_vote ? 2 : 0));
}

static void
put_vote_result (GByteArray *out, const struct raft_request_vote_result *args)
{
  put_u8 (out, args->version);
  put_u64 (out, args->term);
  put_u8 (out, (args->vote_granted ? 1 : 0) | (args->pre_vote ? 2 : 0));
  put_u16 (out, args->features);
  put_u16 (out, args->capacity);
}

static void
put_timeout_now (GByteArray *out, const struct raft_timeout_now *args)
{
  put_u8 (out, args->version);
  put_u64 (out, args->term);
  put_u64 (out, args->last_log_index);
  put_u64 (out, args->last_log_term);
}

static void
put_snapshot (GByteArray *out, const Message *self)
{
  put_u64 (out, self->term);
  put_u64 (out, self->stream);
  put_u64 (out, self->offset);
  put_u64 (out, self->size);
  put_u64 (out, self->snapshot.index);
  put_u64 (out, self->snapshot.term);
  put_u64 (out, self->snapshot.conf_index);
  if (self->offset == 0)
    put_bytes (out, self->snapshot.conf);
  put_bytes (out, self->snapshot.data);
}

GBytes *
message_encode (const Message *self, const LogEntry *const *entries, guint n_entries)
{
  GByteArray *out = g_byte_array_sized_new (128); /* nearly all fit */

  put_u8 (out, VERSION);
  put_u8 (out, self->type);
  put_u64 (out, self->from);
  put_u64 (out, self->to);
  put_u64 (out, self->stamp);
  switch (self->type) {
  case MESSAGE_APPEND:
    put_append (out, &self->raft.append_entries, entries, n_entries);
    break;
  case MESSAGE_APPEND_RESULT:
    put_append_result (out, &self->raft.append_entries_result);
    break;
  case MESSAGE_VOTE:
    put_vote (out, &self->raft.request_vote);
    break;
  case MESSAGE_VOTE_RESULT:
    put_vote_result (out, &self->raft.request_vote_result);
    break;
  case MESSAGE_TIMEOUT_NOW:
    put_timeout_now (out, &self->raft.timeout_now);
    break;
  case MESSAGE_SNAPSHOT:
    put_snapshot (out, self);
    break;
  case MESSAGE_SNAPSHOT_ACK:
    put_u64 (out, self->term);
    put_u64 (out, self->stream);
    put_u64 (out, self->offset);
    break;
  case MESSAGE_REMOVED:
    put_u64 (out, self->conf_index);
    break;
  case MESSAGE_PROBE:
    break;
  }
  return g_byte_array_free_to_bytes (out);
}

/* ---- decoding ---- */

static gboolean
entry_valid (const LogEntry *entry)
{
  switch (entry->type) {
  case RAFT_COMMAND:
  case RAFT_BARRIER:
    return TRUE;
  case RAFT_CHANGE:
    return conf_valid (entry->data);
  default:
    return FALSE;
  }
}

static gboolean
get_append (Reader *in, Message *ret)
{
  struct raft_append_entries *args = &ret->raft.append_entries;
  guint32 n;

  ret->raft.type = RAFT_APPEND_ENTRIES;
  args->version = get_u8 (in);
  args->term = get_u64 (in);
  args->prev_log_index = get_u64 (in);
  args->prev_log_term = get_u64 (in);
  args->leader_commit = get_u64 (in);
  n = get_u32 (in);
  if (n > MAX_ENTRIES || args->term == 0 || (args->prev_log_index == 0) != (args->prev_log_term == 0))
    return FALSE;
  ret->entries = g_array_new (FALSE, FALSE, sizeof (LogEntry));
  g_array_set_clear_func (ret->entries, entry_clear);
  for (guint32 i = 0; i < n; i++) {
    LogEntry entry;

    entry.term = get_u64 (in);
    entry.type = get_u8 (in);
    entry.data = get_bytes (in);
    if (entry.data == NULL)
      return FALSE;
    g_array_append_val (ret->entries, entry);
    if (entry.term == 0 || entry.term > args->term || !entry_valid (&entry))
      return FALSE;
  }
  return TRUE;
}

static gboolean
get_append_result (Reader *in, Message *ret)
{
  struct raft_append_entries_result *args = &ret->raft.append_entries_result;

  ret->raft.type = RAFT_APPEND_ENTRIES_RESULT;
  args->version = get_u8 (in);
  args->term = get_u64 (in);
  args->rejected = get_u64 (in);
  args->last_log_index = get_u64 (in);
  args->features = get_u16 (in);
  args->capacity = get_u16 (in);
  return args->term != 0;
}

static gboolean
get_vote (Reader *in, Message *ret)
{
  struct raft_request_vote *args = &ret->raft.request_vote;
  guint8 flags;

  ret->raft.type = RAFT_REQUEST_VOTE;
  args->version = get_u8 (in);
  args->term = get_u64 (in);
  args->candidate_id = get_u64 (in);
  args->last_log_index = get_u64 (in);
  args->last_log_term = get_u64 (in);
  flags = get_u8 (in);
  args->disrupt_leader = flags & 1;
  args->pre_vote = (flags & 2) != 0;
  return args->term != 0 && args->candidate_id == ret->from;
}

static gboolean
get_vote_result (Reader *in, Message *ret)
{
  struct raft_request_vote_result *args = &ret->raft.request_vote_result;
  guint8 flags;

  ret->raft.type = RAFT_REQUEST_VOTE_RESULT;
  args->version = get_u8 (in);
  args->term = get_u64 (in);
  flags = get_u8 (in);
  args->vote_granted = flags & 1;
  args->pre_vote = (flags & 2) != 0;
  args->features = get_u16 (in);
  args->capacity = get_u16 (in);
  return args->term != 0;
}

static gboolean
get_timeout_now (Reader *in, Message *ret)
{
  struct raft_timeout_now *args = &ret->raft.timeout_now;

  ret->raft.type = RAFT_TIMEOUT_NOW;
  args->version = get_u8 (in);
  args->term = get_u64 (in);
  args->last_log_index = get_u64 (in);
  args->last_log_term = get_u64 (in);
  return args->term != 0;
}

static gboolean
get_snapshot (Reader *in, Message *ret)
{
  ret->term = get_u64 (in);
  ret->stream = get_u64 (in);
  ret->offset = get_u64 (in);
  ret->size = get_u64 (in);
  ret->snapshot.index = get_u64 (in);
  ret->snapshot.term = get_u64 (in);
  ret->snapshot.conf_index = get_u64 (in);
  if (ret->offset == 0)
    ret->snapshot.conf = get_bytes (in);
  ret->snapshot.data = get_bytes (in);
  if (ret->snapshot.data == NULL || (ret->offset == 0 && !conf_valid (ret->snapshot.conf)))
    return FALSE;
  return ret->term != 0 && ret->snapshot.index != 0 && ret->snapshot.term != 0 && ret->snapshot.conf_index != 0
         && ret->size <= RAFT_SNAPSHOT_MAX && ret->offset <= ret->size
         && g_bytes_get_size (ret->snapshot.data) <= ret->size - ret->offset;
}

gboolean
message_decode (GBytes *bytes, Message *ret)
{
  Reader in = reader_for (bytes);
  gboolean ok = FALSE;

  *ret = (Message){ 0 };
  if (get_u8 (&in) != VERSION)
    return FALSE;
  ret->type = get_u8 (&in);
  ret->from = get_u64 (&in);
  ret->to = get_u64 (&in);
  ret->stamp = get_u64 (&in);
  ret->raft.server_id = ret->from;
  if (in.bad || ret->from == 0 || ret->to == 0)
    return FALSE;
  switch (ret->type) {
  case MESSAGE_APPEND:
    ok = get_append (&in, ret);
    break;
  case MESSAGE_APPEND_RESULT:
    ok = get_append_result (&in, ret);
    break;
  case MESSAGE_VOTE:
    ok = get_vote (&in, ret);
    break;
  case MESSAGE_VOTE_RESULT:
    ok = get_vote_result (&in, ret);
    break;
  case MESSAGE_TIMEOUT_NOW:
    ok = get_timeout_now (&in, ret);
    break;
  case MESSAGE_SNAPSHOT:
    ok = get_snapshot (&in, ret);
    break;
  case MESSAGE_SNAPSHOT_ACK:
    ret->term = get_u64 (&in);
    ret->stream = get_u64 (&in);
    ret->offset = get_u64 (&in);
    ok = TRUE;
    break;
  case MESSAGE_REMOVED:
    ret->conf_index = get_u64 (&in);
    ok = TRUE;
    break;
  case MESSAGE_PROBE:
    ok = TRUE;
    break;
  }
  return ok && !in.bad && in.left == 0;
}
