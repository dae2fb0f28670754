// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a service create through D-Bus takes, with its two floors beside it. Each client is a connection of its own with one call at a time.
 *   bench-creates create BUS CLIENTS SECONDS REPLICAS [NAME=PID…]   services are made; CPU per create of each process named
 *   bench-creates empty BUS CLIENTS SECONDS [NAME=PID…]             calls of a method that does nothing, in a process of its own
 *   bench-creates sync DIRECTORY SECONDS                            appends of 512 bytes, each with fdatasync
 * One JSON object on standard output. tests/bench/creates runs the whole table. */
#include <dbus/dbus.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PROCESSES 16
#define WARM_UP_US (G_USEC_PER_SEC / 2)
#define ECHO "org.swarmagent1.BenchEcho"

typedef struct {
  DBusConnection *connection;
  gint64 sent_at;
  guint n;
} Client;

typedef struct {
  const char *name;
  int pid;
  double main_s, other_s; /* CPU: of its first thread, of all others */
} Process;

static DBusMessage *(*make_call) (guint client, guint n);
static guint replicas;
static GArray *latencies; /* gint64, µs */
static gint64 count_from, end_at;
static guint failures;
static char first_error[300];
static Process before[MAX_PROCESSES], after[MAX_PROCESSES];
static guint processes;

/* ---- CPU ---- */

static double
thread_seconds (int pid, const char *thread)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/task/%s/schedstat", pid, thread);
  g_autofree char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) ? (double) g_ascii_strtoull (text, NULL, 10) / 1e9 : 0;
}

static void
read_cpu (Process *process)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/task", process->pid);
  DIR *dir = opendir (path);
  struct dirent *entry;

  process->main_s = process->other_s = 0;
  while (dir != NULL && (entry = readdir (dir)) != NULL)
    if (atoi (entry->d_name) == process->pid)
      process->main_s += thread_seconds (process->pid, entry->d_name);
    else if (atoi (entry->d_name) > 0)
      process->other_s += thread_seconds (process->pid, entry->d_name);
  if (dir != NULL)
    closedir (dir);
}

static void
parse_processes (int argc, char **argv)
{
  for (int i = 0; i < argc && processes + 1 < MAX_PROCESSES; i++) {
    char *equals = strchr (argv[i], '=');
    if (equals == NULL)
      continue;
    *equals = '\0';
    before[processes++] = (Process){ argv[i], atoi (equals + 1), 0, 0 };
  }
  before[processes++] = (Process){ "clients", getpid (), 0, 0 };
}

static void
take_cpu (Process *list)
{
  memcpy (list, before, sizeof before);
  for (guint i = 0; i < processes; i++)
    read_cpu (&list[i]);
}

/* ---- messages ---- */

typedef struct {
  DBusMessageIter entry, variant;
} Entry;

static void
open_entry (DBusMessageIter *dict, Entry *entry, const char *key, const char *signature, DBusMessageIter *value)
{
  dbus_message_iter_open_container (dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry->entry);
  dbus_message_iter_append_basic (&entry->entry, DBUS_TYPE_STRING, &key);
  dbus_message_iter_open_container (&entry->entry, DBUS_TYPE_VARIANT, signature, &entry->variant);
  if (signature[0] == 'a')
    dbus_message_iter_open_container (&entry->variant, DBUS_TYPE_ARRAY, signature + 1, value);
}

static void
close_entry (DBusMessageIter *dict, Entry *entry, DBusMessageIter *value)
{
  if (value != NULL)
    dbus_message_iter_close_container (&entry->variant, value);
  dbus_message_iter_close_container (&entry->entry, &entry->variant);
  dbus_message_iter_close_container (dict, &entry->entry);
}

static void
add_basic (DBusMessageIter *dict, const char *key, int type, const void *value)
{
  char signature[] = { (char) type, '\0' };
  Entry entry;

  open_entry (dict, &entry, key, signature, NULL);
  dbus_message_iter_append_basic (&entry.variant, type, value);
  close_entry (dict, &entry, NULL);
}

static void
add_template (DBusMessageIter *spec)
{
  const char *image = "docker.io/library/nginx:latest", *nowhere = "node.labels.nowhere==x";
  Entry task, container, placement, constraints;
  DBusMessageIter task_value, container_value, placement_value, list;

  open_entry (spec, &task, "TaskTemplate", "a{sv}", &task_value);
  open_entry (&task_value, &container, "ContainerSpec", "a{sv}", &container_value);
  add_basic (&container_value, "Image", DBUS_TYPE_STRING, &image);
  close_entry (&task_value, &container, &container_value);
  open_entry (&task_value, &placement, "Placement", "a{sv}", &placement_value);
  open_entry (&placement_value, &constraints, "Constraints", "as", &list);
  dbus_message_iter_append_basic (&list, DBUS_TYPE_STRING, &nowhere);
  close_entry (&placement_value, &constraints, &list);
  close_entry (&task_value, &placement, &placement_value);
  close_entry (spec, &task, &task_value);
}

static DBusMessage *
make_create (guint client, guint n)
{
  DBusMessage *message = dbus_message_new_method_call ("org.swarmagent1", "/org/swarmagent1", "org.swarmagent1.Manager", "CreateService");
  g_autofree char *name = g_strdup_printf ("b%d-%u-%u", (int) getpid (), client, n);
  dbus_uint64_t count = replicas;
  dbus_bool_t yes = TRUE;
  DBusMessageIter args, spec, options, mode_value, replicated_value;
  Entry mode, replicated;

  dbus_message_iter_init_append (message, &args);
  dbus_message_iter_open_container (&args, DBUS_TYPE_ARRAY, "{sv}", &spec);
  add_basic (&spec, "Name", DBUS_TYPE_STRING, &name);
  add_template (&spec);
  open_entry (&spec, &mode, "Mode", "a{sv}", &mode_value);
  open_entry (&mode_value, &replicated, "Replicated", "a{sv}", &replicated_value);
  add_basic (&replicated_value, "Replicas", DBUS_TYPE_UINT64, &count);
  close_entry (&mode_value, &replicated, &replicated_value);
  close_entry (&spec, &mode, &mode_value);
  dbus_message_iter_close_container (&args, &spec);
  dbus_message_iter_open_container (&args, DBUS_TYPE_ARRAY, "{sv}", &options);
  add_basic (&options, "NoResolveImage", DBUS_TYPE_BOOLEAN, &yes);
  dbus_message_iter_close_container (&args, &options);
  return message;
}

static DBusMessage *
make_empty (guint client, guint n)
{
  return dbus_message_new_method_call (ECHO, "/", ECHO, "Nothing");
}

/* ---- clients ---- */

static DBusConnection *
connect_to (const char *address)
{
  DBusError error = DBUS_ERROR_INIT;
  DBusConnection *connection = dbus_connection_open_private (address, &error);

  if (connection == NULL || !dbus_bus_register (connection, &error)) {
    fprintf (stderr, "%s: %s\n", address, error.message);
    exit (1);
  }
  dbus_connection_set_exit_on_disconnect (connection, FALSE);
  return connection;
}

static void
send_next (Client *client, guint number)
{
  DBusMessage *message = make_call (number, client->n++);

  client->sent_at = g_get_monotonic_time ();
  if (!dbus_connection_send (client->connection, message, NULL))
    abort ();
  dbus_connection_flush (client->connection);
  dbus_message_unref (message);
}

static void
answered (Client *client, guint number, DBusMessage *message)
{
  gint64 now = g_get_monotonic_time (), took = now - client->sent_at;
  const char *text = "";

  if (dbus_message_get_type (message) == DBUS_MESSAGE_TYPE_ERROR) {
    dbus_message_get_args (message, NULL, DBUS_TYPE_STRING, &text, DBUS_TYPE_INVALID);
    if (failures++ == 0)
      g_strlcpy (first_error, text, sizeof first_error);
    if (failures > 100) {
      fprintf (stderr, "too many failures: %s\n", first_error);
      exit (1);
    }
  } else if (now >= count_from && now < end_at) {
    g_array_append_val (latencies, took);
  }
  if (now < end_at)
    send_next (client, number);
}

static void
read_answers (Client *client, guint number)
{
  DBusMessage *message;
  int type;

  dbus_connection_read_write (client->connection, 0);
  while ((message = dbus_connection_pop_message (client->connection)) != NULL) {
    type = dbus_message_get_type (message);
    if (dbus_message_is_signal (message, DBUS_INTERFACE_LOCAL, "Disconnected")) {
      fprintf (stderr, "the bus closed the connection\n");
      exit (1);
    }
    if ((type == DBUS_MESSAGE_TYPE_METHOD_RETURN || type == DBUS_MESSAGE_TYPE_ERROR) && dbus_message_get_reply_serial (message) > 1)
      answered (client, number, message);
    dbus_message_unref (message);
  }
}

static void
run_clients (const char *address, guint n, double seconds)
{
  g_autofree Client *clients = g_new0 (Client, n);
  g_autofree struct pollfd *fds = g_new0 (struct pollfd, n);
  gboolean counting = FALSE;

  for (guint i = 0; i < n; i++) {
    clients[i].connection = connect_to (address);
    if (!dbus_connection_get_unix_fd (clients[i].connection, &fds[i].fd))
      exit (1);
    fds[i].events = POLLIN;
  }
  count_from = g_get_monotonic_time () + WARM_UP_US;
  end_at = count_from + (gint64) (seconds * G_USEC_PER_SEC);
  for (guint i = 0; i < n; i++)
    send_next (&clients[i], i);
  while (g_get_monotonic_time () < end_at) {
    if (!counting && g_get_monotonic_time () >= count_from) {
      take_cpu (before);
      counting = TRUE;
    }
    poll (fds, n, 100);
    for (guint i = 0; i < n; i++)
      if (fds[i].revents != 0)
        read_answers (&clients[i], i);
  }
  take_cpu (after);
}

/* ---- the empty call's other end ---- */

static void
echo_main (const char *address, int ready)
{
  DBusConnection *connection;
  DBusMessage *message;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  connection = connect_to (address);
  if (dbus_bus_request_name (connection, ECHO, 0, NULL) != DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER || write (ready, "r", 1) != 1)
    _exit (1);
  while (dbus_connection_read_write (connection, -1))
    while ((message = dbus_connection_pop_message (connection)) != NULL) {
      if (dbus_message_is_method_call (message, ECHO, "Nothing")) {
        DBusMessage *reply = dbus_message_new_method_return (message);
        dbus_connection_send (connection, reply, NULL);
        dbus_message_unref (reply);
      }
      dbus_message_unref (message);
    }
  _exit (0);
}

static int
start_echo (const char *address)
{
  int pipe_fds[2], pid;
  char byte;

  if (pipe (pipe_fds) < 0 || (pid = fork ()) < 0)
    exit (1);
  if (pid == 0)
    echo_main (address, pipe_fds[1]);
  close (pipe_fds[1]);
  if (read (pipe_fds[0], &byte, 1) != 1)
    exit (1);
  return pid;
}

/* ---- the disk alone ---- */

static void
run_sync (const char *directory, double seconds)
{
  g_autofree char *path = g_build_filename (directory, "bench-sync", NULL);
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  char block[512];
  gint64 now;

  memset (block, 'x', sizeof block);
  if (fd < 0) {
    fprintf (stderr, "%s: %s\n", path, g_strerror (errno));
    exit (1);
  }
  for (end_at = g_get_monotonic_time () + (gint64) (seconds * G_USEC_PER_SEC); (now = g_get_monotonic_time ()) < end_at;) {
    gint64 took;
    if (write (fd, block, sizeof block) != sizeof block || fdatasync (fd) < 0)
      exit (1);
    took = g_get_monotonic_time () - now;
    g_array_append_val (latencies, took);
  }
  close (fd);
  unlink (path);
}

/* ---- the report ---- */

static int
compare (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return x < y ? -1 : x > y;
}

static double
percentile_ms (guint percent)
{
  return latencies->len > 0 ? (double) g_array_index (latencies, gint64, (gsize) latencies->len * percent / 100) / 1000 : 0;
}

static void
report (const char *what, guint clients, double seconds)
{
  double load[1] = { 0 }, n = MAX (latencies->len, 1);

  g_array_sort (latencies, compare);
  if (getloadavg (load, 1) < 1)
    load[0] = -1;
  printf ("{\"what\": \"%s\", \"clients\": %u, \"count\": %u, \"failed\": %u, \"per_second\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
          "\"max_ms\": %.3f, \"load\": %.2f",
          what, clients, latencies->len, failures, latencies->len / seconds, percentile_ms (50), percentile_ms (99),
          latencies->len > 0 ? (double) g_array_index (latencies, gint64, latencies->len - 1) / 1000 : 0, load[0]);
  if (processes > 0)
    printf (", \"cpu_us\": {");
  for (guint i = 0; i < processes; i++)
    printf ("%s\"%s\": [%.1f, %.1f]", i > 0 ? ", " : "", after[i].name, (after[i].main_s - before[i].main_s) * 1e6 / n,
            (after[i].other_s - before[i].other_s) * 1e6 / n);
  printf ("%s}\n", processes > 0 ? "}" : "");
  if (failures > 0)
    fprintf (stderr, "%u failed, the first: %s\n", failures, first_error);
}

int
main (int argc, char **argv)
{
  const char *what = argc > 1 ? argv[1] : "";
  gboolean create = strcmp (what, "create") == 0;
  double seconds;
  int echo = 0;

  latencies = g_array_sized_new (FALSE, FALSE, sizeof (gint64), 1 << 20);
  if (strcmp (what, "sync") == 0 && argc == 4) {
    seconds = atof (argv[3]);
    run_sync (argv[2], seconds);
    report (what, 1, seconds);
    return 0;
  }
  if (argc < 5 + create || (!create && strcmp (what, "empty") != 0)) {
    fprintf (stderr, "usage: bench-creates create|empty|sync …, see its source\n");
    return 2;
  }
  seconds = atof (argv[4]);
  replicas = create ? (guint) atoi (argv[5]) : 0;
  make_call = create ? make_create : make_empty;
  if (!create)
    echo = start_echo (argv[2]);
  parse_processes (argc - 5 - create, argv + 5 + create);
  run_clients (argv[2], (guint) atoi (argv[3]), seconds);
  report (what, (guint) atoi (argv[3]), seconds);
  if (echo > 0) {
    kill (echo, SIGTERM);
    waitpid (echo, NULL, 0);
  }
  return failures > 0;
}
