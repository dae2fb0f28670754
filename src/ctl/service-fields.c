// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/service-fields.h"
#include "ctl/files.h"
#include "ctl/service-spec.h"
#include "ctl/values.h"
#include <stdlib.h>
#include <string.h>

void
ctl_fields_append (GPtrArray **list, const char *text)
{
  if (*list == NULL)
    *list = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (*list, g_strdup (text));
}

void
ctl_fields_append_message (GPtrArray **list, gpointer message)
{
  if (message == NULL)
    return;
  if (*list == NULL)
    *list = g_ptr_array_new_with_free_func (swarm_message_unref);
  g_ptr_array_add (*list, message);
}

void
ctl_fields_append_all (GPtrArray **list, GPtrArray *texts)
{
  for (guint i = 0; i < texts->len; i++)
    ctl_fields_append (list, g_ptr_array_index (texts, i));
}

static gboolean
contains (GPtrArray *list, const char *text)
{
  return list != NULL && g_ptr_array_find_with_equal_func (list, text, g_str_equal, NULL);
}

void
ctl_fields_append_new (GPtrArray **list, GPtrArray *texts)
{
  for (guint i = 0; i < texts->len; i++)
    if (!contains (*list, g_ptr_array_index (texts, i)))
      ctl_fields_append (list, g_ptr_array_index (texts, i));
}

void
ctl_fields_remove_strings (GPtrArray *list, GPtrArray *remove)
{
  for (guint i = list != NULL ? list->len : 0; i > 0; i--)
    if (contains (remove, g_ptr_array_index (list, i - 1)))
      g_ptr_array_remove_index (list, i - 1);
}

/* ---- single values ---- */

void
ctl_fields_set_string (CtlArgs *args, const char *option, char **field)
{
  if (!ctl_args_given (args, option))
    return;
  g_free (*field);
  *field = g_strdup (ctl_args_string (args, option));
}

void
ctl_fields_set_int (CtlArgs *args, const char *option, gint64 *field)
{
  if (ctl_args_given (args, option))
    *field = ctl_args_int (args, option);
}

void
ctl_fields_set_uint (CtlArgs *args, const char *option, guint64 *field)
{
  if (ctl_args_given (args, option))
    *field = ctl_args_uint (args, option);
}

void
ctl_fields_set_bool (CtlArgs *args, const char *option, gboolean *field)
{
  if (ctl_args_given (args, option))
    *field = ctl_args_bool (args, option);
}

gboolean
ctl_fields_any_given (CtlArgs *args, const char *const *options)
{
  for (; *options != NULL; options++)
    if (ctl_args_given (args, *options))
      return TRUE;
  return FALSE;
}

void
ctl_fields_set_words (CtlArgs *args, const char *option, GPtrArray **field)
{
  g_auto (GStrv) words = NULL;

  if (!ctl_args_given (args, option))
    return;
  g_clear_pointer (field, g_ptr_array_unref);
  if (g_shell_parse_argv (ctl_args_string (args, option), NULL, &words, NULL))
    for (guint i = 0; words[i] != NULL; i++)
      ctl_fields_append (field, words[i]);
}

/* ---- lists and maps ---- */

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

void
ctl_fields_sort (GPtrArray *list)
{
  if (list != NULL)
    g_ptr_array_sort (list, compare_strings);
}

void
ctl_fields_add_pairs (GHashTable **map, GPtrArray *pairs)
{
  for (guint i = 0; i < pairs->len; i++) {
    g_auto (GStrv) parts = g_strsplit (g_ptr_array_index (pairs, i), "=", 2);

    if (*map == NULL)
      *map = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_hash_table_replace (*map, g_strdup (parts[0]), g_strdup (parts[1] != NULL ? parts[1] : ""));
  }
}

void
ctl_fields_remove_pairs (GHashTable *map, GPtrArray *keys)
{
  for (guint i = 0; map != NULL && i < keys->len; i++) {
    g_auto (GStrv) parts = g_strsplit (g_ptr_array_index (keys, i), "=", 2);
    g_hash_table_remove (map, parts[0]);
  }
}

/* ---- environment ---- */

static gboolean
same_name (const char *a, const char *b)
{
  gsize len = strcspn (a, "=");

  return len == strcspn (b, "=") && strncmp (a, b, len) == 0;
}

static void
put_env (GPtrArray **env, const char *entry)
{
  for (guint i = *env != NULL ? (*env)->len : 0; i > 0; i--)
    if (same_name (g_ptr_array_index (*env, i - 1), entry))
      g_ptr_array_remove_index (*env, i - 1);
  ctl_fields_append (env, entry);
}

/* A name without "=" takes the value that this process has; TRUE: it has one, or @entry had its own. */
static void
put_env_option (GPtrArray **env, const char *entry)
{
  const char *value = strchr (entry, '=') == NULL ? g_getenv (entry) : NULL;
  g_autofree char *full = value != NULL ? g_strdup_printf ("%s=%s", entry, value) : g_strdup (entry);

  put_env (env, full);
}

static gboolean
env_line (const char *file, const char *line, GPtrArray **env, GError **error)
{
  const char *start = line + strspn (line, " \t\r\v\f");
  g_autofree char *name = g_strndup (start, strcspn (start, "="));

  if (*start == 0 || *start == '#')
    return TRUE;
  if (*name == 0)
    return ctl_invalid (error, "invalid env file (%s): no variable name on line '%s'", file, start);
  if (strpbrk (name, " \t") != NULL)
    return ctl_invalid (error, "invalid env file (%s): variable '%s' contains whitespaces", file, name);
  if (strchr (start, '=') != NULL)
    put_env (env, start);
  else if (g_getenv (start) != NULL)
    put_env_option (env, start);
  return TRUE;
}

static gboolean
env_file (const char *file, GPtrArray **env, GError **error)
{
  g_autofree char *text = ctl_file_read (file, error);
  g_auto (GStrv) lines = NULL;
  const char *start;

  if (text == NULL)
    return FALSE;
  if (!g_utf8_validate (text, -1, NULL))
    return ctl_invalid (error, "invalid env file (%s): invalid utf8 bytes", file);
  start = g_str_has_prefix (text, "\xEF\xBB\xBF") ? text + 3 : text;
  lines = g_strsplit (start, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    if (!env_line (file, lines[i], env, error))
      return FALSE;
  return TRUE;
}

gboolean
ctl_fields_make_env (GPtrArray *files, GPtrArray *env, GPtrArray **ret, GError **error)
{
  for (guint i = 0; i < files->len; i++)
    if (!env_file (g_ptr_array_index (files, i), ret, error))
      return FALSE;
  for (guint i = 0; i < env->len; i++)
    put_env_option (ret, g_ptr_array_index (env, i));
  return TRUE;
}

void
ctl_fields_update_env (GPtrArray **env, GPtrArray *remove, GPtrArray *add)
{
  for (guint i = *env != NULL ? (*env)->len : 0; i > 0; i--)
    for (guint n = 0; n < remove->len; n++)
      if (same_name (g_ptr_array_index (*env, i - 1), g_ptr_array_index (remove, n))) {
        g_ptr_array_remove_index (*env, i - 1);
        break;
      }
  for (guint i = 0; i < add->len; i++)
    put_env_option (env, g_ptr_array_index (add, i));
}

/* ---- hosts: "IP name [alias…]" ---- */

/* @entry without the names that @remove ("name" or "name:ip") takes away; NULL: nothing is left. */
static char *
host_without (const char *entry, GPtrArray *remove)
{
  g_auto (GStrv) words = g_strsplit_set (entry, " \t", -1);
  g_autoptr (GString) rest = g_string_new (words[0]);
  guint names = 0;

  for (guint i = 1; words[0] != NULL && words[i] != NULL; i++) {
    gboolean gone = *words[i] == 0;

    for (guint n = 0; n < remove->len && !gone; n++) {
      g_auto (GStrv) parts = g_strsplit (g_ptr_array_index (remove, n), ":", 2);
      gone = g_str_equal (parts[0], words[i]) && (parts[1] == NULL || g_str_equal (parts[1], words[0]));
    }
    if (gone)
      continue;
    g_string_append_printf (rest, " %s", words[i]);
    names++;
  }
  return names > 0 ? g_strdup (rest->str) : NULL;
}

void
ctl_fields_remove_hosts (GPtrArray **hosts, GPtrArray *remove)
{
  GPtrArray *kept = NULL;

  if (remove->len == 0 || *hosts == NULL)
    return;
  for (guint i = 0; i < (*hosts)->len; i++) {
    g_autofree char *entry = host_without (g_ptr_array_index (*hosts, i), remove);
    if (entry != NULL)
      ctl_fields_append (&kept, entry);
  }
  g_ptr_array_unref (*hosts);
  *hosts = kept;
}

/* ---- mounts and ports ---- */

static int
compare_mounts (gconstpointer a, gconstpointer b)
{
  const SwarmMount *left = *(const SwarmMount *const *)a;
  const SwarmMount *right = *(const SwarmMount *const *)b;
  int order = g_strcmp0 (left->source, right->source);

  return order != 0 ? order : g_strcmp0 (left->target, right->target);
}

void
ctl_fields_update_mounts (GPtrArray **mounts, GPtrArray *remove, GPtrArray *add)
{
  g_autoptr (GPtrArray) targets = g_ptr_array_new_with_free_func (g_free);

  if (remove->len == 0 && add->len == 0)
    return;
  for (guint i = 0; i < add->len; i++) {
    SwarmMount *mount = ctl_mount_parse (g_ptr_array_index (add, i), NULL);
    g_ptr_array_add (targets, g_strdup (mount->target));
    ctl_fields_append_message (mounts, mount);
  }
  /* the last `add->len` are new: of the older ones those go that are removed or replaced */
  for (guint i = *mounts != NULL ? (*mounts)->len - add->len : 0; i > 0; i--) {
    const SwarmMount *mount = g_ptr_array_index (*mounts, i - 1);

    if (contains (remove, mount->target) || contains (targets, mount->target))
      g_ptr_array_remove_index (*mounts, i - 1);
  }
  if (*mounts != NULL)
    g_ptr_array_sort (*mounts, compare_mounts);
}

/* A short "80" names the port whatever its mode is; "mode=…" is obeyed. */
static gboolean
port_matches (const SwarmPortConfig *port, const char *text)
{
  g_autoptr (SwarmPortConfig) wanted = ctl_port_parse (text, NULL);

  return wanted != NULL && wanted->target_port == port->target_port && wanted->protocol == port->protocol
         && (strstr (text, "mode=") == NULL || wanted->publish_mode == port->publish_mode)
         && (wanted->published_port == 0 || wanted->published_port == port->published_port);
}

static gboolean
has_port (GPtrArray *ports, const SwarmPortConfig *port)
{
  for (guint i = 0; ports != NULL && i < ports->len; i++)
    if (swarm_message_equal (g_ptr_array_index (ports, i), port))
      return TRUE;
  return FALSE;
}

void
ctl_fields_update_ports (GPtrArray **ports, GPtrArray *remove, GPtrArray *add)
{
  for (guint i = *ports != NULL ? (*ports)->len : 0; i > 0; i--)
    for (guint n = 0; n < remove->len; n++)
      if (port_matches (g_ptr_array_index (*ports, i - 1), g_ptr_array_index (remove, n))) {
        g_ptr_array_remove_index (*ports, i - 1);
        break;
      }
  for (guint i = 0; i < add->len; i++) {
    g_autoptr (GPtrArray) parsed = NULL;

    ctl_ports_parse (g_ptr_array_index (add, i), &parsed, NULL);
    for (guint n = 0; parsed != NULL && n < parsed->len; n++)
      if (!has_port (*ports, g_ptr_array_index (parsed, n)))
        ctl_fields_append_message (ports, swarm_message_ref (g_ptr_array_index (parsed, n)));
  }
}

/* ---- capabilities ---- */

static GHashTable *
capability_set (GPtrArray *list)
{
  GHashTable *set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; list != NULL && i < list->len; i++) {
    g_autofree char *upper = g_ascii_strup (g_ptr_array_index (list, i), -1);
    gboolean special = g_str_equal (upper, "ALL") || g_str_equal (upper, "RESET") || g_str_has_prefix (upper, "CAP_");

    g_hash_table_add (set, special ? g_steal_pointer (&upper) : g_strconcat ("CAP_", upper, NULL));
  }
  return set;
}

static void
capability_list (GHashTable *set, GPtrArray **ret)
{
  GHashTableIter iter;
  gpointer name;

  g_clear_pointer (ret, g_ptr_array_unref);
  g_hash_table_remove (set, "RESET");
  if (g_hash_table_contains (set, "ALL")) {
    ctl_fields_append (ret, "ALL");
    return;
  }
  g_hash_table_iter_init (&iter, set);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    ctl_fields_append (ret, name);
  ctl_fields_sort (*ret);
}

/* Moves @changes into @to: what is in @from leaves it, the rest is added. */
static void
capability_move (GHashTable *changes, GHashTable *unless, GHashTable *from, GHashTable *to)
{
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, changes);
  while (g_hash_table_iter_next (&iter, &name, NULL)) {
    if (unless != NULL && g_hash_table_contains (unless, name))
      continue;
    if (!g_hash_table_remove (from, name))
      g_hash_table_add (to, g_strdup (name));
  }
}

void
ctl_fields_capabilities (GPtrArray *add, GPtrArray *drop, gboolean update, GPtrArray **capability_add,
                         GPtrArray **capability_drop)
{
  g_autoptr (GHashTable) to_add = capability_set (add);
  g_autoptr (GHashTable) to_drop = capability_set (drop);
  g_autoptr (GHashTable) added = capability_set (update ? *capability_add : NULL);
  g_autoptr (GHashTable) dropped = capability_set (update ? *capability_drop : NULL);

  if (g_hash_table_remove (to_add, "RESET"))
    g_hash_table_remove_all (added);
  if (g_hash_table_remove (to_drop, "RESET"))
    g_hash_table_remove_all (dropped);
  capability_move (to_drop, to_add, added, dropped);
  capability_move (to_add, NULL, dropped, added);
  capability_list (added, capability_add);
  capability_list (dropped, capability_drop);
}
