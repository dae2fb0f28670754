// SPDX-License-Identifier: LGPL-2.1-or-later
/* swarm-podman: runs podman with arguments from a file, so that no unit shows them.
 *   swarm-podman pull PODMAN DIR                    the image of the file "image", with the credentials of "auth.json"
 *   swarm-podman create PODMAN DIR                  the container of the file "create"
 *   swarm-podman start PODMAN CONTAINER
 *   swarm-podman stop PODMAN CONTAINER SECONDS      stops it unless it has ended
 *   swarm-podman exec CRUN DIR FILE CONTAINER MS BYTES   the command of FILE in a container, killed after so long; tells its end and so
 *                                                   much of its output
 *   swarm-podman find PODMAN CONTAINER              who it is, and when its first process began (which the agent cannot see)
 *   swarm-podman sweep PODMAN                       removes containers of tasks that do not run (left by an earlier boot) */
#include "helper.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOTIFY_SOCKET_PATH "/run/systemd/notify"

GPtrArray *
helper_read_list (const char *dir, const char *name)
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

/* One line; NULL: there is no such file. */
static char *
read_text (const char *dir, const char *name)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);
  char *text = NULL;
  return g_file_get_contents (path, &text, NULL, NULL) ? g_strstrip (text) : NULL;
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

static gboolean
is_here (const char *podman, const char *image)
{
  g_autoptr (GPtrArray) argv = podman_argv (podman);
  g_ptr_array_add (argv, "image");
  g_ptr_array_add (argv, "exists");
  g_ptr_array_add (argv, (char *) image);
  return run (argv);
}

/* Mode "missing": only what is not here; "newest": a failed pull is an error only when the image is not here. */
static int
pull (const char *podman, const char *dir)
{
  g_autoptr (GPtrArray) argv = podman_argv (podman);
  g_autofree char *image = read_text (dir, "image"), *mode = read_text (dir, "mode"), *auth = existing (dir, "auth.json");
  if (image == NULL || mode == NULL) {
    g_printerr ("Error: %s/image is missing\n", dir);
    return 125;
  }
  g_autofree char *option = auth != NULL ? g_strconcat ("--authfile=", auth, NULL) : NULL;
  gboolean newest = strcmp (mode, "newest") == 0;
  if (!newest && is_here (podman, image))
    return 0;
  g_ptr_array_add (argv, "pull");
  g_ptr_array_add (argv, "--quiet");
  if (option != NULL)
    g_ptr_array_add (argv, option);
  g_ptr_array_add (argv, image);
  return run (argv) || (newest && is_here (podman, image)) ? 0 : 125;
}

/* It lives for a tenth of a second: collecting garbage is a tenth of its work, and for nothing. */
static int
become (char **argv)
{
  g_setenv ("GOGC", "off", TRUE);
  execv (argv[0], argv);
  g_printerr ("Error: %s: %s\n", argv[0], g_strerror (errno));
  return 127;
}

/* Becomes podman create with the arguments of the file "create" and what lies beside it. */
static int
create (const char *podman, const char *dir)
{
  g_autoptr (GPtrArray) args = helper_read_list (dir, "create"), variables = helper_read_list (dir, "environ"), argv = podman_argv (podman);
  g_autofree char *env = existing (dir, "env"), *container = g_build_filename (dir, "container-id", NULL);
  g_autofree char *cidfile = g_strconcat ("--cidfile=", container, NULL), *env_file = env != NULL ? g_strconcat ("--env-file=", env, NULL) : NULL;
  if (args == NULL || args->len == 0) {
    g_printerr ("Error: %s/create is missing\n", dir);
    return 125;
  }
  unlink (container);
  g_ptr_array_add (argv, "create");
  g_ptr_array_add (argv, cidfile);
  if (env_file != NULL)
    g_ptr_array_add (argv, env_file);
  for (guint i = 0; i < args->len; i++)
    g_ptr_array_add (argv, args->pdata[i]);
  g_ptr_array_add (argv, NULL);
  for (guint i = 0; variables != NULL && i < variables->len; i++)
    putenv (variables->pdata[i]);
  /* Where conmon says that it is the main process, once this container is started inside its unit. */
  g_setenv ("NOTIFY_SOCKET", NOTIFY_SOCKET_PATH, TRUE);
  return become ((char **) argv->pdata);
}

static int
start (const char *podman, const char *container)
{
  g_autoptr (GPtrArray) argv = podman_argv (podman);
  g_ptr_array_add (argv, "start");
  g_ptr_array_add (argv, (char *) container);
  g_ptr_array_add (argv, NULL);
  return become ((char **) argv->pdata);
}

/* In ExecStop=, where systemd gives MAINPID as long as there is one: one that has ended needs no podman to be stopped. */
static int
stop (const char *podman, const char *container, const char *grace)
{
  if (g_getenv ("MAINPID") == NULL)
    return 0;
  execl (podman, podman, "--events-backend=none", "stop", "--ignore", "--time", grace, container, (char *) NULL);
  g_printerr ("Error: %s: %s\n", podman, g_strerror (errno));
  return 127;
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

/* Field 22 of /proc/PID/stat; the second one, a name, may have anything in it. 0: there is no such process. */
static guint64
process_start (const char *pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%s/stat", pid), *text = NULL;
  if (!g_file_get_contents (path, &text, NULL, NULL) || strrchr (text, ')') == NULL)
    return 0;
  g_auto (GStrv) words = g_strsplit (strrchr (text, ')'), " ", -1);
  return g_strv_length (words) > 20 ? g_ascii_strtoull (words[20], NULL, 10) : 0;
}

static int
find (const char *podman, const char *container)
{
  static const char format[] = "--format={{.State.Pid}}|{{.Id}}|{{.State.Pid}}|{{.HostConfig.NetworkMode}}|"
                               "{{index .Config.Labels \"com.docker.swarm.task.id\"}}|{{.Name}}";
  g_autoptr (GPtrArray) argv = podman_argv (podman);
  g_autofree char *out = NULL;
  int status;
  const char *const words[] = { "container", "inspect", format, container, NULL };
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    g_ptr_array_add (argv, (char *) words[i]);
  if (!g_spawn_sync (NULL, (char **) argv->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, &status, NULL)
      || !g_spawn_check_wait_status (status, NULL))
    return 125;
  char *rest = strchr (out, '|');
  if (rest == NULL)
    return 125;
  *rest++ = '\0';
  printf ("%" G_GUINT64_FORMAT "|%s", process_start (out), rest);
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "pull") == 0)
    return pull (argv[2], argv[3]);
  if (argc == 4 && strcmp (argv[1], "create") == 0)
    return create (argv[2], argv[3]);
  if (argc == 4 && strcmp (argv[1], "start") == 0)
    return start (argv[2], argv[3]);
  if (argc == 5 && strcmp (argv[1], "stop") == 0)
    return stop (argv[2], argv[3], argv[4]);
  if (argc == 4 && strcmp (argv[1], "find") == 0)
    return find (argv[2], argv[3]);
  if (argc == 3 && strcmp (argv[1], "sweep") == 0)
    return sweep (argv[2]);
  if (argc == 8 && strcmp (argv[1], "exec") == 0)
    return helper_exec (argv + 2);
  g_printerr ("usage: swarm-podman pull|create PODMAN DIR | start PODMAN CONTAINER | stop PODMAN CONTAINER SECONDS | exec CRUN DIR FILE CONTAINER MS BYTES | find PODMAN CONTAINER | sweep PODMAN\n");
  return 2;
}
