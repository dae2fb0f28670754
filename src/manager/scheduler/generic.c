// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/generic.h"

static const GPtrArray *
things_of (const SwarmNodeInfo *info)
{
  const SwarmNodeDescription *description = info->node != NULL ? info->node->description : NULL;
  return description != NULL && description->resources != NULL ? description->resources->generic : NULL;
}

static gboolean
is_claimed (const SwarmNodeInfo *info, const SwarmNamedResource *thing)
{
  for (guint i = 0; info->claims != NULL && i < info->claims->len; i++) {
    const SwarmGenericResource *claim = g_ptr_array_index (info->claims, i);
    if (claim->named != NULL && g_strcmp0 (claim->named->kind, thing->kind) == 0 && g_strcmp0 (claim->named->value, thing->value) == 0)
      return TRUE;
  }
  return FALSE;
}

static gint64
claimed_number (const SwarmNodeInfo *info, const char *kind)
{
  gint64 n = 0;
  for (guint i = 0; info->claims != NULL && i < info->claims->len; i++) {
    const SwarmGenericResource *claim = g_ptr_array_index (info->claims, i);
    if (claim->discrete != NULL && g_strcmp0 (claim->discrete->kind, kind) == 0)
      n += claim->discrete->value;
  }
  return n;
}

/* Free things of @kind; @names (may be NULL) gets those that have names. */
static gint64
free_of (const SwarmNodeInfo *info, const char *kind, GPtrArray *names)
{
  const GPtrArray *things = things_of (info);
  gint64 n = 0;
  for (guint i = 0; things != NULL && i < things->len; i++) {
    SwarmGenericResource *thing = g_ptr_array_index (things, i);
    if (thing->named != NULL && g_strcmp0 (thing->named->kind, kind) == 0 && !is_claimed (info, thing->named)) {
      n++;
      if (names != NULL)
        g_ptr_array_add (names, thing);
    } else if (thing->discrete != NULL && g_strcmp0 (thing->discrete->kind, kind) == 0) {
      n += thing->discrete->value - claimed_number (info, kind);
    }
  }
  return n;
}

guint
swarm_generic_room (const SwarmNodeInfo *info, const GPtrArray *reserved)
{
  guint room = G_MAXUINT;
  for (guint i = 0; reserved != NULL && i < reserved->len; i++) {
    const SwarmDiscreteResource *wanted = ((SwarmGenericResource *) g_ptr_array_index (reserved, i))->discrete;
    if (wanted == NULL || wanted->value <= 0)
      continue;
    gint64 n = free_of (info, wanted->kind, NULL);
    room = n <= 0 ? 0 : (guint) MIN (room, n / wanted->value);
  }
  return room;
}

static void
claim_kind (const SwarmNodeInfo *info, const SwarmDiscreteResource *wanted, GPtrArray *claims)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  free_of (info, wanted->kind, names);
  if (names->len == 0) {
    SwarmGenericResource *claim = swarm_generic_resource_new ();
    claim->discrete = swarm_discrete_resource_ref (wanted);
    g_ptr_array_add (claims, claim);
    return;
  }
  for (guint i = 0; i < names->len && i < wanted->value; i++)
    g_ptr_array_add (claims, swarm_message_ref (names->pdata[i]));
}

GPtrArray *
swarm_generic_claim (const SwarmNodeInfo *info, const GPtrArray *reserved)
{
  if (reserved == NULL || reserved->len == 0)
    return NULL;
  GPtrArray *claims = swarm_messages_new ();
  for (guint i = 0; i < reserved->len; i++) {
    const SwarmDiscreteResource *wanted = ((SwarmGenericResource *) g_ptr_array_index (reserved, i))->discrete;
    if (wanted != NULL && wanted->value > 0)
      claim_kind (info, wanted, claims);
  }
  return claims;
}
