// SPDX-License-Identifier: LGPL-2.1-or-later
#include <config.h>
#include "daemon/config.h"

#include "base/error.h"
#include "base/log.h"
#include "model/objects.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONFIG_BYTES (256 * 1024)
#define DEFAULT_LISTEN "0.0.0.0:2377"
#define DEFAULT_IDLE_EXIT_S 60

typedef struct {
  const char *section;
  const char *key;
  gsize offset;
  gboolean (*parse) (const char *text, gpointer member, GError **error);
} ConfigRow;

static gboolean
parse_string (const char *text, gpointer member, GError **error)
{
  if (*text == '\0')
    return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "value is empty"), FALSE;
  g_free (*(char **) member);
  *(char **) member = g_strdup (text);
  return TRUE;
}

static gboolean
parse_plugin_name (const char *text, gpointer member, GError **error)
{
  for (const char *c = text; *c != '\0'; c++)
    if (!g_ascii_isalnum (*c) && *c != '-' && *c != '_') {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is not a plugin name (letters, digits, - and _)", text);
      return FALSE;
    }
  return parse_string (text, member, error);
}

static gboolean
parse_seconds (const char *text, gpointer member, GError **error)
{
  guint64 value;
  if (!g_ascii_string_to_unsigned (text, 10, 0, 86400, &value, NULL)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is not a number of seconds from 0 to 86400", text);
    return FALSE;
  }
  *(guint *) member = (guint) value;
  return TRUE;
}

static gboolean
parse_log_level (const char *text, gpointer member, GError **error)
{
  static const char *const names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (strcmp (names[i], text) == 0) {
      *(int *) member = (int) i;
      return TRUE;
    }
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is not a log level (err, warning, notice, info, debug)", text);
  return FALSE;
}

static const ConfigRow config_rows[] = {
  { "Agent", "ListenAddress", G_STRUCT_OFFSET (SwarmConfig, listen), parse_string },
  { "Agent", "AdvertiseAddress", G_STRUCT_OFFSET (SwarmConfig, advertise), parse_string },
  { "Agent", "LogLevel", G_STRUCT_OFFSET (SwarmConfig, log_level), parse_log_level },
  { "Agent", "IdleExitSec", G_STRUCT_OFFSET (SwarmConfig, idle_exit_s), parse_seconds },
  { "Plugins", "Runtime", G_STRUCT_OFFSET (SwarmConfig, runtime_plugin), parse_plugin_name },
  { "Plugins", "Scheduler", G_STRUCT_OFFSET (SwarmConfig, scheduler_plugin), parse_plugin_name },
  { "Plugins", "Network", G_STRUCT_OFFSET (SwarmConfig, network_plugin), parse_plugin_name },
};

static const ConfigRow *
find_row (const char *section, const char *key)
{
  for (guint i = 0; i < G_N_ELEMENTS (config_rows); i++)
    if (strcmp (config_rows[i].section, section) == 0 && strcmp (config_rows[i].key, key) == 0)
      return &config_rows[i];
  return NULL;
}

/* [runtime-podman] and the like: the plugin knows its keys. */
static gboolean
is_plugin_section (const char *section)
{
  return g_str_has_prefix (section, "runtime-") || g_str_has_prefix (section, "scheduler-") || g_str_has_prefix (section, "network-");
}

static gboolean
known_section (const char *section)
{
  if (strcmp (section, "Labels") == 0 || strcmp (section, "GenericResources") == 0 || is_plugin_section (section))
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (config_rows); i++)
    if (strcmp (config_rows[i].section, section) == 0)
      return TRUE;
  return FALSE;
}

static void
remove_things (SwarmConfig *self, const char *kind)
{
  for (guint i = self->things->len; i > 0; i--) {
    const SwarmGenericResource *thing = self->things->pdata[i - 1];
    if (strcmp (thing->named != NULL ? thing->named->kind : thing->discrete->kind, kind) == 0)
      g_ptr_array_remove_index (self->things, i - 1);
  }
}

/* KIND=3, or KIND=NAME,NAME…; a later line replaces an earlier one of its kind. */
static gboolean
apply_things (SwarmConfig *self, const char *kind, const char *value, GError **error)
{
  g_auto (GStrv) names = g_strsplit (value, ",", -1);
  guint64 number = 0;
  if (*kind == '\0' || *value == '\0')
    return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "generic resources are KIND=NUMBER or KIND=NAME,…"), FALSE;
  gboolean counted = g_ascii_string_to_unsigned (value, 10, 0, G_MAXINT64, &number, NULL);
  for (guint i = 0; !counted && names[i] != NULL; i++)
    if (*g_strstrip (names[i]) == '\0')
      return g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s: a name between the commas is empty", kind), FALSE;
  remove_things (self, kind);
  for (guint i = 0; counted ? i == 0 : names[i] != NULL; i++) {
    SwarmGenericResource *thing = swarm_generic_resource_new ();
    if (counted) {
      thing->discrete = swarm_discrete_resource_new ();
      thing->discrete->kind = g_strdup (kind);
      thing->discrete->value = (gint64) number;
    } else {
      thing->named = swarm_named_resource_new ();
      thing->named->kind = g_strdup (kind);
      thing->named->value = g_strdup (names[i]);
    }
    g_ptr_array_add (self->things, thing);
  }
  return TRUE;
}

static gboolean
apply_assignment (SwarmConfig *self, const char *section, const char *key, const char *value, GError **error)
{
  if (strcmp (section, "Labels") == 0) {
    if (*key == '\0')
      return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "label without a name"), FALSE;
    g_hash_table_replace (self->labels, g_strdup (key), g_strdup (value));
    return TRUE;
  }
  if (strcmp (section, "GenericResources") == 0)
    return apply_things (self, key, value, error);
  if (is_plugin_section (section)) {
    g_hash_table_replace (self->plugin_values, g_strconcat (section, "\n", key, NULL), g_strdup (value));
    return TRUE;
  }
  const ConfigRow *row = find_row (section, key);
  if (row == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unknown key %s= in section [%s]", key, section);
    return FALSE;
  }
  return row->parse (value, (guint8 *) self + row->offset, error);
}

/* One line of the file; @section is the current one and changes with a header. */
static gboolean
apply_line (SwarmConfig *self, char *line, char **section, GError **error)
{
  char *text = g_strstrip (line);
  if (*text == '\0' || *text == '#' || *text == ';')
    return TRUE;
  if (!g_utf8_validate (text, -1, NULL))
    return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "not valid UTF-8"), FALSE;
  if (*text == '[') {
    char *end = strchr (text, ']');
    if (end == NULL || end[1] != '\0')
      return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "section header without closing ]"), FALSE;
    *end = '\0';
    g_free (*section);
    *section = g_strdup (text + 1);
    if (known_section (*section))
      return TRUE;
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unknown section [%s]", *section);
    return FALSE;
  }
  char *equals = strchr (text, '=');
  if (equals == NULL)
    return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "neither a section nor key=value"), FALSE;
  if (*section == NULL)
    return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "key=value before the first section"), FALSE;
  *equals = '\0';
  return apply_assignment (self, *section, g_strchomp (text), g_strchug (equals + 1), error);
}

gboolean
swarm_config_read_file (SwarmConfig *self, const char *path, GError **error)
{
  g_autofree char *content = NULL;
  gsize len;
  if (!g_file_get_contents (path, &content, &len, error))
    return FALSE;
  if (len > MAX_CONFIG_BYTES || strlen (content) != len) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s: larger than 256 KiB or contains NUL bytes", path);
    return FALSE;
  }
  g_auto (GStrv) lines = g_strsplit (content, "\n", -1);
  g_autofree char *section = NULL;
  for (guint i = 0; lines[i] != NULL; i++) {
    g_autoptr (GError) local = NULL;
    if (apply_line (self, lines[i], &section, &local))
      continue;
    self->n_bad_lines++;
    swarm_warning ("%s:%u: %s; the line is ignored", path, i + 1, local->message);
  }
  return TRUE;
}

static int
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static void
read_config_dir (SwarmConfig *self, const char *dir)
{
  g_autofree char *main_file = g_build_filename (dir, "agent.conf", NULL);
  g_autofree char *drop_ins = g_build_filename (dir, "agent.conf.d", NULL);
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) listing = g_dir_open (drop_ins, 0, NULL);
  for (const char *name; listing != NULL && (name = g_dir_read_name (listing)) != NULL;)
    if (g_str_has_suffix (name, ".conf"))
      g_ptr_array_add (paths, g_build_filename (drop_ins, name, NULL));
  g_ptr_array_sort (paths, compare_paths);
  g_ptr_array_insert (paths, 0, g_steal_pointer (&main_file));
  for (guint i = 0; i < paths->len; i++) {
    g_autoptr (GError) local = NULL;
    if (!swarm_config_read_file (self, paths->pdata[i], &local) && !g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
      self->n_bad_lines++;
      swarm_warning ("%s; the file is ignored", local->message);
    }
  }
}

SwarmConfig *
swarm_config_new_defaults (void)
{
  SwarmConfig *self = g_new0 (SwarmConfig, 1);
  self->listen = g_strdup (DEFAULT_LISTEN);
  self->plugin_dir = g_strdup (SWARM_PLUGIN_DIR);
  self->runtime_plugin = g_strdup ("podman");
  self->scheduler_plugin = g_strdup ("spread");
  self->log_level = LOG_INFO;
  self->idle_exit_s = DEFAULT_IDLE_EXIT_S;
  self->labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->things = swarm_messages_new ();
  self->plugin_values = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

const char *
swarm_config_network (const SwarmConfig *self)
{
  if (self->network_plugin != NULL)
    return self->network_plugin;
  return strcmp (self->runtime_plugin, "sim") == 0 ? "host" : "overlay"; /* agents of tests leave the networks of their machine alone */
}

void
swarm_config_free (SwarmConfig *self)
{
  if (self == NULL)
    return;
  g_free (self->root);
  g_free (self->bus);
  g_free (self->listen);
  g_free (self->advertise);
  g_free (self->state_dir);
  g_free (self->runtime_dir);
  g_free (self->plugin_dir);
  g_free (self->runtime_plugin);
  g_free (self->scheduler_plugin);
  g_free (self->network_plugin);
  g_hash_table_unref (self->labels);
  g_ptr_array_unref (self->things);
  g_hash_table_unref (self->plugin_values);
  g_free (self->join);
  g_free (self->token_file);
  g_free (self);
}

static gboolean
check_command_line (SwarmConfig *self, GError **error)
{
  gboolean no_bus = g_strcmp0 (self->bus, "none") == 0;
  if ((self->init || self->join != NULL) && !no_bus)
    return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                                "--init and --join are for --bus none; with a bus use swarmctl init and swarmctl join"),
           FALSE;
  if (self->init && self->join != NULL)
    return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "--init and --join exclude each other"), FALSE;
  if ((self->join != NULL) != (self->token_file != NULL))
    return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "--join HOST:PORT and --token-file FILE go together"),
           FALSE;
  return TRUE;
}

SwarmConfig *
swarm_config_load (int *argc, char ***argv, gboolean *ret_exit, GError **error)
{
  g_autoptr (SwarmConfig) self = swarm_config_new_defaults ();
  g_autofree char *listen = NULL, *plugin_dir = NULL;
  gboolean version = FALSE;
  const GOptionEntry entries[] = {
    { "root", 0, 0, G_OPTION_ARG_FILENAME, &self->root, "Keep state, run time files and configuration below DIR", "DIR" },
    { "bus", 0, 0, G_OPTION_ARG_STRING, &self->bus, "D-Bus address to serve on, or none (default: the system bus)", "ADDRESS" },
    { "listen", 0, 0, G_OPTION_ARG_STRING, &listen, "Listen address for other nodes (default: " DEFAULT_LISTEN ")", "ADDR" },
    { "plugin-dir", 0, 0, G_OPTION_ARG_FILENAME, &plugin_dir, "Load plugins from DIR", "DIR" },
    { "init", 0, 0, G_OPTION_ARG_NONE, &self->init, "With --bus none: start a new cluster", NULL },
    { "join", 0, 0, G_OPTION_ARG_STRING, &self->join, "With --bus none: join the cluster of this manager", "HOST:PORT" },
    { "token-file", 0, 0, G_OPTION_ARG_FILENAME, &self->token_file, "File with the join token", "FILE" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version and exit", NULL },
    { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_option_context_set_summary (context, "The agent of a swarm cluster. It is started by systemd; swarmctl talks to it.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return NULL;
  if (*argc > 1)
    return g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unexpected argument \"%s\"", (*argv)[1]), NULL;
  *ret_exit = version;
  if (version)
    g_print ("swarm-agent %s\n", SWARM_VERSION);
  if (!check_command_line (self, error))
    return NULL;

  const char *root = self->root != NULL ? self->root : "";
  g_autofree char *config_dir = g_strconcat (root, self->root != NULL ? "/etc/swarm-agent" : SWARM_CONFIG_DIR, NULL);
  self->state_dir = g_strconcat (root, self->root != NULL ? "/var/lib/swarm-agent" : SWARM_STATE_DIR, NULL);
  self->runtime_dir = g_strconcat (root, SWARM_RUNTIME_DIR, NULL);
  read_config_dir (self, config_dir);
  if (listen != NULL)
    parse_string (listen, &self->listen, NULL);
  if (plugin_dir != NULL)
    parse_string (plugin_dir, &self->plugin_dir, NULL);
  return g_steal_pointer (&self);
}
