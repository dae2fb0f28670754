// SPDX-License-Identifier: LGPL-2.1-or-later
#include "store/entry.h"
#include "base/error.h"

static const SwarmEnum action_kind_enum = { "action",
                                            (const SwarmEnumRow[]){ { SWARM_ACTION_CREATE, "create" },
                                                                    { SWARM_ACTION_UPDATE, "update" },
                                                                    { SWARM_ACTION_REMOVE, "remove" },
                                                                    { 0, NULL } } };

static const SwarmField swarm_action_fields[] = {
  SWARM_FIELD (1, "Action", SwarmAction, action, ENUM, .enumeration = &action_kind_enum),
  SWARM_FIELD (2, "Kind", SwarmAction, kind, ENUM, .enumeration = &swarm_kind_enum),
  SWARM_FIELD (3, "ID", SwarmAction, id, ID),
  SWARM_FIELD (4, "Version", SwarmAction, version, UINT),
  SWARM_FIELD (5, "Object", SwarmAction, object, BYTES),
  { 0 },
};
const SwarmType swarm_action_type = { "SwarmAction", sizeof (SwarmAction), swarm_action_fields, NULL };

static const SwarmField swarm_entry_fields[] = {
  SWARM_FIELD (1, "Format", SwarmEntry, format, UINT),
  SWARM_FIELD (2, "Proposer", SwarmEntry, proposer, ID),
  SWARM_FIELD (3, "Sequence", SwarmEntry, sequence, UINT),
  SWARM_FIELD (4, "Stamp", SwarmEntry, stamp, TIME),
  SWARM_FIELD (5, "RequestID", SwarmEntry, request_id, STRING),
  SWARM_FIELD (6, "Result", SwarmEntry, result, BYTES),
  SWARM_FIELD (7, "Actions", SwarmEntry, actions, MESSAGES, .type = &swarm_action_type),
  { 0 },
};
const SwarmType swarm_entry_type = { "SwarmEntry", sizeof (SwarmEntry), swarm_entry_fields, NULL };

static gboolean
is_understood (const SwarmEntry *entry)
{
  if (entry->format != SWARM_ENTRY_FORMAT || entry->message.unknown != NULL)
    return FALSE;
  for (guint i = 0; entry->actions != NULL && i < entry->actions->len; i++) {
    const SwarmAction *action = entry->actions->pdata[i];

    if (action->message.unknown != NULL || swarm_kind_type (action->kind) == NULL || swarm_id_is_nil (&action->id)
        || (action->action != SWARM_ACTION_REMOVE && action->object == NULL))
      return FALSE;
  }
  return TRUE;
}

SwarmEntry *
swarm_entry_decode (GBytes *data, GError **error)
{
  SwarmEntry *entry = swarm_message_decode (&swarm_entry_type, data, error);

  if (entry == NULL || is_understood (entry))
    return entry;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
               "the log has an entry (format %" G_GUINT64_FORMAT ") that this version of swarm-agent does not know; upgrade it",
               entry->format);
  swarm_entry_unref (entry);
  return NULL;
}

/* GVariant's bytes are in the machine's order; stored ones are little-endian. */
static GVariant *
to_stored_order (GVariant *value)
{
  return G_BYTE_ORDER == G_LITTLE_ENDIAN ? g_variant_ref (value) : g_variant_byteswap (value);
}

GBytes *
swarm_result_encode (GVariant *result)
{
  g_autoptr (GVariant) boxed = g_variant_ref_sink (g_variant_new_variant (result));
  g_autoptr (GVariant) normal = g_variant_get_normal_form (boxed);
  g_autoptr (GVariant) stored = to_stored_order (normal);

  return g_bytes_new (g_variant_get_data (stored), g_variant_get_size (stored));
}

GVariant *
swarm_result_decode (GBytes *bytes)
{
  g_autoptr (GVariant) stored = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_VARIANT, bytes, FALSE));
  g_autoptr (GVariant) boxed = to_stored_order (stored);

  return g_variant_is_normal_form (boxed) ? g_variant_get_variant (boxed) : NULL;
}
