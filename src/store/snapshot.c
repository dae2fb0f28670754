// SPDX-License-Identifier: LGPL-2.1-or-later
/* The whole state as bytes: a magic, then records of type (1 byte), length (4 bytes, little-endian) and data:
 * one head, objects in order of kind and id, requests oldest first, one end. */
#include "store/store-private.h"
#include <string.h>

static const char magic[8] = "swarmst1";

#define SNAPSHOT_FORMAT 1

enum { RECORD_HEAD = 1, RECORD_OBJECT = 2, RECORD_REQUEST = 3, RECORD_END = 4 };

/* ---- records that are messages ---- */

typedef struct {
  SwarmMessage message;
  guint64 format;
  guint64 index;
  gint64 now;
  guint64 level; /* the highest feature level that an entry before it needed; 0: 1 */
} Head;

static const SwarmField head_fields[] = {
  SWARM_FIELD (1, "Format", Head, format, UINT),
  SWARM_FIELD (2, "Index", Head, index, UINT),
  SWARM_FIELD (3, "Now", Head, now, TIME),
  SWARM_FIELD (4, "Level", Head, level, UINT),
  { 0 },
};
static const SwarmType head_type = { "SnapshotHead", sizeof (Head), head_fields, NULL };

typedef struct {
  SwarmMessage message;
  SwarmKind kind;
  GBytes *object;
} ObjectRecord;

static const SwarmField object_fields[] = {
  SWARM_FIELD (1, "Kind", ObjectRecord, kind, ENUM, .enumeration = &swarm_kind_enum),
  SWARM_FIELD (2, "Object", ObjectRecord, object, BYTES),
  { 0 },
};
static const SwarmType object_type = { "SnapshotObject", sizeof (ObjectRecord), object_fields, NULL };

typedef struct {
  SwarmMessage message;
  char *id;
  guint64 index;
  gint64 at;
  GBytes *result;
} RequestRecord;

static const SwarmField request_fields[] = {
  SWARM_FIELD (1, "ID", RequestRecord, id, STRING),
  SWARM_FIELD (2, "Index", RequestRecord, index, UINT),
  SWARM_FIELD (3, "At", RequestRecord, at, TIME),
  SWARM_FIELD (4, "Result", RequestRecord, result, BYTES),
  { 0 },
};
static const SwarmType request_type = { "SnapshotRequest", sizeof (RequestRecord), request_fields, NULL };

/* How many records there were, so that a snapshot cut between two of them is noticed. */
typedef struct {
  SwarmMessage message;
  guint64 n_objects;
  guint64 n_requests;
} End;

static const SwarmField end_fields[] = {
  SWARM_FIELD (1, "Objects", End, n_objects, UINT),
  SWARM_FIELD (2, "Requests", End, n_requests, UINT),
  { 0 },
};
static const SwarmType end_type = { "SnapshotEnd", sizeof (End), end_fields, NULL };

static const SwarmType *const record_types[] = {
  [RECORD_HEAD] = &head_type,
  [RECORD_OBJECT] = &object_type,
  [RECORD_REQUEST] = &request_type,
  [RECORD_END] = &end_type,
};

/* ---- taking ---- */

struct _SwarmSnapshot {
  guint64 index;
  gint64 now;
  guint level;
  SwarmIdTable objects[_SWARM_KIND_MAX]; /* shared with the store's tables as far as these have not changed since */
  GPtrArray *requests;
  SwarmIdIter loading; /* of swarm_store_load() */
  guint loading_kind;
};

SwarmSnapshot *
swarm_store_snapshot (SwarmStore *self)
{
  SwarmSnapshot *snapshot = g_new0 (SwarmSnapshot, 1);

  snapshot->index = self->index;
  snapshot->now = self->requests.now;
  snapshot->level = self->level_used;
  for (guint kind = 0; kind < _SWARM_KIND_MAX; kind++)
    swarm_id_table_share (&self->tables->table[kind].by_id, &snapshot->objects[kind]);
  snapshot->requests = g_ptr_array_new_with_free_func (swarm_request_unref);
  for (GList *l = self->requests.order.head; l != NULL; l = l->next)
    g_ptr_array_add (snapshot->requests, g_atomic_rc_box_acquire (l->data));
  return snapshot;
}

void
swarm_snapshot_free (SwarmSnapshot *snapshot)
{
  if (snapshot == NULL)
    return;
  for (guint kind = 0; kind < _SWARM_KIND_MAX; kind++)
    swarm_id_table_clear (&snapshot->objects[kind]);
  g_ptr_array_unref (snapshot->requests);
  g_free (snapshot);
}

gboolean
swarm_store_load (SwarmStore *self, SwarmSnapshot *snapshot, guint *cursor, guint n)
{
  if (*cursor == 0) {
    snapshot->loading_kind = 0;
    swarm_id_iter_init (&snapshot->loading, &snapshot->objects[0], NULL);
  }
  self->index = snapshot->index;
  self->requests.now = snapshot->now;
  swarm_store_time_went_on (self);
  for (; n > 0; n--, (*cursor)++) {
    SwarmObject *object = swarm_id_iter_next (&snapshot->loading);

    while (object == NULL && ++snapshot->loading_kind < _SWARM_KIND_MAX) {
      swarm_id_iter_init (&snapshot->loading, &snapshot->objects[snapshot->loading_kind], NULL);
      object = swarm_id_iter_next (&snapshot->loading);
    }
    if (object == NULL)
      return FALSE;
    swarm_tables_set (self->tables, swarm_object_kind (object), &object->id, object);
  }
  return TRUE;
}

/* ---- encoding: may run on another thread, so it reads immutable things only ---- */

/* One buffer for all objects: this thread is not to fight the main loop's for memory with every one of them. */
typedef struct {
  GByteArray *out;
  SwarmBuffer record;
  SwarmBuffer object; /* in the record */
} Encoder;

static void
append_record (Encoder *self, guint8 type, gpointer message)
{
  guint32 len;

  self->record.len = 0;
  swarm_message_encode_to (&self->record, message);
  len = GUINT32_TO_LE ((guint32) self->record.len);
  g_byte_array_append (self->out, &type, 1);
  g_byte_array_append (self->out, (const guint8 *) &len, sizeof len);
  if (self->record.len > 0)
    g_byte_array_append (self->out, self->record.data, (guint) self->record.len);
  swarm_message_unref (message);
}

static void
append_object (Encoder *self, const SwarmObject *object)
{
  ObjectRecord *record = swarm_message_new (&object_type);

  self->object.len = 0;
  swarm_message_encode_to (&self->object, object);
  record->kind = swarm_object_kind (object);
  record->object = g_bytes_new_static (self->object.data, self->object.len);
  append_record (self, RECORD_OBJECT, record);
}

static RequestRecord *
request_record (const SwarmRequest *request)
{
  RequestRecord *record = swarm_message_new (&request_type);

  record->id = g_strdup (request->id);
  record->index = request->index;
  record->at = request->at;
  record->result = request->result != NULL ? g_bytes_ref (request->result) : NULL;
  return record;
}

GBytes *
swarm_snapshot_encode (SwarmSnapshot *snapshot)
{
  Encoder encoder = { .out = g_byte_array_new () };
  Head *head = swarm_message_new (&head_type);
  End *end = swarm_message_new (&end_type);

  g_byte_array_append (encoder.out, (const guint8 *) magic, sizeof magic);
  head->format = SNAPSHOT_FORMAT;
  head->index = snapshot->index;
  head->now = snapshot->now;
  head->level = snapshot->level > 1 ? snapshot->level : 0;
  append_record (&encoder, RECORD_HEAD, head);
  for (guint kind = 0; kind < _SWARM_KIND_MAX; kind++) {
    SwarmIdIter iter;
    const SwarmObject *object;

    swarm_id_iter_init (&iter, &snapshot->objects[kind], NULL);
    while ((object = swarm_id_iter_next (&iter)) != NULL)
      append_object (&encoder, object);
    end->n_objects += snapshot->objects[kind].n;
  }
  for (guint i = 0; i < snapshot->requests->len; i++)
    append_record (&encoder, RECORD_REQUEST, request_record (snapshot->requests->pdata[i]));
  end->n_requests = snapshot->requests->len;
  append_record (&encoder, RECORD_END, end);
  g_free (encoder.record.data);
  g_free (encoder.object.data);
  return g_byte_array_free_to_bytes (encoder.out);
}

GBytes *
swarm_store_encode (SwarmStore *self)
{
  SwarmSnapshot *snapshot = swarm_store_snapshot (self);
  GBytes *bytes = swarm_snapshot_encode (snapshot);

  swarm_snapshot_free (snapshot);
  return bytes;
}

/* ---- restoring ---- */

typedef struct {
  SwarmTables *tables;
  SwarmRequests requests;
  guint64 level;
  guint level_known;
  guint64 n_objects;
  guint64 n_requests;
  guint last; /* type of the last record */
} Restore;

static void
restore_clear (Restore *self)
{
  g_clear_pointer (&self->tables, swarm_tables_free);
  if (self->requests.by_id != NULL)
    swarm_requests_clear (&self->requests);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Restore, restore_clear)

static gboolean
refuse (GError **error, const char *why)
{
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, why);
  return FALSE;
}

static gboolean
restore_head (Restore *self, const Head *head, GError **error)
{
  if (head->format != SNAPSHOT_FORMAT || head->message.unknown != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
                 "a snapshot of format %" G_GUINT64_FORMAT " that this version of swarm-agent does not know; upgrade it", head->format);
    return FALSE;
  }
  if (head->level > self->level_known) {
    swarm_level_error ("a snapshot", head->level, self->level_known, error);
    return FALSE;
  }
  self->requests.now = head->now;
  self->level = head->level;
  return TRUE;
}

static gboolean
restore_object (Restore *self, const ObjectRecord *record, GError **error)
{
  const SwarmType *type = swarm_kind_type (record->kind);
  g_autoptr (GBytes) none = g_bytes_new (NULL, 0);
  SwarmObject *object = NULL;
  gboolean fits;

  if (type == NULL)
    return refuse (error, "a snapshot with objects of an unknown kind");
  object = swarm_message_decode (type, record->object != NULL ? record->object : none, error);
  if (object == NULL)
    return FALSE;
  fits = !swarm_id_is_nil (&object->id) && swarm_tables_get (self->tables, record->kind, &object->id) == NULL
         && swarm_tables_get_by_name (self->tables, record->kind, swarm_object_name (object)) == NULL;
  swarm_tables_share (self->tables, object, NULL);
  if (fits)
    swarm_tables_set (self->tables, record->kind, &object->id, object);
  swarm_message_unref (object);
  self->n_objects++;
  return fits || refuse (error, "a snapshot with the same object twice");
}

static gboolean
restore_request (Restore *self, const RequestRecord *record, GError **error)
{
  if (record->id == NULL || swarm_requests_find (&self->requests, record->id) != NULL)
    return refuse (error, "a snapshot with the same request twice");
  swarm_requests_add (&self->requests, record->id, record->index, record->at, record->result);
  self->n_requests++;
  return TRUE;
}

static gboolean
restore_record (Restore *self, guint type, gpointer message, GError **error)
{
  const End *end = message;

  /* One head first, one end last, never back. */
  if (type < self->last || (self->last == 0) != (type == RECORD_HEAD) || self->last == RECORD_END)
    return refuse (error, "a snapshot with its records out of order");
  self->last = type;
  switch (type) {
  case RECORD_HEAD:
    return restore_head (self, message, error);
  case RECORD_OBJECT:
    return restore_object (self, message, error);
  case RECORD_REQUEST:
    return restore_request (self, message, error);
  default:
    return (end->n_objects == self->n_objects && end->n_requests == self->n_requests)
           || refuse (error, "a snapshot with records missing");
  }
}

/* Reads one record at @at and steps over it. */
static gboolean
read_record (Restore *self, const guint8 **at, const guint8 *end, GError **error)
{
  guint8 type;
  guint32 len;
  g_autoptr (GBytes) bytes = NULL;
  gpointer message;
  gboolean ok;

  if (end - *at < 5)
    return refuse (error, "a snapshot that is cut off");
  type = (*at)[0];
  memcpy (&len, *at + 1, sizeof len);
  len = GUINT32_FROM_LE (len);
  if (type < RECORD_HEAD || type > RECORD_END || len > (gsize) (end - *at - 5))
    return refuse (error, "a snapshot that is damaged or cut off");
  bytes = g_bytes_new_static (*at + 5, len);
  *at += 5 + len;
  message = swarm_message_decode (record_types[type], bytes, error);
  if (message == NULL)
    return FALSE;
  ok = restore_record (self, type, message, error);
  swarm_message_unref (message);
  return ok;
}

static gboolean
restore_all (Restore *self, GBytes *snapshot, GError **error)
{
  gsize len;
  const guint8 *at = g_bytes_get_data (snapshot, &len);
  const guint8 *end;

  if (len < sizeof magic || memcmp (at, magic, sizeof magic) != 0)
    return refuse (error, "not a snapshot of the store");
  end = at + len;
  for (at += sizeof magic; at < end;)
    if (!read_record (self, &at, end, error))
      return FALSE;
  return self->last == RECORD_END || refuse (error, "a snapshot that is cut off");
}

static void
emit_change (SwarmStore *self, SwarmEventKind event, SwarmKind kind, gpointer object, gpointer previous)
{
  swarm_store_emit (self, &(SwarmEvent){ .event = event, .kind = kind, .object = object, .previous = previous });
}

/* What became of the objects of @old, one by one, as if the entries that made the snapshot had been applied. */
static void
emit_differences (SwarmStore *self, SwarmTables *old)
{
  for (SwarmKind kind = 0; kind < _SWARM_KIND_MAX; kind++) {
    SwarmIdIter iter;
    SwarmObject *object;

    swarm_id_iter_init (&iter, &old->table[kind].by_id, NULL);
    while ((object = swarm_id_iter_next (&iter)) != NULL)
      if (swarm_tables_get (self->tables, kind, &object->id) == NULL)
        emit_change (self, SWARM_EVENT_REMOVE, kind, object, NULL);
    swarm_id_iter_init (&iter, &self->tables->table[kind].by_id, NULL);
    while ((object = swarm_id_iter_next (&iter)) != NULL) {
      SwarmObject *previous = swarm_tables_get (old, kind, &object->id);

      if (previous == NULL)
        emit_change (self, SWARM_EVENT_CREATE, kind, object, NULL);
      else if (previous->version != object->version)
        emit_change (self, SWARM_EVENT_UPDATE, kind, object, previous);
    }
  }
}

gboolean
swarm_store_restore (SwarmStore *self, guint64 index, GBytes *snapshot, GError **error)
{
  g_auto (Restore) restore = { .tables = swarm_tables_new (), .level_known = self->level_known };
  g_autoptr (SwarmTables) old = NULL;

  swarm_requests_init (&restore.requests);
  if (!restore_all (&restore, snapshot, error))
    return FALSE;
  old = g_steal_pointer (&self->tables);
  self->tables = g_steal_pointer (&restore.tables);
  swarm_requests_clear (&self->requests);
  self->requests = restore.requests;
  restore.requests = (SwarmRequests){ 0 };
  self->index = index;
  swarm_store_time_went_on (self);
  self->level_used = MAX (self->level_used, (guint) restore.level);
  /* The old tables live until watchers let go of what they borrowed. */
  swarm_store_emit (self, &(SwarmEvent){ .event = SWARM_EVENT_RESET });
  emit_differences (self, old);
  return TRUE;
}
