// SPDX-License-Identifier: LGPL-2.1-or-later
/* Random messages of any table, and the round trips that every table must survive. Uses g_test's seeded randomness. */
#pragma once
#include "base/field.h"
#include "base/error.h"
#include <string.h>

#define FIELD_MEMBER(T, message, field) (*(T *) ((guint8 *) (message) + (field)->offset))

static inline gpointer field_random_message (const SwarmType *type, guint depth);

static inline char *
field_random_string (void)
{
  static const char *const texts[] = { "a", "nginx:latest", "grüße", "한국어", "two words", "x=y", "\"quoted\"\n", "🐳" };
  guint i = (guint) g_test_rand_int_range (0, G_N_ELEMENTS (texts));

  return g_strdup_printf ("%s%d", texts[i], g_test_rand_int_range (0, 100));
}

static inline SwarmId
field_random_id (void)
{
  SwarmId id;

  for (gsize i = 0; i < sizeof id.bytes; i++)
    id.bytes[i] = (guint8) g_test_rand_int_range (0, 256);
  return id;
}

/* Small, large and negative ones. */
static inline gint64
field_random_number (const SwarmField *field)
{
  gint64 n = (gint64) ((guint64) (guint32) g_test_rand_int () << 32 | (guint32) g_test_rand_int ());
  guint rows = 0;

  n >>= g_test_rand_int_range (0, 64);
  switch (field->kind) {
  case SWARM_FIELD_BOOL:
    return n & 1;
  case SWARM_FIELD_UINT: /* json-glib's integers are signed */
    return n & G_MAXINT64;
  case SWARM_FIELD_TIME: /* years 1 to 9999 */
    return n % (G_GINT64_CONSTANT (60000000000) * G_USEC_PER_SEC);
  case SWARM_FIELD_ENUM:
    while (field->enumeration->rows[rows].text != NULL)
      rows++;
    return field->enumeration->rows[(guint64) n % rows].value;
  default:
    return n;
  }
}

static inline void
field_random_list (const SwarmField *field, gpointer message, guint depth)
{
  int n = g_test_rand_int_range (1, 4);
  GPtrArray *list = field->kind == SWARM_FIELD_STRINGS ? swarm_strings_new () : swarm_messages_new ();

  for (int i = 0; i < n; i++)
    g_ptr_array_add (list, field->kind == SWARM_FIELD_STRINGS ? (gpointer) field_random_string ()
                                                              : field_random_message (field->type, depth + 1));
  FIELD_MEMBER (GPtrArray *, message, field) = list;
}

static inline void
field_random_member (const SwarmField *field, gpointer message, guint depth)
{
  SwarmId id = field_random_id ();

  switch (field->kind) {
  case SWARM_FIELD_BOOL:
  case SWARM_FIELD_ENUM:
    FIELD_MEMBER (gint, message, field) = (gint) field_random_number (field);
    break;
  case SWARM_FIELD_DOUBLE:
    FIELD_MEMBER (double, message, field) = g_test_rand_double_range (-1000, 1000);
    break;
  case SWARM_FIELD_STRING:
    FIELD_MEMBER (char *, message, field) = field_random_string ();
    break;
  case SWARM_FIELD_BYTES:
    FIELD_MEMBER (GBytes *, message, field) = g_bytes_new (&id, (gsize) g_test_rand_int_range (1, 16));
    break;
  case SWARM_FIELD_ID:
    FIELD_MEMBER (SwarmId, message, field) = id;
    break;
  case SWARM_FIELD_MESSAGE:
    FIELD_MEMBER (gpointer, message, field) = field_random_message (field->type, depth + 1);
    break;
  case SWARM_FIELD_STRINGS:
  case SWARM_FIELD_MESSAGES:
    field_random_list (field, message, depth);
    break;
  case SWARM_FIELD_IDS:
    FIELD_MEMBER (GArray *, message, field) = swarm_ids_new ();
    g_array_append_val (FIELD_MEMBER (GArray *, message, field), id);
    break;
  case SWARM_FIELD_MAP:
    FIELD_MEMBER (GHashTable *, message, field) = swarm_map_new ();
    for (int i = g_test_rand_int_range (1, 5); i > 0; i--)
      g_hash_table_replace (FIELD_MEMBER (GHashTable *, message, field), field_random_string (), field_random_string ());
    break;
  default:
    FIELD_MEMBER (gint64, message, field) = field_random_number (field);
    break;
  }
}

/* About three of four members get a value. */
static inline gpointer
field_random_message (const SwarmType *type, guint depth)
{
  gpointer message = swarm_message_new (type);

  for (const SwarmField *field = type->fields; field->number != 0; field++)
    if (g_test_rand_int_range (0, 4) > 0)
      field_random_member (field, message, depth);
  return message;
}

/* The table itself: numbers and names once, at most 64 rows, rows fit the struct, a doc. */
static inline void
field_check_table (const SwarmType *type)
{
  guint n = 0;

  for (const SwarmField *field = type->fields; field->number != 0; field++, n++) {
    g_assert_nonnull (field->name);
    g_assert_cmpuint (field->offset, >=, sizeof (SwarmMessage));
    g_assert_cmpuint (field->offset, <, type->size);
    g_assert_true ((field->type != NULL) == (field->kind == SWARM_FIELD_MESSAGE || field->kind == SWARM_FIELD_MESSAGES));
    g_assert_true ((field->enumeration != NULL) == (field->kind == SWARM_FIELD_ENUM));
    for (const SwarmField *other = type->fields; other != field; other++) {
      g_assert_cmpuint (other->number, !=, field->number);
      g_assert_cmpstr (other->name, !=, field->name);
      g_assert_cmpuint (other->offset, !=, field->offset);
    }
  }
  g_assert_cmpuint (n, <=, 64);
}

static inline void
field_check_storage (gpointer message)
{
  const SwarmType *type = ((SwarmMessage *) message)->type;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = swarm_message_encode (message);
  gpointer back = swarm_message_decode (type, bytes, &error);
  g_autoptr (GBytes) again = NULL;

  g_assert_no_error (error);
  g_assert_true (swarm_message_equal (message, back));
  again = swarm_message_encode (back);
  g_assert_true (g_bytes_equal (bytes, again));
  swarm_message_unref (back);
}

/* The forms for people validate, which random values need not survive: an error is fine, a different message is not. */
static inline void
field_check_people (gpointer message, SwarmFormFlags flags)
{
  const SwarmType *type = ((SwarmMessage *) message)->type;
  g_autoptr (GVariant) variant = g_variant_ref_sink (swarm_message_to_variant (message, SWARM_FORM_WITH_SECRETS | flags));
  g_autoptr (JsonNode) json = swarm_message_to_json (message, SWARM_FORM_WITH_SECRETS | flags);
  gpointer from_variant = swarm_message_from_variant (type, variant, 0, NULL);
  gpointer from_json = swarm_message_from_json (type, json, 0, NULL);

  g_assert_true ((from_variant != NULL) == swarm_message_validate (message, NULL));
  g_assert_true ((from_json != NULL) == (from_variant != NULL));
  if (from_variant != NULL) {
    g_assert_true (swarm_message_equal (message, from_variant));
    g_assert_true (swarm_message_equal (message, from_json));
  }
  swarm_message_unref (from_variant);
  swarm_message_unref (from_json);
}

/* Damaged storage is refused or gives some message; it never crashes (run under the sanitizers). */
static inline void
field_check_damage (gpointer message)
{
  const SwarmType *type = ((SwarmMessage *) message)->type;
  g_autoptr (GBytes) bytes = swarm_message_encode (message);
  gsize len = g_bytes_get_size (bytes);

  for (int i = 0; i < 50 && len > 0; i++) {
    gsize cut = (gsize) g_test_rand_int_range (0, (gint32) len + 1);
    g_autofree guint8 *data = g_memdup2 (g_bytes_get_data (bytes, NULL), len);
    g_autoptr (GBytes) bad = NULL;
    g_autoptr (GError) error = NULL;
    gpointer back;

    for (int flips = g_test_rand_int_range (0, 4); flips > 0; flips--)
      data[g_test_rand_int_range (0, (gint32) len)] = (guint8) g_test_rand_int_range (0, 256);
    bad = g_bytes_new (data, cut);
    back = swarm_message_decode (type, bad, &error);
    g_assert_true ((back == NULL) == (error != NULL));
    swarm_message_unref (back);
  }
}

static inline void
field_check_type (const SwarmType *type, guint rounds)
{
  field_check_table (type);
  for (guint i = 0; i < rounds; i++) {
    gpointer message = field_random_message (type, 0);
    gpointer copy = swarm_message_copy (message);

    g_assert_true (swarm_message_equal (message, copy));
    g_assert_false (swarm_message_differs (message, copy, (SwarmFieldFlags) ~0u));
    field_check_storage (message);
    field_check_people (message, 0);
    field_check_people (message, SWARM_FORM_COMPLETE);
    field_check_damage (message);
    swarm_message_unref (message);
    swarm_message_unref (copy);
  }
}
