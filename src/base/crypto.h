// SPDX-License-Identifier: LGPL-2.1-or-later
/* Interface five of six: cryptography, as the pure code needs it. Real: ca/ on OpenSSL. Simulated: sim/. */
#pragma once
#include <glib.h>
#include "base/link.h"

typedef struct _SwarmCrypto SwarmCrypto;

/* What a certificate says. */
typedef struct {
  SwarmPeer peer; /* role, node, cluster, serial; address unused */
  gint64 not_before; /* µs since 1970 */
  gint64 not_after;
} SwarmCertInfo;

struct _SwarmCrypto {
  /* AES-256-GCM under a 32-byte @key with a fresh random nonce; the result carries nonce and tag. @aad may be NULL. */
  GBytes *(*seal) (SwarmCrypto *self, GBytes *key, GBytes *plain, GBytes *aad);
  /* NULL with SWARM_ERROR_FAILED when the tag does not match. */
  GBytes *(*unseal) (SwarmCrypto *self, GBytes *key, GBytes *sealed, GBytes *aad, GError **error);
  void (*sha256) (SwarmCrypto *self, const guint8 *data, gsize len, guint8 digest[32]);
  /* A new self-signed root (ECDSA P-256, 20 years, CN swarm-ca). PEM; key PKCS#8. */
  gboolean (*create_root) (SwarmCrypto *self, gint64 now_us, char **ret_cert_pem, GBytes **ret_key_pem, GError **error);
  /* Signs @csr_pem: CN = node id, OU = role, O = cluster id are set by us, never taken from the request. */
  char *(*issue) (SwarmCrypto *self, const char *root_cert_pem, GBytes *root_key_pem, const char *csr_pem,
                  const SwarmPeer *subject, gint64 not_before_us, gint64 not_after_us, char ret_serial[41], GError **error);
  /* Digest of a root certificate as join tokens carry it: SHA-256 over the DER form. */
  gboolean (*root_digest) (SwarmCrypto *self, const char *root_cert_pem, guint8 digest[32], GError **error);
};
