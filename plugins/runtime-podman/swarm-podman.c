// SPDX-License-Identifier: LGPL-2.1-or-later
/* swarm-podman: runs podman with arguments from a file, so that no unit shows them.
 *   swarm-podman prepare PODMAN DIR   pulls if the file "create" says so, then creates the container
 *   swarm-podman sweep PODMAN         removes containers of tasks that do not run (left by an earlier boot) */
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOTIFY_SOCKET_PATH "/run/systemd/notify"

static GPtrArray *
read_list (const char *dir, const char *name)
{
  g_autofree char *path = g_build_filename (dir, name, NULL), *data = NULL;
  gsize len;
  if (!g_file_get_contents (path, &data, &len, NULL))
    return NULL;
  GPtrArray *list = g_ptr_array_new_with_free_func (g_free);
  for (gsize at = 0; at < len; at += strlen (data + at) + 1)
    g_ptr_array_add (list, g_strdup (data + at));
  return list;
}

static char *
existing (const char *dir, const char *name)
{
  char *path = g_build_filename (dir, name, NULL);
  if (g_file_test (path, G_FILE_TEST_EXISTS))
    return path;
  g_free (path);
  return NULL;
}

/* Runs podman, its standard output thrown away; TRUE for exit code 0. */
static gboolean
run (GPtrArray *argv)
{
  int status;
  g_ptr_array_add (argv, NULL);
  return g_spawn_sync (NULL, (char **) argv->pdata, NULL, G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL,
                       &status, NULL)
         && g_spawn_check_wait_status (status, NULL);
}

static GPtrArray *
podman_argv (const char *podman)
{
  GPtrArray *argv = g_ptr_array_new ();
  g_ptr_array_add (argv, (char *) podman);
  g_ptr_array_add (argv, "--events-backend=none");
  return argv;
}

/* A failed pull is an error only when the image is not here. */
static gboolean
pull (const char *podman, const char *image, const char *auth)
{
  g_autoptr (GPtrArray) argv = podman_argv (podman);
  g_autofree char *option = auth != NULL ? g_strconcat ("--authfile=", auth, NULL) : NULL;
  g_ptr_array_add (argv, "pull");
  g_ptr_array_add (argv, "--quiet");
  if (option != NULL)
    g_ptr_array_add (argv, option);
  g_ptr_array_add (argv, (char *) image);
  if (run (argv))
    return TRUE;
  g_autoptr (GPtrArray) look = podman_argv (podman);
  g_ptr_array_add (look, "image");
  g_ptr_array_add (look, "exists");
  g_ptr_array_add (look, (char *) image);
  return run (look);
}

static int
create (const char *podman, GPtrArray *args, const char *env, const char *auth)
{
  g_autoptr (GPtrArray) argv = podman_argv (podman);
  g_ptr_array_add (argv, "create");
  for (guint i = 2; i < args->len; i++) {
    if (strcmp (args->pdata[i], "--") == 0) {
      if (env != NULL)
        g_ptr_array_add (argv, g_strconcat ("--env-file=", env, NULL));
      if (auth != NULL)
        g_ptr_array_add (argv, g_strconcat ("--authfile=", auth, NULL));
      for (i++; i < args->len; i++)
        g_ptr_array_add (argv, args->pdata[i]);
      break;
    }
    g_ptr_array_add (argv, args->pdata[i]);
  }
  g_ptr_array_add (argv, NULL);
  /* Where conmon says that it is the main process, once this container is started inside its unit. */
  g_setenv ("NOTIFY_SOCKET", NOTIFY_SOCKET_PATH, TRUE);
  execv (podman, (char **) argv->pdata);
  g_printerr ("Error: %s: %s\n", podman, g_strerror (errno));
  return 127;
}

static int
prepare (const char *podman, const char *dir)
{
  g_autoptr (GPtrArray) args = read_list (dir, "create");
  g_autoptr (GPtrArray) variables = read_list (dir, "environ");
  g_autofree char *env = existing (dir, "env"), *auth = existing (dir, "auth.json");
  if (args == NULL || args->len < 3) {
    g_printerr ("Error: %s/create is missing\n", dir);
    return 125;
  }
  if (strcmp (args->pdata[0], "pull") == 0 && !pull (podman, args->pdata[1], auth))
    return 125;
  for (guint i = 0; variables != NULL && i < variables->len; i++)
    putenv (variables->pdata[i]);
  int code = create (podman, args, env, auth);
  return code;
}

static int
sweep (const char *podman)
{
  g_autoptr (GPtrArray) list = podman_argv (podman), argv = podman_argv (podman);
  g_autofree char *out = NULL;
  const char *const states[] = { "ps", "--all", "--quiet", "--no-trunc", "--filter=label=com.docker.swarm.task.id", "--filter=status=created",
                                 "--filter=status=exited", "--filter=status=initialized", "--filter=status=unknown", NULL };
  for (guint i = 0; states[i] != NULL; i++)
    g_ptr_array_add (list, (char *) states[i]);
  g_ptr_array_add (list, NULL);
  if (!g_spawn_sync (NULL, (char **) list->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, NULL, NULL))
    return 125;
  g_auto (GStrv) ids = g_strsplit (g_strstrip (out), "\n", -1);
  if (ids[0] == NULL || *ids[0] == '\0')
    return 0;
  g_ptr_array_add (argv, "rm");
  g_ptr_array_add (argv, "--force");
  g_ptr_array_add (argv, "--volumes");
  for (guint i = 0; ids[i] != NULL; i++)
    g_ptr_array_add (argv, ids[i]);
  return run (argv) ? 0 : 125;
}

int
main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "prepare") == 0)
    return prepare (argv[2], argv[3]);
  if (argc == 3 && strcmp (argv[1], "sweep") == 0)
    return sweep (argv[2]);
  g_printerr ("usage: swarm-podman prepare PODMAN DIR | sweep PODMAN\n");
  return 2;
}
