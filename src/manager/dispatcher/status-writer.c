// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/status-writer.h"
#include "base/error.h"
#include "base/log.h"

typedef struct {
  SwarmId task;
  SwarmTaskStatus *status;
  GPtrArray *tickets; /* settled, not freed */
} Report;

struct _SwarmStatusWriter {
  const SwarmLeader *leader;
  guint loop;
  GHashTable *reports; /* task id → Report */
  GQueue queue;        /* the same, first come first served */
  GPtrArray *flying;   /* of Report: in the transaction under way */
};

static void
report_free (gpointer data)
{
  Report *report = data;
  swarm_task_status_unref (report->status);
  g_ptr_array_unref (report->tickets);
  g_free (report);
}

static Report *
writer_find (SwarmStatusWriter *self, const SwarmId *task)
{
  Report *report = g_hash_table_lookup (self->reports, task);
  if (report == NULL) {
    report = g_new0 (Report, 1);
    report->task = *task;
    report->tickets = g_ptr_array_new ();
    g_hash_table_insert (self->reports, &report->task, report);
    g_queue_push_tail (&self->queue, report);
  }
  return report;
}

static void
report_merge (Report *report, const SwarmTaskStatus *status)
{
  if (report->status != NULL && report->status->state > status->state)
    return;
  SwarmTaskStatus *old = report->status;
  report->status = swarm_task_status_ref (status);
  swarm_task_status_unref (old);
}

void
swarm_status_writer_report (SwarmStatusWriter *self, const SwarmId *task, const SwarmTaskStatus *status, SwarmTicket *ticket)
{
  Report *report = writer_find (self, task);
  report_merge (report, status);
  g_ptr_array_add (report->tickets, swarm_ticket_add (ticket));
  swarm_runner_mark (self->leader->runner, self->loop);
}

/* A task that was rejected while it ran has ended now: its slot is free. */
static void
write_end (const SwarmTask *task, SwarmTx *tx)
{
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  copy->lingers = FALSE;
  swarm_tx_update (tx, copy);
}

/* The stamp is the node's: when the task really ended is known there only. */
static void
write_report (SwarmStatusWriter *self, const Report *report, SwarmTx *tx)
{
  const SwarmTask *task = swarm_store_get (self->leader->store, SWARM_KIND_TASK, &report->task);
  const SwarmTaskStatus *status = report->status;
  if (task != NULL && task->lingers && swarm_task_state_is_terminal (status->state))
    write_end (task, tx);
  if (task == NULL || swarm_task_state_is_terminal (task->status->state) || status->state < task->status->state)
    return;
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  gint64 when = status->timestamp != 0 ? status->timestamp : swarm_store_now (self->leader->store);
  if (!swarm_task_set_state (copy, status->state, SWARM_WRITER_DISPATCHER, when, status->text, status->err, &error)) {
    swarm_warning ("a node's report about a task is refused: %s", error->message);
    return;
  }
  SwarmTaskStatus *whole = swarm_task_status_copy (copy->status);
  if (status->container != NULL) {
    swarm_container_status_unref (whole->container);
    whole->container = swarm_container_status_ref (status->container);
  }
  whole->has_exit = status->has_exit;
  swarm_task_status_unref (copy->status);
  copy->status = whole;
  if (!swarm_message_equal (copy->status, task->status))
    swarm_tx_update (tx, copy);
}

static gboolean
writer_pass (gpointer loop, SwarmTx *tx)
{
  SwarmStatusWriter *self = loop;
  while (self->queue.length > 0 && swarm_tx_has_room (tx, 1) && !swarm_runner_time_is_up (self->leader->runner)) {
    Report *report = g_queue_pop_head (&self->queue);
    g_hash_table_steal (self->reports, &report->task);
    write_report (self, report, tx);
    g_ptr_array_add (self->flying, report);
  }
  return self->queue.length > 0;
}

static void
writer_put_back (SwarmStatusWriter *self, Report *report)
{
  Report *newer = g_hash_table_lookup (self->reports, &report->task);
  if (newer == NULL) {
    g_hash_table_insert (self->reports, &report->task, report);
    g_queue_push_tail (&self->queue, report);
    return;
  }
  report_merge (newer, report->status->state > newer->status->state ? report->status : newer->status);
  g_ptr_array_extend (newer->tickets, report->tickets, NULL, NULL);
  report_free (report);
}

static void
writer_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmStatusWriter *self = loop;
  g_autoptr (GPtrArray) flying = g_steal_pointer (&self->flying);
  self->flying = g_ptr_array_new ();
  for (guint i = 0; i < flying->len; i++) {
    Report *report = g_ptr_array_index (flying, i);
    if (error != NULL) {
      writer_put_back (self, report);
      continue;
    }
    swarm_tickets_settle (report->tickets, NULL);
    report_free (report);
  }
}

static const SwarmLoopOps writer_ops = { "task status", writer_pass, writer_settle };

SwarmStatusWriter *
swarm_status_writer_new (const SwarmLeader *leader)
{
  SwarmStatusWriter *self = g_new0 (SwarmStatusWriter, 1);
  self->leader = leader;
  self->reports = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  g_queue_init (&self->queue);
  self->flying = g_ptr_array_new ();
  self->loop = swarm_runner_add (leader->runner, &writer_ops, self);
  return self;
}

void
swarm_status_writer_free (SwarmStatusWriter *self)
{
  if (self == NULL)
    return;
  g_autoptr (GError) cancelled = g_error_new (SWARM_ERROR, SWARM_ERROR_CANCELLED, "this manager does not lead any more");
  for (Report *report = g_queue_pop_head (&self->queue); report != NULL; report = g_queue_pop_head (&self->queue))
    g_ptr_array_add (self->flying, report);
  for (guint i = 0; i < self->flying->len; i++) {
    Report *report = g_ptr_array_index (self->flying, i);
    swarm_tickets_settle (report->tickets, cancelled);
    report_free (report);
  }
  g_ptr_array_unref (self->flying);
  g_hash_table_unref (self->reports);
  g_free (self);
}
