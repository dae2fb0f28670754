// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a node keeps on disk of each task that it accepted, so that no task runs twice and no exit is lost: not its spec, no secret. */
#pragma once
#include "model/objects.h"

typedef struct {
  SwarmMessage message;
  SwarmId task;
  char *boot_id;           /* of the host when it was accepted */
  SwarmTaskStatus *status; /* accepted, or how it ended */
  gboolean clean;          /* nothing of it is left in the runtime */
  gboolean unproven;       /* it has a health command that has not said yes yet */
  SwarmTask *network;      /* only what the network plugin must know of it; NULL: nothing */
  guint64 container_started; /* of an attachment that was made: when its container's process began, as the kernel counts */
} SwarmWorkerRecord;
SWARM_MESSAGE_DECLARE (SwarmWorkerRecord, swarm_worker_record)

/* @body with a head of @magic (four characters) and a checksum, as the worker's files have it. */
GBytes *swarm_worker_seal (const char *magic, GBytes *body);
GBytes *swarm_worker_unseal (const char *magic, GBytes *bytes, GError **error);
/* With magic and checksum. */
GBytes *swarm_worker_record_to_bytes (const SwarmWorkerRecord *self);
SwarmWorkerRecord *swarm_worker_record_from_bytes (GBytes *bytes, GError **error);
/* "<id>.task"; caller frees. */
char *swarm_worker_record_name (const SwarmId *id);
