// SPDX-License-Identifier: LGPL-2.1-or-later
#include "field-random.h"

typedef enum { COLOUR_RED, COLOUR_GREEN = 64 } Colour;
static const SwarmEnum colour_enum = { "colour", (const SwarmEnumRow[]){ { COLOUR_RED, "red" }, { COLOUR_GREEN, "green" }, { 0, NULL } } };

typedef struct {
  SwarmMessage message;
  char *text;
  guint64 count;
} Inner;

static const SwarmField inner_fields[] = {
  SWARM_FIELD (1, "Text", Inner, text, STRING, .flags = SWARM_FIELD_REPLACES_TASKS),
  SWARM_FIELD (2, "Count", Inner, count, UINT, .fallback = 3),
  { 0 },
};

static gboolean
inner_validate (const SwarmMessage *message, GError **error)
{
  const Inner *self = (const Inner *) message;

  if (self->count == 13) {
    swarm_field_error_verbatim (error, "unlucky number");
    return FALSE;
  }
  if (self->count == 14) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "nearly unlucky");
    return FALSE;
  }
  return TRUE;
}

static const SwarmType inner_type = { "Inner", sizeof (Inner), inner_fields, inner_validate };

typedef struct {
  SwarmMessage message;
  gboolean yes;
  gint64 number;
  guint64 version;
  double ratio;
  char *text;
  GBytes *bytes;
  SwarmId id;
  Colour colour;
  gint64 at;
  gint64 delay;
  Inner *inner;
  GPtrArray *strings;
  GArray *ids;
  GPtrArray *inners;
  GHashTable *map;
  char *password;
} Outer;

static const SwarmField outer_fields[] = {
  SWARM_FIELD (1, "Yes", Outer, yes, BOOL, .fallback = TRUE),
  SWARM_FIELD (2, "Number", Outer, number, INT),
  SWARM_FIELD (3, "Version.Index", Outer, version, UINT, .flags = SWARM_FIELD_READONLY),
  SWARM_FIELD (4, "Ratio", Outer, ratio, DOUBLE),
  SWARM_FIELD (5, "Text", Outer, text, STRING),
  SWARM_FIELD (6, "Bytes", Outer, bytes, BYTES),
  SWARM_FIELD (7, "Id", Outer, id, ID),
  SWARM_FIELD (8, "Colour", Outer, colour, ENUM, .enumeration = &colour_enum, .fallback = COLOUR_GREEN),
  SWARM_FIELD (9, "At", Outer, at, TIME),
  SWARM_FIELD (10, "Delay", Outer, delay, DURATION, .fallback = -5),
  SWARM_FIELD (11, "Inner", Outer, inner, MESSAGE, .type = &inner_type),
  SWARM_FIELD (12, "Strings", Outer, strings, STRINGS),
  SWARM_FIELD (13, "Ids", Outer, ids, IDS),
  SWARM_FIELD (14, "Inners", Outer, inners, MESSAGES, .type = &inner_type),
  SWARM_FIELD (15, "Map", Outer, map, MAP),
  SWARM_FIELD (1000, "Password", Outer, password, STRING, .flags = SWARM_FIELD_SECRET),
  { 0 },
};
static const SwarmType outer_type = { "Outer", sizeof (Outer), outer_fields, NULL };

/* What an older version knew of it. */
typedef struct {
  SwarmMessage message;
  gint64 number;
} Old;

static const SwarmField old_fields[] = {
  SWARM_FIELD (2, "Number", Old, number, INT),
  { 0 },
};
static const SwarmType old_type = { "Old", sizeof (Old), old_fields, NULL };

static Outer *
parse (const char *text, SwarmFormFlags flags, GError **error)
{
  g_autoptr (GVariant) dict = g_variant_new_parsed (text);

  g_variant_ref_sink (dict);
  return swarm_message_from_variant (&outer_type, dict, flags, error);
}

static void
assert_refused (const char *text, const char *why)
{
  g_autoptr (GError) error = NULL;
  Outer *outer = parse (text, SWARM_FORM_FROM_USER, &error);

  g_assert_null (outer);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (error->message, ==, why);
}

static void
test_round_trips (void)
{
  field_check_type (&inner_type, 20);
  field_check_type (&outer_type, 300);
}

static void
test_defaults (void)
{
  Outer *outer = swarm_message_new (&outer_type);
  g_autoptr (GVariant) shown = g_variant_ref_sink (swarm_message_to_variant (outer, 0));
  g_autoptr (GVariant) complete = g_variant_ref_sink (swarm_message_to_variant (outer, SWARM_FORM_COMPLETE));

  g_assert_true (outer->yes);
  g_assert_cmpint (outer->colour, ==, COLOUR_GREEN);
  g_assert_cmpint (outer->delay, ==, -5);
  g_assert_cmpuint (g_variant_n_children (shown), ==, 0);
  /* All but the absent message and the secret. */
  g_assert_cmpuint (g_variant_n_children (complete), ==, G_N_ELEMENTS (outer_fields) - 1 - 2);
  swarm_message_unref (outer);
}

static void
test_any_integer (void)
{
  static const char *const texts[] = { "{'Number': <byte 7>}", "{'Number': <int16 7>}", "{'Number': <uint16 7>}", "{'Number': <7>}",
                                       "{'Number': <uint32 7>}", "{'Number': <int64 7>}", "{'Number': <uint64 7>}", "{'Number': <<<7>>>}" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GError) error = NULL;
    Outer *outer = parse (texts[i], SWARM_FORM_FROM_USER, &error);

    g_assert_no_error (error);
    g_assert_cmpint (outer->number, ==, 7);
    swarm_message_unref (outer);
  }
  assert_refused ("{'Number': <uint64 18446744073709551615>}", "Number: 18446744073709551615 is too large");
  assert_refused ("{'Inner': <{'Count': <-1>}>}", "Inner.Count: must be non-negative");
}

static void
test_list_shapes (void)
{
  static const char *const texts[] = { "{'Inners': <[{'Count': <uint16 7>}]>}", "{'Inners': <[<{'Count': <7>}>]>}" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GError) error = NULL;
    Outer *outer = parse (texts[i], 0, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (outer->inners->len, ==, 1);
    g_assert_cmpuint (((Inner *) outer->inners->pdata[0])->count, ==, 7);
    swarm_message_unref (outer);
  }
}

static void
test_refused (void)
{
  assert_refused ("{'Numbr': <7>}", "unknown key \"Numbr\"");
  assert_refused ("{'Inner': <{'Texte': <'x'>}>}", "unknown key \"Inner.Texte\"");
  assert_refused ("{'Inners': <[{'Text': <'x'>}, {'Texte': <'x'>}]>}", "unknown key \"Inners[1].Texte\"");
  assert_refused ("{'Version': <{'Index': <7>}>}", "unknown key \"Version\"");
  assert_refused ("{'Number': <'x'>}", "Number: expected an integer, got type \"s\"");
  assert_refused ("{'Inner': <'x'>}", "Inner: expected a dictionary, got type \"s\"");
  assert_refused ("{'Strings': <'x'>}", "Strings: expected a list of strings, got type \"s\"");
  assert_refused ("{'Strings': <[<'x'>, <3>]>}", "Strings[1]: expected a list of strings, got type \"i\"");
  assert_refused ("{'Map': <{'a': <3>}>}", "Map: expected a dictionary of strings, got type \"a{sv}\"");
  assert_refused ("{'Yes': <1>}", "Yes: expected a boolean, got type \"i\"");
  assert_refused ("{'Colour': <'blue'>}", "Colour: \"blue\" is not one of red, green");
  assert_refused ("{'Id': <'x'>}", "Id: \"x\" is not an id (25 characters 0-9a-z)");
  assert_refused ("{'At': <'soon'>}", "At: \"soon\" is not a time such as 2026-01-02T03:04:05.678Z");
  assert_refused ("{'Ratio': <inf>}", "Ratio: not a finite number");
  assert_refused ("{'Inner': <{'Count': <13>}>}", "unlucky number");
  assert_refused ("{'Inners': <[{'Count': <14>}]>}", "Inners[0]: nearly unlucky");
}

static void
test_given_twice (void)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (GError) error = NULL;

  g_variant_builder_add (&builder, "{sv}", "Number", g_variant_new_int32 (1));
  g_variant_builder_add (&builder, "{sv}", "Number", g_variant_new_int32 (2));
  dict = g_variant_ref_sink (g_variant_builder_end (&builder));
  g_assert_null (swarm_message_from_variant (&outer_type, dict, 0, &error));
  g_assert_cmpstr (error->message, ==, "Number: given twice");
}

static void
test_json_refused (void)
{
  static const char *const cases[][2] = {
    { "[]", "expected a dictionary, got an array" },
    { "{\"Nope\": 1}", "unknown key \"Nope\"" },
    { "{\"Inner\": {\"Count\": -2}}", "Inner.Count: must be non-negative" },
    { "{\"Number\": 1.5}", "Number: expected an integer, got a number with a fraction" },
    { "{\"Bytes\": \"a b\"}", "Bytes: not base64" },
    { "{\"Map\": {\"k\": 1}}", "Map.k: expected a string, got an integer" },
    { "{\"Version\": {\"Wrong\": 1}}", "Version: expected exactly the key \"Index\"" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (JsonNode) node = json_from_string (cases[i][0], NULL);

    g_assert_null (swarm_message_from_json (&outer_type, node, 0, &error));
    g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
    g_assert_cmpstr (error->message, ==, cases[i][1]);
  }
}

static void
test_json_shape (void)
{
  g_autoptr (JsonNode) node
    = json_from_string ("{\"Version\":{\"Index\":12},\"Text\":null,\"Inner\":{\"Count\":4},\"Map\":{\"a\":\"b\"}}", NULL);
  g_autoptr (GError) error = NULL;
  Outer *outer = swarm_message_from_json (&outer_type, node, 0, &error);
  g_autoptr (JsonNode) back = NULL;
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  g_assert_cmpuint (outer->version, ==, 12);
  swarm_string_set (&outer->password, "hush");
  back = swarm_message_to_json (outer, 0);
  text = json_to_string (back, FALSE);
  g_assert_cmpstr (text, ==, "{\"Version\":{\"Index\":12},\"Inner\":{\"Count\":4},\"Map\":{\"a\":\"b\"}}");
  swarm_message_unref (outer);
}

/* A version that knows one field reads, changes and writes: the others stay as they were. */
static void
test_unknown_kept (void)
{
  for (int i = 0; i < 100; i++) {
    Outer *outer = field_random_message (&outer_type, 0);
    g_autoptr (GBytes) bytes = swarm_message_encode (outer);
    g_autoptr (GBytes) changed = NULL;
    g_autoptr (GError) error = NULL;
    Old *old = swarm_message_decode (&old_type, bytes, &error), *copy;
    Outer *back;

    g_assert_no_error (error);
    copy = swarm_message_copy (old);
    copy->number++;
    changed = swarm_message_encode (copy);
    back = swarm_message_decode (&outer_type, changed, &error);
    g_assert_no_error (error);
    g_assert_cmpint (back->number, ==, outer->number + 1);
    back->number--;
    g_assert_true (swarm_message_equal (back, outer));
    swarm_message_unref (outer);
    swarm_message_unref (old);
    swarm_message_unref (copy);
    swarm_message_unref (back);
  }
}

static void
assert_damaged (const char *data, gsize len, const char *why)
{
  g_autoptr (GBytes) bytes = g_bytes_new (data, len);
  g_autoptr (GError) error = NULL;

  g_assert_null (swarm_message_decode (&outer_type, bytes, &error));
  g_assert_cmpstr (error->message, ==, why);
}

static void
test_storage_refused (void)
{
  assert_damaged ("\x10", 1, "Outer: the record of a Outer is damaged or cut off");
  assert_damaged ("\x2a\x05hi", 4, "Outer: the record of a Outer is damaged or cut off");
  assert_damaged ("\x00\x01", 2, "Outer: the record of a Outer is damaged or cut off");
  assert_damaged ("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11, "Outer: the record of a Outer is damaged or cut off");
  assert_damaged ("\x10\x01\x10\x01", 4, "Outer.Number: given twice");
  assert_damaged ("\x12\x01x", 3, "Outer.Number: wire type 2 instead of 0");
  assert_damaged ("\x2a\x02\xc3\x28", 4, "Outer.Text: not valid UTF-8");
  assert_damaged ("\x2a\x02" "a\0", 4, "Outer.Text: not valid UTF-8");
  assert_damaged ("\x3a\x02hi", 4, "Outer.Id: an id of 2 bytes");
  assert_damaged ("\x40\x07", 2, "Outer.Colour: unknown value 7");
  assert_damaged ("\x08\x02", 2, "Outer.Yes: unknown value 2");
  assert_damaged ("\x7a\x02\x0a\x00", 4, "Outer.Map: a damaged pair");
}

/* A few bytes must not become a large amount of memory. */
static void
test_storage_bounded (void)
{
  gsize n = SWARM_FIELD_MAX_ELEMENTS + 1;
  g_autofree char *data = g_malloc (2 * n);

  for (gsize i = 0; i < n; i++) {
    data[2 * i] = 0x72;
    data[2 * i + 1] = 0;
  }
  assert_damaged (data, 2 * n, "Outer.Inners: more than 65536 elements");
}

static void
test_differences (void)
{
  Outer *a = swarm_message_new (&outer_type), *b = swarm_message_new (&outer_type);
  Inner *inner = swarm_message_new (&inner_type);
  g_autofree char *path = NULL;

  /* Absent and all defaults do not differ under a flag that stands inside. */
  swarm_message_set_pointer (&b->inner, inner);
  g_assert_false (swarm_message_equal (a, b));
  g_assert_false (swarm_message_differs (a, b, SWARM_FIELD_REPLACES_TASKS));
  inner->count = 9;
  g_assert_false (swarm_message_differs (a, b, SWARM_FIELD_REPLACES_TASKS));
  swarm_string_set (&inner->text, "x");
  path = swarm_message_first_difference (a, b, SWARM_FIELD_REPLACES_TASKS);
  g_assert_cmpstr (path, ==, "Inner.Text");
  g_assert_false (swarm_message_differs (a, b, SWARM_FIELD_IMMUTABLE));
  swarm_message_unref (inner);
  swarm_message_unref (a);
  swarm_message_unref (b);
}

static void
test_copy_is_own (void)
{
  Outer *outer = field_random_message (&outer_type, 0), *copy, *keep;

  if (outer->strings == NULL)
    outer->strings = swarm_strings_new ();
  if (outer->map == NULL)
    outer->map = swarm_map_new ();
  keep = swarm_message_copy (outer);
  copy = swarm_message_copy (outer);
  g_ptr_array_add (copy->strings, g_strdup ("more"));
  g_hash_table_insert (copy->map, g_strdup ("more"), g_strdup ("yes"));
  swarm_string_set (&copy->text, "other");
  g_assert_true (swarm_message_equal (outer, keep));
  g_assert_false (swarm_message_equal (outer, copy));
  swarm_message_unref (outer);
  swarm_message_unref (copy);
  swarm_message_unref (keep);
}

static void
test_time (void)
{
  static const struct {
    const char *text;
    gint64 us;
    const char *shown;
  } cases[] = {
    { "2026-01-02T03:04:05Z", G_GINT64_CONSTANT (1767323045000000), "2026-01-02T03:04:05Z" },
    { "2026-01-02T03:04:05.123456789Z", G_GINT64_CONSTANT (1767323045123456), "2026-01-02T03:04:05.123456Z" },
    { "2026-01-02T04:04:05.5+01:00", G_GINT64_CONSTANT (1767323045500000), "2026-01-02T03:04:05.5Z" },
    { "0001-01-01T00:00:00Z", G_GINT64_CONSTANT (-62135596800000000), "0001-01-01T00:00:00Z" },
    { "1969-12-31T23:59:59.75z", -250000, "1969-12-31T23:59:59.75Z" },
  };
  static const char *const bad[] = { "", "2026", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z",
                                     "2026-01-02T03:04:05Zx", "2026-01-02T25:04:05Z", "2026-02-30T03:04:05Z", "2026-01-02T03:04:05+1:00" };
  gint64 us;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *shown = swarm_time_to_string (cases[i].us);
    g_assert_true (swarm_time_from_string (cases[i].text, &us));
    g_assert_cmpint (us, ==, cases[i].us);
    g_assert_cmpstr (shown, ==, cases[i].shown);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (swarm_time_from_string (bad[i], &us));
}

/* What changed from one message to another, in the storage form, makes the one into the other. */
static void
test_changes (void)
{
  guint said = 0;

  for (guint i = 0; i < 300; i++) {
    Outer *a = field_random_message (&outer_type, 0), *b = field_random_message (&outer_type, 0), *half = swarm_message_copy (a);
    SwarmBuffer out = { 0 };
    g_autoptr (GError) error = NULL;
    guint64 fields = 0, none = 1;

    /* Some fields as in one, some as in the other. */
    for (const SwarmField *field = outer_type.fields; field->number != 0; field++) {
      guint64 bit = field->number < 64 && g_test_rand_int_range (0, 2) == 0 ? (guint64) 1 << field->number : 0;
      gpointer merged = bit != 0 ? swarm_message_merge (half, b, bit) : NULL;
      if (merged != NULL) {
        swarm_message_unref (half);
        half = merged;
      }
    }
    g_assert_true (swarm_message_encode_changes (&out, a, a, &none));
    g_assert_cmpuint (none, ==, 0);
    g_assert_cmpuint (out.len, ==, 0);
    if (swarm_message_encode_changes (&out, a, half, &fields)) {
      g_autoptr (GBytes) bytes = g_bytes_new_take (out.data, out.len);
      gpointer changes = swarm_message_decode (&outer_type, bytes, &error);
      g_assert_no_error (error);
      gpointer merged = swarm_message_merge (a, changes, fields);
      g_assert_true (swarm_message_equal (merged, half));
      said += fields != 0;
      swarm_message_unref (changes);
      swarm_message_unref (merged);
    } else {
      g_free (out.data);
    }
    swarm_message_unref (a);
    swarm_message_unref (b);
    swarm_message_unref (half);
  }
  g_assert_cmpuint (said, >, 200);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/field/round-trips", test_round_trips);
  g_test_add_func ("/field/changes", test_changes);
  g_test_add_func ("/field/defaults", test_defaults);
  g_test_add_func ("/field/any-integer", test_any_integer);
  g_test_add_func ("/field/list-shapes", test_list_shapes);
  g_test_add_func ("/field/refused", test_refused);
  g_test_add_func ("/field/given-twice", test_given_twice);
  g_test_add_func ("/field/json-refused", test_json_refused);
  g_test_add_func ("/field/json-shape", test_json_shape);
  g_test_add_func ("/field/unknown-kept", test_unknown_kept);
  g_test_add_func ("/field/storage-refused", test_storage_refused);
  g_test_add_func ("/field/storage-bounded", test_storage_bounded);
  g_test_add_func ("/field/differences", test_differences);
  g_test_add_func ("/field/copy-is-own", test_copy_is_own);
  g_test_add_func ("/field/time", test_time);
  return g_test_run ();
}
