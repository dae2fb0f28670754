// SPDX-License-Identifier: LGPL-2.1-or-later
/* Single values of a message: paths for errors, numbers, texts, elements of lists and maps. */
#include "base/field-private.h"
#include <math.h>
#include <string.h>

/* ---- paths and errors ---- */

static void
append_path (GString *out, const SwarmPath *path)
{
  if (path->parent != NULL) {
    append_path (out, path->parent);
    g_string_append_c (out, '.');
  }
  g_string_append (out, path->name);
  if (path->index >= 0)
    g_string_append_printf (out, "[%d]", path->index);
}

char *
swarm_path_string (const SwarmPath *path)
{
  GString *out = g_string_new (NULL);

  if (path != NULL)
    append_path (out, path);
  return g_string_free (out, FALSE);
}

gboolean
swarm_path_error (const SwarmPath *path, GError **error, const char *format, ...)
{
  g_autofree char *where = swarm_path_string (path);
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s%s%s", where, *where != '\0' ? ": " : "", text);
  return FALSE;
}

gboolean
swarm_path_error_unknown (const SwarmPath *path, GError **error)
{
  g_autofree char *where = swarm_path_string (path);

  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unknown key \"%s\"", where);
  return FALSE;
}

gboolean
swarm_path_error_type (const SwarmPath *path, SwarmFieldKind kind, const char *got, GError **error)
{
  static const char *const expected[] = {
    [SWARM_FIELD_BOOL] = "a boolean",
    [SWARM_FIELD_INT] = "an integer",
    [SWARM_FIELD_UINT] = "an integer",
    [SWARM_FIELD_DOUBLE] = "a number",
    [SWARM_FIELD_STRING] = "a string",
    [SWARM_FIELD_BYTES] = "bytes",
    [SWARM_FIELD_ID] = "an id (a string)",
    [SWARM_FIELD_ENUM] = "a string",
    [SWARM_FIELD_TIME] = "a time (a string)",
    [SWARM_FIELD_DURATION] = "an integer (nanoseconds)",
    [SWARM_FIELD_MESSAGE] = "a dictionary",
    [SWARM_FIELD_STRINGS] = "a list of strings",
    [SWARM_FIELD_IDS] = "a list of ids (strings)",
    [SWARM_FIELD_MESSAGES] = "a list of dictionaries",
    [SWARM_FIELD_MAP] = "a dictionary of strings",
  };

  return swarm_path_error (path, error, "expected %s, got %s", expected[kind], got);
}

gboolean
swarm_path_error_too_many (const SwarmPath *path, GError **error)
{
  return swarm_path_error (path, error, "more than %d elements", SWARM_FIELD_MAX_ELEMENTS);
}

/* ---- rows ---- */

const SwarmField *
swarm_type_find (const SwarmType *type, const char *name, SwarmFormFlags flags, const char **ret_rest)
{
  gsize len = strlen (name);

  *ret_rest = NULL;
  for (const SwarmField *field = type->fields; field->number != 0; field++) {
    if ((flags & SWARM_FORM_FROM_USER) != 0 && (field->flags & SWARM_FIELD_READONLY) != 0)
      continue;
    if (strncmp (field->name, name, len) != 0 || strchr (name, '.') != NULL)
      continue;
    if (field->name[len] == '\0')
      return field;
    if (field->name[len] == '.') {
      *ret_rest = field->name + len + 1;
      return field;
    }
  }
  return NULL;
}

const SwarmField *
swarm_type_find_number (const SwarmType *type, guint number)
{
  for (const SwarmField *field = type->fields; field->number != 0; field++)
    if (field->number == number)
      return field;
  return NULL;
}

gboolean
swarm_field_is_shown (const SwarmField *field, gconstpointer message, SwarmFormFlags flags)
{
  if ((field->flags & SWARM_FIELD_SECRET) != 0 && (flags & SWARM_FORM_WITH_SECRETS) == 0)
    return FALSE;
  if (field->kind == SWARM_FIELD_MESSAGE)
    return SWARM_MEMBER (gpointer, message, field) != NULL;
  return (flags & SWARM_FORM_COMPLETE) != 0 || (field->flags & SWARM_FIELD_ALWAYS) != 0
         || !swarm_field_is_default (field, message);
}

/* ---- numbers ---- */

gboolean
swarm_field_is_number (const SwarmField *field)
{
  switch (field->kind) {
  case SWARM_FIELD_BOOL:
  case SWARM_FIELD_INT:
  case SWARM_FIELD_UINT:
  case SWARM_FIELD_ENUM:
  case SWARM_FIELD_TIME:
  case SWARM_FIELD_DURATION:
    return TRUE;
  default:
    return FALSE;
  }
}

gint64
swarm_field_get_number (const SwarmField *field, gconstpointer message)
{
  if (field->kind == SWARM_FIELD_BOOL || field->kind == SWARM_FIELD_ENUM)
    return SWARM_MEMBER (const gint, message, field);
  return SWARM_MEMBER (const gint64, message, field);
}

void
swarm_field_set_number (const SwarmField *field, gpointer message, gint64 value)
{
  if (field->kind == SWARM_FIELD_BOOL || field->kind == SWARM_FIELD_ENUM)
    SWARM_MEMBER (gint, message, field) = (gint) value;
  else
    SWARM_MEMBER (gint64, message, field) = value;
}

gboolean
swarm_field_set_integer (const SwarmField *field, gpointer message, gboolean negative, guint64 magnitude,
                         const SwarmPath *path, GError **error)
{
  const guint64 max = G_MAXINT64;
  guint64 value = negative ? -magnitude : magnitude;

  if (field->kind == SWARM_FIELD_UINT && negative && magnitude > 0) {
    if (field->negative == NULL)
      return swarm_path_error (path, error, "must be non-negative");
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, field->negative);
    return FALSE;
  }
  if (field->kind != SWARM_FIELD_UINT && magnitude > (negative ? max + 1 : max))
    return swarm_path_error (path, error, "%s%" G_GUINT64_FORMAT " is too large", negative ? "-" : "", magnitude);
  swarm_field_set_number (field, message, (gint64) value);
  return TRUE;
}

gboolean
swarm_field_set_double (const SwarmField *field, gpointer message, double value, const SwarmPath *path, GError **error)
{
  if (!isfinite (value))
    return swarm_path_error (path, error, "not a finite number");
  SWARM_MEMBER (double, message, field) = value;
  return TRUE;
}

/* ---- texts ---- */

char *
swarm_field_get_text (const SwarmField *field, gconstpointer message)
{
  switch (field->kind) {
  case SWARM_FIELD_ENUM:
    return g_strdup (swarm_enum_to_string (field->enumeration, (int) swarm_field_get_number (field, message)) ?: "");
  case SWARM_FIELD_ID:
    if (swarm_id_is_nil (&SWARM_MEMBER (SwarmId, message, field)))
      return g_strdup ("");
    return swarm_id_dup_string (&SWARM_MEMBER (SwarmId, message, field));
  case SWARM_FIELD_TIME:
    if (swarm_field_get_number (field, message) == 0)
      return g_strdup ("");
    return swarm_time_to_string (swarm_field_get_number (field, message));
  default:
    return g_strdup (SWARM_MEMBER (char *, message, field) ?: "");
  }
}

static gboolean
set_enum (const SwarmField *field, gpointer message, const char *text, const SwarmPath *path, GError **error)
{
  g_autoptr (GString) known = NULL;
  int value = (int) field->fallback;

  /* As in the Engine API an empty string is the default. */
  if (swarm_enum_from_string (field->enumeration, text, &value) || *text == '\0') {
    swarm_field_set_number (field, message, value);
    return TRUE;
  }
  known = g_string_new (NULL);
  for (const SwarmEnumRow *row = field->enumeration->rows; row->text != NULL; row++)
    g_string_append_printf (known, "%s%s", known->len > 0 ? ", " : "", row->text);
  return swarm_path_error (path, error, "\"%s\" is not one of %s", text, known->str);
}

static gboolean
parse_id (const char *text, SwarmId *ret, const SwarmPath *path, GError **error)
{
  if (!swarm_id_parse (text, ret))
    return swarm_path_error (path, error, "\"%s\" is not an id (%d characters 0-9a-z)", text, SWARM_ID_STRING_LEN);
  return TRUE;
}

gboolean
swarm_field_set_text (const SwarmField *field, gpointer message, const char *text, const SwarmPath *path, GError **error)
{
  gint64 time = 0;

  switch (field->kind) {
  case SWARM_FIELD_ENUM:
    return set_enum (field, message, text, path, error);
  case SWARM_FIELD_ID:
    SWARM_MEMBER (SwarmId, message, field) = SWARM_ID_NIL;
    return *text == '\0' || parse_id (text, &SWARM_MEMBER (SwarmId, message, field), path, error);
  case SWARM_FIELD_TIME:
    if (*text != '\0' && !swarm_time_from_string (text, &time))
      return swarm_path_error (path, error, "\"%s\" is not a time such as 2026-01-02T03:04:05.678Z", text);
    swarm_field_set_number (field, message, time);
    return TRUE;
  default:
    swarm_string_set (&SWARM_MEMBER (char *, message, field), text);
    return TRUE;
  }
}

/* ---- lists and maps ---- */

gboolean
swarm_field_add_text (const SwarmField *field, gpointer message, const char *text, const SwarmPath *path, GError **error)
{
  GPtrArray **strings = &SWARM_MEMBER (GPtrArray *, message, field);
  GArray **ids = &SWARM_MEMBER (GArray *, message, field);
  SwarmId id;

  if (field->kind == SWARM_FIELD_IDS) {
    if (!parse_id (text, &id, path, error))
      return FALSE;
    if (*ids == NULL)
      *ids = swarm_ids_new ();
    g_array_append_val (*ids, id);
    return TRUE;
  }
  if (*strings == NULL)
    *strings = swarm_strings_new ();
  g_ptr_array_add (*strings, g_strdup (text));
  return TRUE;
}

void
swarm_field_add_message (const SwarmField *field, gpointer message, gpointer element)
{
  GPtrArray **list = &SWARM_MEMBER (GPtrArray *, message, field);

  if (*list == NULL)
    *list = swarm_messages_new ();
  g_ptr_array_add (*list, element);
}

void
swarm_field_add_pair (const SwarmField *field, gpointer message, const char *key, const char *value)
{
  GHashTable **map = &SWARM_MEMBER (GHashTable *, message, field);

  if (*map == NULL)
    *map = swarm_map_new ();
  g_hash_table_replace (*map, g_strdup (key), g_strdup (value));
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

GPtrArray *
swarm_map_sorted_keys (GHashTable *map)
{
  GPtrArray *keys = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer key;

  if (map == NULL)
    return keys;
  g_hash_table_iter_init (&iter, map);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_ptr_array_add (keys, key);
  g_ptr_array_sort (keys, compare_strings);
  return keys;
}
