// SPDX-License-Identifier: LGPL-2.1-or-later
/* service logs. The bus hands us a pipe; over ssh, where no descriptor can pass, the lines are asked for page by page.
 */
#include "base/error.h"
#include "base/field.h"
#include "ctl/client.h"
#include "ctl/format.h"
#include "ctl/logs.h"
#include "ctl/task-list.h"
#include "ctl/values.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 500
#define FOLLOW_POLL_US (G_USEC_PER_SEC / 2)

/* ---- records ---- */

static char *
unescape (const char *text)
{
  GString *out = g_string_new (NULL);

  for (const char *p = text; *p != 0; p++) {
    if (*p == '\\' && p[1] != 0) {
      p++;
      g_string_append_c (out, *p == 'n' ? '\n' : *p);
    } else {
      g_string_append_c (out, *p);
    }
  }
  return g_string_free (out, FALSE);
}

gboolean
ctl_log_record_parse (const char *line, CtlLogRecord *ret)
{
  g_auto (GStrv) parts = g_strsplit (line, " ", 6);
  gint64 time_us;

  if (g_strv_length (parts) < 5 || !g_ascii_string_to_signed (parts[0], 10, 0, G_MAXINT64, &time_us, NULL))
    return FALSE;
  *ret = (CtlLogRecord){
    .time_us = time_us,
    .task_id = g_strdup (parts[1]),
    .node = g_strdup (parts[2]),
    .stream = g_str_equal (parts[3], "2") ? 2 : 1,
    .name = g_strdup (parts[4]),
    .text = unescape (parts[5] != NULL ? parts[5] : ""),
  };
  return TRUE;
}

void
ctl_log_record_clear (CtlLogRecord *record)
{
  g_free (record->task_id);
  g_free (record->node);
  g_free (record->name);
  g_free (record->text);
}

char *
ctl_log_record_format (const CtlLogRecord *record, const CtlLogOptions *options)
{
  GString *out = g_string_new (NULL);
  const char *dot = strrchr (record->name, '.');
  guint digits = dot != NULL ? strlen (dot + 1) : 0;

  if (options->timestamps) {
    g_autofree char *time = swarm_time_to_string (record->time_us);
    g_string_append_printf (out, "%s ", time);
  }
  if (!options->raw) {
    g_string_append (out, record->name);
    if (!options->no_task_ids)
      g_string_append_printf (out, ".%.*s", options->no_trunc ? 25 : 12, record->task_id);
    g_string_append_printf (out, "@%s", record->node);
    for (guint i = digits; i < options->slot_width; i++)
      g_string_append_c (out, ' ');
    g_string_append (out, "    | ");
  }
  g_string_append (out, record->text);
  return g_string_free (out, FALSE);
}

/* ---- the command ---- */

typedef struct {
  char *service_path;
  char *task_id; /* NULL: the whole service */
  guint slot_width;
} Target;

static void
target_clear (Target *target)
{
  g_free (target->service_path);
  g_free (target->task_id);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Target, target_clear)

static guint
digits_of (gint64 number)
{
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, MAX (number, 1));

  return strlen (text);
}

static gboolean
find_task (CtlContext *context, const char *reference, Target *target, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autofree char *path = ctl_resolve (context, "task", reference, &target->task_id, &reason);
  g_autoptr (JsonNode) task = NULL;

  if (path == NULL) {
    if (g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_NOT_FOUND))
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such task or service: %s", reference);
    else
      g_propagate_error (error, g_steal_pointer (&reason));
    return FALSE;
  }
  task = ctl_inspect (context, "task", path, error);
  if (task == NULL)
    return FALSE;
  target->service_path
      = g_strdup_printf (CTL_PATH "/service/%s", ctl_json_string (json_node_get_object (task), "ServiceID"));
  target->slot_width = digits_of (ctl_json_int (json_node_get_object (task), "Slot"));
  return TRUE;
}

static gboolean
find_target (CtlContext *context, const char *reference, Target *target, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autoptr (JsonNode) service = NULL;

  target->service_path = ctl_resolve (context, "service", reference, NULL, &reason);
  if (target->service_path == NULL) {
    if (g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_NOT_FOUND))
      return find_task (context, reference, target, error);
    g_propagate_error (error, g_steal_pointer (&reason));
    return FALSE;
  }
  service = ctl_inspect (context, "service", target->service_path, error);
  if (service == NULL)
    return FALSE;
  target->slot_width = digits_of (ctl_json_int (json_node_get_object (service), "Spec.Mode.Replicated.Replicas"));
  return TRUE;
}

static void
print_record (const CtlLogRecord *record, const CtlLogOptions *options)
{
  g_autofree char *line = ctl_log_record_format (record, options);
  FILE *stream = record->stream == 2 ? stderr : stdout;

  fprintf (stream, "%s\n", line);
  fflush (stream);
}

static gboolean
print_stream (int fd, const CtlLogOptions *options, GError **error)
{
  FILE *stream = fdopen (fd, "r");
  char *line = NULL;
  size_t size = 0;
  ssize_t len;

  if (stream == NULL) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, "%s", g_strerror (errno));
    close (fd);
    return FALSE;
  }
  while ((len = getline (&line, &size, stream)) >= 0 && !ferror (stdout)) {
    CtlLogRecord record;

    if (len > 0 && line[len - 1] == '\n')
      line[len - 1] = 0;
    if (ctl_log_record_parse (line, &record)) {
      print_record (&record, options);
      ctl_log_record_clear (&record);
    } else if (*line != 0) {
      g_printerr ("%s\n", line); /* a warning of the agent: a node that cannot be reached */
    }
  }
  free (line);
  fclose (stream);
  return TRUE;
}

static gboolean
open_logs (CtlContext *context, const Target *target, GVariant *selector, const CtlLogOptions *options, GError **error)
{
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) reply = ctl_call_fds (context, target->service_path, CTL_SERVICE_IFACE, "OpenLogs",
                                             g_variant_new ("(@a{sv})", selector), &fds, error);
  int fd;

  if (reply == NULL)
    return FALSE;
  fd = fds != NULL ? g_unix_fd_list_get (fds, 0, error) : -1;
  if (fd >= 0)
    return print_stream (fd, options, error);
  if (error != NULL && *error == NULL)
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("the agent answered %s with something else than expected"),
                 "OpenLogs");
  return FALSE;
}

/* Task id → "service.slot", for records that carry ids only. */
static GHashTable *
slot_names (CtlContext *context, const Target *target, GError **error)
{
  g_autoptr (GPtrArray) service = g_ptr_array_new ();
  g_autoptr (JsonNode) list = NULL;
  g_autoptr (GPtrArray) tasks = NULL;
  GHashTable *names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  g_ptr_array_add (service, strrchr (target->service_path, '/') + 1);
  list = ctl_list_tasks (context, ctl_filters_with (NULL, "service", service), error);
  tasks = ctl_json_objects (list != NULL ? json_node_get_array (list) : NULL);
  for (guint i = 0; i < tasks->len; i++) {
    JsonObject *task = g_ptr_array_index (tasks, i);
    g_hash_table_insert (names, g_strdup (ctl_json_string (task, "ID")), ctl_task_slot_name (task, NULL, FALSE));
  }
  return names;
}

/* A record of ReadLogs: its members are those of the line. */
static void
print_object (JsonObject *object, GHashTable *names, const CtlLogOptions *options)
{
  const char *task = ctl_json_string (object, "TaskID");
  const char *name = g_hash_table_lookup (names, task);
  g_autofree char *text = unescape (ctl_json_string (object, "Text"));
  CtlLogRecord record = {
    .time_us = ctl_json_int (object, "Time"),
    .task_id = (char *)task,
    .node = (char *)ctl_json_string (object, "Node"),
    .stream = ctl_json_int (object, "Stream") == 2 ? 2 : 1,
    .name = (char *)ctl_json_string_or (object, "Name", name != NULL ? name : "?"),
    .text = text,
  };

  print_record (&record, options);
}

/* One page after *@cursor, which moves on; the number of its records, -1: an error. */
static int
read_page (CtlContext *context, const Target *target, char **cursor, gint64 since_us, const CtlLogOptions *options,
           GError **error)
{
  g_autoptr (GVariant) reply = ctl_call (context, target->service_path, CTL_SERVICE_IFACE, "ReadLogs",
                                         g_variant_new ("(su)", *cursor, PAGE), error);
  g_autoptr (GVariant) page = NULL;
  g_autoptr (JsonNode) node = NULL;
  g_autoptr (GPtrArray) records = NULL;
  g_autoptr (GHashTable) names = NULL;
  g_autofree char *next = NULL;

  if (reply == NULL)
    return -1;
  g_variant_get (reply, "(@aa{sv}s)", &page, &next);
  if (g_variant_n_children (page) == 0)
    return 0;
  g_free (*cursor);
  *cursor = g_steal_pointer (&next);
  names = slot_names (context, target, NULL);
  node = ctl_variant_to_json (page);
  records = ctl_json_objects (json_node_get_array (node));
  for (guint i = 0; i < records->len; i++) {
    JsonObject *record = g_ptr_array_index (records, i);
    gboolean ours = target->task_id == NULL || g_str_equal (ctl_json_string (record, "TaskID"), target->task_id);

    if (ours && ctl_json_int (record, "Time") >= since_us)
      print_object (record, names, options);
  }
  return (int)records->len;
}

static gboolean
read_logs (CtlContext *context, const Target *target, gboolean follow, gint64 since_us, const CtlLogOptions *options,
           GError **error)
{
  g_autofree char *cursor = g_strdup ("");

  if (ctl_args_given (context->args, "tail"))
    return ctl_invalid (error, _ ("option %s is not supported together with -H yet"), "--tail");
  while (!ferror (stdout)) {
    int n = read_page (context, target, &cursor, since_us, options, error);

    if (n < 0)
      return FALSE;
    if (n < PAGE && !follow)
      break;
    if (n == 0)
      g_usleep (FOLLOW_POLL_US);
  }
  return TRUE;
}

/* Options that go to the agent; floating. NULL: a bad value. */
static GVariant *
make_selector (CtlArgs *args, const Target *target, gint64 *ret_since, GError **error)
{
  GVariantDict dict;
  const char *tail = ctl_args_string (args, "tail");
  const char *since = ctl_args_string (args, "since");
  guint64 lines = 0;

  *ret_since = 0;
  if (tail != NULL && !g_str_equal (tail, "all")
      && !g_ascii_string_to_unsigned (tail, 10, 0, G_MAXUINT32 - 1, &lines, NULL))
  {
    g_set_error (error, CTL_ERROR, CTL_ERROR_USAGE,
                 _ ("invalid argument \"%s\" for \"-n, --tail\" flag: give a number of lines or \"all\""), tail);
    return NULL;
  }
  if (since != NULL && !ctl_value_since (since, g_get_real_time (), ret_since, error))
    return NULL;
  g_variant_dict_init (&dict, NULL);
  if (ctl_args_bool (args, "follow"))
    g_variant_dict_insert (&dict, "follow", "b", TRUE);
  if (tail != NULL && !g_str_equal (tail, "all"))
    g_variant_dict_insert (&dict, "tail", "u", (guint)lines);
  if (since != NULL)
    g_variant_dict_insert (&dict, "since", "t", (guint64)MAX (*ret_since, 0));
  if (target->task_id != NULL)
    g_variant_dict_insert (&dict, "task", "s", target->task_id);
  return g_variant_dict_end (&dict);
}

gboolean
ctl_cmd_service_logs (CtlContext *context, GError **error)
{
  CtlArgs *args = context->args;
  g_auto (Target) target = { 0 };
  g_autoptr (GVariant) selector = NULL;
  CtlLogOptions options;
  gint64 since;

  if (!find_target (context, g_ptr_array_index (ctl_args_positional (args), 0), &target, error))
    return FALSE;
  options = (CtlLogOptions){
    .raw = ctl_args_bool (args, "raw"),
    .timestamps = ctl_args_bool (args, "timestamps"),
    .no_trunc = ctl_args_bool (args, "no-trunc"),
    .no_task_ids = ctl_args_bool (args, "no-task-ids"),
    .slot_width = target.slot_width,
  };
  selector = make_selector (args, &target, &since, error);
  if (selector == NULL)
    return FALSE;
  g_variant_ref_sink (selector);
  if (context->host != NULL)
    return read_logs (context, &target, ctl_args_bool (args, "follow"), since, &options, error);
  return open_logs (context, &target, selector, &options, error);
}
