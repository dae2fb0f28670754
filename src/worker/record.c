// SPDX-License-Identifier: LGPL-2.1-or-later
#include "worker/record.h"
#include "base/error.h"
#include <string.h>

#define MAGIC "SWT1"
#define HEAD_SIZE 12 /* magic, checksum */

static const SwarmField swarm_worker_record_fields[] = {
  SWARM_FIELD (1, "Task", SwarmWorkerRecord, task, ID, .doc = "The task."),
  SWARM_FIELD (2, "BootID", SwarmWorkerRecord, boot_id, STRING, .doc = "Boot of the host in which it was accepted."),
  SWARM_FIELD (3, "Status", SwarmWorkerRecord, status, MESSAGE, .type = &swarm_task_status_type, .doc = "Accepted, or how it ended."),
  SWARM_FIELD (4, "Clean", SwarmWorkerRecord, clean, BOOL, .doc = "Nothing of it is left in the runtime."),
  SWARM_FIELD (5, "Unproven", SwarmWorkerRecord, unproven, BOOL, .doc = "Its health command has not said yes yet."),
  SWARM_FIELD (6, "Network", SwarmWorkerRecord, network, MESSAGE, .type = &swarm_task_type, .doc = "What the network plugin must know of it."),
  SWARM_FIELD (7, "ContainerStarted", SwarmWorkerRecord, container_started, UINT, .doc = "Of an attachment: when its container's process began."),
  { 0 },
};
const SwarmType swarm_worker_record_type = { "SwarmWorkerRecord", sizeof (SwarmWorkerRecord), swarm_worker_record_fields, NULL };

/* FNV-1a, 64 bit (http://www.isthe.com/chongo/tech/comp/fnv/): against rot, not against people. */
static guint64
checksum (const guint8 *data, gsize length)
{
  guint64 sum = 14695981039346656037u;

  for (gsize i = 0; i < length; i++)
    sum = (sum ^ data[i]) * 1099511628211u;
  return GUINT64_TO_LE (sum);
}

GBytes *
swarm_worker_seal (const char *magic, GBytes *body)
{
  gsize length;
  const guint8 *data = g_bytes_get_data (body, &length);
  guint8 *whole = g_malloc (HEAD_SIZE + length);
  guint64 sum = checksum (data, length);

  memcpy (whole, magic, 4);
  memcpy (whole + 4, &sum, sizeof sum);
  if (length > 0)
    memcpy (whole + HEAD_SIZE, data, length);
  return g_bytes_new_take (whole, HEAD_SIZE + length);
}

GBytes *
swarm_worker_unseal (const char *magic, GBytes *bytes, GError **error)
{
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  guint64 sum;

  if (length < HEAD_SIZE || memcmp (data, magic, 4) != 0) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "it is something else, or cut short");
    return NULL;
  }
  memcpy (&sum, data + 4, sizeof sum);
  if (sum != checksum (data + HEAD_SIZE, length - HEAD_SIZE)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "its checksum does not match");
    return NULL;
  }
  return g_bytes_new_from_bytes (bytes, HEAD_SIZE, length - HEAD_SIZE);
}

GBytes *
swarm_worker_record_to_bytes (const SwarmWorkerRecord *self)
{
  g_autoptr (GBytes) body = swarm_message_encode (self);

  return swarm_worker_seal (MAGIC, body);
}

SwarmWorkerRecord *
swarm_worker_record_from_bytes (GBytes *bytes, GError **error)
{
  g_autoptr (GBytes) body = swarm_worker_unseal (MAGIC, bytes, error);

  return body != NULL ? swarm_message_decode (&swarm_worker_record_type, body, error) : NULL;
}

char *
swarm_worker_record_name (const SwarmId *id)
{
  return g_strconcat (swarm_id_string (id).str, ".task", NULL);
}
