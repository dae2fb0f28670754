// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "ca/kdf.h"
#include "base/error.h"
#include "base/secret.h"
#include "ca/cert.h"
#include "ca/pem.h"
#include <openssl/evp.h>
#include <string.h>

#define KEY_BYTES 32
#define MAX_MEMORY (G_GUINT64_CONSTANT (1) << 30)

GBytes *
swarm_kdf_scrypt (GBytes *passphrase, const guint8 *salt, gsize salt_len, guint log_n, guint r, guint p, GError **error)
{
  guint8 key[KEY_BYTES];
  gsize len;
  const char *text = g_bytes_get_data (passphrase, &len);
  GBytes *bytes = NULL;

  if (log_n < 1 || log_n > 22 || r < 1 || r > 64 || p < 1 || p > 16 || ((G_GUINT64_CONSTANT (128) * r) << log_n) > MAX_MEMORY) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "scrypt with N 2^%u, r %u, p %u asks for too much", log_n, r, p);
    return NULL;
  }
  if (EVP_PBE_scrypt (text, len, salt, salt_len, G_GUINT64_CONSTANT (1) << log_n, r, p, MAX_MEMORY + MAX_MEMORY / 8, key, sizeof key) == 1)
    bytes = swarm_secret_bytes (key, sizeof key);
  else
    swarm_pem_error (error, SWARM_ERROR_FAILED, "cannot derive a key from the passphrase");
  explicit_bzero (key, sizeof key);
  return bytes;
}
