// SPDX-License-Identifier: LGPL-2.1-or-later
/* Applying log entries: the same on every manager, all or nothing. */
#include "store/guard.h"
#include "store/store-private.h"

/* One change that was made, to tell about it or to take it back. */
typedef struct {
  SwarmKind kind;
  SwarmId id;
  gpointer previous; /* a reference; NULL: it was not there */
  gpointer object;   /* a reference; NULL: removed */
} Change;

static void
change_clear (gpointer data)
{
  Change *change = data;

  swarm_message_unref (change->previous);
  swarm_message_unref (change->object);
}

/* An entry on its way into the tables: a local one as it was proposed, or one that was decoded. */
typedef struct {
  gint64 stamp; /* the proposer's; once it is applied: of the store's own time, so later than all before it */
  const char *request_id;
  GBytes *result;
  const SwarmChange *changes;
  guint n_changes;
  gboolean is_decoded; /* objects may hold changed fields only */
  SwarmPending *pending;
} Applying;

/* ---- reading an entry ---- */

static void
change_free_object (gpointer data)
{
  swarm_message_unref (((SwarmChange *) data)->object);
}

static gboolean
decode_action (const SwarmAction *action, SwarmChange *change, GError **error)
{
  *change = (SwarmChange){ .action = action->action, .kind = action->kind, .id = action->id, .version = action->version,
                           .fields = action->fields };
  if (action->action == SWARM_ACTION_REMOVE)
    return TRUE;
  change->object = swarm_message_decode (swarm_kind_type (action->kind), action->object, error);
  if (change->object == NULL)
    return FALSE;
  if (action->fields != 0 && action->action != SWARM_ACTION_UPDATE) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, "a new object of which there are only some fields");
    return FALSE;
  }
  if (action->fields != 0
      && (((SwarmMessage *) change->object)->unknown != NULL || !swarm_type_has_fields (swarm_kind_type (action->kind), action->fields))) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
                         "it changes a field that this version of swarm-agent does not know; upgrade it");
    return FALSE;
  }
  SWARM_OBJECT (change->object)->id = action->id;
  return TRUE;
}

/* All changes in order, decoded before anything is changed. */
static GArray *
decode_changes (const SwarmEntry *entry, GError **error)
{
  guint n = entry->actions != NULL ? entry->actions->len : 0;
  g_autoptr (GArray) changes = g_array_sized_new (FALSE, TRUE, sizeof (SwarmChange), n);

  g_array_set_clear_func (changes, change_free_object);
  for (guint i = 0; i < n; i++) {
    g_array_set_size (changes, i + 1);
    if (!decode_action (entry->actions->pdata[i], &g_array_index (changes, SwarmChange, i), error))
      return NULL;
  }
  return g_steal_pointer (&changes);
}

/* ---- one action ---- */

static gboolean
name_is_free (SwarmStore *self, SwarmKind kind, const SwarmObject *object, GError **error)
{
  const char *name = swarm_object_name (object);
  const SwarmObject *holder = swarm_tables_get_by_name (self->tables, kind, name);

  if (holder == NULL || swarm_id_equal (&holder->id, &object->id))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "name conflicts with an existing object: %s %s already exists",
               swarm_kind_to_string (kind), name);
  return FALSE;
}

static gboolean
check_change (SwarmStore *self, const SwarmChange *action, const SwarmObject *previous, GError **error)
{
  if (action->action == SWARM_ACTION_CREATE && previous != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "%s %s already exists", swarm_kind_to_string (action->kind),
                 swarm_id_string (&action->id).str);
    return FALSE;
  }
  if (action->action != SWARM_ACTION_CREATE && previous == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "%s %s not found", swarm_kind_to_string (action->kind),
                 swarm_id_string (&action->id).str);
    return FALSE;
  }
  if (previous != NULL && action->version != previous->version
      && (action->version != 0 || action->action == SWARM_ACTION_UPDATE)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE, "update out of sequence");
    return FALSE;
  }
  return TRUE;
}

/* The object as it will be: a reference. */
static SwarmObject *
make_object (const SwarmChange *action, SwarmObject *previous, gboolean is_decoded)
{
  if (is_decoded && action->fields != 0)
    return swarm_message_merge (previous, action->object, action->fields);
  return swarm_message_ref (action->object);
}

static gboolean
apply_change (SwarmStore *self, const Applying *entry, const SwarmChange *action, guint64 index, GArray *changes, GError **error)
{
  SwarmObject *previous = swarm_tables_get (self->tables, action->kind, &action->id);
  Change change = { action->kind, action->id, NULL, NULL };
  SwarmObject *object = NULL;

  if (!check_change (self, action, previous, error))
    return FALSE;
  if (action->object != NULL) {
    if (!entry->is_decoded)
      swarm_guard_check (action->object, action->sum);
    object = make_object (action, previous, entry->is_decoded);
    if (object == NULL || !name_is_free (self, action->kind, object, error)) {
      if (object == NULL)
        g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, "fields that the object has not");
      swarm_message_unref (object);
      return FALSE;
    }
    object->version = index;
    object->created_at = previous != NULL ? previous->created_at : entry->stamp;
    object->updated_at = entry->stamp;
    swarm_tables_share (self->tables, object, previous);
  }
  change.previous = previous != NULL ? swarm_message_ref (previous) : NULL;
  change.object = object;
  g_array_append_val (changes, change);
  swarm_tables_set (self->tables, action->kind, &action->id, object);
  return TRUE;
}

static void
take_back (SwarmStore *self, GArray *changes)
{
  for (guint i = changes->len; i > 0; i--) {
    const Change *change = &g_array_index (changes, Change, i - 1);

    swarm_tables_set (self->tables, change->kind, &change->id, change->previous);
  }
  g_array_set_size (changes, 0);
}

/* ---- the entry ---- */

/* Objects are all over the memory: it is asked for all of an entry at once. */
static void
fetch_ahead (SwarmStore *self, const Applying *entry)
{
  SwarmKind kind = entry->changes[0].kind;
  guint n = 1;

  while (n < entry->n_changes && entry->changes[n].kind == kind)
    n++;
  swarm_id_table_prefetch (&self->tables->table[kind].by_id, &entry->changes[0].id, sizeof (SwarmChange), n);
}

/* FALSE: the transaction failed and nothing is changed. */
static gboolean
apply_changes (SwarmStore *self, const Applying *entry, guint64 index, GArray *changes, GError **error)
{
  if (entry->n_changes > 1)
    fetch_ahead (self, entry);
  for (guint i = 0; i < entry->n_changes; i++)
    if (!apply_change (self, entry, &entry->changes[i], index, changes, error)) {
      take_back (self, changes);
      return FALSE;
    }
  return TRUE;
}

static void
tell (SwarmStore *self, GArray *changes)
{
  for (guint i = 0; i < changes->len; i++) {
    const Change *change = &g_array_index (changes, Change, i);
    SwarmEvent event = { SWARM_EVENT_UPDATE, change->kind, change->object, change->previous };

    if (change->previous == NULL)
      event.event = SWARM_EVENT_CREATE;
    if (change->object == NULL)
      event = (SwarmEvent){ SWARM_EVENT_REMOVE, change->kind, change->previous, NULL };
    swarm_store_emit (self, &event);
  }
  swarm_store_emit (self, &(SwarmEvent){ .event = SWARM_EVENT_COMMIT });
}

static void
settle (const Applying *entry, guint64 index, GBytes *result, const GError *error)
{
  if (entry->pending != NULL)
    swarm_pending_settle (entry->pending, index, result, error);
}

static void
apply_entry (SwarmStore *self, Applying *entry, guint64 index)
{
  const SwarmRequest *seen = NULL;
  g_autoptr (GArray) changes = g_array_sized_new (FALSE, FALSE, sizeof (Change), entry->n_changes);
  g_autoptr (GError) refused = NULL;

  g_array_set_clear_func (changes, change_clear);
  entry->stamp = swarm_requests_advance (&self->requests, entry->stamp);
  swarm_store_time_went_on (self);
  if (entry->request_id != NULL)
    seen = swarm_requests_find (&self->requests, entry->request_id);
  if (seen != NULL) {
    settle (entry, seen->index, seen->result, NULL);
  } else if (apply_changes (self, entry, index, changes, &refused)) {
    /* Only what succeeded is remembered: a refused request changed nothing and may be tried again. */
    if (entry->request_id != NULL)
      swarm_requests_add (&self->requests, entry->request_id, index, self->requests.now, entry->result);
    settle (entry, index, entry->result, NULL);
  } else {
    settle (entry, index, NULL, refused);
  }
  self->index = index;
  tell (self, changes);
}

/* An entry of this very store comes back as the objects that it was made of: nothing is decoded. */
static void
apply_own (SwarmStore *self, SwarmPending *pending, guint64 index)
{
  const SwarmTx *tx = pending->tx;
  Applying entry = { tx->stamp, tx->request_id, tx->encoded_result, (const SwarmChange *) (gpointer) tx->changes->data,
                     tx->changes->len, FALSE, pending };

  self->level_used = MAX (self->level_used, tx->level);
  apply_entry (self, &entry, index);
}

static gboolean
apply_decoded (SwarmStore *self, guint64 index, GBytes *bytes, GError **error)
{
  g_autoptr (SwarmEntry) decoded = swarm_entry_decode (bytes, error);
  gboolean is_known = decoded != NULL && decoded->level <= self->level_known;
  g_autoptr (GArray) changes = is_known ? decode_changes (decoded, error) : NULL;

  if (decoded != NULL && !is_known)
    swarm_level_error ("the log has an entry", decoded->level, self->level_known, error);

  if (changes == NULL)
    return FALSE;
  self->level_used = MAX (self->level_used, (guint) decoded->level);
  Applying entry = { decoded->stamp, decoded->request_id, decoded->result, (const SwarmChange *) (gpointer) changes->data, changes->len,
                     TRUE, NULL };
  apply_entry (self, &entry, index);
  return TRUE;
}

gboolean
swarm_store_apply (SwarmStore *self, guint64 index, GBytes *entry, GError **error)
{
  SwarmPending *pending;

  if (index <= self->index) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "log entry %" G_GUINT64_FORMAT " came after %" G_GUINT64_FORMAT, index,
                 self->index);
    return FALSE;
  }
  pending = swarm_store_find_pending (self, entry);
  if (pending != NULL) {
    apply_own (self, pending, index);
    return TRUE;
  }
  if (apply_decoded (self, index, entry, error))
    return TRUE;
  g_prefix_error (error, "log entry %" G_GUINT64_FORMAT ": ", index);
  return FALSE;
}
