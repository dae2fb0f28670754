// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/client.h"
#include "base/error.h"
#include "base/id.h"
#include "ctl/format.h"
#include "ctl/polkit-agent.h"
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define READ_TIMEOUT_MS (60 * 1000)
#define TRANSFER_TIMEOUT_MS 600000
#define WRITE_TIMEOUT_MS (5 * 60 * 1000) /* somebody may have to type a password */
#define RETRIES 5
#define RETRY_DELAY_US (G_USEC_PER_SEC / 2)
#define FRESH_TRIES 20
#define FRESH_DELAY_US (G_USEC_PER_SEC / 10)
#define NEVER_BEFORE_US (G_GINT64_CONSTANT (365) * 24 * 3600 * G_USEC_PER_SEC) /* since 1970: no manager's knowledge is as old as this */
#define PAGE 200 /* a larger one would hold the manager up */

void
ctl_context_close (CtlContext *context)
{
  ctl_polkit_agent_close ();
  g_clear_pointer (&context->bus, swarm_bus_free);
}

/* D-Bus addresses: everything but these characters is written as %XX. */
static char *
escape_address (const char *text)
{
  GString *out = g_string_new (NULL);

  for (const guchar *p = (const guchar *)text; *p != 0; p++)
    if (g_ascii_isalnum (*p) || strchr ("-_/\\.", *p) != NULL)
      g_string_append_c (out, (char)*p);
    else
      g_string_append_printf (out, "%%%02x", *p);
  return g_string_free (out, FALSE);
}

char *
ctl_ssh_address (const char *host, GError **error)
{
  g_autofree char *escaped = escape_address (host);

  if (*host == 0 || *host == '-' || strpbrk (host, " \t\n") != NULL) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_INVALID, _ ("\"%s\" is not a host: give -H [USER@]HOST"), host);
    return NULL;
  }
  return g_strdup_printf ("unixexec:path=ssh,argv1=-xT,argv2=--,argv3=%s,argv4=systemd-stdio-bridge", escaped);
}

static gboolean
open_bus (CtlContext *context, GError **error)
{
  g_autofree char *address = NULL;
  g_autoptr (GError) reason = NULL;

  if (context->bus != NULL)
    return TRUE;
  if (context->host != NULL && (address = ctl_ssh_address (context->host, error)) == NULL)
    return FALSE;
  context->bus = swarm_bus_new (address, &reason);
  if (context->bus != NULL)
    return TRUE;
  if (context->host != NULL)
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("Cannot reach the system bus of %s: %s"), context->host,
                 reason->message);
  else
    g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

/* Errors of the bus itself say little to people: add what they mean and what to look at. */
static void
explain (GError *error)
{
  g_autofree char *text = NULL;
  gboolean lost = g_str_has_prefix (error->message, "Message recipient disconnected")
                  || g_str_has_prefix (error->message, "Did not receive a reply");

  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNKNOWN) && lost)
    text = g_strdup (_ ("The swarm agent went away before it answered: whether this was done is not known.\n"
                        "See 'journalctl -u swarm-agent'."));
  else if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE)
           && strstr (error->message, CTL_BUS_NAME) != NULL)
    text = g_strdup_printf (_ ("Cannot connect to the swarm agent: %s\nSee 'systemctl status swarm-agent'."),
                            error->message);
  if (text == NULL)
    return;
  g_free (error->message);
  error->message = g_steal_pointer (&text);
}

static GVariant *
call_once_fds (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args, GUnixFDList *fds,
               int timeout_ms, GUnixFDList **ret_fds, GError **error)
{
  g_autoptr (GError) reason = NULL;
  GVariant *reply;

  if (!open_bus (context, error))
    return NULL;
  reply = swarm_bus_call_sync_fds (context->bus, CTL_BUS_NAME, path, iface, member, args, fds, timeout_ms, ret_fds, &reason);
  if (reply == NULL) {
    explain (reason);
    g_propagate_error (error, g_steal_pointer (&reason));
  }
  return reply;
}

static GVariant *
call_once (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args, int timeout_ms,
           GUnixFDList **ret_fds, GError **error)
{
  return call_once_fds (context, path, iface, member, args, NULL, timeout_ms, ret_fds, error);
}

GVariant *
ctl_call_with_fds (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args, GUnixFDList *fds,
                   GError **error)
{
  ctl_polkit_agent_open ();
  return call_once_fds (context, path, iface, member, args, fds, TRANSFER_TIMEOUT_MS, NULL, error);
}

GVariant *
ctl_call (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args, GError **error)
{
  context->has_read = TRUE;
  return call_once (context, path, iface, member, args, READ_TIMEOUT_MS, NULL, error);
}

GVariant *
ctl_call_fds (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args,
              GUnixFDList **ret_fds, GError **error)
{
  return call_once (context, path, iface, member, args, READ_TIMEOUT_MS, ret_fds, error);
}

/* The call may have been carried out, but nobody told us; once that is so, the agent or the leader may be away for a moment. */
static gboolean
is_away (const GError *error)
{
  return g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE) || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM);
}

GVariant *
ctl_call_write (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args,
                gboolean retry, GError **error)
{
  g_autoptr (GVariant) kept = args != NULL ? g_variant_ref_sink (args) : NULL;
  g_autoptr (GError) unknown = NULL; /* what the first call said whose outcome nobody knows */

  if (context->host == NULL)
    ctl_polkit_agent_open ();
  for (guint attempt = 0;; attempt++) {
    g_autoptr (GError) reason = NULL;
    GVariant *reply = call_once (context, path, iface, member, kept, WRITE_TIMEOUT_MS, NULL, &reason);
    gboolean lost = g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_UNKNOWN);

    if (reply != NULL)
      return reply;
    if (!retry || attempt >= RETRIES || context->bus == NULL || !(lost || (unknown != NULL && is_away (reason)))) {
      gboolean mask = unknown != NULL && is_away (reason); /* a refusal now says nothing about the call before it */
      g_propagate_error (error, mask ? g_steal_pointer (&unknown) : g_steal_pointer (&reason));
      return NULL;
    }
    if (lost && unknown == NULL)
      unknown = g_steal_pointer (&reason);
    g_clear_pointer (&context->bus, swarm_bus_free);
    g_usleep (RETRY_DELAY_US);
  }
}

gboolean
ctl_write_fresh (CtlContext *context, const char *path, CtlReadAndWrite func, gpointer data, GError **error)
{
  for (guint attempt = 1;; attempt++) {
    g_autoptr (GError) reason = NULL;

    if (func (context, path, data, &reason))
      return TRUE;
    if (attempt == FRESH_TRIES || !g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE)) {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
    g_usleep (FRESH_DELAY_US);
  }
}

char *
ctl_stale_text (gint64 stale_since, gint64 now)
{
  g_autofree char *age = stale_since > 0 ? ctl_go_duration (MAX (now - stale_since, 0) / G_USEC_PER_SEC * 1000000000) : NULL;

  if (age == NULL)
    return NULL;
  if (stale_since < NEVER_BEFORE_US)
    return g_strdup (_ ("WARNING: The swarm does not have a leader, and this manager knows nothing of it yet."));
  return g_strdup_printf (_ ("WARNING: The swarm does not have a leader: this is what this manager knew %s ago."), age);
}

void
ctl_warn_if_stale (CtlContext *context)
{
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GVariant) value = NULL;
  g_autofree char *text = NULL;

  if (!context->has_read || context->bus == NULL)
    return;
  reply = ctl_call (context, CTL_PATH, "org.freedesktop.DBus.Properties", "Get",
                    g_variant_new ("(ss)", CTL_MANAGER_IFACE, "StaleSince"), NULL);
  if (reply == NULL || !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(v)")))
    return;
  g_variant_get (reply, "(v)", &value);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_INT64))
    text = ctl_stale_text (g_variant_get_int64 (value), g_get_real_time ());
  if (text == NULL)
    return;
  fflush (stdout);
  g_printerr ("%s\n", text);
}

JsonNode *
ctl_call_json (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args,
               GError **error)
{
  g_autoptr (GVariant) reply = ctl_call (context, path, iface, member, args, error);
  g_autoptr (GVariant) first = NULL;

  if (reply == NULL)
    return NULL;
  if (g_variant_n_children (reply) == 0) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("the agent answered %s with nothing"), member);
    return NULL;
  }
  first = g_variant_get_child_value (reply, 0);
  return ctl_variant_to_json (first);
}

char *
ctl_request_id (void)
{
  guint8 bytes[16];

  for (guint i = 0; i < sizeof bytes; i += 4) {
    guint32 word = g_random_int ();
    memcpy (bytes + i, &word, 4);
  }
  return swarm_base36_encode (bytes, sizeof bytes, SWARM_ID_STRING_LEN);
}

/* On a worker, which lists its own tasks and nothing else: the only one whose id begins with @reference; NULL: not so.
 */
static char *
resolve_own_task (CtlContext *context, const char *reference, char **ret_id)
{
  g_autoptr (GPtrArray) values = g_ptr_array_new ();
  g_autoptr (JsonNode) list = NULL;
  g_autoptr (GPtrArray) tasks = NULL;
  const char *id;

  g_ptr_array_add (values, (gpointer)reference);
  list = ctl_list_tasks (context, ctl_filters_with (NULL, "id", values), NULL);
  tasks = ctl_json_objects (list != NULL ? json_node_get_array (list) : NULL);
  if (tasks->len != 1)
    return NULL;
  id = ctl_json_string (g_ptr_array_index (tasks, 0), "ID");
  if (ret_id != NULL)
    *ret_id = g_strdup (id);
  return g_strdup_printf (CTL_PATH "/task/%s", id);
}

/* Whoever may promote but not read finds nodes by what is public: exact id or hostname, or the only id that begins so. NULL: not found. */
static char *
resolve_public_node (CtlContext *context, const char *reference, char **ret_id)
{
  g_autoptr (GVariant) reply
      = ctl_call (context, CTL_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL, NULL);
  g_autoptr (GVariantIter) objects = NULL;
  g_autofree char *found = NULL;
  GVariant *ifaces;
  guint n_found = 0;

  if (reply == NULL || !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(a{oa{sa{sv}}})")))
    return NULL;
  g_variant_get (reply, "(a{oa{sa{sv}}})", &objects);
  while (g_variant_iter_next (objects, "{&o@a{sa{sv}}}", NULL, &ifaces)) {
    g_autoptr (GVariant) owned = ifaces;
    g_autoptr (GVariant) node = g_variant_lookup_value (ifaces, CTL_NODE_IFACE, G_VARIANT_TYPE_VARDICT);
    const char *id = "", *hostname = "";
    if (node == NULL || !g_variant_lookup (node, "ID", "&s", &id))
      continue;
    g_variant_lookup (node, "Hostname", "&s", &hostname);
    gboolean exact = g_str_equal (id, reference) || g_str_equal (hostname, reference);
    if (!exact && !g_str_has_prefix (id, reference))
      continue;
    g_free (found);
    found = g_strdup (id);
    n_found++;
    if (exact) {
      n_found = 1;
      break;
    }
  }
  if (n_found != 1)
    return NULL;
  if (ret_id != NULL)
    *ret_id = g_strdup (found);
  return g_strdup_printf (CTL_PATH "/node/%s", found);
}

char *
ctl_resolve (CtlContext *context, const char *kind, const char *reference, char **ret_id, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autoptr (GVariant) reply
      = ctl_call (context, CTL_PATH, CTL_MANAGER_IFACE, "Resolve", g_variant_new ("(ss)", kind, reference), &reason);
  char *path = NULL;

  if (reply == NULL) {
    if (g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_NOT_MANAGER) && g_str_equal (kind, "task"))
      path = resolve_own_task (context, reference, ret_id);
    else if (g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED) && g_str_equal (kind, "node"))
      path = resolve_public_node (context, reference, ret_id);
    if (path == NULL)
      g_propagate_error (error, g_steal_pointer (&reason));
    return path;
  }
  if (!g_variant_is_of_type (reply, G_VARIANT_TYPE ("(so)"))) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("the agent answered %s with something else than expected"),
                 "Resolve");
    return NULL;
  }
  g_variant_get (reply, "(so)", ret_id, &path);
  return path;
}

JsonNode *
ctl_inspect (CtlContext *context, const char *kind, const char *path, GError **error)
{
  const char *iface = g_str_equal (kind, "node")      ? CTL_NODE_IFACE
                      : g_str_equal (kind, "service") ? CTL_SERVICE_IFACE
                      : g_str_equal (kind, "network") ? CTL_NETWORK_IFACE
                                                      : CTL_TASK_IFACE;
  g_autoptr (JsonNode) node = ctl_call_json (context, path, iface, "Inspect", NULL, error);

  if (node != NULL && !JSON_NODE_HOLDS_OBJECT (node)) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("the agent answered %s with something else than expected"),
                 "Inspect");
    return NULL;
  }
  return g_steal_pointer (&node);
}

GVariant *
ctl_filters_with (GPtrArray *filters, const char *key, GPtrArray *values)
{
  GVariantDict dict;
  g_autoptr (GHashTable) lists
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
  GHashTableIter iter;
  gpointer name, list;

  for (guint i = 0; filters != NULL && i < filters->len; i++) {
    g_auto (GStrv) parts = g_strsplit (g_ptr_array_index (filters, i), "=", 2);
    g_autofree char *filter_key = NULL;

    if (parts[0] == NULL || parts[1] == NULL)
      continue;
    filter_key = g_ascii_strdown (g_strstrip (parts[0]), -1);
    list = g_hash_table_lookup (lists, filter_key);
    if (list == NULL) {
      list = g_ptr_array_new_with_free_func (g_free);
      g_hash_table_insert (lists, g_strdup (filter_key), list);
    }
    g_ptr_array_add (list, g_strdup (g_strstrip (parts[1])));
  }
  g_variant_dict_init (&dict, NULL);
  g_hash_table_iter_init (&iter, lists);
  while (g_hash_table_iter_next (&iter, &name, &list))
    g_variant_dict_insert_value (
        &dict, name,
        g_variant_new_strv ((const char *const *)((GPtrArray *)list)->pdata, (gssize)((GPtrArray *)list)->len));
  if (key != NULL)
    g_variant_dict_insert_value (&dict, key,
                                 g_variant_new_strv ((const char *const *)values->pdata, (gssize)values->len));
  return g_variant_dict_end (&dict);
}

GVariant *
ctl_filters (GPtrArray *filters)
{
  return ctl_filters_with (filters, NULL, NULL);
}

JsonNode *
ctl_list (CtlContext *context, const char *member, GVariant *filters, GError **error)
{
  g_autoptr (GVariant) kept = g_variant_ref_sink (filters);
  g_autofree char *cursor = g_strdup ("");
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  JsonArray *all = json_array_new ();

  json_node_take_array (node, all);
  do {
    g_autoptr (GVariant) reply = ctl_call (context, CTL_PATH, CTL_MANAGER_IFACE, member,
                                           g_variant_new ("(@a{sv}su)", kept, cursor, PAGE), error);
    g_autoptr (GVariant) page = NULL;

    if (reply == NULL || !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(aa{sv}s)"))) {
      if (reply != NULL)
        g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("the agent answered %s with something else than expected"), member);
      json_node_unref (node);
      return NULL;
    }
    g_clear_pointer (&cursor, g_free);
    g_variant_get (reply, "(@aa{sv}s)", &page, &cursor);
    for (gsize i = 0; i < g_variant_n_children (page); i++) {
      g_autoptr (GVariant) item = g_variant_get_child_value (page, i);
      json_array_add_element (all, ctl_variant_to_json (item));
    }
  } while (*cursor != 0);
  return node;
}

JsonNode *
ctl_list_tasks (CtlContext *context, GVariant *filters, GError **error)
{
  return ctl_list (context, "ListTasks", filters, error);
}

void
ctl_errors_add (GString **errors, const GError *error, const char *prefix)
{
  if (*errors == NULL)
    *errors = g_string_new (NULL);
  else
    g_string_append_c (*errors, '\n');
  if (prefix != NULL)
    g_string_append_printf (*errors, "%s: ", prefix);
  g_string_append (*errors, error->message);
}

gboolean
ctl_errors_finish (GString *errors, GError **error)
{
  if (errors == NULL)
    return TRUE;
  g_set_error_literal (error, CTL_ERROR, CTL_ERROR_FAILED, errors->str);
  g_string_free (errors, TRUE);
  return FALSE;
}

void
ctl_print_warnings (GVariant *warnings)
{
  GVariantIter iter;
  const char *text;

  g_variant_iter_init (&iter, warnings);
  while (g_variant_iter_next (&iter, "&s", &text))
    g_printerr ("%s\n", text);
}

gboolean
ctl_on_terminal (void)
{
  return isatty (STDOUT_FILENO) && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;
}

guint
ctl_terminal_width (void)
{
  struct winsize size;

  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
    return size.ws_col;
  return 80;
}
