// SPDX-License-Identifier: LGPL-2.1-or-later
/* Building transactions and getting them into the log. */
#include "store/store-private.h"
#include <string.h>

/* Bytes of an entry around its objects: ids, stamps, tags. */
#define ENTRY_OVERHEAD 512
#define ACTION_OVERHEAD 64
/* What an object that is not known yet is taken for when room is asked for. */
#define GUESSED_OBJECT 1024

struct _SwarmTx {
  SwarmStore *store;
  GPtrArray *actions; /* SwarmAction */
  GHashTable *by_id;  /* SwarmId in the action → its last action */
  gsize bytes;
  gsize largest;
  GVariant *result;
};

SwarmTx *
swarm_store_tx (SwarmStore *self)
{
  SwarmTx *tx = g_new0 (SwarmTx, 1);

  tx->store = self;
  tx->actions = swarm_messages_new ();
  tx->by_id = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  tx->bytes = ENTRY_OVERHEAD;
  return tx;
}

void
swarm_tx_free (SwarmTx *tx)
{
  if (tx == NULL)
    return;
  g_hash_table_unref (tx->by_id);
  g_ptr_array_unref (tx->actions);
  g_clear_pointer (&tx->result, g_variant_unref);
  g_free (tx);
}

guint
swarm_tx_n_changes (SwarmTx *tx)
{
  return tx->actions->len;
}

gboolean
swarm_tx_has_room (SwarmTx *tx, guint n)
{
  gsize each = MAX (tx->largest, GUESSED_OBJECT) + ACTION_OVERHEAD;

  return tx->actions->len + n <= SWARM_TX_MAX_CHANGES && tx->bytes + n * each <= SWARM_TX_MAX_BYTES;
}

void
swarm_tx_set_result (SwarmTx *tx, GVariant *result)
{
  g_variant_ref_sink (result);
  g_clear_pointer (&tx->result, g_variant_unref);
  tx->result = result;
}

/* ---- changes ---- */

static void
set_object (SwarmTx *tx, SwarmAction *action, gpointer object)
{
  gsize size;

  if (action->object != NULL)
    tx->bytes -= g_bytes_get_size (action->object);
  g_clear_pointer (&action->object, g_bytes_unref);
  action->object = swarm_message_encode (object);
  size = g_bytes_get_size (action->object);
  tx->bytes += size;
  tx->largest = MAX (tx->largest, size);
}

static SwarmAction *
add_action (SwarmTx *tx, SwarmActionKind what, SwarmKind kind, const SwarmId *id, guint64 version)
{
  SwarmAction *action = swarm_action_new ();

  action->action = what;
  action->kind = kind;
  action->id = *id;
  action->version = version;
  g_ptr_array_add (tx->actions, action);
  g_hash_table_replace (tx->by_id, &action->id, action);
  tx->bytes += ACTION_OVERHEAD;
  return action;
}

void
swarm_tx_create (SwarmTx *tx, gpointer object)
{
  SwarmObject *self = object;

  if (swarm_id_is_nil (&self->id))
    self->id = swarm_random_id (tx->store->random);
  set_object (tx, add_action (tx, SWARM_ACTION_CREATE, swarm_object_kind (self), &self->id, 0), object);
}

void
swarm_tx_update (SwarmTx *tx, gpointer object)
{
  SwarmObject *self = object;
  SwarmAction *action = g_hash_table_lookup (tx->by_id, &self->id);

  /* A second change of the same object in one transaction replaces the first: the version is still the one that was read. */
  if (action == NULL || action->action == SWARM_ACTION_REMOVE)
    action = add_action (tx, SWARM_ACTION_UPDATE, swarm_object_kind (self), &self->id, self->version);
  set_object (tx, action, object);
}

void
swarm_tx_remove (SwarmTx *tx, SwarmKind kind, const SwarmId *id, guint64 version)
{
  SwarmAction *action = g_hash_table_lookup (tx->by_id, id);

  if (action == NULL || action->action != SWARM_ACTION_UPDATE) {
    add_action (tx, SWARM_ACTION_REMOVE, kind, id, version);
    return;
  }
  /* Changed and then removed: the removal stands for both. */
  action->action = SWARM_ACTION_REMOVE;
  action->version = version != 0 ? version : action->version;
  tx->bytes -= g_bytes_get_size (action->object);
  g_clear_pointer (&action->object, g_bytes_unref);
}

/* ---- commits ---- */

static SwarmPending *
pending_new (SwarmStore *store, SwarmTxDone done, gpointer data)
{
  SwarmPending *pending = g_new0 (SwarmPending, 1);

  pending->store = store;
  pending->sequence = ++store->sequence;
  pending->done = done;
  pending->data = data;
  g_hash_table_insert (store->pending, &pending->sequence, pending);
  return pending;
}

static void
pending_free (SwarmPending *pending)
{
  g_clear_pointer (&pending->result, g_variant_unref);
  g_clear_error (&pending->error);
  g_free (pending);
}

/* Calls done, unless the store has done so when it went. */
static void
pending_finish (SwarmPending *pending)
{
  if (pending->store != NULL) {
    g_hash_table_remove (pending->store->pending, &pending->sequence);
    if (pending->done != NULL)
      pending->done (pending->error == NULL ? pending->index : 0, pending->error == NULL ? pending->result : NULL, pending->error,
                     pending->data);
  }
  pending_free (pending);
}

static void
proposed (guint64 index, const GError *error, gpointer data)
{
  SwarmPending *pending = data;

  /* Once applied, the entry's own outcome is what counts. */
  if (!pending->applied && pending->error == NULL)
    pending->error = error != NULL ? g_error_copy (error)
                                   : g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNKNOWN,
                                                          "the change may or may not have been made: look before trying again");
  pending_finish (pending);
}

static void
finish_later (gpointer data)
{
  SwarmPending *pending = data;

  pending->timer = NULL;
  pending_finish (pending);
}

/* Settles a commit that needs no entry, from the loop. Takes @error and @result. */
static void
settle_later (SwarmStore *store, SwarmTxDone done, gpointer data, guint64 index, GVariant *result, GError *error)
{
  SwarmPending *pending = pending_new (store, done, data);

  pending->index = index;
  pending->result = result;
  pending->error = error;
  pending->timer = swarm_clock_timer (store->clock, 0, SWARM_PRIORITY_NORMAL, finish_later, pending);
}

static SwarmEntry *
make_entry (SwarmTx *tx, const char *request_id)
{
  SwarmEntry *entry = swarm_entry_new ();

  entry->format = SWARM_ENTRY_FORMAT;
  entry->proposer = tx->store->proposer;
  entry->sequence = tx->store->sequence + 1;
  entry->stamp = swarm_clock_now (tx->store->clock);
  swarm_string_set (&entry->request_id, request_id);
  if (tx->result != NULL)
    entry->result = swarm_result_encode (tx->result);
  entry->actions = g_ptr_array_ref (tx->actions);
  return entry;
}

static GError *
check_limits (SwarmTx *tx, const SwarmEntry *entry, GBytes *bytes)
{
  if (tx->actions->len > SWARM_TX_MAX_CHANGES)
    return g_error_new (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "%u changes at once, at most %d are allowed", tx->actions->len,
                        SWARM_TX_MAX_CHANGES);
  if (g_bytes_get_size (bytes) > SWARM_TX_MAX_BYTES)
    return g_error_new (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "a change of %" G_GSIZE_FORMAT " bytes, at most %d are allowed",
                        g_bytes_get_size (bytes), SWARM_TX_MAX_BYTES);
  if (entry->request_id != NULL && strlen (entry->request_id) > SWARM_REQUEST_ID_MAX)
    return g_error_new (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a request id has at most %d characters", SWARM_REQUEST_ID_MAX);
  if (entry->result != NULL && g_bytes_get_size (entry->result) > SWARM_RESULT_MAX)
    return g_error_new (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "a result of more than %d bytes", SWARM_RESULT_MAX);
  return NULL;
}

gboolean
swarm_store_has_request (SwarmStore *self, const char *request_id)
{
  return request_id != NULL && *request_id != '\0' && swarm_requests_find (&self->requests, request_id) != NULL;
}

void
swarm_tx_commit (SwarmTx *tx, const char *request_id, SwarmTxDone done, gpointer data)
{
  g_autoptr (SwarmTx) owned = tx;
  g_autoptr (SwarmEntry) entry = make_entry (tx, request_id);
  g_autoptr (GBytes) bytes = swarm_message_encode (entry);
  SwarmStore *store = tx->store;
  const SwarmRequest *seen = entry->request_id != NULL ? swarm_requests_find (&store->requests, entry->request_id) : NULL;
  GError *error = check_limits (tx, entry, bytes);

  if (error != NULL) {
    settle_later (store, done, data, 0, NULL, error);
  } else if (seen != NULL) {
    settle_later (store, done, data, seen->index, seen->result != NULL ? swarm_result_decode (seen->result) : NULL, NULL);
  } else if (tx->actions->len == 0) {
    settle_later (store, done, data, store->index, g_steal_pointer (&tx->result), NULL);
  } else {
    store->propose (bytes, proposed, pending_new (store, done, data), store->propose_data);
  }
}

void
swarm_store_settle (SwarmStore *self, const SwarmEntry *entry, guint64 index, GBytes *result, const GError *error)
{
  SwarmPending *pending;

  if (!swarm_id_equal (&entry->proposer, &self->proposer))
    return;
  pending = g_hash_table_lookup (self->pending, &entry->sequence);
  if (pending == NULL || pending->applied)
    return;
  pending->applied = TRUE;
  pending->index = index;
  pending->result = result != NULL ? swarm_result_decode (result) : NULL;
  pending->error = error != NULL ? g_error_copy (error) : NULL;
}

/* ---- the end ---- */

/* Whoever waits hears it now; a proposal that is still out there finds its pending commit without a store. */
static void
cancel (SwarmPending *pending)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "this manager is stopping");
  SwarmClock *clock = pending->store->clock;
  gboolean mine = pending->timer != NULL;

  swarm_clock_clear_timer (clock, &pending->timer);
  pending->store = NULL;
  if (pending->done != NULL)
    pending->done (0, NULL, error, pending->data);
  if (mine)
    pending_free (pending);
}

void
swarm_store_free (SwarmStore *self)
{
  GHashTableIter iter;
  gpointer pending;

  if (self == NULL)
    return;
  g_hash_table_iter_init (&iter, self->pending);
  while (g_hash_table_iter_next (&iter, NULL, &pending)) {
    g_hash_table_iter_remove (&iter);
    cancel (pending);
    /* It may have done anything but commit more. */
    g_hash_table_iter_init (&iter, self->pending);
  }
  g_hash_table_unref (self->pending);
  swarm_requests_clear (&self->requests);
  swarm_tables_free (self->tables);
  g_ptr_array_unref (self->watches);
  g_free (self);
}
