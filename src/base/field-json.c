// SPDX-License-Identifier: LGPL-2.1-or-later
/* Messages as JSON. */
#include "base/field-private.h"
#include <string.h>

/* ---- giving ---- */

static JsonNode *
string_node (const char *text)
{
  return json_node_init_string (json_node_alloc (), text);
}

static JsonNode *
int_node (gint64 value)
{
  return json_node_init_int (json_node_alloc (), value);
}

static JsonNode *
take_array (JsonArray *array)
{
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);

  json_node_take_array (node, array);
  return node;
}

static JsonNode *
take_object (JsonObject *object)
{
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);

  json_node_take_object (node, object);
  return node;
}

static JsonNode *
list_to_json (const SwarmField *field, GPtrArray *list, SwarmFormFlags flags)
{
  JsonArray *array = json_array_new ();

  for (guint i = 0; list != NULL && i < list->len; i++)
    if (field->kind == SWARM_FIELD_STRINGS)
      json_array_add_string_element (array, list->pdata[i]);
    else
      json_array_add_element (array, swarm_message_to_json (list->pdata[i], flags));
  return take_array (array);
}

static JsonNode *
ids_to_json (GArray *ids)
{
  JsonArray *array = json_array_new ();

  for (guint i = 0; ids != NULL && i < ids->len; i++)
    json_array_add_string_element (array, swarm_id_string (&g_array_index (ids, SwarmId, i)).str);
  return take_array (array);
}

static JsonNode *
map_to_json (GHashTable *map)
{
  g_autoptr (GPtrArray) keys = swarm_map_sorted_keys (map);
  JsonObject *object = json_object_new ();

  for (guint i = 0; i < keys->len; i++)
    json_object_set_string_member (object, keys->pdata[i], g_hash_table_lookup (map, keys->pdata[i]));
  return take_object (object);
}

static JsonNode *
bytes_to_json (GBytes *bytes)
{
  gsize len = 0;
  const guchar *data = bytes != NULL ? g_bytes_get_data (bytes, &len) : NULL;
  g_autofree char *text = len > 0 ? g_base64_encode (data, len) : g_strdup ("");

  return string_node (text);
}

static JsonNode *
text_to_json (const SwarmField *field, gconstpointer message)
{
  g_autofree char *text = swarm_field_get_text (field, message);

  return string_node (text);
}

static JsonNode *
field_to_json (const SwarmField *field, gconstpointer message, SwarmFormFlags flags)
{
  switch (field->kind) {
  case SWARM_FIELD_BOOL:
    return json_node_init_boolean (json_node_alloc (), swarm_field_get_number (field, message) != 0);
  case SWARM_FIELD_INT:
  case SWARM_FIELD_DURATION:
    return int_node (swarm_field_get_number (field, message));
  case SWARM_FIELD_UINT:
    /* json-glib's integers are signed. */
    return int_node ((gint64) MIN ((guint64) swarm_field_get_number (field, message), (guint64) G_MAXINT64));
  case SWARM_FIELD_DOUBLE:
    return json_node_init_double (json_node_alloc (), SWARM_MEMBER (double, message, field));
  case SWARM_FIELD_BYTES:
    return bytes_to_json (SWARM_MEMBER (GBytes *, message, field));
  case SWARM_FIELD_MESSAGE:
    return swarm_message_to_json (SWARM_MEMBER (gpointer, message, field), flags);
  case SWARM_FIELD_STRINGS:
  case SWARM_FIELD_MESSAGES:
    return list_to_json (field, SWARM_MEMBER (GPtrArray *, message, field), flags);
  case SWARM_FIELD_IDS:
    return ids_to_json (SWARM_MEMBER (GArray *, message, field));
  case SWARM_FIELD_MAP:
    return map_to_json (SWARM_MEMBER (GHashTable *, message, field));
  default:
    return text_to_json (field, message);
  }
}

/* "Version.Index" is shown as an object "Version" with the one member "Index". */
static void
add_member (JsonObject *object, const char *name, JsonNode *value)
{
  const char *dot = strchr (name, '.');
  g_autofree char *first = NULL;
  JsonObject *inner;

  if (dot == NULL) {
    json_object_set_member (object, name, value);
    return;
  }
  first = g_strndup (name, (gsize) (dot - name));
  inner = json_object_new ();
  json_object_set_member (inner, dot + 1, value);
  json_object_set_object_member (object, first, inner);
}

JsonNode *
swarm_message_to_json (gconstpointer message, SwarmFormFlags flags)
{
  JsonObject *object = json_object_new ();

  for (const SwarmField *field = ((const SwarmMessage *) message)->type->fields; field->number != 0; field++)
    if (swarm_field_is_shown (field, message, flags))
      add_member (object, field->name, field_to_json (field, message, flags));
  return take_object (object);
}

/* ---- taking ---- */

static gboolean parse_message (gpointer message, JsonNode *node, SwarmFormFlags flags, const SwarmPath *path, GError **error);

static const char *
describe (JsonNode *node)
{
  switch (json_node_get_node_type (node)) {
  case JSON_NODE_OBJECT:
    return "an object";
  case JSON_NODE_ARRAY:
    return "an array";
  case JSON_NODE_NULL:
    return "null";
  default:
    break;
  }
  switch (json_node_get_value_type (node)) {
  case G_TYPE_STRING:
    return "a string";
  case G_TYPE_BOOLEAN:
    return "a boolean";
  case G_TYPE_DOUBLE:
    return "a number with a fraction";
  default:
    return "an integer";
  }
}

static gboolean
is_value (JsonNode *node, GType type)
{
  return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type;
}

static gboolean
wrong_type (const SwarmField *field, JsonNode *node, const SwarmPath *path, GError **error)
{
  return swarm_path_error_type (path, field->kind, describe (node), error);
}

static gboolean
parse_number (const SwarmField *field, gpointer message, JsonNode *node, const SwarmPath *path, GError **error)
{
  gint64 number;

  if (field->kind == SWARM_FIELD_BOOL) {
    if (!is_value (node, G_TYPE_BOOLEAN))
      return wrong_type (field, node, path, error);
    swarm_field_set_number (field, message, json_node_get_boolean (node));
    return TRUE;
  }
  if (field->kind == SWARM_FIELD_DOUBLE && (is_value (node, G_TYPE_DOUBLE) || is_value (node, G_TYPE_INT64)))
    return swarm_field_set_double (field, message, json_node_get_double (node), path, error);
  if (!is_value (node, G_TYPE_INT64))
    return wrong_type (field, node, path, error);
  number = json_node_get_int (node);
  return swarm_field_set_integer (field, message, number < 0, number < 0 ? -(guint64) number : (guint64) number, path, error);
}

static gboolean
parse_bytes (const SwarmField *field, gpointer message, JsonNode *node, const SwarmPath *path, GError **error)
{
  g_autofree guchar *data = NULL;
  g_autofree char *again = NULL;
  gsize len;

  if (!is_value (node, G_TYPE_STRING))
    return wrong_type (field, node, path, error);
  /* GLib skips what is not base64; we do not. */
  data = g_base64_decode (json_node_get_string (node), &len);
  again = len > 0 ? g_base64_encode (data, len) : g_strdup ("");
  if (!g_str_equal (again, json_node_get_string (node)))
    return swarm_path_error (path, error, "not base64");
  SWARM_MEMBER (GBytes *, message, field) = g_bytes_new (data, len);
  return TRUE;
}

static gboolean
parse_nested (const SwarmField *field, gpointer message, JsonNode *node, SwarmFormFlags flags, const SwarmPath *path, GError **error)
{
  gpointer nested = swarm_message_new (field->type);

  /* Handed over first, so that an error frees it with the rest. */
  if (field->kind == SWARM_FIELD_MESSAGE)
    SWARM_MEMBER (gpointer, message, field) = nested;
  else
    swarm_field_add_message (field, message, nested);
  return parse_message (nested, node, flags, path, error);
}

static gboolean
parse_list (const SwarmField *field, gpointer message, JsonNode *node, SwarmFormFlags flags, SwarmPath *path, GError **error)
{
  JsonArray *array;

  if (!JSON_NODE_HOLDS_ARRAY (node))
    return wrong_type (field, node, path, error);
  array = json_node_get_array (node);
  if (json_array_get_length (array) > SWARM_FIELD_MAX_ELEMENTS)
    return swarm_path_error_too_many (path, error);
  for (guint i = 0; i < json_array_get_length (array); i++) {
    JsonNode *element = json_array_get_element (array, i);

    path->index = (int) i;
    if (field->kind == SWARM_FIELD_MESSAGES ? !parse_nested (field, message, element, flags, path, error)
        : !is_value (element, G_TYPE_STRING)
          ? !wrong_type (field, element, path, error)
          : !swarm_field_add_text (field, message, json_node_get_string (element), path, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
parse_map (const SwarmField *field, gpointer message, JsonNode *node, const SwarmPath *path, GError **error)
{
  JsonObjectIter iter;
  const char *key;
  JsonNode *value;

  if (!JSON_NODE_HOLDS_OBJECT (node))
    return wrong_type (field, node, path, error);
  if (json_object_get_size (json_node_get_object (node)) > SWARM_FIELD_MAX_ELEMENTS)
    return swarm_path_error_too_many (path, error);
  json_object_iter_init (&iter, json_node_get_object (node));
  while (json_object_iter_next (&iter, &key, &value)) {
    SwarmPath here = { path, key, -1 };

    if (!is_value (value, G_TYPE_STRING))
      return swarm_path_error_type (&here, SWARM_FIELD_STRING, describe (value), error);
    swarm_field_add_pair (field, message, key, json_node_get_string (value));
  }
  return TRUE;
}

static gboolean
parse_value (const SwarmField *field, gpointer message, JsonNode *node, SwarmFormFlags flags, SwarmPath *path, GError **error)
{
  switch (field->kind) {
  case SWARM_FIELD_BOOL:
  case SWARM_FIELD_INT:
  case SWARM_FIELD_UINT:
  case SWARM_FIELD_DURATION:
  case SWARM_FIELD_DOUBLE:
    return parse_number (field, message, node, path, error);
  case SWARM_FIELD_BYTES:
    return parse_bytes (field, message, node, path, error);
  case SWARM_FIELD_MESSAGE:
    return parse_nested (field, message, node, flags, path, error);
  case SWARM_FIELD_STRINGS:
  case SWARM_FIELD_IDS:
  case SWARM_FIELD_MESSAGES:
    return parse_list (field, message, node, flags, path, error);
  case SWARM_FIELD_MAP:
    return parse_map (field, message, node, path, error);
  default:
    if (!is_value (node, G_TYPE_STRING))
      return wrong_type (field, node, path, error);
    return swarm_field_set_text (field, message, json_node_get_string (node), path, error);
  }
}

/* The one member @rest of an object, for dotted rows. */
static gboolean
parse_dotted (const SwarmField *field, gpointer message, const char *rest, JsonNode *node, SwarmFormFlags flags,
              const SwarmPath *path, GError **error)
{
  SwarmPath inner = { path, rest, -1 };
  JsonObject *object;

  if (!JSON_NODE_HOLDS_OBJECT (node))
    return swarm_path_error_type (path, SWARM_FIELD_MESSAGE, describe (node), error);
  object = json_node_get_object (node);
  if (json_object_get_size (object) != 1 || !json_object_has_member (object, rest))
    return swarm_path_error (path, error, "expected exactly the key \"%s\"", rest);
  return parse_value (field, message, json_object_get_member (object, rest), flags, &inner, error);
}

static gboolean
parse_message (gpointer message, JsonNode *node, SwarmFormFlags flags, const SwarmPath *path, GError **error)
{
  JsonObjectIter iter;
  const char *key;
  JsonNode *value;

  if (!JSON_NODE_HOLDS_OBJECT (node))
    return swarm_path_error_type (path, SWARM_FIELD_MESSAGE, describe (node), error);
  json_object_iter_init (&iter, json_node_get_object (node));
  while (json_object_iter_next (&iter, &key, &value)) {
    SwarmPath here = { path, key, -1 };
    const char *rest;
    const SwarmField *field = swarm_type_find (((SwarmMessage *) message)->type, key, flags, &rest);

    if (field == NULL)
      return swarm_path_error_unknown (&here, error);
    /* As clients of the Engine API write it: null is absent. */
    if (JSON_NODE_HOLDS_NULL (value))
      continue;
    if (rest != NULL ? !parse_dotted (field, message, rest, value, flags, &here, error)
                     : !parse_value (field, message, value, flags, &here, error))
      return FALSE;
  }
  return TRUE;
}

gpointer
swarm_message_from_json (const SwarmType *type, JsonNode *node, SwarmFormFlags flags, GError **error)
{
  gpointer message = swarm_message_new (type);

  if (parse_message (message, node, flags, NULL, error) && swarm_message_validate (message, error))
    return message;
  swarm_message_unref (message);
  return NULL;
}
