// SPDX-License-Identifier: LGPL-2.1-or-later
/* GVariant to libdbus and back: every value comes back as it was, and nothing that libdbus would abort on gets through. */
#include "base/error.h"
#include "bus/convert.h"
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <string.h>
#include <unistd.h>

static DBusMessage *
new_call (void)
{
  g_autoptr (GError) error = NULL;
  DBusMessage *message = swarm_bus_message_new_call ("org.example", "/org/example", "org.example.Thing", "Do", &error);

  g_assert_no_error (error);
  return message;
}

static const SwarmBusHead a_call = { DBUS_MESSAGE_TYPE_METHOD_CALL, "/org/example", "org.example.Thing", "Do", .serial = 7 };

/* Through bytes, so that libdbus validates what we appended. */
static GVariant *
through_bytes (GVariant *args)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DBusMessage) message = new_call ();
  g_autoptr (DBusMessage) copy = NULL;
  g_autoptr (GBytes) bytes = NULL;
  GVariant *back;

  swarm_bus_message_append (message, args, NULL, &error);
  g_assert_no_error (error);
  bytes = swarm_bus_message_marshal (message, DBUS_MAXIMUM_MESSAGE_LENGTH, &error);
  g_assert_no_error (error);
  copy = swarm_bus_message_demarshal (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), &error);
  g_assert_no_error (error);
  g_assert_cmpstr (dbus_message_get_member (copy), ==, "Do");
  back = swarm_bus_message_args (copy, NULL, &error);
  g_assert_no_error (error);
  return back;
}

static void
test_round_trip (void)
{
  static const char *const texts[] = {
    "()",
    "('text',)",
    "(byte 0x7f, true, int16 -3, uint16 65535, int32 -70000, uint32 4000000000, int64 -5, uint64 18446744073709551615, 2.5)",
    "(objectpath '/a/b_1', signature 'a{sv}(ii)', '\\u00e9\\U0001f40b')",
    "(@ay [], @as [], @a{sv} {}, @a(ii) [], @av [])",
    "([byte 1, 2, 3], [true, false], [int64 1, -1], [1.5, 2.5], [uint16 9])",
    "({'a': <1>, 'b': <{'c': <['x', 'y']>, 'd': <(1, 'two', <3>)>}>},)",
    "([('a', {uint32 1: 'x'}), ('b', {uint32 2: 'y'})], <<<'deep'>>>)",
    "(byte 1, [{'k': <[[(byte 1, int64 2)]]>}], byte 2)",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GVariant) args = g_variant_parse (NULL, texts[i], NULL, NULL, &error);
    g_autoptr (GVariant) back = NULL;

    g_assert_no_error (error);
    back = through_bytes (args);
    g_assert_cmpvariant (args, back);
  }
}

/* ---- any value: read as GLib itself lays it out, whichever byte order it came in ---- */

static void
random_type (GRand *rand, GString *type, guint depth)
{
  static const char basic[] = "ybnqiuxtdsog";
  guint choice = depth < 4 ? (guint) g_rand_int_range (rand, 0, 8) : 0;

  if (choice < 4) {
    g_string_append_c (type, basic[g_rand_int_range (rand, 0, (gint32) strlen (basic))]);
  } else if (choice == 4) {
    g_string_append_c (type, 'v');
  } else if (choice == 5) {
    g_string_append_c (type, 'a');
    random_type (rand, type, depth + 1);
  } else if (choice == 6) {
    g_string_append_printf (type, "a{%c", basic[g_rand_int_range (rand, 0, (gint32) strlen (basic))]);
    random_type (rand, type, depth + 1);
    g_string_append_c (type, '}');
  } else {
    g_string_append_c (type, '(');
    for (int n = g_rand_int_range (rand, 1, 5); n > 0; n--)
      random_type (rand, type, depth + 1);
    g_string_append_c (type, ')');
  }
}

static GVariant *random_value (GRand *rand, const GVariantType *type, guint depth);

static GVariant *
random_container (GRand *rand, const GVariantType *type, guint depth)
{
  GVariantBuilder builder;

  if (g_variant_type_is_variant (type)) {
    g_autoptr (GString) inner = g_string_new (NULL);
    random_type (rand, inner, depth + 1);
    return g_variant_new_variant (random_value (rand, G_VARIANT_TYPE (inner->str), depth + 1));
  }
  g_variant_builder_init (&builder, type);
  if (g_variant_type_is_array (type)) {
    int n = g_rand_int_range (rand, 0, 40) == 0 ? 300 : g_rand_int_range (rand, 0, 4); /* lengths in one byte, and in two */
    for (; n > 0; n--)
      g_variant_builder_add_value (&builder, random_value (rand, g_variant_type_element (type), n > 4 ? 9 : depth + 1));
  } else {
    gboolean entry = g_variant_type_is_dict_entry (type);
    for (const GVariantType *at = entry ? g_variant_type_key (type) : g_variant_type_first (type); at != NULL; at = g_variant_type_next (at))
      g_variant_builder_add_value (&builder, random_value (rand, at, depth + 1));
  }
  return g_variant_builder_end (&builder);
}

static GVariant *
random_value (GRand *rand, const GVariantType *type, guint depth)
{
  guint64 number = ((guint64) g_rand_int (rand) << 32) | g_rand_int (rand);
  g_autofree char *text = g_strnfill ((gsize) g_rand_int_range (rand, 0, 12), 'a' + (char) (number % 26));

  switch (*g_variant_type_peek_string (type)) {
  case 'y':
    return g_variant_new_byte ((guint8) number);
  case 'b':
    return g_variant_new_boolean (number % 2 == 0);
  case 'n':
    return g_variant_new_int16 ((gint16) number);
  case 'q':
    return g_variant_new_uint16 ((guint16) number);
  case 'i':
    return g_variant_new_int32 ((gint32) number);
  case 'u':
    return g_variant_new_uint32 ((guint32) number);
  case 'x':
    return g_variant_new_int64 ((gint64) number);
  case 't':
    return g_variant_new_uint64 (number);
  case 'd':
    return g_variant_new_double ((double) number);
  case 's':
    return g_variant_new_string (text);
  case 'o':
    return g_variant_new_object_path (number % 2 == 0 ? "/" : "/a/b_1");
  case 'g':
    return g_variant_new_signature (number % 3 == 0 ? "" : number % 3 == 1 ? "a{sv}" : "(ii)s");
  default:
    return random_container (rand, type, depth);
  }
}

/* Written in one go, as signals and what goes between nodes are. */
static GVariant *
through_write (GVariant *args)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DBusMessage) message = swarm_bus_message_new (&a_call, args, DBUS_MAXIMUM_MESSAGE_LENGTH, &error);
  GVariant *back;

  g_assert_no_error (error);
  g_assert_cmpint (dbus_message_get_type (message), ==, DBUS_MESSAGE_TYPE_METHOD_CALL);
  g_assert_false (dbus_message_get_no_reply (message));
  g_assert_cmpuint (dbus_message_get_serial (message), ==, 0);
  g_assert_cmpstr (dbus_message_get_path (message), ==, "/org/example");
  g_assert_cmpstr (dbus_message_get_interface (message), ==, "org.example.Thing");
  g_assert_cmpstr (dbus_message_get_member (message), ==, "Do");
  back = swarm_bus_message_args (message, NULL, &error);
  g_assert_no_error (error);
  return back;
}

static void
test_write_heads (void)
{
  SwarmBusHead reply = { DBUS_MESSAGE_TYPE_METHOD_RETURN, .reply_serial = 5, .destination = ":1.2" }, bad = { DBUS_MESSAGE_TYPE_SIGNAL, "no path", "a.b", "C" };
  g_autoptr (GVariant) none = g_variant_ref_sink (g_variant_new ("()"));
  g_autoptr (GVariant) text = g_variant_ref_sink (g_variant_new ("(s)", "text"));
  g_autoptr (GError) error = NULL;
  g_autoptr (DBusMessage) message = swarm_bus_message_new (&reply, none, 0, &error);

  g_assert_no_error (error);
  g_assert_cmpint (dbus_message_get_type (message), ==, DBUS_MESSAGE_TYPE_METHOD_RETURN);
  g_assert_cmpuint (dbus_message_get_reply_serial (message), ==, 5);
  g_assert_cmpstr (dbus_message_get_destination (message), ==, ":1.2");
  g_assert_true (dbus_message_get_no_reply (message));
  g_assert_cmpstr (dbus_message_get_signature (message), ==, "");
  g_assert_null (swarm_bus_message_new (&bad, none, 100, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (swarm_bus_message_write (&reply, text, 8, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  g_clear_error (&error);
  g_bytes_unref (swarm_bus_message_write (&reply, text, 9, &error));
  g_assert_no_error (error);
}

/* The same arguments as the other end would send them. */
static GVariant *
through_gio (GVariant *args, GDBusMessageByteOrder order)
{
  g_autoptr (GDBusMessage) head = g_dbus_message_new_method_call (NULL, "/a", "a.b", "C");
  g_autoptr (GError) error = NULL;
  g_autoptr (DBusMessage) message = NULL;
  g_autofree guint8 *blob = NULL;
  GVariant *back;
  gsize len;

  g_dbus_message_set_byte_order (head, order);
  g_dbus_message_set_serial (head, 1);
  g_dbus_message_set_body (head, args);
  blob = g_dbus_message_to_blob (head, &len, G_DBUS_CAPABILITY_FLAGS_NONE, &error);
  g_assert_no_error (error);
  message = swarm_bus_message_demarshal (blob, len, &error);
  g_assert_no_error (error);
  back = swarm_bus_message_args (message, NULL, &error);
  g_assert_no_error (error);
  return back;
}

static void
assert_same_bytes (GVariant *a, GVariant *b)
{
  g_assert_cmpstr (g_variant_get_type_string (a), ==, g_variant_get_type_string (b));
  g_assert_cmpmem (g_variant_get_data (a), g_variant_get_size (a), g_variant_get_data (b), g_variant_get_size (b));
}

static void
test_read_layout (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (11);

  for (guint i = 0; i < 2000; i++) {
    g_autoptr (GString) type = g_string_new ("(");
    g_autoptr (GVariant) args = NULL, back = NULL, written = NULL, little = NULL, big = NULL;

    for (int n = g_rand_int_range (rand, 1, 4); n > 0; n--)
      random_type (rand, type, 0);
    g_string_append_c (type, ')');
    args = g_variant_ref_sink (random_value (rand, G_VARIANT_TYPE (type->str), 0));
    back = through_bytes (args);
    assert_same_bytes (args, back);
    written = through_write (args);
    assert_same_bytes (args, written);
    little = through_gio (args, G_DBUS_MESSAGE_BYTE_ORDER_LITTLE_ENDIAN);
    assert_same_bytes (args, little);
    big = through_gio (args, G_DBUS_MESSAGE_BYTE_ORDER_BIG_ENDIAN);
    assert_same_bytes (args, big);
  }
}

static void
expect_append_error (GVariant *args, int code)
{
  g_autoptr (GVariant) sunk = g_variant_ref_sink (args);
  g_autoptr (DBusMessage) message = new_call ();
  g_autoptr (GError) error = NULL;

  g_assert_false (swarm_bus_message_append (message, sunk, NULL, &error));
  g_assert_error (error, SWARM_ERROR, code);
  g_clear_error (&error);
  g_assert_null (swarm_bus_message_write (&a_call, sunk, DBUS_MAXIMUM_MESSAGE_LENGTH, &error));
  g_assert_error (error, SWARM_ERROR, code);
  g_assert_cmpstr (dbus_message_get_signature (message), ==, "");
}

static GVariant *
raw (const char *type, const char *bytes, gsize len)
{
  gpointer copy = g_memdup2 (bytes, len);

  /* "Trusted": what code that builds values by hand may hand us. */
  return g_variant_new_from_data (G_VARIANT_TYPE (type), copy, len, TRUE, g_free, copy);
}

static void
test_bad_values (void)
{
  expect_append_error (g_variant_new ("(@s)", raw ("s", "a\xff\xfe", 4)), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new ("(@s)", raw ("s", "\xed\xa0\x80", 4)), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new ("(@o)", raw ("o", "/a//b", 6)), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new ("(@o)", raw ("o", "/a\xff", 4)), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new ("(@g)", raw ("g", "a", 2)), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new ("(v)", g_variant_new ("(@s)", raw ("s", "\xc3", 2))), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new_parsed ("(@ms 'maybe',)"), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new_parsed ("(<@ms nothing>,)"), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new_parsed ("((),)"), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new_parsed ("(<@a() []>,)"), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new ("s", "no tuple"), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (g_variant_new ("(h)", 0), SWARM_ERROR_INVALID_ARGUMENT);
}

/* Bytes that GLib does not trust read as defaults, never as something libdbus refuses. */
static void
test_untrusted (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  static const char *const types[] = { "(sas)", "(a{sv}o)", "(ayxg)", "(a(sv)b)", "(vv)", "(a{oa{sa{sv}}})" };

  for (guint i = 0; i < 20000; i++) {
    gsize len = (gsize) g_rand_int_range (rand, 0, 64);
    guint8 *data = g_malloc (len + 1);
    g_autoptr (GVariant) args = NULL;
    g_autoptr (DBusMessage) message = new_call ();
    g_autoptr (GError) error = NULL;

    for (gsize j = 0; j < len; j++)
      data[j] = (guint8) (g_rand_boolean (rand) ? g_rand_int (rand) % 8 : g_rand_int (rand));
    args = g_variant_ref_sink (
      g_variant_new_from_data (G_VARIANT_TYPE (types[i % G_N_ELEMENTS (types)]), data, len, FALSE, g_free, data));
    if (swarm_bus_message_append (message, args, NULL, &error)) {
      g_autoptr (DBusMessage) written = swarm_bus_message_new (&a_call, args, 1 << 20, &error);
      g_autoptr (GBytes) bytes = swarm_bus_message_marshal (message, 1 << 20, NULL);
      g_autoptr (DBusMessage) copy
        = swarm_bus_message_demarshal (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), &error);

      g_assert_no_error (error);
      g_assert_nonnull (copy);
      g_assert_nonnull (written);
    }
  }
}

static GVariant *
nested (guint depth, gboolean arrays)
{
  GVariant *value = g_variant_new_string ("x");

  for (guint i = 0; i < depth; i++)
    value = arrays && i < 31 ? g_variant_new_array (NULL, &value, 1) : g_variant_new_variant (value);
  return g_variant_new_tuple (&value, 1);
}

static void
test_depth (void)
{
  g_autoptr (GVariant) variants = g_variant_ref_sink (nested (64, FALSE));
  g_autoptr (GVariant) mixed = g_variant_ref_sink (nested (64, TRUE));
  g_autoptr (GVariant) back = through_bytes (variants);
  g_autoptr (GVariant) back_mixed = through_bytes (mixed);

  g_assert_cmpvariant (variants, back);
  g_assert_cmpvariant (mixed, back_mixed);
  expect_append_error (nested (65, FALSE), SWARM_ERROR_INVALID_ARGUMENT);
  expect_append_error (nested (65, TRUE), SWARM_ERROR_INVALID_ARGUMENT);
}

static void
test_sizes (void)
{
  gsize limit = DBUS_MAXIMUM_ARRAY_LENGTH;
  g_autofree char *zeros = g_malloc0 (limit + 1);
  GVariant *halves[3];
  g_autoptr (GVariant) whole = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (DBusMessage) message = new_call ();

  whole = g_variant_ref_sink (g_variant_new ("(@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, zeros, limit, 1)));
  g_assert_true (swarm_bus_message_append (message, whole, NULL, &error));
  expect_append_error (g_variant_new ("(@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, zeros, limit + 1, 1)),
                       SWARM_ERROR_LIMIT_EXCEEDED);
  for (guint i = 0; i < 3; i++)
    halves[i] = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, zeros, limit / 2, 1);
  expect_append_error (g_variant_new ("(@aay)", g_variant_new_array (NULL, halves, 3)), SWARM_ERROR_LIMIT_EXCEEDED);
  for (guint i = 0; i < 3; i++)
    halves[i] = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, zeros, limit, 1);
  expect_append_error (g_variant_new_tuple (halves, 3), SWARM_ERROR_LIMIT_EXCEEDED);

  g_clear_pointer (&message, dbus_message_unref);
  message = new_call ();
  g_assert_false (swarm_bus_message_append_max (message, whole, NULL, 1000, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
}

static void
test_read_limits (void)
{
  g_autoptr (GVariant) text = g_variant_ref_sink (g_variant_new_parsed ("(['aaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbb'],)"));
  g_autoptr (GVariant) many = NULL;
  g_autoptr (GVariant) back = NULL;
  g_autoptr (DBusMessage) message = new_call ();
  g_autoptr (GError) error = NULL;
  GVariantBuilder builder;

  g_assert_true (swarm_bus_message_append (message, text, NULL, &error));
  g_assert_null (swarm_bus_message_args_max (message, 40, NULL, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  g_clear_error (&error);
  back = swarm_bus_message_args_max (message, 80, NULL, &error);
  g_assert_no_error (error);

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("av"));
  for (guint i = 0; i < 1000; i++)
    g_variant_builder_add (&builder, "v", g_variant_new_byte (1));
  many = g_variant_ref_sink (g_variant_new ("(av)", &builder));
  dbus_message_unref (message);
  message = new_call ();
  g_assert_true (swarm_bus_message_append (message, many, NULL, &error));
  g_assert_null (swarm_bus_message_args_max (message, 16000, NULL, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
}

static void
test_descriptors (void)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GUnixFDList) back_fds = NULL;
  g_autoptr (GVariant) args = NULL;
  g_autoptr (GVariant) back = NULL;
  g_autoptr (DBusMessage) message = new_call ();
  g_autoptr (GError) error = NULL;
  int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  g_assert_cmpint (g_unix_fd_list_append (fds, fd, &error), ==, 0);
  close (fd);
  args = g_variant_ref_sink (g_variant_new ("(h@ah)", 0, g_variant_new_parsed ("[@h 0]")));
  g_assert_true (swarm_bus_message_append (message, args, fds, &error));
  g_assert_null (swarm_bus_message_args (message, NULL, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  back = swarm_bus_message_args (message, &back_fds, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_unix_fd_list_get_length (back_fds), ==, 2);
  g_assert_null (swarm_bus_message_marshal (message, 1 << 20, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
}

static void
test_heads (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DBusMessage) answer = swarm_bus_message_new_error (":1.5", 7, "not a name", "bad \xff text");

  g_assert_null (swarm_bus_message_new_call ("org.example", "a", "org.example.A", "B", &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (swarm_bus_message_new_call ("\xff", "/", "org.example.A", "B", &error));
  g_clear_error (&error);
  g_assert_null (swarm_bus_message_new_call (NULL, "/", "A", "B", &error));
  g_clear_error (&error);
  g_assert_null (swarm_bus_message_new_signal ("/", "org.example.A", "B-", &error));
  g_clear_error (&error);
  g_assert_null (swarm_bus_message_new_signal (NULL, NULL, NULL, &error));
  g_clear_error (&error);
  error = swarm_bus_message_error (answer);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED);
  g_assert_cmpstr (error->message, ==, "bad \357\277\275 text");
  g_assert_cmpuint (dbus_message_get_reply_serial (answer), ==, 7);
}

/* Changed, cut and lengthened bytes: refused or read, never a crash. Also what fuzzing runs. */
static void
try_bytes (const guint8 *data, gsize len)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DBusMessage) message = swarm_bus_message_demarshal (data, len, &error);
  g_autoptr (GVariant) args = NULL;

  if (message == NULL) {
    g_assert_nonnull (error);
    return;
  }
  args = swarm_bus_message_args_max (message, 1 << 20, NULL, &error);
  if (args != NULL) {
    g_autoptr (DBusMessage) again = new_call ();

    g_assert_true (swarm_bus_message_append (again, args, NULL, &error));
  }
}

static void
test_mutations (void)
{
  g_autoptr (GVariant) args = g_variant_ref_sink (
    g_variant_new_parsed ("({'a': <1>, 'b': <['x', 'y']>}, objectpath '/a', signature 'ii', [byte 1, 2], <<true>>, [1.5])"));
  g_autoptr (DBusMessage) message = new_call ();
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GRand) rand = g_rand_new_with_seed (42);
  gsize len;
  const guint8 *data;

  g_assert_true (swarm_bus_message_append (message, args, NULL, NULL));
  bytes = swarm_bus_message_marshal (message, 1 << 20, NULL);
  data = g_bytes_get_data (bytes, &len);
  for (gsize cut = 0; cut < len; cut++)
    try_bytes (data, cut);
  for (guint i = 0; i < 50000; i++) {
    g_autofree guint8 *copy = g_memdup2 (data, len);
    guint n = (guint) g_rand_int_range (rand, 1, 4);

    while (n-- > 0)
      copy[g_rand_int_range (rand, 0, (gint32) len)] = (guint8) g_rand_int (rand);
    try_bytes (copy, len);
  }
}

/* Invalid UTF-8 in raw bytes: libdbus validates what comes in. */
static void
test_raw_utf8 (void)
{
  g_autoptr (GVariant) args = g_variant_ref_sink (g_variant_new ("(s)", "needle"));
  g_autoptr (DBusMessage) message = new_call ();
  g_autoptr (DBusMessage) copy = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree guint8 *data = NULL;
  guint8 *at;
  gsize len;

  g_assert_true (swarm_bus_message_append (message, args, NULL, NULL));
  bytes = swarm_bus_message_marshal (message, 1 << 20, NULL);
  data = g_memdup2 (g_bytes_get_data (bytes, &len), g_bytes_get_size (bytes));
  at = memmem (data, g_bytes_get_size (bytes), "needle", 6);
  at[2] = 0xff;
  copy = swarm_bus_message_demarshal (data, g_bytes_get_size (bytes), &error);
  g_assert_null (copy);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bus/convert/round-trip", test_round_trip);
  g_test_add_func ("/bus/convert/read-layout", test_read_layout);
  g_test_add_func ("/bus/convert/write-heads", test_write_heads);
  g_test_add_func ("/bus/convert/bad-values", test_bad_values);
  g_test_add_func ("/bus/convert/untrusted", test_untrusted);
  g_test_add_func ("/bus/convert/depth", test_depth);
  g_test_add_func ("/bus/convert/sizes", test_sizes);
  g_test_add_func ("/bus/convert/read-limits", test_read_limits);
  g_test_add_func ("/bus/convert/descriptors", test_descriptors);
  g_test_add_func ("/bus/convert/heads", test_heads);
  g_test_add_func ("/bus/convert/mutations", test_mutations);
  g_test_add_func ("/bus/convert/raw-utf8", test_raw_utf8);
  return g_test_run ();
}
