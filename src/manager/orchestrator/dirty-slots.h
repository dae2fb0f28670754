// SPDX-License-Identifier: LGPL-2.1-or-later
/* Services that wait for a look, first come first served: whole, or only some of their slots, so that the cost of a look follows what
 * changed. What a pass took comes back when its transaction failed. */
#pragma once
#include "store/store.h"

/* A slot: by its number, or by its node where a service has one on each. */
typedef struct {
  SwarmId service;
  guint64 number;
  SwarmId node;
} SwarmSlotKey;

guint swarm_slot_key_hash (gconstpointer key);
gboolean swarm_slot_key_equal (gconstpointer a, gconstpointer b);
/* The key of @task's slot; @by_node: its service has a slot on each node. */
SwarmSlotKey swarm_slot_key_of (const SwarmTask *task, gboolean by_node);

typedef struct {
  SwarmId service;
  gboolean whole;
  GHashTable *slots; /* set of SwarmSlotKey; nothing when whole */
} SwarmDirtyService;

typedef struct {
  GQueue waiting;      /* of SwarmDirtyService, owned by members */
  GHashTable *members; /* service id → SwarmDirtyService */
  GPtrArray *taken;    /* SwarmDirtyService, of the pass under way */
} SwarmDirtySlots;

void swarm_dirty_slots_init (SwarmDirtySlots *self);
void swarm_dirty_slots_clear (SwarmDirtySlots *self);
/* The whole service. */
void swarm_dirty_slots_mark (SwarmDirtySlots *self, const SwarmId *service);
void swarm_dirty_slots_mark_slot (SwarmDirtySlots *self, const SwarmSlotKey *slot);
/* Takes the first, or a transaction's worth of its slots; NULL: none waits. Valid until it is settled. */
const SwarmDirtyService *swarm_dirty_slots_take (SwarmDirtySlots *self);
/* Takes what still waits of a service of which a part was taken: it is looked at in whole. */
void swarm_dirty_slots_take_rest (SwarmDirtySlots *self, const SwarmId *service);
/* The transaction of the pass ended: on failure what was taken waits again. */
void swarm_dirty_slots_settle (SwarmDirtySlots *self, gboolean ok);
guint swarm_dirty_slots_n_waiting (const SwarmDirtySlots *self);
