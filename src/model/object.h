// SPDX-License-Identifier: LGPL-2.1-or-later
/* What every stored object has in common. Committed objects are immutable and shared by reference. */
#pragma once
#include "base/field.h"

typedef enum {
  SWARM_KIND_CLUSTER,
  SWARM_KIND_NODE,
  SWARM_KIND_SERVICE,
  SWARM_KIND_TASK,
  SWARM_KIND_NETWORK,
  SWARM_KIND_SECRET,
  SWARM_KIND_CONFIG,
  SWARM_KIND_VOLUME,
  _SWARM_KIND_MAX,
} SwarmKind;
SWARM_ENUM_DECLARE (SwarmKind, swarm_kind) /* "cluster", "node", … */

/* In sanitized builds the store notices who changes an object that it shares. */
#ifdef __SANITIZE_ADDRESS__
#define SWARM_OBJECT_GUARD 1
#endif

/* First member of every object struct (field numbers 1–4 of every object's table). */
typedef struct {
  SwarmMessage message;
  SwarmId id;
  guint64 version; /* log index of the last change */
  gint64 created_at;
  gint64 updated_at;
#ifdef SWARM_OBJECT_GUARD
  guint sum; /* of what the store was given */
#endif
} SwarmObject;

/* The message type of a kind (NULL for kinds that do not exist yet), and back. */
const SwarmType *swarm_kind_type (SwarmKind kind);
SwarmKind swarm_object_kind (const SwarmObject *object);
/* Spec name of an object (service, network, … and hostname of a node; "" for tasks); borrowed. */
const char *swarm_object_name (const SwarmObject *object);

#define SWARM_OBJECT(o) ((SwarmObject *) (o))

/* Name rules: services and networks are DNS labels ≤ 63, swarm's exact messages. */
gboolean swarm_validate_service_name (const char *name, GError **error);
