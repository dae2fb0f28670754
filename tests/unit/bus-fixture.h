// SPDX-License-Identifier: LGPL-2.1-or-later
/* A private bus for a test, and clients on it that are not ours (GDBus), so that both ends do not share mistakes. */
#pragma once
#include "base/error.h"
#include "bus/bus.h"
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT "/org/swarmagent1"
#define NAME "org.swarmagent1"

typedef struct {
  char *dir;
  char *address;
  GPid pid;
} TestBus;

static inline void
test_bus_child_setup (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static inline char *
test_bus_read_line (int fd)
{
  GString *line = g_string_new (NULL);
  char byte;

  while (read (fd, &byte, 1) == 1 && byte != '\n')
    g_string_append_c (line, byte);
  return g_string_free (line, FALSE);
}

/* Everybody may everything. */
#define TEST_BUS_OPEN \
  "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\"/><allow send_type=\"signal\"/>" \
  "<allow receive_sender=\"*\"/></policy>"

static inline TestBus *
test_bus_start_with (const char *policy)
{
  TestBus *self = g_new0 (TestBus, 1);
  g_autofree char *config = NULL;
  g_autofree char *option = NULL;
  g_autofree char *text = NULL;
  const char *argv[] = { "dbus-daemon", "--nofork", "--nopidfile", "--print-address=1", NULL, NULL };
  g_autoptr (GError) error = NULL;
  int out;

  self->dir = g_dir_make_tmp ("swarm-bus-XXXXXX", &error);
  g_assert_no_error (error);
  g_chmod (self->dir, 0755);
  config = g_build_filename (self->dir, "bus.conf", NULL);
  text = g_strdup_printf ("<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
                          "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">"
                          "<busconfig><listen>unix:path=%s/socket</listen><auth>EXTERNAL</auth>%s"
                          "<limit name=\"max_replies_per_connection\">5000</limit></busconfig>",
                          self->dir, policy);
  g_file_set_contents (config, text, -1, &error);
  g_assert_no_error (error);
  option = g_strdup_printf ("--config-file=%s", config);
  argv[4] = option;
  g_spawn_async_with_pipes (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDERR_TO_DEV_NULL, test_bus_child_setup, NULL,
                            &self->pid, NULL, &out, NULL, &error);
  g_assert_no_error (error);
  self->address = test_bus_read_line (out);
  close (out);
  g_assert_cmpstr (self->address, !=, "");
  return self;
}

static inline TestBus *
test_bus_start (void)
{
  return test_bus_start_with (TEST_BUS_OPEN);
}

static inline void
test_bus_stop (TestBus *self)
{
  g_autofree char *config = g_build_filename (self->dir, "bus.conf", NULL);
  g_autofree char *socket_path = g_build_filename (self->dir, "socket", NULL);

  if (self->pid != 0) {
    kill (self->pid, SIGTERM);
    waitpid (self->pid, NULL, 0);
  }
  g_unlink (config);
  g_unlink (socket_path);
  g_rmdir (self->dir);
  g_free (self->dir);
  g_free (self->address);
  g_free (self);
}

/* A client with @uid (as root), or with our own. */
static inline GDBusConnection *
test_bus_connect_as (TestBus *self, uid_t uid)
{
  g_autoptr (GError) error = NULL;
  uid_t own = geteuid ();
  GDBusConnection *connection;

  if (own == 0 && uid != 0)
    g_assert_cmpint (seteuid (uid), ==, 0);
  connection = g_dbus_connection_new_for_address_sync (
    self->address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION, NULL, NULL, &error);
  if (own == 0 && uid != 0)
    g_assert_cmpint (seteuid (0), ==, 0);
  g_assert_no_error (error);
  g_dbus_connection_set_exit_on_close (connection, FALSE);
  return connection;
}

static inline GDBusConnection *
test_bus_connect (TestBus *self)
{
  return test_bus_connect_as (self, geteuid ());
}

static inline gboolean
test_bus_tick (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

static inline gboolean
test_bus_stuck (gpointer data)
{
  g_error ("nothing happened for a minute");
  return G_SOURCE_REMOVE;
}

static inline void
test_bus_ignore (GDBusConnection *connection, const char *sender, const char *path, const char *iface, const char *member, GVariant *args,
                 gpointer data)
{
}

/* From now on @connection gets the signals of NAME. */
static inline void
test_bus_subscribe (GDBusConnection *connection)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = NULL;

  g_dbus_connection_signal_subscribe (connection, NAME, NULL, NULL, NULL, NULL, 0, test_bus_ignore, NULL, NULL);
  /* The match rule is in place when the bus has answered another call. */
  reply = g_dbus_connection_call_sync (connection, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId", NULL, NULL, 0, -1, NULL,
                                       &error);
  g_assert_no_error (error);
}

static inline gboolean
test_bus_wake (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

/* Runs the loop until @condition (looked at every 5 ms at least); a test that waits in vain fails. */
#define WAIT_UNTIL(condition) \
  G_STMT_START \
  { \
    guint wait_source = g_timeout_add_seconds (60, test_bus_stuck, NULL); \
    guint wake_source = g_timeout_add (5, test_bus_wake, NULL); \
    while (!(condition)) \
      g_main_context_iteration (NULL, TRUE); \
    g_source_remove (wait_source); \
    g_source_remove (wake_source); \
  } \
  G_STMT_END

static inline void
test_bus_run_for (guint ms)
{
  gboolean over = FALSE;

  g_timeout_add (ms, test_bus_tick, &over);
  WAIT_UNTIL (over);
}

typedef struct {
  gboolean done;
  GVariant *reply;
  GUnixFDList *fds;
  GError *error;
} TestReply;

static inline void
test_reply_clear (TestReply *self)
{
  g_clear_pointer (&self->reply, g_variant_unref);
  g_clear_object (&self->fds);
  g_clear_error (&self->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TestReply, test_reply_clear)

static inline void
test_bus_replied (GObject *source, GAsyncResult *result, gpointer data)
{
  TestReply *self = data;

  self->reply = g_dbus_connection_call_with_unix_fd_list_finish (G_DBUS_CONNECTION (source), &self->fds, result, &self->error);
  self->done = TRUE;
}

/* Does not wait; @reply must live until done. */
static inline void
test_bus_call_begin (GDBusConnection *connection, const char *path, const char *iface, const char *member, GVariant *args,
                     GDBusCallFlags flags, TestReply *reply)
{
  memset (reply, 0, sizeof *reply);
  g_dbus_connection_call_with_unix_fd_list (connection, NAME, path, iface, member, args, NULL, flags, 20000, NULL, NULL, test_bus_replied,
                                            reply);
}

static inline void
test_bus_call (GDBusConnection *connection, const char *path, const char *iface, const char *member, GVariant *args, TestReply *reply)
{
  test_bus_call_begin (connection, path, iface, member, args, G_DBUS_CALL_FLAGS_NONE, reply);
  WAIT_UNTIL (reply->done);
}

/* Calls and expects @text of the reply, as GVariant text. */
static inline void
test_bus_expect (GDBusConnection *connection, const char *path, const char *iface, const char *member, GVariant *args,
                 const char *expected)
{
  g_auto (TestReply) reply;
  g_autofree char *text = NULL;

  test_bus_call (connection, path, iface, member, args, &reply);
  g_assert_no_error (reply.error);
  text = g_variant_print (reply.reply, FALSE);
  g_assert_cmpstr (text, ==, expected);
}

static inline void
test_reply_assert_error (TestReply *reply, const char *name, const char *part)
{
  g_autofree char *remote = NULL;

  g_assert_nonnull (reply->error);
  remote = g_dbus_error_get_remote_error (reply->error);
  g_assert_cmpstr (remote, ==, name);
  if (part != NULL && strstr (reply->error->message, part) == NULL)
    g_error ("'%s' does not contain '%s'", reply->error->message, part);
}

static inline void
test_bus_expect_error (GDBusConnection *connection, const char *path, const char *iface, const char *member, GVariant *args,
                       const char *name, const char *part)
{
  g_auto (TestReply) reply;

  test_bus_call (connection, path, iface, member, args, &reply);
  test_reply_assert_error (&reply, name, part);
}

/* What arrives at a client, in the order of arrival: "signal Member {args}", "reply". */
typedef struct {
  GMutex mutex;
  GPtrArray *lines;
  guint id;
} TestLog;

static inline GDBusMessage *
test_log_filter (GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer data)
{
  TestLog *self = data;
  GVariant *body = g_dbus_message_get_body (message);
  g_autofree char *args = body != NULL ? g_variant_print (body, FALSE) : g_strdup ("()");
  char *line = NULL;

  if (!incoming)
    return message;
  if (g_dbus_message_get_message_type (message) == G_DBUS_MESSAGE_TYPE_SIGNAL)
    line = g_strdup_printf ("%s %s %s", g_dbus_message_get_path (message), g_dbus_message_get_member (message), args);
  else if (g_strcmp0 (g_dbus_message_get_sender (message), "org.freedesktop.DBus") != 0)
    line = g_strdup_printf ("reply %s", args);
  if (line != NULL && strstr (line, "NameAcquired") == NULL) {
    g_mutex_lock (&self->mutex);
    g_ptr_array_add (self->lines, line);
    g_mutex_unlock (&self->mutex);
  } else {
    g_free (line);
  }
  return message;
}

static inline TestLog *
test_log_new (GDBusConnection *connection)
{
  TestLog *self = g_new0 (TestLog, 1);

  g_mutex_init (&self->mutex);
  self->lines = g_ptr_array_new_with_free_func (g_free);
  self->id = g_dbus_connection_add_filter (connection, test_log_filter, self, NULL);
  return self;
}

static inline guint
test_log_count (TestLog *self, const char *part)
{
  guint n = 0;

  g_mutex_lock (&self->mutex);
  for (guint i = 0; i < self->lines->len; i++)
    n += strstr (self->lines->pdata[i], part) != NULL;
  g_mutex_unlock (&self->mutex);
  return n;
}

/* Position of the first line with @part, -1: none. */
static inline int
test_log_find (TestLog *self, const char *part)
{
  int at = -1;

  g_mutex_lock (&self->mutex);
  for (guint i = 0; i < self->lines->len && at < 0; i++)
    if (strstr (self->lines->pdata[i], part) != NULL)
      at = (int) i;
  g_mutex_unlock (&self->mutex);
  return at;
}

static inline void
test_log_reset (TestLog *self)
{
  g_mutex_lock (&self->mutex);
  g_ptr_array_set_size (self->lines, 0);
  g_mutex_unlock (&self->mutex);
}

static inline void
test_log_free (TestLog *self, GDBusConnection *connection)
{
  g_dbus_connection_remove_filter (connection, self->id);
  g_ptr_array_unref (self->lines);
  g_mutex_clear (&self->mutex);
  g_free (self);
}
