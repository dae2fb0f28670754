// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ports and mounts: the two options with a syntax of their own. */
#include "ctl/service-fields.h"
#include "ctl/service-spec.h"
#include "ctl/values.h"
#include <string.h>

/* ---- ports ---- */

static gboolean
port_number (const char *what, const char *text, guint64 *ret, GError **error)
{
  g_autoptr (GError) reason = NULL;

  if (g_ascii_string_to_unsigned (text, 10, 0, 65535, ret, &reason))
    return TRUE;
  return ctl_invalid (error, "invalid %s port (%s): value must be an integer: %s", what, text,
                      g_error_matches (reason, G_NUMBER_PARSER_ERROR, G_NUMBER_PARSER_ERROR_OUT_OF_BOUNDS)
                          ? "value out of range"
                          : "invalid syntax");
}

static gboolean
port_field (SwarmPortConfig *port, const char *field, GError **error)
{
  g_autofree char *lower = g_ascii_strdown (field, -1);
  char *value = strchr (lower, '=');

  if (value == NULL || value == lower)
    return ctl_invalid (error, "invalid field: %s", field);
  *value++ = 0;
  if (g_str_equal (lower, "protocol"))
    return swarm_protocol_from_string (value, &port->protocol)
           || ctl_invalid (error, "invalid protocol value '%s'", value);
  if (g_str_equal (lower, "mode"))
    return swarm_publish_mode_from_string (value, &port->publish_mode)
           || ctl_invalid (error, "invalid publish mode value (%s): must be either 'ingress' or 'host'", value);
  if (g_str_equal (lower, "target"))
    return port_number ("target", value, &port->target_port, error);
  if (g_str_equal (lower, "published"))
    return port_number ("published", value, &port->published_port, error);
  return ctl_invalid (error, "invalid field key: %s", lower);
}

/* "80-90" → "80", in place. */
static const char *
cut_range (char *text)
{
  text[strcspn (text, "-")] = 0;
  return text;
}

/* "80", "8080:80", "1.2.3.4:8080:80/udp"; of a range the first port. */
static gboolean
port_short (SwarmPortConfig *port, const char *text, GError **error)
{
  g_auto (GStrv) protocol = g_strsplit (text, "/", 2);
  g_auto (GStrv) parts = g_strsplit (protocol[0] != NULL ? protocol[0] : "", ":", 3);
  guint n = g_strv_length (parts);
  const char *target = n > 0 ? parts[n - 1] : "";
  const char *published = n > 1 ? parts[n - 2] : NULL;

  if (*target == 0)
    return ctl_invalid (error, "no port specified: %s<empty>", text);
  if (n == 3 && *parts[0] != 0)
    return ctl_invalid (error, "hostip is not supported");
  if (!g_ascii_string_to_unsigned (cut_range (parts[n - 1]), 10, 1, 65535, &port->target_port, NULL))
    return ctl_invalid (error, "invalid containerPort: %s", target);
  if (published != NULL && *published != 0
      && !g_ascii_string_to_unsigned (cut_range (parts[n - 2]), 10, 1, 65535, &port->published_port, NULL))
    return ctl_invalid (error, "invalid hostPort: %s", published);
  if (protocol[1] != NULL && !swarm_protocol_from_string (protocol[1], &port->protocol))
    return ctl_invalid (error, "invalid proto: %s", protocol[1]);
  return TRUE;
}

SwarmPortConfig *
ctl_port_parse (const char *text, GError **error)
{
  g_autoptr (SwarmPortConfig) port = swarm_port_config_new ();
  g_auto (GStrv) fields = NULL;

  port->publish_mode = SWARM_PUBLISH_INGRESS;
  port->protocol = SWARM_PROTOCOL_TCP;
  if (strchr (text, '=') == NULL)
    return port_short (port, text, error) ? g_steal_pointer (&port) : NULL;
  fields = ctl_value_csv (text, error);
  if (fields == NULL)
    return NULL;
  for (guint i = 0; fields[i] != NULL; i++)
    if (!port_field (port, fields[i], error))
      return NULL;
  if (port->target_port == 0) {
    ctl_invalid (error, "missing mandatory field 'target'");
    return NULL;
  }
  return g_steal_pointer (&port);
}

/* "80" or "80-90" as first and last. */
static gboolean
port_range (const char *text, guint64 *ret_first, guint64 *ret_last)
{
  g_auto (GStrv) ends = g_strsplit (text, "-", 2);

  if (ends[0] == NULL || !g_ascii_string_to_unsigned (ends[0], 10, 1, 65535, ret_first, NULL))
    return FALSE;
  *ret_last = *ret_first;
  return ends[1] == NULL || (g_ascii_string_to_unsigned (ends[1], 10, 1, 65535, ret_last, NULL) && *ret_last >= *ret_first);
}

/* The short form with a range: "8000-8010:80-90", "8000-8010:80", "80-90". */
static gboolean
add_range (const char *text, const SwarmPortConfig *like, GPtrArray **ports, GError **error)
{
  g_auto (GStrv) protocol = g_strsplit (text, "/", 2);
  g_auto (GStrv) parts = g_strsplit (protocol[0], ":", 3);
  guint n = g_strv_length (parts);
  const char *target = parts[n - 1], *published = n > 1 && *parts[n - 2] != 0 ? parts[n - 2] : NULL;
  guint64 first, last, from = 0, to = 0;

  if (!port_range (target, &first, &last))
    return ctl_invalid (error, "invalid containerPort: %s", target);
  if (published != NULL && !port_range (published, &from, &to))
    return ctl_invalid (error, "invalid hostPort: %s", published);
  if (published != NULL && to - from != last - first && first != last)
    return ctl_invalid (error, "invalid ranges specified for container and host Ports: %s and %s", target, published);
  for (guint64 i = 0; i <= MAX (last - first, to - from); i++) {
    SwarmPortConfig *port = swarm_port_config_copy (like);

    port->target_port = first != last ? first + i : first;
    port->published_port = published != NULL ? from + i : 0;
    ctl_fields_append_message (ports, port);
  }
  return TRUE;
}

gboolean
ctl_ports_parse (const char *text, GPtrArray **ports, GError **error)
{
  g_autoptr (SwarmPortConfig) port = ctl_port_parse (text, error);

  if (port == NULL)
    return FALSE;
  if (strchr (text, '=') == NULL && strchr (text, '-') != NULL)
    return add_range (text, port, ports, error);
  ctl_fields_append_message (ports, g_steal_pointer (&port));
  return TRUE;
}

gboolean
ctl_check_port (const char *text, GError **error)
{
  g_autoptr (GPtrArray) ports = NULL;

  return ctl_ports_parse (text, &ports, error);
}

gboolean
ctl_check_port_rm (const char *text, GError **error)
{
  g_autoptr (SwarmPortConfig) port = ctl_port_parse (text, error);

  return port != NULL;
}

/* ---- mounts ---- */

static gboolean
mount_bool (const char *key, const char *value, gboolean *ret, GError **error)
{
  if (value == NULL || g_str_equal (value, "1") || g_str_equal (value, "true"))
    *ret = TRUE;
  else if (g_str_equal (value, "0") || g_str_equal (value, "false"))
    *ret = FALSE;
  else
    return ctl_invalid (error,
                        "invalid value for '%s': invalid boolean value (\"%s\"): must be one of \"true\", \"1\", "
                        "\"false\", or \"0\" (default \"true\")",
                        key, value);
  return TRUE;
}

static gboolean
mount_type (SwarmMount *mount, const char *value, GError **error)
{
  g_autofree char *lower = g_ascii_strdown (value, -1);

  if (swarm_mount_type_from_string (lower, &mount->type))
    return TRUE;
  if (g_str_equal (lower, "cluster") || g_str_equal (lower, "image") || g_str_equal (lower, "npipe"))
    return ctl_invalid (error, _ ("mount type '%s' is not supported yet"), lower);
  return ctl_invalid (error, "invalid mount type: '%s'", value);
}

static const char *
mount_key (const char *key)
{
  static const char *const names[][2] = {
    { "src", "source" },
    { "dst", "target" },
    { "destination", "target" },
    { "ro", "readonly" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_equal (names[i][0], key))
      return names[i][1];
  return key;
}

static gboolean
mount_unknown (const char *key, const char *field, GError **error)
{
  static const char *const later[] = { "bind-", "volume-", "tmpfs-", "image-", "consistency" };

  for (guint i = 0; i < G_N_ELEMENTS (later); i++)
    if (g_str_has_prefix (key, later[i]))
      return ctl_invalid (error, _ ("mount option '%s' is not supported yet"), key);
  return ctl_invalid (error, "unknown option '%s' in '%s'", key, field);
}

static gboolean
mount_field (SwarmMount *mount, const char *field, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (field, "=", 2);
  g_autofree char *lower = parts[0] != NULL ? g_ascii_strdown (parts[0], -1) : g_strdup ("");
  const char *key = mount_key (lower);
  const char *value = parts[0] != NULL ? parts[1] : NULL;

  if (value != NULL && *value == 0)
    return ctl_invalid (error, "invalid value for '%s': value is empty", lower);
  if (g_str_equal (key, "readonly"))
    return mount_bool (lower, value, &mount->read_only, error);
  if (value == NULL)
    return ctl_invalid (error, "invalid field '%s' must be a key=value pair", field);
  if (g_str_equal (key, "type"))
    return mount_type (mount, value, error);
  if (g_str_equal (key, "source")) {
    g_free (mount->source);
    mount->source = value[0] == '.' ? g_canonicalize_filename (value, NULL) : g_strdup (value);
    return TRUE;
  }
  if (g_str_equal (key, "target")) {
    g_free (mount->target);
    mount->target = g_strdup (value);
    return TRUE;
  }
  return mount_unknown (lower, field, error);
}

SwarmMount *
ctl_mount_parse (const char *text, GError **error)
{
  g_autoptr (SwarmMount) mount = swarm_mount_new ();
  g_auto (GStrv) fields = NULL;

  if (*text == 0) {
    ctl_invalid (error, "value is empty");
    return NULL;
  }
  mount->type = SWARM_MOUNT_VOLUME;
  fields = ctl_value_csv (text, error);
  if (fields == NULL)
    return NULL;
  for (guint i = 0; fields[i] != NULL; i++)
    if (!mount_field (mount, fields[i], error))
      return NULL;
  if (mount->target == NULL) {
    ctl_invalid (error, "target is required");
    return NULL;
  }
  return g_steal_pointer (&mount);
}

gboolean
ctl_check_mount (const char *text, GError **error)
{
  g_autoptr (SwarmMount) mount = ctl_mount_parse (text, error);

  return mount != NULL;
}

gboolean
ctl_check_command_line (const char *text, GError **error)
{
  g_auto (GStrv) words = NULL;
  g_autoptr (GError) reason = NULL;

  if (g_shell_parse_argv (text, NULL, &words, &reason)
      || g_error_matches (reason, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING))
    return TRUE;
  return ctl_invalid (error, "%s", reason->message);
}
