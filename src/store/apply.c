// SPDX-License-Identifier: LGPL-2.1-or-later
/* Applying log entries: the same on every manager, all or nothing. */
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

/* ---- reading an entry ---- */

/* The objects of all actions in order (NULL for a removal), decoded before anything is changed. */
static GPtrArray *
decode_objects (const SwarmEntry *entry, GError **error)
{
  g_autoptr (GPtrArray) objects = swarm_messages_new ();

  for (guint i = 0; entry->actions != NULL && i < entry->actions->len; i++) {
    const SwarmAction *action = entry->actions->pdata[i];
    SwarmObject *object = NULL;

    if (action->action != SWARM_ACTION_REMOVE) {
      object = swarm_message_decode (swarm_kind_type (action->kind), action->object, error);
      if (object == NULL)
        return NULL;
      object->id = action->id;
    }
    g_ptr_array_add (objects, object);
  }
  return g_steal_pointer (&objects);
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
check_action (SwarmStore *self, const SwarmAction *action, const SwarmObject *object, const SwarmObject *previous, GError **error)
{
  const char *word = swarm_kind_to_string (action->kind);
  SwarmIdString id = swarm_id_string (&action->id);

  if (action->action == SWARM_ACTION_CREATE && previous != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "%s %s already exists", word, id.str);
    return FALSE;
  }
  if (action->action != SWARM_ACTION_CREATE && previous == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "%s %s not found", word, id.str);
    return FALSE;
  }
  if (previous != NULL && action->version != previous->version
      && (action->version != 0 || action->action == SWARM_ACTION_UPDATE)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE, "update out of sequence");
    return FALSE;
  }
  return object == NULL || name_is_free (self, action->kind, object, error);
}

static gboolean
apply_action (SwarmStore *self, const SwarmAction *action, SwarmObject *object, guint64 index, gint64 stamp, GArray *changes,
              GError **error)
{
  SwarmObject *previous = swarm_tables_get (self->tables, action->kind, &action->id);
  Change change = { action->kind, action->id, NULL, NULL };

  if (!check_action (self, action, object, previous, error))
    return FALSE;
  if (object != NULL) {
    object->version = index;
    object->created_at = previous != NULL ? previous->created_at : stamp;
    object->updated_at = stamp;
    swarm_tables_share (self->tables, object, previous);
  }
  change.previous = previous != NULL ? swarm_message_ref (previous) : NULL;
  change.object = object != NULL ? swarm_message_ref (object) : NULL;
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

/* FALSE: the transaction failed and nothing is changed. */
static gboolean
apply_actions (SwarmStore *self, const SwarmEntry *entry, GPtrArray *objects, guint64 index, GArray *changes, GError **error)
{
  for (guint i = 0; i < objects->len; i++)
    if (!apply_action (self, entry->actions->pdata[i], objects->pdata[i], index, entry->stamp, changes, error)) {
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
apply_entry (SwarmStore *self, const SwarmEntry *entry, GPtrArray *objects, guint64 index)
{
  const SwarmRequest *seen = NULL;
  g_autoptr (GArray) changes = g_array_new (FALSE, FALSE, sizeof (Change));
  g_autoptr (GError) refused = NULL;

  g_array_set_clear_func (changes, change_clear);
  swarm_requests_advance (&self->requests, entry->stamp);
  if (entry->request_id != NULL)
    seen = swarm_requests_find (&self->requests, entry->request_id);
  if (seen != NULL) {
    swarm_store_settle (self, entry, seen->index, seen->result, NULL);
  } else if (apply_actions (self, entry, objects, index, changes, &refused)) {
    /* Only what succeeded is remembered: a refused request changed nothing and may be tried again. */
    if (entry->request_id != NULL)
      swarm_requests_add (&self->requests, entry->request_id, index, self->requests.now, entry->result);
    swarm_store_settle (self, entry, index, entry->result, NULL);
  } else {
    swarm_store_settle (self, entry, index, NULL, refused);
  }
  self->index = index;
  tell (self, changes);
}

gboolean
swarm_store_apply (SwarmStore *self, guint64 index, GBytes *entry, GError **error)
{
  g_autoptr (SwarmEntry) decoded = swarm_entry_decode (entry, error);
  g_autoptr (GPtrArray) objects = decoded != NULL ? decode_objects (decoded, error) : NULL;

  if (objects == NULL) {
    g_prefix_error (error, "log entry %" G_GUINT64_FORMAT ": ", index);
    return FALSE;
  }
  if (index <= self->index) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "log entry %" G_GUINT64_FORMAT " came after %" G_GUINT64_FORMAT, index,
                 self->index);
    return FALSE;
  }
  apply_entry (self, decoded, objects, index);
  return TRUE;
}
