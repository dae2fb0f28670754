// SPDX-License-Identifier: LGPL-2.1-or-later
/* Containers that are not tasks: who they are, and whether they may be in a network of the cluster. */
#include "private.h"
#include <string.h>

#define OUTPUT_MAX 8192

/* What swarm-podman tells, in one line. */
enum { STARTED, ID, PID, MODE, TASK, NAME, N_WORDS };

static void
find_finish (PodmanOp *op, const SwarmPluginResult *result)
{
  op->self->host->file_remove (op->self->host, op->id, NULL, podman_ignore_file, NULL);
  podman_op_finish (op, result);
}

static void
find_fail (PodmanOp *op, SwarmPluginCode code, const char *error)
{
  find_finish (op, &(SwarmPluginResult){ .code = code, .error = error });
}

/* Why the container cannot be in a network of the cluster; NULL: it can. Caller frees. */
static char *
obstacle (char *const *words)
{
  if (*words[TASK] != '\0' && strcmp (words[TASK], "<no value>") != 0)
    return g_strdup_printf ("container %s is a task of the cluster: its networks are its service's", words[NAME]);
  if (strcmp (words[MODE], "host") == 0)
    return g_strdup_printf ("container %s has no network of its own, but the host's", words[NAME]);
  if (g_str_has_prefix (words[MODE], "container:") || g_str_has_prefix (words[MODE], "ns:"))
    return g_strdup_printf ("container %s has no network of its own, but another's (%s)", words[NAME], words[MODE]);
  return NULL;
}

static void
got_words (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_autofree char *line = code == SWARM_PLUGIN_OK ? g_strchomp (g_strdup (content)) : g_strdup ("");
  g_auto (GStrv) words = g_strsplit (line, "|", N_WORDS);
  guint64 pid;
  if (code != SWARM_PLUGIN_OK || g_strv_length (words) != N_WORDS || !g_ascii_string_to_unsigned (words[PID], 10, 0, G_MAXINT32, &pid, NULL)) {
    find_fail (op, SWARM_PLUGIN_FAILED, code != SWARM_PLUGIN_OK ? error : "podman tells nothing of the container");
    return;
  }
  guint64 started = g_ascii_strtoull (words[STARTED], NULL, 10);
  g_autofree char *why = obstacle (words);
  if (why != NULL)
    find_fail (op, SWARM_PLUGIN_INVALID, why);
  else
    find_finish (op, &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK, .container_id = words[ID], .name = words[NAME], 
                                           .pid = started != 0 ? (guint32) pid : 0, .started = started });
}

/* podman's exit code is the same for all that goes wrong. */
static void
got_find_error (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_autofree char *reason = code == SWARM_PLUGIN_OK ? podman_last_line (content) : g_strdup ("");
  if (strstr (reason, "no such container") != NULL || strstr (reason, "no container with name or ID") != NULL) {
    g_autofree char *text = g_strdup_printf ("No such container: %s", op->image);
    find_fail (op, SWARM_PLUGIN_NOT_FOUND, text);
  } else if (strstr (reason, "more than one result") != NULL) {
    find_fail (op, SWARM_PLUGIN_INVALID, reason);
  } else {
    find_fail (op, SWARM_PLUGIN_UNAVAILABLE, *reason != '\0' ? reason : op->error);
  }
}

static void
found (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  SwarmPluginHost *host = op->self->host;
  if (code == SWARM_PLUGIN_OK) {
    host->file_read (host, op->id, "container", OUTPUT_MAX, got_words, op);
    return;
  }
  op->error = g_strdup (error != NULL ? error : "podman failed");
  host->file_read (host, op->id, "error", PODMAN_ERROR_FILE_MAX, got_find_error, op);
}

static void
find_run (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_autofree char *name = g_strdup_printf ("swarm-%s.service", op->id);
  const char *argv[] = { SWARM_PODMAN_HELPER, "find", op->self->podman, op->image, NULL };
  if (code != SWARM_PLUGIN_OK)
    podman_op_fail (op, code, error);
  else
    podman_run_unit (op->self, name, op->id, "container", "60s", argv, found, op);
}

void
podman_find (SwarmPluginInstance *self, const char *container, SwarmPluginCall *call)
{
  g_autofree char *scope = g_strdup_printf ("find-%u", ++self->next_inspect);
  PodmanOp *op = podman_op_new (self, call, scope);
  gsize n = strlen (container);
  op->image = g_strdup (container);
  /* It stands in a unit, behind options. */
  if (n == 0 || n > 253 || !g_ascii_isalnum (*container)
      || strspn (container, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != n) {
    podman_op_fail (op, SWARM_PLUGIN_INVALID, "that is no name of a container");
    return;
  }
  self->host->files_write (self->host, scope, NULL, 0, find_run, op);
}
