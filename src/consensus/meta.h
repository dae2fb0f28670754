// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a member must never forget besides the log: term, vote, and who it is. One small file "meta", replaced by rename. */
#pragma once
#include "base/disk.h"
#include "consensus/sealed-file.h"

typedef struct {
  guint64 term;
  guint64 vote;    /* raft id, 0: none */
  guint64 raft_id; /* 0: no state */
  SwarmId node;
  char bootstrap[64]; /* own address, until the first entry of a new cluster's log is written; else "" */
  guint32 key_number; /* of the data key that seals the file */
} RaftMeta;

#define RAFT_META_NAME "meta"
#define RAFT_META_NEW "meta.new"

/* Leaves @ret zeroed when there is no file. */
gboolean raft_meta_load (const SealContext *seal, SwarmDisk *disk, RaftMeta *ret, GError **error);
void raft_meta_save (const SealContext *seal, RaftMeta *meta, GArray *ops);
