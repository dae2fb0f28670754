// SPDX-License-Identifier: LGPL-2.1-or-later
/* What we install beside the code says the same as the code: bus policy, activation, polkit actions. */
#include "bus-fixture.h"
#include "bus-things.h"

#define PLAIN_UID 65534

/* The defaults of a system bus. */
#define SYSTEM_POLICY \
  "<policy context=\"default\"><allow user=\"*\"/><deny own=\"*\"/><deny send_type=\"method_call\"/><allow send_type=\"signal\"/>" \
  "<allow send_requested_reply=\"true\" send_type=\"method_return\"/><allow send_requested_reply=\"true\" send_type=\"error\"/>" \
  "<allow receive_type=\"method_call\"/><allow receive_type=\"method_return\"/><allow receive_type=\"error\"/>" \
  "<allow receive_type=\"signal\"/><allow send_destination=\"org.freedesktop.DBus\"/></policy>"

static char *
source_file (const char *folder, const char *name)
{
  return g_build_filename (g_getenv ("G_TEST_SRCDIR"), "..", "..", folder, name, NULL);
}

static gboolean
may_own (GDBusConnection *connection)
{
  g_autoptr (GVariant) reply
    = g_dbus_connection_call_sync (connection, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName",
                                   g_variant_new ("(su)", NAME, 4), NULL, 0, -1, NULL, NULL);
  return reply != NULL;
}

static void
test_bus_policy (void)
{
  g_autofree char *file = source_file ("dbus", "org.swarmagent1.conf");
  g_autofree char *policy = g_strdup_printf (SYSTEM_POLICY "<include>%s</include>", file);
  g_autoptr (GError) error = NULL;
  GDBusConnection *plain;
  TestBus *bus;
  World world;

  if (geteuid () != 0) {
    g_test_skip ("needs root");
    return;
  }
  bus = test_bus_start_with (policy);
  world_init (&world);
  plain = test_bus_connect_as (bus, PLAIN_UID);
  g_assert_false (may_own (plain));
  world.bus = swarm_bus_new (bus->address, &error);
  g_assert_no_error (error);
  g_assert_true (swarm_bus_export (world.bus, ROOT, test_kinds, &world, &error));
  g_assert_true (swarm_bus_own_name (world.bus, NAME, &error));
  test_bus_expect (plain, ROOT, "org.swarmagent1.Manager", "Info", NULL, "('hello',)");
  g_dbus_connection_close_sync (plain, NULL, NULL);
  g_object_unref (plain);
  swarm_bus_free (world.bus);
  world_clear (&world);
  test_bus_stop (bus);
}

static void
test_activation (void)
{
  g_autofree char *file = source_file ("dbus", "org.swarmagent1.service");
  g_autoptr (GKeyFile) key_file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *name = NULL;
  g_autofree char *unit = NULL;
  g_autofree char *user = NULL;

  g_key_file_load_from_file (key_file, file, G_KEY_FILE_NONE, &error);
  g_assert_no_error (error);
  name = g_key_file_get_string (key_file, "D-BUS Service", "Name", NULL);
  unit = g_key_file_get_string (key_file, "D-BUS Service", "SystemdService", NULL);
  user = g_key_file_get_string (key_file, "D-BUS Service", "User", NULL);
  g_assert_cmpstr (name, ==, NAME);
  g_assert_cmpstr (unit, ==, "swarm-agent.service");
  g_assert_cmpstr (user, ==, "root");
}

/* ---- polkit: "action any inactive active" of each ---- */

typedef struct {
  GPtrArray *lines;
  GString *line;
  gboolean in_default;
} Policy;

static void
start_element (GMarkupParseContext *context, const char *element, const char **names, const char **values, gpointer data, GError **error)
{
  Policy *self = data;

  if (strcmp (element, "action") == 0)
    g_string_assign (self->line, values[0]);
  self->in_default = g_str_has_prefix (element, "allow_");
}

static void
end_element (GMarkupParseContext *context, const char *element, gpointer data, GError **error)
{
  Policy *self = data;

  self->in_default = FALSE;
  if (strcmp (element, "action") == 0)
    g_ptr_array_add (self->lines, g_strdup (self->line->str));
}

static void
element_text (GMarkupParseContext *context, const char *text, gsize len, gpointer data, GError **error)
{
  Policy *self = data;

  if (self->in_default)
    g_string_append_printf (self->line, " %.*s", (int) len, text);
}

static void
test_polkit_policy (void)
{
  static const GMarkupParser parser = { start_element, end_element, element_text, NULL, NULL };
  g_autofree char *file = source_file ("polkit", "org.swarmagent1.policy");
  g_autofree char *text = NULL;
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autoptr (GMarkupParseContext) context = NULL;
  Policy policy = { lines, g_string_new (NULL), FALSE };
  guint n = 0;

  g_file_get_contents (file, &text, NULL, &error);
  g_assert_no_error (error);
  context = g_markup_parse_context_new (&parser, 0, &policy, NULL);
  g_assert_true (g_markup_parse_context_parse (context, text, -1, &error));
  for (SwarmAction action = 0; action < _SWARM_ACTION_MAX; action++) {
    const char *id = swarm_action_to_string (action);
    g_autofree char *line = NULL;

    if (id == NULL)
      continue;
    n++;
    line = g_strconcat (id, action == SWARM_ACTION_READ ? " no no yes" : " auth_admin auth_admin auth_admin_keep", NULL);
    if (!g_ptr_array_find_with_equal_func (lines, line, g_str_equal, NULL))
      g_error ("the policy has no '%s'", line);
  }
  g_assert_cmpuint (lines->len, ==, n);
  g_string_free (policy.line, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bus/files/bus-policy", test_bus_policy);
  g_test_add_func ("/bus/files/activation", test_activation);
  g_test_add_func ("/bus/files/polkit-policy", test_polkit_policy);
  return g_test_run ();
}
