// SPDX-License-Identifier: LGPL-2.1-or-later
/* Building transactions and getting them into the log. */
#include "store/guard.h"
#include "store/store-private.h"
#include <string.h>

/* Bytes of an entry around its objects: ids, stamps, tags. */
#define ENTRY_OVERHEAD 512
#define ACTION_OVERHEAD 64
/* What an object that is not known yet is taken for when room is asked for. */
#define GUESSED_OBJECT 1024

static void
change_clear (gpointer data)
{
  swarm_message_unref (((SwarmChange *) data)->object);
}

SwarmTx *
swarm_store_tx (SwarmStore *self)
{
  SwarmTx *tx = g_new0 (SwarmTx, 1);

  tx->store = self;
  tx->changes = g_array_new (FALSE, FALSE, sizeof (SwarmChange));
  g_array_set_clear_func (tx->changes, change_clear);
  tx->bytes = ENTRY_OVERHEAD;
  return tx;
}

void
swarm_tx_free (SwarmTx *tx)
{
  if (tx == NULL)
    return;
  g_array_unref (tx->changes);
  g_free (tx->forms.data);
  g_clear_pointer (&tx->result, g_variant_unref);
  g_clear_pointer (&tx->encoded_result, g_bytes_unref);
  g_free (tx->request_id);
  g_free (tx);
}

guint
swarm_tx_n_changes (SwarmTx *tx)
{
  return tx->changes->len;
}

gboolean
swarm_tx_has_room (SwarmTx *tx, guint n)
{
  gsize each = MAX (tx->largest, GUESSED_OBJECT) + ACTION_OVERHEAD;

  return tx->changes->len + n <= SWARM_TX_MAX_CHANGES && tx->bytes + n * each <= SWARM_TX_MAX_BYTES;
}

void
swarm_tx_need_level (SwarmTx *tx, guint level)
{
  tx->level = MAX (tx->level, level);
}

void
swarm_tx_set_result (SwarmTx *tx, GVariant *result)
{
  g_variant_ref_sink (result);
  g_clear_pointer (&tx->result, g_variant_unref);
  tx->result = result;
}

/* ---- changes ---- */

static guint16 *
head_of (SwarmTx *tx, const SwarmId *id)
{
  return &tx->heads[swarm_id_hash (id) % G_N_ELEMENTS (tx->heads)];
}

/* The newest change of the object; NULL: none. */
static SwarmChange *
find_change (SwarmTx *tx, const SwarmId *id)
{
  for (guint16 at = *head_of (tx, id); at != 0; at = g_array_index (tx->changes, SwarmChange, at - 1).next)
    if (swarm_id_equal (&g_array_index (tx->changes, SwarmChange, at - 1).id, id))
      return &g_array_index (tx->changes, SwarmChange, at - 1);
  return NULL;
}

static SwarmChange *
add_change (SwarmTx *tx, SwarmActionKind what, SwarmKind kind, const SwarmId *id, guint64 version)
{
  SwarmChange change = { .action = what, .kind = kind, .id = *id, .version = version };
  guint16 *head = head_of (tx, id);

  change.next = *head;
  g_array_append_val (tx->changes, change);
  /* What goes over the limits is refused at the commit. */
  *head = (guint16) MIN (tx->changes->len, G_MAXUINT16);
  tx->bytes += ACTION_OVERHEAD;
  return &g_array_index (tx->changes, SwarmChange, tx->changes->len - 1);
}

/* An update of what the store has, @base, says only what is new: the version in it makes sure that it is put together with nothing else. */
static void
encode_object (SwarmTx *tx, SwarmChange *change, const SwarmObject *base, gpointer object)
{
  /* Once the state holds something of this level, it is marked by it for good: whoever knows less can read neither log nor snapshot. */
  if (tx->store->kind_level[change->kind] > MIN (tx->store->level_used, swarm_store_cluster_level (tx->store)))
    tx->level = MAX (tx->level, swarm_message_level (object, base));
  change->fields = 0;
  change->start = tx->forms.len;
  if (base == NULL || base == object || base->version != change->version
      || !swarm_message_encode_changes (&tx->forms, base, object, &change->fields) || change->fields == 0)
    swarm_message_encode_to (&tx->forms, object);
  change->len = tx->forms.len - change->start;
}

static void
set_object (SwarmTx *tx, SwarmChange *change, const SwarmObject *base, gpointer object)
{
  if (change->object != NULL)
    tx->bytes -= change->len;
  encode_object (tx, change, base, object);
  swarm_message_set (&change->object, object);
  change->sum = swarm_guard_sum (object);
  tx->bytes += change->len;
  tx->largest = MAX (tx->largest, change->len);
}

void
swarm_tx_create (SwarmTx *tx, gpointer object)
{
  SwarmObject *self = object;

  if (swarm_id_is_nil (&self->id))
    self->id = swarm_random_id (tx->store->random);
  set_object (tx, add_change (tx, SWARM_ACTION_CREATE, swarm_object_kind (self), &self->id, 0), NULL, object);
}

void
swarm_tx_update_of (SwarmTx *tx, gconstpointer base, gpointer object)
{
  SwarmObject *self = object;
  SwarmChange *change = find_change (tx, &self->id);

  /* A second change of the same object in one transaction replaces the first: the version is still the one that was read. */
  if (change == NULL || change->action == SWARM_ACTION_REMOVE)
    change = add_change (tx, SWARM_ACTION_UPDATE, swarm_object_kind (self), &self->id, self->version);
  set_object (tx, change, change->action == SWARM_ACTION_UPDATE ? base : NULL, object);
}

void
swarm_tx_update (SwarmTx *tx, gpointer object)
{
  SwarmObject *self = object;

  swarm_tx_update_of (tx, swarm_store_get (tx->store, swarm_object_kind (self), &self->id), object);
}

void
swarm_tx_remove (SwarmTx *tx, SwarmKind kind, const SwarmId *id, guint64 version)
{
  SwarmChange *change = find_change (tx, id);

  if (change == NULL || change->action != SWARM_ACTION_UPDATE) {
    add_change (tx, SWARM_ACTION_REMOVE, kind, id, version);
    return;
  }
  /* Changed and then removed: the removal stands for both. */
  change->action = SWARM_ACTION_REMOVE;
  change->version = version != 0 ? version : change->version;
  change->fields = 0;
  tx->bytes -= change->len;
  swarm_message_clear (&change->object);
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
  swarm_tx_free (pending->tx);
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

static GBytes *
encode_entry (SwarmTx *tx, const char *request_id)
{
  SwarmEntryHead head;

  tx->stamp = swarm_store_now (tx->store);
  tx->request_id = request_id != NULL && *request_id != '\0' ? g_strdup (request_id) : NULL;
  if (tx->result != NULL)
    tx->encoded_result = swarm_result_encode (tx->result);
  head = (SwarmEntryHead){ tx->store->proposer, tx->store->sequence + 1, tx->stamp, tx->request_id, tx->encoded_result,
                            tx->level };
  return swarm_entry_encode (&head, (const SwarmChange *) (gpointer) tx->changes->data, tx->changes->len, tx->forms.data);
}

static GError *
check_limits (SwarmTx *tx, GBytes *bytes)
{
  if (tx->changes->len > SWARM_TX_MAX_CHANGES)
    return g_error_new (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "%u changes at once, at most %d are allowed", tx->changes->len,
                        SWARM_TX_MAX_CHANGES);
  if (g_bytes_get_size (bytes) > SWARM_TX_MAX_BYTES)
    return g_error_new (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "a change of %" G_GSIZE_FORMAT " bytes, at most %d are allowed",
                        g_bytes_get_size (bytes), SWARM_TX_MAX_BYTES);
  if (tx->request_id != NULL && strlen (tx->request_id) > SWARM_REQUEST_ID_MAX)
    return g_error_new (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a request id has at most %d characters", SWARM_REQUEST_ID_MAX);
  if (tx->encoded_result != NULL && g_bytes_get_size (tx->encoded_result) > SWARM_RESULT_MAX)
    return g_error_new (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "a result of more than %d bytes", SWARM_RESULT_MAX);
  if (tx->level > 1 && tx->level > swarm_store_cluster_level (tx->store))
    return g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
                        "this needs feature level %u, and not all managers of the cluster know more than %u: upgrade them first", tx->level,
                        swarm_store_cluster_level (tx->store));
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
  g_autoptr (GBytes) bytes = encode_entry (tx, request_id);
  SwarmStore *store = tx->store;
  const SwarmRequest *seen = tx->request_id != NULL ? swarm_requests_find (&store->requests, tx->request_id) : NULL;
  GError *error = check_limits (tx, bytes);
  SwarmPending *pending;

  if (error != NULL) {
    settle_later (store, done, data, 0, NULL, error);
  } else if (seen != NULL) {
    settle_later (store, done, data, seen->index, seen->result != NULL ? swarm_result_decode (seen->result) : NULL, NULL);
  } else if (tx->changes->len == 0) {
    settle_later (store, done, data, store->index, g_steal_pointer (&tx->result), NULL);
  } else {
    pending = pending_new (store, done, data);
    pending->tx = g_steal_pointer (&owned);
    store->propose (bytes, proposed, pending, store->propose_data);
  }
}

SwarmPending *
swarm_store_find_pending (SwarmStore *self, GBytes *entry)
{
  SwarmPending *pending;
  SwarmId proposer;
  guint64 sequence;

  if (!swarm_entry_peek (entry, &proposer, &sequence) || !swarm_id_equal (&proposer, &self->proposer))
    return NULL;
  pending = g_hash_table_lookup (self->pending, &sequence);
  return pending != NULL && !pending->applied && pending->tx != NULL ? pending : NULL;
}

void
swarm_pending_settle (SwarmPending *pending, guint64 index, GBytes *result, const GError *error)
{
  pending->applied = TRUE;
  pending->index = index;
  pending->result = result != NULL ? swarm_result_decode (result) : NULL;
  pending->error = error != NULL ? g_error_copy (error) : NULL;
  g_clear_pointer (&pending->tx, swarm_tx_free);
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
