// SPDX-License-Identifier: LGPL-2.1-or-later
#include "consensus/meta.h"
#include "base/error.h"
#include "consensus/codec.h"

#define MAGIC "SWARMMET"

static gboolean
decode (GBytes *body, RaftMeta *ret)
{
  Reader in = reader_for (body);
  const guint8 *node, *bootstrap;

  ret->term = get_u64 (&in);
  ret->vote = get_u64 (&in);
  ret->raft_id = get_u64 (&in);
  node = get_raw (&in, sizeof ret->node.bytes);
  bootstrap = get_raw (&in, sizeof ret->bootstrap);
  if (in.bad || ret->raft_id == 0)
    return FALSE;
  memcpy (ret->node.bytes, node, sizeof ret->node.bytes);
  memcpy (ret->bootstrap, bootstrap, sizeof ret->bootstrap);
  ret->bootstrap[sizeof ret->bootstrap - 1] = '\0';
  return TRUE;
}

gboolean
raft_meta_load (const SealContext *seal, SwarmDisk *disk, RaftMeta *ret, GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autoptr (GBytes) file = disk->read (disk, RAFT_META_NAME, &why);
  g_autoptr (GBytes) body = NULL;
  FileHeader header;
  FileMark mark;
  guint64 offset = 0;
  ParseResult result;

  *ret = (RaftMeta){ 0 };
  if (file == NULL && g_error_matches (why, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return TRUE;
  if (file == NULL) {
    g_propagate_error (error, g_steal_pointer (&why));
    return FALSE;
  }
  result = file_header_parse (seal, MAGIC, RAFT_META_NAME, file, &header, error);
  if (result == PARSE_OK) {
    offset = FILE_HEADER_SIZE;
    result = record_parse (seal, &header, RAFT_META_NAME, file, &offset, &mark, &body, error);
  }
  if (result == PARSE_ERROR)
    return FALSE;
  /* The file is renamed into place whole: nothing of it can be missing. */
  if (result != PARSE_OK || !decode (body, ret)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED,
                 "the file " RAFT_META_NAME " is damaged at offset %" G_GUINT64_FORMAT ": what this node voted for is lost, so it must not vote again "
                 "(remove it from the cluster and let it join anew)",
                 offset);
    return FALSE;
  }
  ret->key_number = header.key_number;
  return TRUE;
}

void
raft_meta_save (const SealContext *seal, RaftMeta *meta, GArray *ops)
{
  FileHeader header = { 1 };
  GByteArray *body = g_byte_array_new ();
  GByteArray *out = g_byte_array_new ();
  g_autoptr (GBytes) plain = NULL;
  g_autoptr (GBytes) file = NULL;

  put_u64 (body, meta->term);
  put_u64 (body, meta->vote);
  put_u64 (body, meta->raft_id);
  g_byte_array_append (body, meta->node.bytes, sizeof meta->node.bytes);
  g_byte_array_append (body, (const guint8 *) meta->bootstrap, sizeof meta->bootstrap);
  plain = g_byte_array_free_to_bytes (body);
  meta->key_number = seal->key_number;
  file_header_append (seal, MAGIC, &header, out);
  record_append (seal, &header, 0, header.mark, plain, out);
  file = g_byte_array_free_to_bytes (out);
  /* What a crash left of an earlier one may be longer. */
  swarm_disk_ops_truncate (ops, RAFT_META_NEW, 0);
  swarm_disk_ops_write (ops, RAFT_META_NEW, 0, file);
  swarm_disk_ops_rename (ops, RAFT_META_NEW, RAFT_META_NAME);
}
