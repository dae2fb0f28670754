// SPDX-License-Identifier: LGPL-2.1-or-later
/* Messages: life, copy, comparison, validation. */
#include "base/field-private.h"
#include <string.h>

G_STATIC_ASSERT (sizeof (gboolean) == sizeof (gint));

GHashTable *
swarm_map_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

GPtrArray *
swarm_strings_new (void)
{
  return g_ptr_array_new_with_free_func (g_free);
}

GPtrArray *
swarm_messages_new (void)
{
  return g_ptr_array_new_with_free_func (swarm_message_unref);
}

GArray *
swarm_ids_new (void)
{
  return g_array_new (FALSE, FALSE, sizeof (SwarmId));
}

void
swarm_string_set (char **member, const char *value)
{
  char *copy = value != NULL && *value != '\0' ? g_strdup (value) : NULL;

  g_free (*member);
  *member = copy;
}

void
swarm_message_set (gpointer *member, gconstpointer value)
{
  gpointer ref = value != NULL ? swarm_message_ref (value) : NULL;

  swarm_message_unref (*member);
  *member = ref;
}

/* ---- life ---- */

gpointer
swarm_message_new (const SwarmType *type)
{
  SwarmMessage *message = g_atomic_rc_box_alloc0 (type->size);

  message->type = type;
  for (const SwarmField *field = type->fields; field->number != 0; field++)
    if (swarm_field_is_number (field))
      swarm_field_set_number (field, message, field->fallback);
  return message;
}

gpointer
swarm_message_ref (gconstpointer message)
{
  return g_atomic_rc_box_acquire ((gpointer) message);
}

static void
clear_member (const SwarmField *field, gpointer message)
{
  switch (field->kind) {
  case SWARM_FIELD_STRING:
    g_free (SWARM_MEMBER (char *, message, field));
    break;
  case SWARM_FIELD_BYTES:
    g_clear_pointer (&SWARM_MEMBER (GBytes *, message, field), g_bytes_unref);
    break;
  case SWARM_FIELD_MESSAGE:
    swarm_message_unref (SWARM_MEMBER (gpointer, message, field));
    break;
  case SWARM_FIELD_STRINGS:
  case SWARM_FIELD_MESSAGES:
    g_clear_pointer (&SWARM_MEMBER (GPtrArray *, message, field), g_ptr_array_unref);
    break;
  case SWARM_FIELD_IDS:
    g_clear_pointer (&SWARM_MEMBER (GArray *, message, field), g_array_unref);
    break;
  case SWARM_FIELD_MAP:
    g_clear_pointer (&SWARM_MEMBER (GHashTable *, message, field), g_hash_table_unref);
    break;
  default:
    break;
  }
}

static void
message_clear (gpointer data)
{
  SwarmMessage *message = data;

  for (const SwarmField *field = message->type->fields; field->number != 0; field++)
    clear_member (field, message);
  g_clear_pointer (&message->unknown, g_bytes_unref);
}

void
swarm_message_unref (gpointer message)
{
  if (message != NULL)
    g_atomic_rc_box_release_full (message, message_clear);
}

void
swarm_message_clear (gpointer *message_pointer)
{
  swarm_message_unref (g_steal_pointer (message_pointer));
}

/* ---- copy ---- */

static GPtrArray *
copy_list (const SwarmField *field, GPtrArray *list)
{
  gboolean strings = field->kind == SWARM_FIELD_STRINGS;
  GPtrArray *copy;

  if (list == NULL)
    return NULL;
  copy = strings ? swarm_strings_new () : swarm_messages_new ();
  for (guint i = 0; i < list->len; i++)
    g_ptr_array_add (copy, strings ? (gpointer) g_strdup (list->pdata[i]) : swarm_message_ref (list->pdata[i]));
  return copy;
}

static GHashTable *
copy_map (GHashTable *map)
{
  GHashTable *copy;
  GHashTableIter iter;
  gpointer key, value;

  if (map == NULL)
    return NULL;
  copy = swarm_map_new ();
  g_hash_table_iter_init (&iter, map);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_hash_table_insert (copy, g_strdup (key), g_strdup (value));
  return copy;
}

/* @copy is bit by bit the original: what is on the heap becomes its own. */
static void
own_member (const SwarmField *field, gpointer copy)
{
  switch (field->kind) {
  case SWARM_FIELD_STRING:
    SWARM_MEMBER (char *, copy, field) = g_strdup (SWARM_MEMBER (char *, copy, field));
    break;
  case SWARM_FIELD_BYTES:
    if (SWARM_MEMBER (GBytes *, copy, field) != NULL)
      g_bytes_ref (SWARM_MEMBER (GBytes *, copy, field));
    break;
  case SWARM_FIELD_MESSAGE:
    if (SWARM_MEMBER (gpointer, copy, field) != NULL)
      swarm_message_ref (SWARM_MEMBER (gpointer, copy, field));
    break;
  case SWARM_FIELD_STRINGS:
  case SWARM_FIELD_MESSAGES:
    SWARM_MEMBER (GPtrArray *, copy, field) = copy_list (field, SWARM_MEMBER (GPtrArray *, copy, field));
    break;
  case SWARM_FIELD_IDS:
    if (SWARM_MEMBER (GArray *, copy, field) != NULL)
      SWARM_MEMBER (GArray *, copy, field) = g_array_copy (SWARM_MEMBER (GArray *, copy, field));
    break;
  case SWARM_FIELD_MAP:
    SWARM_MEMBER (GHashTable *, copy, field) = copy_map (SWARM_MEMBER (GHashTable *, copy, field));
    break;
  default:
    break;
  }
}

gpointer
swarm_message_copy (gconstpointer message)
{
  const SwarmType *type = ((const SwarmMessage *) message)->type;
  SwarmMessage *copy = g_atomic_rc_box_dup (type->size, (gpointer) message);

  for (const SwarmField *field = type->fields; field->number != 0; field++)
    own_member (field, copy);
  if (copy->unknown != NULL)
    g_bytes_ref (copy->unknown);
  return copy;
}

gboolean
swarm_type_has_fields (const SwarmType *type, guint64 fields)
{
  for (const SwarmField *field = type->fields; field->number != 0; field++)
    if (field->number < 64)
      fields &= ~((guint64) 1 << field->number);
  return fields == 0;
}

static gsize
member_size (const SwarmField *field)
{
  if (swarm_field_is_number (field))
    return field->kind == SWARM_FIELD_BOOL || field->kind == SWARM_FIELD_ENUM ? sizeof (gint) : sizeof (gint64);
  if (field->kind == SWARM_FIELD_DOUBLE)
    return sizeof (double);
  return field->kind == SWARM_FIELD_ID ? sizeof (SwarmId) : sizeof (gpointer);
}

gpointer
swarm_message_merge (gconstpointer base, gconstpointer changes, guint64 fields)
{
  const SwarmType *type = ((const SwarmMessage *) base)->type;
  gpointer copy;

  if (((const SwarmMessage *) changes)->unknown != NULL)
    return NULL;
  copy = swarm_message_copy (base);
  for (const SwarmField *field = type->fields; field->number != 0; field++) {
    if (field->number >= 64 || (fields >> field->number & 1) == 0)
      continue;
    clear_member (field, copy);
    memcpy ((guint8 *) copy + field->offset, (const guint8 *) changes + field->offset, member_size (field));
    own_member (field, copy);
    fields &= ~((guint64) 1 << field->number);
  }
  if (fields != 0)
    swarm_message_clear (&copy);
  return copy;
}

/* ---- comparison ---- */

static gboolean
equal_bytes (GBytes *a, GBytes *b)
{
  gsize a_len = a != NULL ? g_bytes_get_size (a) : 0;
  gsize b_len = b != NULL ? g_bytes_get_size (b) : 0;

  return a_len == b_len && (a_len == 0 || g_bytes_equal (a, b));
}

static gboolean
equal_lists (const SwarmField *field, GPtrArray *a, GPtrArray *b)
{
  guint a_len = a != NULL ? a->len : 0;
  guint b_len = b != NULL ? b->len : 0;

  if (a_len != b_len)
    return FALSE;
  for (guint i = 0; i < a_len; i++)
    if (field->kind == SWARM_FIELD_STRINGS ? !g_str_equal (a->pdata[i], b->pdata[i])
                                           : !swarm_message_equal (a->pdata[i], b->pdata[i]))
      return FALSE;
  return TRUE;
}

static gboolean
equal_ids (GArray *a, GArray *b)
{
  guint a_len = a != NULL ? a->len : 0;
  guint b_len = b != NULL ? b->len : 0;

  return a_len == b_len && (a_len == 0 || memcmp (a->data, b->data, a_len * sizeof (SwarmId)) == 0);
}

static gboolean
equal_maps (GHashTable *a, GHashTable *b)
{
  guint a_len = a != NULL ? g_hash_table_size (a) : 0;
  guint b_len = b != NULL ? g_hash_table_size (b) : 0;
  GHashTableIter iter;
  gpointer key, value;

  if (a_len != b_len)
    return FALSE;
  if (a_len == 0)
    return TRUE;
  g_hash_table_iter_init (&iter, a);
  while (g_hash_table_iter_next (&iter, &key, &value))
    if (g_strcmp0 (g_hash_table_lookup (b, key), value) != 0)
      return FALSE;
  return TRUE;
}

static const char *
string_or_empty (const char *s)
{
  return s != NULL ? s : "";
}

gboolean
swarm_field_is_equal (const SwarmField *field, gconstpointer a, gconstpointer b)
{
  switch (field->kind) {
  case SWARM_FIELD_DOUBLE:
    return memcmp (&SWARM_MEMBER (double, a, field), &SWARM_MEMBER (double, b, field), sizeof (double)) == 0;
  case SWARM_FIELD_STRING:
    return g_str_equal (string_or_empty (SWARM_MEMBER (char *, a, field)), string_or_empty (SWARM_MEMBER (char *, b, field)));
  case SWARM_FIELD_BYTES:
    return equal_bytes (SWARM_MEMBER (GBytes *, a, field), SWARM_MEMBER (GBytes *, b, field));
  case SWARM_FIELD_ID:
    return swarm_id_equal (&SWARM_MEMBER (SwarmId, a, field), &SWARM_MEMBER (SwarmId, b, field));
  case SWARM_FIELD_MESSAGE:
    return swarm_message_equal (SWARM_MEMBER (gpointer, a, field), SWARM_MEMBER (gpointer, b, field));
  case SWARM_FIELD_STRINGS:
  case SWARM_FIELD_MESSAGES:
    return equal_lists (field, SWARM_MEMBER (GPtrArray *, a, field), SWARM_MEMBER (GPtrArray *, b, field));
  case SWARM_FIELD_IDS:
    return equal_ids (SWARM_MEMBER (GArray *, a, field), SWARM_MEMBER (GArray *, b, field));
  case SWARM_FIELD_MAP:
    return equal_maps (SWARM_MEMBER (GHashTable *, a, field), SWARM_MEMBER (GHashTable *, b, field));
  default:
    return swarm_field_get_number (field, a) == swarm_field_get_number (field, b);
  }
}

gboolean
swarm_message_equal (gconstpointer a, gconstpointer b)
{
  const SwarmMessage *left = a, *right = b;

  if (a == b)
    return TRUE;
  if (a == NULL || b == NULL || left->type != right->type)
    return FALSE;
  for (const SwarmField *field = left->type->fields; field->number != 0; field++)
    if (!swarm_field_is_equal (field, a, b))
      return FALSE;
  return equal_bytes (left->unknown, right->unknown);
}

gboolean
swarm_field_is_default (const SwarmField *field, gconstpointer message)
{
  static const double zero = 0;

  switch (field->kind) {
  case SWARM_FIELD_DOUBLE:
    return memcmp (&SWARM_MEMBER (double, message, field), &zero, sizeof zero) == 0;
  case SWARM_FIELD_STRING:
    return *string_or_empty (SWARM_MEMBER (char *, message, field)) == '\0';
  case SWARM_FIELD_BYTES:
    return equal_bytes (SWARM_MEMBER (GBytes *, message, field), NULL);
  case SWARM_FIELD_ID:
    return swarm_id_is_nil (&SWARM_MEMBER (SwarmId, message, field));
  case SWARM_FIELD_MESSAGE:
    return SWARM_MEMBER (gpointer, message, field) == NULL;
  case SWARM_FIELD_STRINGS:
  case SWARM_FIELD_MESSAGES:
    return equal_lists (field, SWARM_MEMBER (GPtrArray *, message, field), NULL);
  case SWARM_FIELD_IDS:
    return equal_ids (SWARM_MEMBER (GArray *, message, field), NULL);
  case SWARM_FIELD_MAP:
    return equal_maps (SWARM_MEMBER (GHashTable *, message, field), NULL);
  default:
    return swarm_field_get_number (field, message) == field->fallback;
  }
}

/* ---- differences under flags ---- */

static char *first_difference (gconstpointer a, gconstpointer b, SwarmFieldFlags flags, gboolean all, const SwarmPath *path);

/* Two messages of which one may be missing: then it counts as one with all defaults, unless everything counts. */
static char *
message_difference (const SwarmField *field, gconstpointer a, gconstpointer b, SwarmFieldFlags flags, gboolean all,
                    const SwarmPath *path)
{
  gpointer empty;
  char *found;

  if (a == b)
    return NULL;
  if (a != NULL && b != NULL)
    return first_difference (a, b, flags, all, path);
  if (all)
    return swarm_path_string (path);
  empty = swarm_message_new (field->type);
  found = first_difference (a != NULL ? a : empty, b != NULL ? b : empty, flags, FALSE, path);
  swarm_message_unref (empty);
  return found;
}

static char *
list_difference (const SwarmField *field, GPtrArray *a, GPtrArray *b, SwarmFieldFlags flags, gboolean all, const SwarmPath *path)
{
  guint a_len = a != NULL ? a->len : 0;
  guint b_len = b != NULL ? b->len : 0;
  SwarmPath element = *path;

  if (all && a_len != b_len)
    return swarm_path_string (path);
  for (guint i = 0; i < MAX (a_len, b_len); i++) {
    char *found;

    element.index = (int) i;
    found = message_difference (field, i < a_len ? a->pdata[i] : NULL, i < b_len ? b->pdata[i] : NULL, flags, all, &element);
    if (found != NULL)
      return found;
  }
  return NULL;
}

static char *
first_difference (gconstpointer a, gconstpointer b, SwarmFieldFlags flags, gboolean all, const SwarmPath *path)
{
  const SwarmMessage *left = a, *right = b;

  for (const SwarmField *field = left->type->fields; field->number != 0; field++) {
    gboolean counts = all || (field->flags & flags) != 0;
    SwarmPath here = { path, field->name, -1 };
    char *found = NULL;

    if (field->kind == SWARM_FIELD_MESSAGE)
      found = message_difference (field, SWARM_MEMBER (gpointer, a, field), SWARM_MEMBER (gpointer, b, field), flags, counts, &here);
    else if (field->kind == SWARM_FIELD_MESSAGES)
      found = list_difference (field, SWARM_MEMBER (GPtrArray *, a, field), SWARM_MEMBER (GPtrArray *, b, field), flags, counts, &here);
    else if (counts && !swarm_field_is_equal (field, a, b))
      found = swarm_path_string (&here);
    if (found != NULL)
      return found;
  }
  if (all && !equal_bytes (left->unknown, right->unknown))
    return swarm_path_string (path);
  return NULL;
}

char *
swarm_message_first_difference (gconstpointer a, gconstpointer b, SwarmFieldFlags flags)
{
  return first_difference (a, b, flags, FALSE, NULL);
}

gboolean
swarm_message_differs (gconstpointer a, gconstpointer b, SwarmFieldFlags flags)
{
  g_autofree char *path = swarm_message_first_difference (a, b, flags);

  return path != NULL;
}

/* ---- validation ---- */

/* Marks texts that no path is put before; never leaves this file. */
static G_DEFINE_QUARK (swarm-verbatim-quark, verbatim)

void
swarm_field_error_verbatim (GError **error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  if (error != NULL)
    *error = g_error_new_valist (verbatim_quark (), SWARM_ERROR_INVALID_ARGUMENT, format, args);
  va_end (args);
}

/* Puts the path before the text of a validator's error. Always FALSE. */
static gboolean
name_path (const SwarmPath *path, GError **error)
{
  if (error == NULL || *error == NULL)
    return FALSE;
  if ((*error)->domain == verbatim_quark ()) {
    (*error)->domain = SWARM_ERROR;
  } else if (path != NULL) {
    g_autofree char *where = swarm_path_string (path);
    g_prefix_error (error, "%s: ", where);
  }
  return FALSE;
}

static gboolean validate (gconstpointer message, const SwarmPath *path, GError **error);

static gboolean
validate_nested (const SwarmField *field, gconstpointer message, SwarmPath *path, GError **error)
{
  if (field->kind == SWARM_FIELD_MESSAGE && SWARM_MEMBER (gpointer, message, field) != NULL)
    return validate (SWARM_MEMBER (gpointer, message, field), path, error);
  if (field->kind == SWARM_FIELD_MESSAGES && SWARM_MEMBER (GPtrArray *, message, field) != NULL) {
    GPtrArray *list = SWARM_MEMBER (GPtrArray *, message, field);
    for (guint i = 0; i < list->len; i++) {
      path->index = (int) i;
      if (!validate (list->pdata[i], path, error))
        return FALSE;
    }
    path->index = -1;
  }
  return TRUE;
}

static gboolean
validate (gconstpointer message, const SwarmPath *path, GError **error)
{
  const SwarmMessage *self = message;

  for (const SwarmField *field = self->type->fields; field->number != 0; field++) {
    SwarmPath here = { path, field->name, -1 };

    if (!validate_nested (field, message, &here, error))
      return FALSE;
    if (field->validate != NULL && !field->validate (field, message, error))
      return name_path (&here, error);
  }
  if (self->type->validate != NULL && !self->type->validate (message, error))
    return name_path (path, error);
  return TRUE;
}

gboolean
swarm_message_validate (gconstpointer message, GError **error)
{
  return validate (message, NULL, error);
}
