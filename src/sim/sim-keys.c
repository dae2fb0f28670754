// SPDX-License-Identifier: LGPL-2.1-or-later
/* The public keys of a host for encrypted networks, as swarm-netd would make them: one while there is such a network, and now and then a second one,
 * which takes over. They outlive the agent, not the host's power. */
#include "sim/sim-machine.h"
#include <string.h>

#define LOOK_US (2 * G_TIME_SPAN_SECOND)
#define LOOKS_OF_KEY 13     /* a key serves for so long */
#define LOOKS_OF_OVERLAP 4 /* and then two do */

static void
has_encrypted (gpointer row, gpointer data)
{
  *(gboolean *) data |= ((const SwarmPictureNetwork *) row)->encrypted;
}

/* No two machines, and no two times, have the same one. */
static SwarmNetworkKey *
key_new (SimMachine *self, guint64 slot)
{
  guint8 bytes[SWARM_NETWORK_KEY_SIZE] = { 0 };
  guint32 number = GUINT32_TO_LE (++self->keys_made);
  SwarmNetworkKey *key = swarm_network_key_new ();
  memcpy (bytes, &self->id, sizeof self->id);
  memcpy (bytes + sizeof self->id, &number, sizeof number);
  key->slot = slot;
  key->newest = TRUE;
  key->key = g_bytes_new (bytes, sizeof bytes);
  return key;
}

static SwarmNetworkKey *
key_at (const SimMachine *self, guint i)
{
  return g_ptr_array_index (self->keys, i);
}

/* Messages are shared, and never changed: lists as well. */
static GPtrArray *
keys_next (SimMachine *self, gboolean wanted)
{
  GPtrArray *keys = swarm_messages_new ();
  guint n = self->keys != NULL ? self->keys->len : 0;
  if (wanted && n == 1) {
    SwarmNetworkKey *old = swarm_network_key_copy (key_at (self, 0));
    old->newest = FALSE;
    g_ptr_array_add (keys, old);
    g_ptr_array_add (keys, key_new (self, !old->slot));
  } else if (wanted) {
    g_ptr_array_add (keys, n == 0 ? key_new (self, 0) : swarm_network_key_ref (key_at (self, 1)));
  }
  return keys;
}

static void
look (gpointer data)
{
  SimMachine *self = data;
  guint n = self->keys != NULL ? self->keys->len : 0;
  gboolean wanted = FALSE;
  self->keys_timer = swarm_clock_timer (self->clock, LOOK_US, SWARM_PRIORITY_NORMAL, look, self);
  swarm_worker_picture_foreach (self->worker, SWARM_KIND_NETWORK, has_encrypted, &wanted);
  self->keys_looks++;
  if (wanted ? n > 0 && self->keys_looks < (n == 1 ? LOOKS_OF_KEY : LOOKS_OF_OVERLAP) : n == 0)
    return;
  GPtrArray *keys = keys_next (self, wanted);
  g_clear_pointer (&self->keys, g_ptr_array_unref);
  self->keys = keys;
  self->keys_looks = 0;
  swarm_worker_describe (self->worker);
}

void
sim_machine_start_keys (SimMachine *self)
{
  self->keys_timer = swarm_clock_timer (self->clock, LOOK_US, SWARM_PRIORITY_NORMAL, look, self);
}

void
sim_machine_stop_keys (SimMachine *self)
{
  swarm_clock_clear_timer (self->clock, &self->keys_timer);
}

void
sim_machine_lose_keys (SimMachine *self)
{
  g_clear_pointer (&self->keys, g_ptr_array_unref);
  self->keys_looks = 0;
}
