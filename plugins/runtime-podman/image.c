// SPDX-License-Identifier: LGPL-2.1-or-later
/* Images: tasks that need the same one with the same credentials share one pull; a registry is asked for a digest. */
#include "private.h"
#include <string.h>

#define KNOWN_MAX 256

/* A pull under way. */
struct PodmanPull {
  SwarmPluginInstance *self;
  char *key;   /* in self->pulls: of image and credentials */
  char *scope; /* "pull-…", its unit's files */
  char *image;
  GPtrArray *waiters; /* Waiter */
  gboolean stopped; /* nobody waited for it any more */
  char *error; /* kept while the reason is read from a file */
  SwarmPluginCode code;
};

typedef struct {
  PodmanOp *op;
  PodmanImageFunc func;
} Waiter;

/* A digest names one content for ever; a tag may have moved. */
gboolean
podman_image_is_fixed (const char *image)
{
  return strstr (image, "@sha256:") != NULL;
}

void
podman_pull_free (gpointer data)
{
  PodmanPull *pull = data;
  g_ptr_array_unref (pull->waiters);
  g_free (pull->key);
  g_free (pull->scope);
  g_free (pull->image);
  g_free (pull->error);
  g_free (pull);
}

static void
remember (SwarmPluginInstance *self, const char *image)
{
  if (g_hash_table_size (self->images) >= KNOWN_MAX)
    g_hash_table_remove_all (self->images); /* asked about again, no more */
  g_hash_table_add (self->images, g_strdup (image));
}

void
podman_image_forget (SwarmPluginInstance *self, const char *image)
{
  g_hash_table_remove (self->images, image);
}

/* Tells all that wait, and is gone. */
static void
pull_finish (PodmanPull *pull, SwarmPluginCode code, const char *error)
{
  SwarmPluginInstance *self = pull->self;
  if (code == SWARM_PLUGIN_OK && podman_image_is_fixed (pull->image))
    remember (self, pull->image);
  g_hash_table_steal (self->pulls, pull->key);
  self->host->file_remove (self->host, pull->scope, NULL, podman_ignore_file, NULL);
  for (guint i = 0; i < pull->waiters->len; i++) {
    Waiter *waiter = pull->waiters->pdata[i];
    waiter->op->pull = NULL;
    waiter->func (waiter->op, code, error);
  }
  podman_pull_free (pull);
}

static void
got_pull_error (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanPull *pull = data;
  g_autofree char *reason = code == SWARM_PLUGIN_OK ? podman_last_line (content) : g_strdup ("");
  pull_finish (pull, pull->code, *reason != '\0' ? reason : pull->error);
}

static void pull_run (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data);

static void
pulled (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanPull *pull = data;
  SwarmPluginHost *host = pull->self->host;
  if (code == SWARM_PLUGIN_OK) {
    pull_finish (pull, code, NULL);
    return;
  }
  if (pull->stopped) { /* go on for those who came while it was being stopped */
    pull->stopped = FALSE;
    pull_run (SWARM_PLUGIN_OK, NULL, NULL, 0, pull);
    return;
  }
  pull->code = code;
  pull->error = g_strdup (error);
  host->file_read (host, pull->scope, "error", PODMAN_ERROR_FILE_MAX, got_pull_error, pull);
}

static void
pull_run (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanPull *pull = data;
  if (code != SWARM_PLUGIN_OK || pull->waiters->len == 0) {
    pull_finish (pull, code != SWARM_PLUGIN_OK ? code : SWARM_PLUGIN_CANCELLED, error);
    return;
  }
  g_autofree char *name = g_strdup_printf ("swarm-%s.service", pull->scope), *dir = podman_scope_dir (pull->self, pull->scope);
  const char *argv[] = { SWARM_PODMAN_HELPER, "pull", pull->self->podman, dir, NULL };
  podman_run_unit (pull->self, name, pull->scope, NULL, pull->self->pull_timeout, argv, pulled, pull);
}

/* Its name is made of what is pulled, so that an agent that comes back finds its predecessor's unit under the same name. */
static PodmanPull *
pull_begin (SwarmPluginInstance *self, char *key, const char *image, const char *auth)
{
  PodmanPull *pull = g_new0 (PodmanPull, 1);
  const char *mode = podman_image_is_fixed (image) ? "missing" : "newest";
  pull->self = self;
  pull->key = key;
  pull->scope = g_strdup_printf ("pull-%.24s", key);
  pull->image = g_strdup (image);
  pull->waiters = g_ptr_array_new_with_free_func (g_free);
  g_hash_table_insert (self->pulls, pull->key, pull);
  SwarmPluginFile files[3] = { { "image", image, strlen (image) }, { "mode", mode, strlen (mode) } };
  if (auth != NULL)
    files[2] = (SwarmPluginFile){ "auth.json", auth, strlen (auth) };
  self->host->files_write (self->host, pull->scope, files, auth != NULL ? 3 : 2, pull_run, pull);
  return pull;
}

void
podman_image_need (PodmanOp *op, const char *image, const char *auth, PodmanImageFunc func)
{
  SwarmPluginInstance *self = op->self;
  if (g_hash_table_contains (self->images, image)) {
    func (op, SWARM_PLUGIN_OK, NULL);
    return;
  }
  g_autofree char *what = g_strconcat (image, "\n", auth, NULL);
  g_autofree char *key = g_compute_checksum_for_string (G_CHECKSUM_SHA256, what, -1);
  PodmanPull *pull = g_hash_table_lookup (self->pulls, key);
  if (pull == NULL)
    pull = pull_begin (self, g_steal_pointer (&key), image, auth);
  Waiter *waiter = g_new (Waiter, 1);
  *waiter = (Waiter){ op, func };
  g_ptr_array_add (pull->waiters, waiter);
  op->pull = pull;
}

static void
pull_stopped (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
}

void
podman_image_leave (PodmanOp *op)
{
  PodmanPull *pull = g_steal_pointer (&op->pull);
  for (guint i = 0; i < pull->waiters->len; i++)
    if (((Waiter *) pull->waiters->pdata[i])->op == op)
      g_ptr_array_remove_index (pull->waiters, i--);
  if (pull->waiters->len > 0)
    return;
  g_autofree char *name = g_strdup_printf ("swarm-%s.service", pull->scope);
  pull->stopped = TRUE;
  pull->self->host->unit_stop (pull->self->host, name, pull_stopped, NULL);
}

/* ---- resolve ---- */

static void
resolve_finish (PodmanOp *op, const char *digest, const char *error)
{
  g_autofree char *image = digest != NULL ? g_strconcat (op->image, "@", digest, NULL) : NULL;
  SwarmPluginResult result = { .code = digest != NULL ? SWARM_PLUGIN_OK : SWARM_PLUGIN_UNAVAILABLE, .error = error, .image = image };
  op->self->host->file_remove (op->self->host, op->id, NULL, podman_ignore_file, NULL);
  podman_op_finish (op, &result);
}

static void
got_digest (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  g_autofree char *digest = code == SWARM_PLUGIN_OK ? g_strstrip (g_strdup (content)) : g_strdup ("");
  gboolean good = g_str_has_prefix (digest, "sha256:") && strlen (digest) == 71;
  resolve_finish (data, good ? digest : NULL, good ? NULL : "the registry gave no digest");
}

static void
got_resolve_error (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  g_autofree char *reason = code == SWARM_PLUGIN_OK ? podman_last_line (content) : g_strdup ("skopeo failed");
  resolve_finish (data, NULL, reason);
}

static void
resolved (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  SwarmPluginHost *host = op->self->host;
  if (code == SWARM_PLUGIN_OK)
    host->file_read (host, op->id, "digest", 256, got_digest, op);
  else
    host->file_read (host, op->id, "error", PODMAN_ERROR_FILE_MAX, got_resolve_error, op);
}

static void
resolve_run (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_autofree char *name = g_strdup_printf ("swarm-%s.service", op->id), *dir = podman_scope_dir (op->self, op->id);
  g_autofree char *authfile = g_strdup_printf ("--authfile=%s/auth.json", dir), *target = g_strconcat ("docker://", op->image, NULL);
  const char *argv[] = { op->self->skopeo, "inspect", "--no-tags", "--format={{.Digest}}", target, op->error != NULL ? authfile : NULL, NULL };
  g_clear_pointer (&op->error, g_free);
  if (code != SWARM_PLUGIN_OK)
    podman_op_fail (op, code, error);
  else
    podman_run_unit (op->self, name, op->id, "digest", "15s", argv, resolved, op);
}

void
podman_resolve_image (SwarmPluginInstance *self, const char *image, const char *auth, SwarmPluginCall *call)
{
  g_autofree char *scope = g_strdup_printf ("resolve-%u", ++self->next_resolve), *error = NULL;
  PodmanOp *op = podman_op_new (self, call, scope);
  op->image = g_strdup (image);
  g_autofree char *auth_text = auth != NULL && *auth != '\0' ? podman_auth_file (image, auth, &error) : NULL;
  if (error != NULL) {
    podman_op_fail (op, SWARM_PLUGIN_INVALID, error);
    return;
  }
  const SwarmPluginFile file = { "auth.json", auth_text, auth_text != NULL ? strlen (auth_text) : 0 };
  op->error = auth_text != NULL ? g_strdup ("") : NULL; /* marks that there are credentials */
  self->host->files_write (self->host, scope, &file, auth_text != NULL ? 1 : 0, resolve_run, op);
}
