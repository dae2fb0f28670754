// SPDX-License-Identifier: LGPL-2.1-or-later
/* Files of a host: agent.conf (a), node.conf (n), a manager's keys (k), the keys with a good checksum (h). A bad line is told and skipped, damage is an
 * error; nothing else. */
#include "base/log.h"
#include "daemon/config.h"
#include "daemon/state.h"
#include "fuzz.h"
#include "sim/sim-crypto.h"
#include "sim/sim-disk.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void
drop_line (int priority, const SwarmLogField *fields, const char *message, gpointer data)
{
  g_assert (message[0] != '\0');
}

static void
try_agent_conf (const guint8 *data, gsize size)
{
  int fd = memfd_create ("agent.conf", MFD_CLOEXEC);
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  SwarmConfig *config = swarm_config_new_defaults ();
  g_autoptr (GError) error = NULL;

  g_assert (fd >= 0 && write (fd, data, size) == (ssize_t) size);
  swarm_log_set_handler (drop_line, NULL);
  if (!swarm_config_read_file (config, path, &error))
    g_assert (error != NULL && (size > 256 * 1024 || memchr (data, 0, size) != NULL));
  swarm_log_set_handler (NULL, NULL);
  swarm_config_free (config);
  close (fd);
}

static void
try_node (const char *name, const guint8 *data, gsize size)
{
  SimClock *clock = sim_clock_new (1);
  SimRandom random;
  SimCrypto crypto;
  g_autoptr (GBytes) content = g_bytes_new (data, size), pem = g_bytes_new_static ("x", 1);
  GArray *ops = swarm_disk_ops_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmMembership) membership = NULL;
  SimDisk *disk;

  sim_random_init (&random, 1);
  sim_crypto_init (&crypto, &random);
  disk = sim_disk_new (clock, &random, 1, 1);
  swarm_disk_ops_write (ops, "root.crt", 0, pem);
  swarm_disk_ops_write (ops, "node.crt", 0, pem);
  swarm_disk_ops_write (ops, "node.key", 0, pem);
  swarm_disk_ops_write (ops, name, 0, content);
  sim_disk_iface (disk)->submit (sim_disk_iface (disk), ops, NULL, NULL);
  sim_clock_run (clock, 10);
  membership = swarm_membership_load (sim_disk_iface (disk), &crypto.iface, &error);
  g_assert (membership == NULL || error == NULL);
  sim_disk_free (disk);
  sim_clock_free (clock);
}

static void
try_keys (const guint8 *data, gsize size, gboolean good)
{
  SimRandom random;
  SimCrypto crypto;
  g_autoptr (GByteArray) file = g_byte_array_new ();
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autoptr (GError) error = NULL;
  guint8 digest[32];
  gsize len = sizeof digest;

  sim_random_init (&random, 1);
  sim_crypto_init (&crypto, &random);
  g_byte_array_append (file, data, size);
  g_checksum_update (sum, data, size);
  g_checksum_get_digest (sum, digest, &len);
  if (good)
    g_byte_array_append (file, digest, len);
  g_autoptr (GBytes) bytes = g_bytes_new (file->data, file->len);
  g_autoptr (SwarmKeys) keys = swarm_keys_parse (&crypto.iface, bytes, &error);
  if (keys == NULL) {
    g_assert (error != NULL);
    return;
  }
  if (swarm_keys_is_open (keys)) {
    g_autoptr (GBytes) again = swarm_keys_format (keys, &crypto.iface);
    g_autoptr (SwarmKeys) back = swarm_keys_parse (&crypto.iface, again, &error);
    g_assert (back != NULL);
  }
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  if (size == 0)
    return 0;
  switch (data[0]) {
  case 'a':
    try_agent_conf (data + 1, size - 1);
    break;
  case 'n':
    try_node ("node.conf", data + 1, size - 1);
    break;
  case 'k':
    try_keys (data + 1, size - 1, FALSE);
    break;
  case 'h':
    try_keys (data + 1, size - 1, TRUE);
    break;
  }
  return 0;
}
