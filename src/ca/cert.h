// SPDX-License-Identifier: LGPL-2.1-or-later
/* Certificates, keys and requests as PEM text. What comes from outside is bounded and parsed here only. */
#pragma once
#include "base/crypto.h"

/* Longer PEM texts are refused before OpenSSL sees them. */
#define SWARM_PEM_MAX (16 * 1024)

/* "swarm-manager", "swarm-worker": the OU of a certificate. NULL for SWARM_PEER_NONE. */
const char *swarm_cert_role_to_string (SwarmPeerRole role);

/* A new ECDSA P-256 key, PKCS#8 PEM. */
GBytes *swarm_cert_create_key (GError **error);
/* A request for that key, PEM. Its subject is empty: the CA decides who we are. */
char *swarm_cert_create_csr (GBytes *key_pem, GError **error);

/* What a certificate says (the first one of a PEM text, or DER). Only its form is checked, neither signature nor time:
 * one CN of 25 digits base 36, one OU that is a role, one O of 25 digits base 36. SWARM_ERROR_INVALID_ARGUMENT. */
gboolean swarm_cert_parse (const char *pem, SwarmCertInfo *ret, GError **error);
gboolean swarm_cert_parse_der (const guint8 *der, gsize len, SwarmCertInfo *ret, GError **error);
/* Whether the first certificate was issued by one of the roots, or under those that follow it by one of the roots, and is
 * valid at @now_us. SWARM_ERROR_ACCESS_DENIED says why not. */
gboolean swarm_cert_verify (const char *cert_pem, const char *roots_pem, gint64 now_us, GError **error);
/* A request for the root certificate's own subject and key, for another CA to sign. */
char *swarm_cert_create_root_csr (const char *root_pem, GBytes *key_pem, GError **error);
/* Whether @cross_pem says under @root_pem what @next_pem says of itself: the same subject and key, of a CA. ACCESS_DENIED says why not. */
gboolean swarm_cert_check_cross (const char *cross_pem, const char *root_pem, const char *next_pem, gint64 now_us, GError **error);
/* Whether key and certificate belong together. */
gboolean swarm_cert_matches_key (const char *cert_pem, GBytes *key_pem, GError **error);
