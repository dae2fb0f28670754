// SPDX-License-Identifier: LGPL-2.1-or-later
/* backup, restore: the agent writes and reads through descriptors that we hand to it, so that files belong to who asked, wherever they lie. */
#include "ctl/client.h"
#include "ctl/format.h"
#include "ctl/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDENTIAL "swarm-backup"

/* The file of the systemd credential @name; NULL: there is none. Caller frees. */
static char *
credential_file (const char *name)
{
  const char *dir = g_getenv ("CREDENTIALS_DIRECTORY");
  g_autofree char *path = dir != NULL ? g_build_filename (dir, name, NULL) : NULL;

  return path != NULL && g_file_test (path, G_FILE_TEST_EXISTS) ? g_steal_pointer (&path) : NULL;
}

/* Without a terminal and without a word where the passphrase is. */
static char *
read_passphrase (const char *file, GError **error)
{
  char *passphrase = ctl_secret_read (file, "", error);

  if (passphrase == NULL && file == NULL)
    g_prefix_error (error, _ ("no passphrase: type it on a terminal, give --passphrase-file, or the systemd credential \"%s\": "), CREDENTIAL);
  return passphrase;
}

/* From --passphrase-file, from the unit's credential, or typed; twice when it is a new one. */
static char *
get_passphrase (CtlContext *context, gboolean new, GError **error)
{
  g_autofree char *credential = credential_file (CREDENTIAL);
  const char *file = ctl_args_given (context->args, "passphrase-file") ? ctl_args_string (context->args, "passphrase-file") : credential;
  char *first, *second;
  gboolean same;

  if (file != NULL || !isatty (STDIN_FILENO))
    return read_passphrase (file, error);
  first = ctl_secret_read (NULL, new ? _ ("Passphrase for the backup: ") : _ ("Passphrase of the backup: "), error);
  if (first == NULL || !new)
    return first;
  second = ctl_secret_read (NULL, _ ("The same once more: "), error);
  same = second != NULL && g_str_equal (first, second);
  if (second != NULL && !same)
    g_set_error_literal (error, CTL_ERROR, CTL_ERROR_INVALID, _ ("the two passphrases differ"));
  ctl_secret_free (second);
  if (same)
    return first;
  ctl_secret_free (first);
  return NULL;
}

/* The reading end of a pipe that holds @text; -1: error. */
static int
pipe_with (const char *text, GError **error)
{
  int fds[2];
  gboolean ok;

  if (pipe2 (fds, O_CLOEXEC) < 0) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, "pipe: %s", g_strerror (errno));
    return -1;
  }
  ok = write (fds[1], text, strlen (text)) == (ssize_t)strlen (text);
  close (fds[1]);
  if (ok)
    return fds[0];
  g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, "pipe: %s", g_strerror (errno));
  close (fds[0]);
  return -1;
}

/* A call with the descriptors of the file and of the passphrase, which come first among its arguments. */
static GVariant *
call_with_files (CtlContext *context, const char *path, const char *iface, const char *member, int file, const char *passphrase,
                 GVariant *options, GError **error)
{
  g_autoptr (GVariant) sunk = options != NULL ? g_variant_ref_sink (options) : NULL;
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  int secret = pipe_with (passphrase, error);
  GVariant *args = NULL;

  if (secret < 0)
    return NULL;
  if (g_unix_fd_list_append (fds, file, error) >= 0 && g_unix_fd_list_append (fds, secret, error) >= 0)
    args = sunk != NULL ? g_variant_new ("(hh@a{sv})", 0, 1, sunk) : g_variant_new ("(hh)", 0, 1);
  close (secret);
  return args != NULL ? ctl_call_with_fds (context, path, iface, member, args, fds, error) : NULL;
}

static gboolean
refuse_remote (CtlContext *context, GError **error)
{
  if (context->host == NULL)
    return TRUE;
  g_set_error_literal (error, CTL_ERROR, CTL_ERROR_USAGE,
                       _ ("files are not passed over ssh: run this command on the machine itself, as in 'ssh HOST swarmctl …'"));
  return FALSE;
}

/* ---- backup ---- */

/* Gives the finished file its name; without --force never in place of another. */
static gboolean
put_in_place (const char *temporary, const char *path, gboolean force, GError **error)
{
  gboolean ok = force ? g_rename (temporary, path) == 0 : link (temporary, path) == 0;

  if (!ok && errno == EEXIST)
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("%s exists already: give --force to replace it"), path);
  else if (!ok)
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, "%s: %s", path, g_strerror (errno));
  if (!ok || !force)
    g_unlink (temporary);
  return ok;
}

gboolean
ctl_cmd_backup (CtlContext *context, GError **error)
{
  const char *path = g_ptr_array_index (ctl_args_positional (context->args), 0);
  gboolean force = ctl_args_bool (context->args, "force");
  g_autofree char *temporary = g_strconcat (path, ".XXXXXX", NULL);
  g_autoptr (GVariant) reply = NULL;
  g_autofree char *index_text = NULL, *bytes_text = NULL;
  char *passphrase;
  guint64 index, bytes;
  gint64 stale_since;
  int fd;

  if (!refuse_remote (context, error))
    return FALSE;
  if (!force && g_file_test (path, G_FILE_TEST_EXISTS)) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("%s exists already: give --force to replace it"), path);
    return FALSE;
  }
  passphrase = get_passphrase (context, TRUE, error);
  if (passphrase == NULL)
    return FALSE;
  fd = g_mkstemp_full (temporary, O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, "%s: %s", path, g_strerror (errno));
  } else {
    reply = call_with_files (context, CTL_CLUSTER_PATH, CTL_CLUSTER_IFACE, "Backup", fd, passphrase, NULL, error);
    close (fd);
    if (reply == NULL)
      g_unlink (temporary);
  }
  ctl_secret_free (passphrase);
  if (reply == NULL || !put_in_place (temporary, path, force, error))
    return FALSE;
  g_variant_get (reply, "(ttx)", &index, &bytes, &stale_since);
  index_text = g_strdup_printf ("%" G_GUINT64_FORMAT, index);
  bytes_text = g_strdup_printf ("%" G_GUINT64_FORMAT, bytes);
  printf (_ ("Backup of the swarm as of index %s written to %s (%s bytes).\n"), index_text, path, bytes_text);
  if (stale_since > 0) {
    g_autofree char *age = ctl_go_duration (MAX (g_get_real_time () - stale_since, 0) / G_USEC_PER_SEC * 1000000000);
    fflush (stdout);
    g_printerr (_ ("WARNING: The swarm does not have a leader: the backup holds what this manager knew %s ago.\n"), age);
  }
  return TRUE;
}

/* ---- restore ---- */

gboolean
ctl_cmd_restore (CtlContext *context, GError **error)
{
  static const struct {
    const char *option, *key;
  } rows[] = { { "advertise-addr", "AdvertiseAddr" }, { "listen-addr", "ListenAddr" } };
  const char *path = g_ptr_array_index (ctl_args_positional (context->args), 0), *node_id;
  g_autoptr (GVariant) reply = NULL;
  GVariantDict dict;
  char *passphrase;
  int fd;

  if (!refuse_remote (context, error))
    return FALSE;
  fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_INVALID, "open %s: %s", path, g_strerror (errno));
    return FALSE;
  }
  passphrase = get_passphrase (context, FALSE, error);
  if (passphrase != NULL) {
    g_variant_dict_init (&dict, NULL);
    for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
      if (ctl_args_given (context->args, rows[i].option))
        g_variant_dict_insert (&dict, rows[i].key, "s", ctl_args_string (context->args, rows[i].option));
    reply = call_with_files (context, CTL_PATH, CTL_MANAGER_IFACE, "Restore", fd, passphrase, g_variant_dict_end (&dict), error);
  }
  close (fd);
  ctl_secret_free (passphrase);
  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(&s)", &node_id);
  printf (_ ("Swarm restored: current node (%s) is now its only manager.\n\n"
             "Other nodes join it with 'swarmctl join'; those of the swarm that the backup was taken from leave that one first ('swarmctl leave --force').\n"),
          node_id);
  return TRUE;
}
