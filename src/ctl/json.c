// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/json.h"
#include "ctl/opts.h"
#include <string.h>

#define MAX_DEPTH 64

static JsonNode *
dictionary_to_json (GVariant *value)
{
  JsonObject *object = json_object_new ();
  GVariantIter iter;
  GVariant *entry;
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);

  g_variant_iter_init (&iter, value);
  while ((entry = g_variant_iter_next_value (&iter)) != NULL) {
    g_autoptr (GVariant) key = g_variant_get_child_value (entry, 0);
    g_autoptr (GVariant) member = g_variant_get_child_value (entry, 1);
    g_autofree char *name = g_variant_is_of_type (key, G_VARIANT_TYPE_STRING) ? g_variant_dup_string (key, NULL)
                                                                              : g_variant_print (key, FALSE);

    json_object_set_member (object, name, ctl_variant_to_json (member));
    g_variant_unref (entry);
  }
  json_node_take_object (node, object);
  return node;
}

static JsonNode *
list_to_json (GVariant *value)
{
  JsonArray *array = json_array_new ();
  GVariantIter iter;
  GVariant *entry;
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);

  g_variant_iter_init (&iter, value);
  while ((entry = g_variant_iter_next_value (&iter)) != NULL) {
    json_array_add_element (array, ctl_variant_to_json (entry));
    g_variant_unref (entry);
  }
  json_node_take_array (node, array);
  return node;
}

static JsonNode *
bytes_to_json (GVariant *value)
{
  gsize len;
  const guint8 *data = g_variant_get_fixed_array (value, &len, 1);
  g_autofree char *text = g_base64_encode (data, len);

  return json_node_init_string (json_node_alloc (), text);
}

static gint64
integer_of (GVariant *value)
{
  switch (g_variant_classify (value)) {
  case G_VARIANT_CLASS_BYTE:
    return g_variant_get_byte (value);
  case G_VARIANT_CLASS_INT16:
    return g_variant_get_int16 (value);
  case G_VARIANT_CLASS_UINT16:
    return g_variant_get_uint16 (value);
  case G_VARIANT_CLASS_INT32:
    return g_variant_get_int32 (value);
  case G_VARIANT_CLASS_UINT32:
    return g_variant_get_uint32 (value);
  case G_VARIANT_CLASS_HANDLE:
    return g_variant_get_handle (value);
  case G_VARIANT_CLASS_UINT64:
    return (gint64)MIN (g_variant_get_uint64 (value), (guint64)G_MAXINT64);
  default:
    return g_variant_get_int64 (value);
  }
}

JsonNode *
ctl_variant_to_json (GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT)) {
    g_autoptr (GVariant) inner = g_variant_get_variant (value);
    return ctl_variant_to_json (inner);
  }
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY))
    return dictionary_to_json (value);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return bytes_to_json (value);
  if (g_variant_is_container (value))
    return list_to_json (value);
  switch (g_variant_classify (value)) {
  case G_VARIANT_CLASS_BOOLEAN:
    return json_node_init_boolean (json_node_alloc (), g_variant_get_boolean (value));
  case G_VARIANT_CLASS_DOUBLE:
    return json_node_init_double (json_node_alloc (), g_variant_get_double (value));
  case G_VARIANT_CLASS_STRING:
  case G_VARIANT_CLASS_OBJECT_PATH:
  case G_VARIANT_CLASS_SIGNATURE:
    return json_node_init_string (json_node_alloc (), g_variant_get_string (value, NULL));
  default:
    return json_node_init_int (json_node_alloc (), integer_of (value));
  }
}

static void print_node (GString *out, JsonNode *node, gboolean pretty, guint depth);

static void
new_line (GString *out, gboolean pretty, guint depth)
{
  if (!pretty)
    return;
  g_string_append_c (out, '\n');
  for (guint i = 0; i < depth; i++)
    g_string_append (out, "    ");
}

static void
print_quoted (GString *out, const char *text)
{
  g_autoptr (JsonNode) node = json_node_init_string (json_node_alloc (), text);
  g_autofree char *quoted = json_to_string (node, FALSE);

  g_string_append (out, quoted);
}

static void
print_object (GString *out, JsonObject *object, gboolean pretty, guint depth)
{
  JsonObjectIter iter;
  const char *name;
  JsonNode *member;
  gboolean first = TRUE;

  g_string_append_c (out, '{');
  json_object_iter_init_ordered (&iter, object);
  while (json_object_iter_next_ordered (&iter, &name, &member)) {
    if (!first)
      g_string_append_c (out, ',');
    first = FALSE;
    new_line (out, pretty, depth + 1);
    print_quoted (out, name);
    g_string_append (out, pretty ? ": " : ":");
    print_node (out, member, pretty, depth + 1);
  }
  if (!first)
    new_line (out, pretty, depth);
  g_string_append_c (out, '}');
}

static void
print_array (GString *out, JsonArray *array, gboolean pretty, guint depth)
{
  guint n = json_array_get_length (array);

  g_string_append_c (out, '[');
  for (guint i = 0; i < n; i++) {
    if (i > 0)
      g_string_append_c (out, ',');
    new_line (out, pretty, depth + 1);
    print_node (out, json_array_get_element (array, i), pretty, depth + 1);
  }
  if (n > 0)
    new_line (out, pretty, depth);
  g_string_append_c (out, ']');
}

static void
print_node (GString *out, JsonNode *node, gboolean pretty, guint depth)
{
  if (JSON_NODE_HOLDS_OBJECT (node)) {
    print_object (out, json_node_get_object (node), pretty, depth);
  } else if (JSON_NODE_HOLDS_ARRAY (node)) {
    print_array (out, json_node_get_array (node), pretty, depth);
  } else {
    g_autofree char *text = json_to_string (node, FALSE);
    g_string_append (out, text);
  }
}

char *
ctl_json_print (JsonNode *node, gboolean pretty)
{
  GString *out = g_string_new (NULL);

  print_node (out, node, pretty, 0);
  return g_string_free (out, FALSE);
}

char *
ctl_json_print_object (JsonObject *object)
{
  GString *out = g_string_new (NULL);

  print_object (out, object, FALSE, 0);
  return g_string_free (out, FALSE);
}

JsonNode *
ctl_json_get (JsonObject *object, const char *path)
{
  while (object != NULL) {
    const char *dot = strchr (path, '.');
    g_autofree char *name = dot != NULL ? g_strndup (path, (gsize)(dot - path)) : g_strdup (path);
    JsonNode *member = json_object_get_member (object, name);

    if (member == NULL || dot == NULL)
      return member;
    object = JSON_NODE_HOLDS_OBJECT (member) ? json_node_get_object (member) : NULL;
    path = dot + 1;
  }
  return NULL;
}

const char *
ctl_json_string (JsonObject *object, const char *path)
{
  JsonNode *node = ctl_json_get (object, path);

  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    return "";
  return json_node_get_string (node);
}

const char *
ctl_json_string_or (JsonObject *object, const char *path, const char *fallback)
{
  const char *text = ctl_json_string (object, path);

  return *text != 0 ? text : fallback;
}

gint64
ctl_json_int (JsonObject *object, const char *path)
{
  JsonNode *node = ctl_json_get (object, path);

  return node != NULL && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_int (node) : 0;
}

gboolean
ctl_json_bool (JsonObject *object, const char *path)
{
  JsonNode *node = ctl_json_get (object, path);

  return node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_boolean (node);
}

JsonObject *
ctl_json_object (JsonObject *object, const char *path)
{
  JsonNode *node = ctl_json_get (object, path);

  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

JsonArray *
ctl_json_array (JsonObject *object, const char *path)
{
  JsonNode *node = ctl_json_get (object, path);

  return node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

GPtrArray *
ctl_json_objects (JsonArray *array)
{
  GPtrArray *objects = g_ptr_array_new ();
  guint n = array != NULL ? json_array_get_length (array) : 0;

  for (guint i = 0; i < n; i++) {
    JsonNode *element = json_array_get_element (array, i);

    if (JSON_NODE_HOLDS_OBJECT (element))
      g_ptr_array_add (objects, json_node_get_object (element));
  }
  return objects;
}

/* The deepest level of brackets in @text, strings left out. */
static guint
depth_of (const char *text)
{
  guint depth = 0, deepest = 0;
  gboolean quoted = FALSE;

  for (const char *p = text; *p != 0; p++) {
    if (quoted && *p == '\\' && p[1] != 0)
      p++;
    else if (*p == '"')
      quoted = !quoted;
    else if (!quoted && (*p == '[' || *p == '{'))
      deepest = MAX (deepest, ++depth);
    else if (!quoted && (*p == ']' || *p == '}') && depth > 0)
      depth--;
  }
  return deepest;
}

JsonNode *
ctl_json_parse (const char *text, GError **error)
{
  if (depth_of (text) <= MAX_DEPTH)
    return json_from_string (text, error);
  ctl_invalid (error, _ ("more than %d brackets in one another"), MAX_DEPTH);
  return NULL;
}
