// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/creds.h"
#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"
#include "daemon/keys.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "/usr/bin/systemd-creds"
#define CREDENTIAL "--name=swarm-agent.kek"
#define TPM2 "/sys/class/tpmrm/tpmrm0" /* its device is not to be seen in the agent's sandbox */
#define FILES "kek-"
#define MAX_BYTES (64 * 1024)

typedef struct {
  SwarmPluginServices *units;
  char *in, *out, *unit;
  gboolean sealing;
  gboolean tpm; /* sealing: to the TPM2, too */
  gboolean again;
  GBytes *bytes;
  SwarmCredsFunc func;
  gpointer data;
} Run;

static guint runs; /* each has names of its own */

/* What a file in memory held shall not be found there later. */
static void
wipe (const char *path)
{
  static const char zeros[4096];
  int fd = open (path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  off_t left = fd >= 0 ? lseek (fd, 0, SEEK_END) : 0;
  for (off_t at = 0; at < left; at += sizeof zeros)
    if (pwrite (fd, zeros, MIN ((gsize) (left - at), sizeof zeros), at) < 0)
      break;
  if (fd >= 0)
    close (fd);
  g_unlink (path);
}

static void
run_free (Run *run)
{
  wipe (run->in);
  wipe (run->out);
  g_bytes_unref (run->bytes);
  g_free (run->in);
  g_free (run->out);
  g_free (run->unit);
  g_free (run);
}

void
swarm_creds_clean (const char *runtime_dir)
{
  g_autoptr (GDir) dir = g_dir_open (runtime_dir, 0, NULL);
  for (const char *name; dir != NULL && (name = g_dir_read_name (dir)) != NULL;) {
    if (!g_str_has_prefix (name, FILES))
      continue;
    g_autofree char *path = g_build_filename (runtime_dir, name, NULL);
    wipe (path);
  }
}

static gboolean
write_file (const char *path, GBytes *bytes, GError **error)
{
  gsize len;
  const guint8 *data = g_bytes_get_data (bytes, &len);
  g_unlink (path);
  int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  gboolean ok = fd >= 0 && write (fd, data, len) == (ssize_t) len;
  if (!ok)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "cannot write %s: %s", path, g_strerror (errno));
  if (fd >= 0)
    close (fd);
  return ok;
}

static GBytes *
read_file (const char *path, GError **error)
{
  guint8 buffer[MAX_BYTES];
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  ssize_t n = fd >= 0 ? read (fd, buffer, sizeof buffer) : -1;
  GBytes *bytes = n > 0 && n < (ssize_t) sizeof buffer ? swarm_secret_bytes (buffer, n) : NULL;
  if (bytes == NULL)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "systemd-creds left nothing usable in %s", path);
  if (n > 0)
    explicit_bzero (buffer, n);
  if (fd >= 0)
    close (fd);
  return bytes;
}

static void go (Run *run);

static void
leftover_stopped (const SwarmPluginUnitState *state, const GError *error, gpointer data)
{
  go (data);
}

/* Its libraries may be missing, or it is locked. The host's key is what is left. */
static void
without_tpm (Run *run, const GError *error)
{
  swarm_warning ("This manager's keys are sealed by the host's own key alone, which lies on the same disk: systemd-creds cannot use this host's TPM2: %s "
                 "(see journalctl -u %s; it takes the packages libtss2-esys and libtss2-rc); seal anew with `swarmctl update --seal \"\"` and --seal systemd-creds",
                 error->message, run->unit);
  run->tpm = FALSE;
  run->again = FALSE;
  g_unlink (run->out);
  go (run);
}

static void
ended (const SwarmPluginUnitState *state, const GError *error, gpointer data)
{
  Run *run = data;
  g_autoptr (GError) local = NULL;
  g_autoptr (GBytes) bytes = NULL;
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS) && !run->again) {
    run->again = TRUE;
    run->units->stop (run->units, run->unit, leftover_stopped, run);
    return;
  }
  if (error != NULL && run->tpm) {
    without_tpm (run, error);
    return;
  }
  if (error != NULL)
    local = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "%s (see journalctl -u %s)", error->message, run->unit);
  else
    bytes = read_file (run->out, &local);
  if (bytes != NULL && run->sealing)
    swarm_info ("systemd-creds sealed a key to %s", run->tpm ? "this host's TPM2 and its own key" : "this host's own key");
  run->func (bytes, local, run->data);
  run_free (run);
}

static GVariant *
exec_variant (Run *run)
{
  const char *unseal[] = { PROGRAM, "decrypt", CREDENTIAL, run->in, run->out, NULL };
  /* Its own choice leaves a TPM2 out that the firmware did not use, without a word. */
  const char *seal[] = { PROGRAM, "encrypt", run->tpm ? "--with-key=host+tpm2" : "--with-key=host", CREDENTIAL, run->in, run->out, NULL };
  const char **argv = run->sealing ? seal : unseal;
  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sasb)"));
  g_variant_builder_add (&builder, "(s^asb)", PROGRAM, argv, FALSE);
  return g_variant_builder_end (&builder);
}

static void
go (Run *run)
{
  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sv)"));
  g_variant_builder_add (&builder, "(sv)", "Description", g_variant_new_string ("Swarm agent: keys and systemd-creds"));
  g_variant_builder_add (&builder, "(sv)", "Type", g_variant_new_string ("oneshot"));
  g_variant_builder_add (&builder, "(sv)", "UMask", g_variant_new_uint32 (0077));
  g_variant_builder_add (&builder, "(sv)", "StandardOutput", g_variant_new_string ("null"));
  g_variant_builder_add (&builder, "(sv)", "StandardError", g_variant_new_string ("journal"));
  g_variant_builder_add (&builder, "(sv)", "CollectMode", g_variant_new_string ("inactive-or-failed"));
  g_variant_builder_add (&builder, "(sv)", "ExecStart", exec_variant (run));
  run->units->start (run->units, run->unit, g_variant_builder_end (&builder), ended, run);
}

static gboolean
failed_at_once (gpointer data)
{
  Run *run = data;
  g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "cannot write %s", run->in);
  run->func (NULL, error, run->data);
  run_free (run);
  return G_SOURCE_REMOVE;
}

static void
begin (SwarmPluginServices *units, const char *runtime_dir, GBytes *bytes, gboolean sealing, SwarmCredsFunc func, gpointer data)
{
  Run *run = g_new0 (Run, 1);
  run->units = units;
  run->in = g_strdup_printf ("%s/" FILES "%u.in", runtime_dir, runs);
  run->out = g_strdup_printf ("%s/" FILES "%u.out", runtime_dir, runs);
  run->unit = g_strdup_printf ("swarm-keys-%u.service", runs++);
  run->sealing = sealing;
  run->tpm = sealing && g_file_test (TPM2, G_FILE_TEST_EXISTS);
  run->bytes = g_bytes_ref (bytes);
  run->func = func;
  run->data = data;
  g_unlink (run->out);
  if (write_file (run->in, bytes, NULL))
    go (run);
  else
    g_idle_add (failed_at_once, run);
}

void
swarm_creds_seal (SwarmPluginServices *units, const char *runtime_dir, GBytes *key, SwarmCredsFunc func, gpointer data)
{
  begin (units, runtime_dir, key, TRUE, func, data);
}

void
swarm_creds_unseal (SwarmPluginServices *units, const char *runtime_dir, GBytes *sealed, SwarmCredsFunc func, gpointer data)
{
  begin (units, runtime_dir, sealed, FALSE, func, data);
}
