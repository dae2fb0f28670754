// SPDX-License-Identifier: LGPL-2.1-or-later
#include "store/entry.h"
#include "base/error.h"
#include <string.h>

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
  SWARM_FIELD (6, "Fields", SwarmAction, fields, UINT),
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
  SWARM_FIELD (8, "Level", SwarmEntry, level, UINT),
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

  if (entry == NULL)
    g_prefix_error (error, "the log has an entry that this version of swarm-agent cannot read (a later one may): ");
  if (entry == NULL || is_understood (entry))
    return entry;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
               "the log has an entry (format %" G_GUINT64_FORMAT ", feature level %" G_GUINT64_FORMAT
               ") that this version of swarm-agent does not know; upgrade it",
               entry->format, MAX (entry->level, 1));
  swarm_entry_unref (entry);
  return NULL;
}

/* ---- writing: the fields of the two tables above, without a message for each change ---- */

enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };

static void
put_number (SwarmBuffer *out, guint number, guint64 value)
{
  if (value == 0)
    return;
  swarm_buffer_append_varint (out, (guint64) number << 3 | WIRE_VARINT);
  swarm_buffer_append_varint (out, value);
}

static void
put_bytes (SwarmBuffer *out, guint number, gconstpointer data, gsize len)
{
  swarm_buffer_append_varint (out, (guint64) number << 3 | WIRE_BYTES);
  swarm_buffer_append_varint (out, len);
  swarm_buffer_append (out, data, len);
}

static void
put_change (SwarmBuffer *out, SwarmBuffer *scratch, const SwarmChange *change, const guint8 *forms)
{
  scratch->len = 0;
  put_number (scratch, 1, change->action);
  put_number (scratch, 2, change->kind);
  put_bytes (scratch, 3, &change->id, sizeof change->id);
  put_number (scratch, 4, change->version);
  put_number (scratch, 6, change->fields);
  if (change->object != NULL)
    put_bytes (scratch, 5, forms + change->start, change->len);
  put_bytes (out, 7, scratch->data, scratch->len);
}

GBytes *
swarm_entry_encode (const SwarmEntryHead *head, const SwarmChange *changes, guint n_changes, const guint8 *forms)
{
  SwarmBuffer out = { 0 }, scratch = { 0 };

  put_number (&out, 1, SWARM_ENTRY_FORMAT);
  put_bytes (&out, 2, &head->proposer, sizeof head->proposer);
  put_number (&out, 3, head->sequence);
  put_number (&out, 4, (guint64) head->stamp);
  if (head->request_id != NULL)
    put_bytes (&out, 5, head->request_id, strlen (head->request_id));
  if (head->result != NULL)
    put_bytes (&out, 6, g_bytes_get_data (head->result, NULL), g_bytes_get_size (head->result));
  for (guint i = 0; i < n_changes; i++)
    put_change (&out, &scratch, &changes[i], forms);
  if (head->level > 1)
    put_number (&out, 8, head->level);
  g_free (scratch.data);
  /* It stays in memory until the next snapshot: no larger than it is. */
  return g_bytes_new_take (g_realloc (out.data, out.len), out.len);
}

gboolean
swarm_entry_peek (GBytes *data, SwarmId *ret_proposer, guint64 *ret_sequence)
{
  static const guint8 begin[] = { 1 << 3 | WIRE_VARINT, SWARM_ENTRY_FORMAT, 2 << 3 | WIRE_BYTES, sizeof (SwarmId) };
  gsize len, at = sizeof begin + sizeof (SwarmId) + 1;
  const guint8 *bytes = g_bytes_get_data (data, &len);
  guint64 sequence = 0;

  if (len < at || memcmp (bytes, begin, sizeof begin) != 0 || bytes[at - 1] != (3 << 3 | WIRE_VARINT))
    return FALSE;
  for (guint shift = 0; shift < 64 && at < len; shift += 7) {
    sequence |= (guint64) (bytes[at] & 0x7f) << shift;
    if (bytes[at++] < 0x80) {
      memcpy (ret_proposer, bytes + sizeof begin, sizeof *ret_proposer);
      *ret_sequence = sequence;
      return TRUE;
    }
  }
  return FALSE;
}

/* ---- results ---- */

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
