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
  char key[65]; /* SHA-256 of its public key (DER), lower-case hex */
} SwarmCertInfo;

/* What others are told of a root certificate. */
typedef struct {
  guint8 digest[32]; /* SHA-256 over the DER form */
  GBytes *subject;   /* DER */
  GBytes *public_key; /* DER, SubjectPublicKeyInfo */
} SwarmRootInfo;

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
  /* Can this be a cluster's root: exactly one certificate, of a CA, self-signed, valid at @now_us, and @root_key_pem (NULL: held elsewhere) its key?
   * INVALID_ARGUMENT says what is wrong. swarm_root_info_clear() @ret. */
  gboolean (*inspect_root) (SwarmCrypto *self, const char *root_cert_pem, GBytes *root_key_pem, gint64 now_us, SwarmRootInfo *ret, GError **error);
  /* @next's subject and key under @root: who trusts @root alone believes what is under @next. PEM. */
  char *(*cross_sign) (SwarmCrypto *self, const char *root_cert_pem, GBytes *root_key_pem, const char *next_root_pem, GError **error);
  /* SwarmCertInfo.key of the key that made this request; it has to have signed it. */
  gboolean (*request_key) (SwarmCrypto *self, const char *csr_pem, char ret[65], GError **error);
};

static inline void
swarm_root_info_clear (SwarmRootInfo *info)
{
  g_clear_pointer (&info->subject, g_bytes_unref);
  g_clear_pointer (&info->public_key, g_bytes_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SwarmRootInfo, swarm_root_info_clear)
