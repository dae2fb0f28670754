// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/status-report.h"
#include "base/error.h"
#include <string.h>

/* What an agent sends is far below; what is far above would fit into no transaction. */
#define MAX_STATUS_BYTES (64 * 1024)
/* The year 2200: a stamp is one of a clock, and differences of two do not overflow. */
#define MAX_TIMESTAMP_US (G_GINT64_CONSTANT (7258118400) * G_USEC_PER_SEC)

static void
report_clear (gpointer data)
{
  swarm_task_status_unref (((SwarmReport *) data)->status);
}

static gboolean
refuse (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

static gboolean
refuse (GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  *error = g_error_new_valist (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, format, args);
  va_end (args);
  return FALSE;
}

static gboolean
check_status (const SwarmTaskStatus *status, gsize size, GError **error)
{
  if (size > MAX_STATUS_BYTES)
    return refuse (error, "a task's status of %" G_GSIZE_FORMAT " bytes, at most %d are allowed", size, MAX_STATUS_BYTES);
  if (status->state < SWARM_TASK_ACCEPTED || status->state > SWARM_TASK_REJECTED)
    return refuse (error, "a node may not report the state %d", status->state);
  return TRUE;
}

/* FALSE: refused. TRUE and no status: there is nothing to be written. */
static gboolean
read_report (SwarmStore *store, const SwarmId *node, GVariant *id, GVariant *data, SwarmReport *ret, GError **error)
{
  gsize len;
  const guint8 *bytes = g_variant_get_fixed_array (id, &len, 1);
  if (len != sizeof ret->task.bytes)
    return refuse (error, "a task id has %" G_GSIZE_FORMAT " bytes", len);
  memcpy (ret->task.bytes, bytes, len);
  const SwarmTask *task = swarm_store_get (store, SWARM_KIND_TASK, &ret->task);
  if (task == NULL)
    return TRUE; /* removed meanwhile */
  if (!swarm_id_equal (&task->node_id, node))
    return refuse (error, "task %s does not belong to this node", swarm_id_string (&ret->task).str);
  if (task->status->state < SWARM_TASK_ASSIGNED)
    return refuse (error, "task %s is not assigned to this node yet", swarm_id_string (&ret->task).str);
  g_autoptr (GBytes) encoded = g_variant_get_data_as_bytes (data);
  g_autoptr (SwarmTaskStatus) status = swarm_message_decode (&swarm_task_status_type, encoded, error);
  if (status == NULL || !check_status (status, g_bytes_get_size (encoded), error))
    return FALSE;
  /* A node whose clock is out of its mind is believed all the same: the manager's counts then. */
  if (status->timestamp < 0 || status->timestamp > MAX_TIMESTAMP_US)
    status->timestamp = 0;
  ret->status = g_steal_pointer (&status);
  return TRUE;
}

static GVariant *
shortened (GVariant *id)
{
  gsize len;
  const guint8 *bytes = g_variant_get_fixed_array (id, &len, 1);
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, MIN (len, sizeof (SwarmId)), 1);
}

GArray *
swarm_status_reports_read (SwarmStore *store, const SwarmId *node, GVariant *updates, GVariant **ret_refused)
{
  GArray *reports = g_array_new (FALSE, FALSE, sizeof (SwarmReport));
  GVariantBuilder refused;
  g_array_set_clear_func (reports, report_clear);
  g_variant_builder_init (&refused, G_VARIANT_TYPE ("a(ays)"));
  for (gsize i = 0; i < g_variant_n_children (updates); i++) {
    g_autoptr (GVariant) pair = g_variant_get_child_value (updates, i);
    g_autoptr (GVariant) id = g_variant_get_child_value (pair, 0);
    g_autoptr (GVariant) data = g_variant_get_child_value (pair, 1);
    g_autoptr (GError) error = NULL;
    SwarmReport report = { 0 };
    if (!read_report (store, node, id, data, &report, &error))
      g_variant_builder_add (&refused, "(@ays)", shortened (id), error->message);
    else if (report.status != NULL)
      g_array_append_val (reports, report);
  }
  *ret_refused = g_variant_ref_sink (g_variant_builder_end (&refused));
  return reports;
}
