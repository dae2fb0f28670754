// SPDX-License-Identifier: LGPL-2.1-or-later
/* What podman is told about a task. */
#include "private.h"
#include <json-glib/json-glib.h>
#include <string.h>

static void
add (GByteArray *out, const char *text)
{
  g_byte_array_append (out, (const guint8 *) text, strlen (text) + 1);
}

static void G_GNUC_PRINTF (2, 3)
addf (GByteArray *out, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  add (out, text);
}

/* podman reads --mount as one CSV record: a field with a comma or quote is quoted. */
static void
csv_field (GString *record, const char *key, const char *value)
{
  if (record->len > 0)
    g_string_append_c (record, ',');
  gboolean quote = strpbrk (value, ",\"\n") != NULL;
  if (quote)
    g_string_append_c (record, '"');
  g_string_append_printf (record, "%s=", key);
  for (; *value != '\0'; value++) {
    if (*value == '"')
      g_string_append_c (record, '"');
    g_string_append_c (record, *value);
  }
  if (quote)
    g_string_append_c (record, '"');
}

static void
add_mounts (GByteArray *out, const SwarmPluginTask *task)
{
  static const char *const types[] = { "bind", "volume", "tmpfs" };
  for (size_t i = 0; i < task->n_mounts; i++) {
    const SwarmPluginMount *mount = &task->mounts[i];
    g_autoptr (GString) record = g_string_new (NULL);
    csv_field (record, "type", types[MIN (mount->type, 2)]);
    if (mount->source != NULL && *mount->source != '\0' && mount->type != 2)
      csv_field (record, "source", mount->source);
    csv_field (record, "target", mount->target);
    if (mount->read_only)
      csv_field (record, "ro", "true");
    add (out, "--mount");
    add (out, record->str);
  }
}

/* In a namespace that the network plugin made the ports are its business too. */
gboolean
podman_publishes (const SwarmPluginTask *task)
{
  return task->network_mode == NULL || !g_str_has_prefix (task->network_mode, "ns:");
}

static void
add_ports (GByteArray *out, const SwarmPluginTask *task)
{
  static const char *const protocols[] = { "tcp", "udp", "sctp" };
  if (!podman_publishes (task))
    return;
  for (size_t i = 0; i < task->n_ports; i++) {
    const SwarmPluginPort *port = &task->ports[i];
    add (out, "--publish");
    if (port->published != 0)
      addf (out, "%u:%u/%s", port->published, port->target, protocols[MIN (port->protocol, 2)]);
    else
      addf (out, "%u/%s", port->target, protocols[MIN (port->protocol, 2)]);
  }
}

/* --entrypoint takes a JSON list. */
static void
add_entrypoint (GByteArray *out, const char *const *command)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  json_builder_begin_array (builder);
  for (guint i = 0; command[i] != NULL; i++)
    json_builder_add_string_value (builder, command[i]);
  json_builder_end_array (builder);
  g_autoptr (JsonNode) node = json_builder_get_root (builder);
  g_autofree char *text = json_to_string (node, FALSE);
  add (out, "--entrypoint");
  add (out, text);
}

/* One line a variable; values with a newline go through podman's own environment, which its env file cannot hold. */
static gboolean
add_environment (GByteArray *out, const char *const *env, GString *env_file, GByteArray *environ_file, char **ret_error)
{
  static const char *const own[] = { "PATH", "HOME", "NOTIFY_SOCKET", "TMPDIR", NULL };
  for (guint i = 0; env != NULL && env[i] != NULL; i++) {
    const char *equals = strchr (env[i], '=');
    if (equals == NULL)
      continue; /* docker: removes a variable; there is none to remove */
    if (strchr (env[i], '\n') == NULL) {
      g_string_append_printf (env_file, "%s\n", env[i]);
      continue;
    }
    g_autofree char *key = g_strndup (env[i], equals - env[i]);
    if (strchr (key, '\n') != NULL || g_strv_contains (own, key) || g_str_has_prefix (key, "XDG_") || g_str_has_prefix (key, "LD_")
        || g_str_has_prefix (key, "CONTAINERS_")) {
      *ret_error = g_strdup_printf ("environment variable %s cannot have a value with a newline", key);
      return FALSE;
    }
    add (environ_file, env[i]);
    add (out, "--env");
    add (out, key);
  }
  return TRUE;
}

static void
add_list (GByteArray *out, const char *option, const char *const *values)
{
  for (guint i = 0; values != NULL && values[i] != NULL; i++) {
    add (out, option);
    add (out, values[i]);
  }
}

static void
add_hosts (GByteArray *out, const char *const *hosts)
{
  for (guint i = 0; hosts != NULL && hosts[i] != NULL; i++) {
    const char *blank = strchr (hosts[i], ' ');
    if (blank == NULL)
      continue;
    add (out, "--add-host");
    addf (out, "%s:%.*s", blank + 1, (int) (blank - hosts[i]), hosts[i]);
  }
}

/* A resolver of the networks asks the task's own servers itself. Without a network podman takes none of these. */
static void
add_names (GByteArray *out, const SwarmPluginTask *task)
{
  if (g_strcmp0 (task->network_mode, "none") == 0)
    return;
  if (task->resolver != NULL)
    addf (out, "--dns=%s", task->resolver);
  else
    add_list (out, "--dns", task->dns);
  add_list (out, "--dns-search", task->dns_search);
  add_list (out, "--dns-option", task->dns_options);
}

static void
add_process (GByteArray *out, const SwarmPluginTask *task)
{
  const struct {
    const char *option;
    const char *value;
  } rows[] = { { "--hostname", task->hostname }, { "--workdir", task->dir }, { "--user", task->user }, { "--stop-signal", task->stop_signal } };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    if (rows[i].value != NULL && *rows[i].value != '\0') {
      add (out, rows[i].option);
      add (out, rows[i].value);
    }
  if (task->init)
    add (out, "--init");
  if (task->read_only)
    add (out, "--read-only");
  if (task->command != NULL && task->command[0] != NULL)
    add_entrypoint (out, task->command);
}

static void
add_limits (GByteArray *out, const SwarmPluginTask *task)
{
  if (task->limit_memory > 0) {
    add (out, "--memory");
    addf (out, "%" G_GINT64_FORMAT "b", (gint64) task->limit_memory);
  }
  if (task->limit_pids > 0) {
    add (out, "--pids-limit");
    addf (out, "%" G_GINT64_FORMAT, (gint64) task->limit_pids);
  }
}

GByteArray *
podman_create_arguments (const SwarmPluginTask *task, GString *env_file, GByteArray *environ_file, char **ret_error)
{
  g_autoptr (GByteArray) out = g_byte_array_new ();
  add (out, "--replace");
  addf (out, "--name=swarm-%s", task->id);
  add (out, "--pull=never"); /* it was pulled before */
  add (out, "--cgroups=split");
  add (out, "--sdnotify=conmon");
  add (out, "--log-driver=journald");
  addf (out, "--log-opt=tag=%s.%" G_GUINT64_FORMAT, task->service_name, (guint64) task->slot);
  add (out, "--no-healthcheck");
  add (out, "--restart=no");
  add (out, "--http-proxy=false");
  addf (out, "--stop-timeout=%" G_GINT64_FORMAT, (gint64) (task->stop_grace / G_USEC_PER_SEC));
  if (task->network_mode != NULL && *task->network_mode != '\0' && strcmp (task->network_mode, "bridge") != 0)
    addf (out, "--network=%s", task->network_mode);
  add_names (out, task);
  add_process (out, task);
  add_list (out, "--label", task->labels);
  add_list (out, "--cap-add", task->capability_add);
  add_list (out, "--cap-drop", task->capability_drop);
  add_list (out, "--sysctl", task->sysctls);
  add_hosts (out, task->hosts);
  add_mounts (out, task);
  add_ports (out, task);
  add_limits (out, task);
  if (!add_environment (out, task->env, env_file, environ_file, ret_error))
    return NULL;
  add (out, "--"); /* swarm-podman puts --env-file before it */
  add (out, task->image);
  for (guint i = 0; task->args != NULL && task->args[i] != NULL; i++)
    add (out, task->args[i]);
  return g_steal_pointer (&out);
}

/* ---- credentials ---- */

static char *
registry_of (const char *image)
{
  const char *slash = strchr (image, '/');
  return slash != NULL ? g_strndup (image, slash - image) : g_strdup ("docker.io");
}

/* X-Registry-Auth is base64, the URL-safe kind or the plain one, with or without padding. */
static char *
decode_auth (const char *auth)
{
  g_autofree char *plain = g_strdup (auth);
  gsize len;
  for (char *c = plain; *c != '\0'; c++)
    *c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
  g_strchomp (plain);
  g_autofree char *padded = g_strconcat (plain, strlen (plain) % 4 == 2 ? "==" : strlen (plain) % 4 == 3 ? "=" : "", NULL);
  guchar *raw = g_base64_decode (padded, &len);
  char *text = g_strndup ((char *) raw, len);
  g_free (raw);
  return text;
}

char *
podman_auth_file (const char *image, const char *auth, char **ret_error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autofree char *text = decode_auth (auth);
  JsonObject *object = json_parser_load_from_data (parser, text, -1, NULL) && JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser))
                           ? json_node_get_object (json_parser_get_root (parser))
                           : NULL;
  const char *user = object != NULL ? json_object_get_string_member_with_default (object, "username", NULL) : NULL;
  const char *password = object != NULL ? json_object_get_string_member_with_default (object, "password", NULL) : NULL;
  if (user == NULL || password == NULL) {
    *ret_error = g_strdup ("the registry credentials are not understood (base64 of JSON with username and password)");
    return NULL;
  }
  g_autofree char *pair = g_strconcat (user, ":", password, NULL);
  g_autofree char *encoded = g_base64_encode ((guchar *) pair, strlen (pair));
  g_autofree char *registry = registry_of (image);
  return g_strdup_printf ("{\"auths\":{\"%s\":{\"auth\":\"%s\"}}}\n", registry, encoded);
}
