// SPDX-License-Identifier: LGPL-2.1-or-later
/* What members send each other: libraft's messages, snapshots in pieces, and "you are a member no more". */
#pragma once
#include "consensus/log.h"
#include "consensus/snapshot.h"
#include <raft.h>

typedef enum {
  MESSAGE_APPEND = 1,
  MESSAGE_APPEND_RESULT,
  MESSAGE_VOTE,
  MESSAGE_VOTE_RESULT,
  MESSAGE_TIMEOUT_NOW,
  MESSAGE_SNAPSHOT,     /* one piece */
  MESSAGE_SNAPSHOT_ACK, /* @offset: what is wanted next */
  MESSAGE_REMOVED,
  MESSAGE_PROBE, /* from one that hears of no leader: "am I still a member?" */
} MessageType;

/* Entries of one message; a single larger one goes alone. */
#define MESSAGE_ENTRY_BYTES (256 * 1024)

typedef struct {
  MessageType type;
  guint64 from, to; /* raft ids */
  guint64 stamp;    /* APPEND: when it was made (boottime µs of the leader); APPEND_RESULT: the newest such that was taken in */
  struct raft_message raft; /* APPEND without entries; the results, votes and TIMEOUT_NOW whole */
  GArray *entries;          /* LogEntry, of APPEND */
  /* SNAPSHOT and its ACK */
  guint64 term, stream, offset, size;
  RaftSnapshot snapshot; /* .data is the piece; .conf comes with offset 0 only */
  /* REMOVED: index of the committed configuration that has it no more */
  guint64 conf_index;
} Message;

void message_clear (Message *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Message, message_clear)

/* Everything but APPEND's entries is taken from @self. */
GBytes *message_encode (const Message *self, const LogEntry *const *entries, guint n_entries);
/* FALSE for garbage; @ret is to be cleared either way. */
gboolean message_decode (GBytes *bytes, Message *ret);
