// SPDX-License-Identifier: LGPL-2.1-or-later
/* Status on its way to the leader: the newest of each task, batched, one call under way, repeated until it is committed. */
#include "base/error.h"
#include "base/log.h"
#include "worker/private.h"
#include <string.h>

#define DISPATCHER "org.swarmagent1.Dispatcher"
#define BATCH_MAX 500
#define BATCH_DELAY_US (50 * 1000)
#define CALL_LIMIT_US (10 * G_USEC_PER_SEC)
#define RETRY_FIRST_US (100 * 1000)
#define RETRY_LAST_US (8 * G_USEC_PER_SEC)

typedef struct {
  SwarmId task;
  SwarmTaskStatus *status;
} Sent;

struct _SwarmWorkerReports {
  SwarmWorker *worker;
  GHashTable *dirty; /* ids (own copies) of tasks whose newest status is to be told */
  GArray *sent;      /* Sent, of the call under way; NULL: none */
  SwarmLink *link;
  GBytes *session;
  guint64 generation; /* of the session: answers of an earlier one are of no interest */
  SwarmTimer *timer;
  gboolean timer_is_soon;
  guint failures;
};

static void send_batch (gpointer data);

static void
sent_clear (gpointer data)
{
  swarm_message_unref (((Sent *) data)->status);
}

SwarmWorkerReports *
swarm_worker_reports_new (SwarmWorker *worker)
{
  SwarmWorkerReports *self = g_new0 (SwarmWorkerReports, 1);

  self->worker = worker;
  self->dirty = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  return self;
}

void
swarm_worker_reports_free (SwarmWorkerReports *self)
{
  if (self == NULL)
    return;
  swarm_worker_reports_set_session (self, NULL, NULL);
  g_hash_table_unref (self->dirty);
  g_free (self);
}

static void
schedule (SwarmWorkerReports *self, gint64 delay_us, gboolean soon)
{
  SwarmClock *clock = self->worker->config.clock;

  if (self->link == NULL || self->sent != NULL || g_hash_table_size (self->dirty) == 0)
    return;
  if (self->timer != NULL && (!soon || self->timer_is_soon))
    return;
  swarm_clock_clear_timer (clock, &self->timer);
  self->timer_is_soon = soon;
  self->timer = swarm_clock_timer (clock, delay_us, SWARM_PRIORITY_NORMAL, send_batch, self);
}

static void
mark (SwarmWorkerReports *self, const SwarmId *id)
{
  g_hash_table_add (self->dirty, g_memdup2 (id, sizeof *id));
}

void
swarm_worker_reports_add (SwarmWorkerReports *self, SwarmWorkerTask *task, gboolean soon)
{
  mark (self, &task->id);
  /* While calls fail, the retry decides when. */
  if (self->failures == 0)
    schedule (self, soon ? 0 : BATCH_DELAY_US, soon);
}

/* Those that failed to get there are told again, in their then newest form. */
static void
call_failed (SwarmWorkerReports *self, GArray *sent, const GError *error)
{
  gint64 delay = MIN (RETRY_FIRST_US << MIN (self->failures, 10), RETRY_LAST_US);

  for (guint i = 0; i < sent->len; i++)
    mark (self, &g_array_index (sent, Sent, i).task);
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND)) {
    swarm_worker_session_is_stale (self->worker->session);
    return;
  }
  if (self->failures++ == 0)
    swarm_notice ("The state of %u tasks could not be told to the leader: %s; trying again", sent->len, error->message);
  schedule (self, delay, FALSE);
}

/* What the leader has not taken it does not know: it is not told again before it changes, or the next session. */
static void
forget_refused (GArray *sent, GVariant *refused)
{
  for (gsize i = 0; i < g_variant_n_children (refused); i++) {
    g_autoptr (GVariant) id = NULL;
    const char *why;
    gsize len;

    g_variant_get_child (refused, i, "(@ay&s)", &id, &why);
    const guint8 *bytes = g_variant_get_fixed_array (id, &len, 1);
    for (guint j = 0; len == sizeof (SwarmId) && j < sent->len; j++)
      if (memcmp (g_array_index (sent, Sent, j).task.bytes, bytes, len) == 0) {
        swarm_notice ("The leader does not take the state of a task: %s", why);
        g_array_remove_index_fast (sent, j--);
      }
  }
}

static void
call_done (SwarmWorkerReports *self, GVariant *reply, GArray *sent)
{
  g_autoptr (GVariant) refused = g_variant_get_child_value (reply, 0);

  self->failures = 0;
  forget_refused (sent, refused);
  for (guint i = 0; i < sent->len; i++) {
    const Sent *one = &g_array_index (sent, Sent, i);
    SwarmWorkerTask *task = swarm_worker_task_of (self->worker, &one->task);
    if (task != NULL && task->status == one->status)
      swarm_worker_task_acked (task);
  }
  schedule (self, 0, TRUE);
}

static void
on_reply (GVariant *reply, const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  SwarmWorkerReports *self;
  g_autoptr (GArray) sent = NULL;
  g_autoptr (GError) odd = NULL;

  if (!swarm_worker_op_take (data, &op) || op.worker->reports->generation != op.tag)
    return;
  self = op.worker->reports;
  sent = g_steal_pointer (&self->sent);
  if (error == NULL && !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(a(ays))")))
    odd = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "it answers UpdateTaskStatus with %s", g_variant_get_type_string (reply));
  if (error != NULL || odd != NULL)
    call_failed (self, sent, error != NULL ? error : odd);
  else
    call_done (self, reply, sent);
}

static GVariant *
bytes_to_variant (GBytes *bytes)
{
  return g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE);
}

static void
add_update (SwarmWorkerReports *self, GVariantBuilder *updates, SwarmWorkerTask *task)
{
  g_autoptr (GBytes) bytes = swarm_message_encode (task->status);
  Sent sent = { task->id, swarm_task_status_ref (task->status) };

  g_variant_builder_add (updates, "(@ay@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, task->id.bytes, 16, 1),
                         bytes_to_variant (bytes));
  g_array_append_val (self->sent, sent);
}

static void
send_batch (gpointer data)
{
  SwarmWorkerReports *self = data;
  GVariantBuilder updates;
  GHashTableIter iter;
  gpointer id;

  self->timer = NULL;
  if (self->link == NULL || self->sent != NULL)
    return;
  g_variant_builder_init (&updates, G_VARIANT_TYPE ("a(ayay)"));
  self->sent = g_array_new (FALSE, FALSE, sizeof (Sent));
  g_array_set_clear_func (self->sent, sent_clear);
  g_hash_table_iter_init (&iter, self->dirty);
  while (self->sent->len < BATCH_MAX && g_hash_table_iter_next (&iter, &id, NULL)) {
    SwarmWorkerTask *task = swarm_worker_task_of (self->worker, id);
    /* What is not on disk yet comes back when it is; what the leader wants gone it no longer asks about. */
    if (task != NULL && task->kept && !task->unassigned)
      add_update (self, &updates, task);
    g_hash_table_iter_remove (&iter);
  }
  if (self->sent->len == 0) {
    g_variant_builder_clear (&updates);
    g_clear_pointer (&self->sent, g_array_unref);
    return;
  }
  swarm_link_call (self->link, DISPATCHER, "UpdateTaskStatus",
                   g_variant_new ("(@aya(ayay))", bytes_to_variant (self->session), &updates), CALL_LIMIT_US, on_reply,
                   swarm_worker_op_new (self->worker, NULL, self->generation));
}

void
swarm_worker_reports_set_session (SwarmWorkerReports *self, SwarmLink *link, GBytes *session)
{
  swarm_clock_clear_timer (self->worker->config.clock, &self->timer);
  self->generation++;
  self->failures = 0;
  if (self->sent != NULL) {
    for (guint i = 0; i < self->sent->len; i++)
      mark (self, &g_array_index (self->sent, Sent, i).task);
    g_clear_pointer (&self->sent, g_array_unref);
  }
  g_clear_pointer (&self->link, swarm_link_unref);
  g_clear_pointer (&self->session, g_bytes_unref);
  if (link != NULL) {
    self->link = swarm_link_ref (link);
    self->session = g_bytes_ref (session);
    schedule (self, 0, TRUE);
  }
}
