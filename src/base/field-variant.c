// SPDX-License-Identifier: LGPL-2.1-or-later
/* Messages as a{sv}. */
#include "base/field-private.h"
#include <string.h>

/* ---- giving ---- */

static GVariant *
strings_to_variant (GPtrArray *strings)
{
  return g_variant_new_strv (strings != NULL ? (const char *const *) strings->pdata : NULL, strings != NULL ? (gssize) strings->len : 0);
}

static GVariant *
ids_to_variant (GArray *ids)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("as"));

  for (guint i = 0; ids != NULL && i < ids->len; i++)
    g_variant_builder_add (&builder, "s", swarm_id_string (&g_array_index (ids, SwarmId, i)).str);
  return g_variant_builder_end (&builder);
}

static GVariant *
messages_to_variant (GPtrArray *messages, SwarmFormFlags flags)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("av"));

  for (guint i = 0; messages != NULL && i < messages->len; i++)
    g_variant_builder_add (&builder, "v", swarm_message_to_variant (messages->pdata[i], flags));
  return g_variant_builder_end (&builder);
}

static GVariant *
map_to_variant (GHashTable *map)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{ss}"));
  g_autoptr (GPtrArray) keys = swarm_map_sorted_keys (map);

  for (guint i = 0; i < keys->len; i++)
    g_variant_builder_add (&builder, "{ss}", keys->pdata[i], g_hash_table_lookup (map, keys->pdata[i]));
  return g_variant_builder_end (&builder);
}

static GVariant *
bytes_to_variant (GBytes *bytes)
{
  gsize len = 0;
  gconstpointer data = bytes != NULL ? g_bytes_get_data (bytes, &len) : NULL;

  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, data, len, 1);
}

static GVariant *
field_to_variant (const SwarmField *field, gconstpointer message, SwarmFormFlags flags)
{
  switch (field->kind) {
  case SWARM_FIELD_BOOL:
    return g_variant_new_boolean (swarm_field_get_number (field, message) != 0);
  case SWARM_FIELD_INT:
  case SWARM_FIELD_DURATION:
    return g_variant_new_int64 (swarm_field_get_number (field, message));
  case SWARM_FIELD_UINT:
    return g_variant_new_uint64 ((guint64) swarm_field_get_number (field, message));
  case SWARM_FIELD_DOUBLE:
    return g_variant_new_double (SWARM_MEMBER (double, message, field));
  case SWARM_FIELD_BYTES:
    return bytes_to_variant (SWARM_MEMBER (GBytes *, message, field));
  case SWARM_FIELD_MESSAGE:
    return swarm_message_to_variant (SWARM_MEMBER (gpointer, message, field), flags);
  case SWARM_FIELD_STRINGS:
    return strings_to_variant (SWARM_MEMBER (GPtrArray *, message, field));
  case SWARM_FIELD_IDS:
    return ids_to_variant (SWARM_MEMBER (GArray *, message, field));
  case SWARM_FIELD_MESSAGES:
    return messages_to_variant (SWARM_MEMBER (GPtrArray *, message, field), flags);
  case SWARM_FIELD_MAP:
    return map_to_variant (SWARM_MEMBER (GHashTable *, message, field));
  default:
    return g_variant_new_take_string (swarm_field_get_text (field, message));
  }
}

/* "Version.Index" is shown as a dictionary "Version" with the one key "Index". */
static void
add_entry (GVariantBuilder *builder, const char *name, GVariant *value)
{
  const char *dot = strchr (name, '.');
  g_autofree char *first = NULL;
  GVariantBuilder inner = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);

  if (dot == NULL) {
    g_variant_builder_add (builder, "{sv}", name, value);
    return;
  }
  first = g_strndup (name, (gsize) (dot - name));
  g_variant_builder_add (&inner, "{sv}", dot + 1, value);
  g_variant_builder_add (builder, "{sv}", first, g_variant_builder_end (&inner));
}

GVariant *
swarm_message_to_variant (gconstpointer message, SwarmFormFlags flags)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);

  for (const SwarmField *field = ((const SwarmMessage *) message)->type->fields; field->number != 0; field++)
    if (swarm_field_is_shown (field, message, flags))
      add_entry (&builder, field->name, field_to_variant (field, message, flags));
  return g_variant_builder_end (&builder);
}

/* ---- taking ---- */

static gboolean parse_message (gpointer message, GVariant *dict, SwarmFormFlags flags, const SwarmPath *path, GError **error);

/* Variants inside variants are unwrapped: callers' bindings differ in how many they make. */
static GVariant *
unwrap (GVariant *value)
{
  g_variant_ref (value);
  while (g_variant_classify (value) == G_VARIANT_CLASS_VARIANT) {
    GVariant *inner = g_variant_get_variant (value);

    g_variant_unref (value);
    value = inner;
  }
  return value;
}

static gboolean
wrong_type (const SwarmField *field, GVariant *value, const SwarmPath *path, GError **error)
{
  g_autofree char *got = g_strdup_printf ("type \"%s\"", g_variant_get_type_string (value));

  return swarm_path_error_type (path, field->kind, got, error);
}

/* Sign and magnitude of any integer type. */
static gboolean
get_integer (GVariant *value, gboolean *ret_negative, guint64 *ret_magnitude)
{
  gint64 number;

  *ret_negative = FALSE;
  switch (g_variant_classify (value)) {
  case G_VARIANT_CLASS_BYTE:
    *ret_magnitude = g_variant_get_byte (value);
    return TRUE;
  case G_VARIANT_CLASS_UINT16:
    *ret_magnitude = g_variant_get_uint16 (value);
    return TRUE;
  case G_VARIANT_CLASS_UINT32:
    *ret_magnitude = g_variant_get_uint32 (value);
    return TRUE;
  case G_VARIANT_CLASS_UINT64:
    *ret_magnitude = g_variant_get_uint64 (value);
    return TRUE;
  case G_VARIANT_CLASS_INT16:
    number = g_variant_get_int16 (value);
    break;
  case G_VARIANT_CLASS_INT32:
    number = g_variant_get_int32 (value);
    break;
  case G_VARIANT_CLASS_INT64:
    number = g_variant_get_int64 (value);
    break;
  default:
    return FALSE;
  }
  *ret_negative = number < 0;
  *ret_magnitude = number < 0 ? -(guint64) number : (guint64) number;
  return TRUE;
}

static gboolean
parse_number (const SwarmField *field, gpointer message, GVariant *value, const SwarmPath *path, GError **error)
{
  gboolean negative;
  guint64 magnitude;

  if (field->kind == SWARM_FIELD_BOOL) {
    if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
      return wrong_type (field, value, path, error);
    swarm_field_set_number (field, message, g_variant_get_boolean (value));
    return TRUE;
  }
  if (field->kind == SWARM_FIELD_DOUBLE && g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
    return swarm_field_set_double (field, message, g_variant_get_double (value), path, error);
  if (!get_integer (value, &negative, &magnitude))
    return wrong_type (field, value, path, error);
  if (field->kind != SWARM_FIELD_DOUBLE)
    return swarm_field_set_integer (field, message, negative, magnitude, path, error);
  SWARM_MEMBER (double, message, field) = negative ? -(double) magnitude : (double) magnitude;
  return TRUE;
}

static gboolean
parse_bytes (const SwarmField *field, gpointer message, GVariant *value, const SwarmPath *path, GError **error)
{
  gconstpointer data;
  gsize len;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return wrong_type (field, value, path, error);
  data = g_variant_get_fixed_array (value, &len, 1);
  SWARM_MEMBER (GBytes *, message, field) = g_bytes_new (data, len);
  return TRUE;
}

static gboolean
parse_nested (const SwarmField *field, gpointer message, GVariant *value, SwarmFormFlags flags, const SwarmPath *path, GError **error)
{
  gpointer nested = swarm_message_new (field->type);

  /* Handed over first, so that an error frees it with the rest. */
  if (field->kind == SWARM_FIELD_MESSAGE)
    SWARM_MEMBER (gpointer, message, field) = nested;
  else
    swarm_field_add_message (field, message, nested);
  return parse_message (nested, value, flags, path, error);
}

static gboolean
parse_element (const SwarmField *field, gpointer message, GVariant *value, SwarmFormFlags flags, const SwarmPath *path, GError **error)
{
  if (field->kind == SWARM_FIELD_MESSAGES)
    return parse_nested (field, message, value, flags, path, error);
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return wrong_type (field, value, path, error);
  return swarm_field_add_text (field, message, g_variant_get_string (value, NULL), path, error);
}

static gboolean
parse_list (const SwarmField *field, gpointer message, GVariant *value, SwarmFormFlags flags, SwarmPath *path, GError **error)
{
  gsize n;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_ARRAY) || g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY))
    return wrong_type (field, value, path, error);
  if ((n = g_variant_n_children (value)) > SWARM_FIELD_MAX_ELEMENTS)
    return swarm_path_error_too_many (path, error);
  for (gsize i = 0; i < n; i++) {
    g_autoptr (GVariant) child = g_variant_get_child_value (value, i);
    g_autoptr (GVariant) element = unwrap (child);

    path->index = (int) i;
    if (!parse_element (field, message, element, flags, path, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
parse_map (const SwarmField *field, gpointer message, GVariant *value, const SwarmPath *path, GError **error)
{
  gsize n;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("a{ss}")) && !g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT))
    return wrong_type (field, value, path, error);
  if ((n = g_variant_n_children (value)) > SWARM_FIELD_MAX_ELEMENTS)
    return swarm_path_error_too_many (path, error);
  for (gsize i = 0; i < n; i++) {
    g_autoptr (GVariant) entry = g_variant_get_child_value (value, i);
    g_autoptr (GVariant) key = g_variant_get_child_value (entry, 0);
    g_autoptr (GVariant) raw = g_variant_get_child_value (entry, 1);
    g_autoptr (GVariant) text = unwrap (raw);

    if (!g_variant_is_of_type (text, G_VARIANT_TYPE_STRING))
      return wrong_type (field, value, path, error);
    swarm_field_add_pair (field, message, g_variant_get_string (key, NULL), g_variant_get_string (text, NULL));
  }
  return TRUE;
}

static gboolean
parse_value (const SwarmField *field, gpointer message, GVariant *value, SwarmFormFlags flags, SwarmPath *path, GError **error)
{
  switch (field->kind) {
  case SWARM_FIELD_BOOL:
  case SWARM_FIELD_INT:
  case SWARM_FIELD_UINT:
  case SWARM_FIELD_DURATION:
  case SWARM_FIELD_DOUBLE:
    return parse_number (field, message, value, path, error);
  case SWARM_FIELD_BYTES:
    return parse_bytes (field, message, value, path, error);
  case SWARM_FIELD_MESSAGE:
    return parse_nested (field, message, value, flags, path, error);
  case SWARM_FIELD_STRINGS:
  case SWARM_FIELD_IDS:
  case SWARM_FIELD_MESSAGES:
    return parse_list (field, message, value, flags, path, error);
  case SWARM_FIELD_MAP:
    return parse_map (field, message, value, path, error);
  default:
    if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
      return wrong_type (field, value, path, error);
    return swarm_field_set_text (field, message, g_variant_get_string (value, NULL), path, error);
  }
}

/* The value of the one key @rest of a dictionary, for dotted rows. */
static gboolean
parse_dotted (const SwarmField *field, gpointer message, const char *rest, GVariant *dict, SwarmFormFlags flags,
              const SwarmPath *path, GError **error)
{
  g_autoptr (GVariant) value = NULL;
  SwarmPath inner = { path, rest, -1 };

  if (!g_variant_is_of_type (dict, G_VARIANT_TYPE_VARDICT))
    return swarm_path_error_type (path, SWARM_FIELD_MESSAGE, "something else", error);
  value = g_variant_lookup_value (dict, rest, NULL);
  if (value == NULL || g_variant_n_children (dict) != 1)
    return swarm_path_error (path, error, "expected exactly the key \"%s\"", rest);
  return parse_value (field, message, value, flags, &inner, error);
}

static gboolean
parse_entry (gpointer message, const char *key, GVariant *value, SwarmFormFlags flags, const SwarmPath *path, guint64 *seen,
             GError **error)
{
  const SwarmType *type = ((SwarmMessage *) message)->type;
  SwarmPath here = { path, key, -1 };
  const char *rest;
  const SwarmField *field = swarm_type_find (type, key, flags, &rest);
  guint64 bit;

  if (field == NULL)
    return swarm_path_error_unknown (&here, error);
  bit = G_GUINT64_CONSTANT (1) << (field - type->fields);
  if ((*seen & bit) != 0)
    return swarm_path_error (&here, error, "given twice");
  *seen |= bit;
  if (rest != NULL)
    return parse_dotted (field, message, rest, value, flags, &here, error);
  return parse_value (field, message, value, flags, &here, error);
}

static gboolean
parse_message (gpointer message, GVariant *dict, SwarmFormFlags flags, const SwarmPath *path, GError **error)
{
  guint64 seen = 0; /* one bit for each row */
  gsize n;

  if (!g_variant_is_of_type (dict, G_VARIANT_TYPE_VARDICT)) {
    g_autofree char *got = g_strdup_printf ("type \"%s\"", g_variant_get_type_string (dict));
    return swarm_path_error_type (path, SWARM_FIELD_MESSAGE, got, error);
  }
  n = g_variant_n_children (dict);
  for (gsize i = 0; i < n; i++) {
    g_autoptr (GVariant) entry = g_variant_get_child_value (dict, i);
    g_autoptr (GVariant) key = g_variant_get_child_value (entry, 0);
    g_autoptr (GVariant) raw = g_variant_get_child_value (entry, 1);
    g_autoptr (GVariant) value = unwrap (raw);

    if (!parse_entry (message, g_variant_get_string (key, NULL), value, flags, path, &seen, error))
      return FALSE;
  }
  return TRUE;
}

gpointer
swarm_message_from_variant (const SwarmType *type, GVariant *dict, SwarmFormFlags flags, GError **error)
{
  gpointer message = swarm_message_new (type);
  g_autoptr (GVariant) plain = unwrap (dict);

  if (parse_message (message, plain, flags, NULL, error) && swarm_message_validate (message, error))
    return message;
  swarm_message_unref (message);
  return NULL;
}
