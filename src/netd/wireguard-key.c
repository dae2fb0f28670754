// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/wireguard-key.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x5357574bu

typedef struct {
  guint32 magic;
  guint32 slot;
  gint64 made;
  SwarmNetdKey private_key;
} Stored;

gint64
swarm_netd_key_now (void)
{
  struct timespec now;
  clock_gettime (CLOCK_BOOTTIME, &now);
  return now.tv_sec;
}

gboolean
swarm_netd_key_public (const SwarmNetdKey *private_key, SwarmNetdKey *public_key, GError **error)
{
  static const guint8 base_point[32] = { 9 };
  static gboolean ready;
  if (!ready) {
    gcry_check_version (NULL);
    gcry_control (GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control (GCRYCTL_INITIALIZATION_FINISHED, 0);
    ready = TRUE;
  }
  gcry_error_t code = gcry_ecc_mul_point (GCRY_ECC_CURVE25519, public_key->bytes, private_key->bytes, base_point);
  if (code == 0)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "X25519: %s", gcry_strerror (code));
  return FALSE;
}

gboolean
swarm_netd_key_make (SwarmNetdKeyPair *pair, guint slot, GError **error)
{
  *pair = (SwarmNetdKeyPair){ .slot = slot, .made = swarm_netd_key_now () };
  if (getrandom (pair->private_key.bytes, sizeof pair->private_key.bytes, GRND_NONBLOCK) != sizeof pair->private_key.bytes) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "the kernel has no randomness yet");
    return FALSE;
  }
  /* As RFC 7748 section 5 has it: what WireGuard would make of it anyway. */
  pair->private_key.bytes[0] &= 248;
  pair->private_key.bytes[31] = (pair->private_key.bytes[31] & 127) | 64;
  return swarm_netd_key_public (&pair->private_key, &pair->public_key, error);
}

int
swarm_netd_key_store (const SwarmNetdKeyPair *pair, GError **error)
{
  Stored stored = { MAGIC, pair->slot, pair->made, pair->private_key };
  int fd = memfd_create ("swarm-wireguard-key", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  gboolean ok = fd >= 0 && write (fd, &stored, sizeof stored) == sizeof stored &&
                fcntl (fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0;
  explicit_bzero (&stored, sizeof stored);
  if (ok)
    return fd;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "keep the key over a restart: %s", g_strerror (errno));
  if (fd >= 0)
    close (fd);
  return -1;
}

gboolean
swarm_netd_key_load (int fd, SwarmNetdKeyPair *pair)
{
  Stored stored = { 0 };
  gboolean ok = pread (fd, &stored, sizeof stored, 0) == sizeof stored && stored.magic == MAGIC && stored.slot <= 1;
  *pair = (SwarmNetdKeyPair){ .slot = stored.slot, .made = stored.made, .private_key = stored.private_key };
  explicit_bzero (&stored, sizeof stored);
  return ok && swarm_netd_key_public (&pair->private_key, &pair->public_key, NULL);
}
