// SPDX-License-Identifier: LGPL-2.1-or-later
/* Between the files of ca/ only: PEM to OpenSSL's objects and back. */
#pragma once
#include <glib.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509_REQ, X509_REQ_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509_STORE, X509_STORE_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509_STORE_CTX, X509_STORE_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIGNUM, BN_free)

/* Sets SWARM_ERROR_@code with "@what: <first reason on OpenSSL's error queue>" and empties the queue. */
void swarm_pem_error (GError **error, int code, const char *what);
/* Each refuses texts over SWARM_PEM_MAX; @what names the thing in the error: "certificate", "root key". */
X509 *swarm_pem_read_cert (const char *pem, const char *what, GError **error);
X509_REQ *swarm_pem_read_csr (const char *pem, GError **error);
EVP_PKEY *swarm_pem_read_key (GBytes *pem, const char *what, GError **error);
char *swarm_pem_write_cert (X509 *cert);
/* Signs @csr with @key; @what names it in the error. */
char *swarm_pem_sign_csr (X509_REQ *csr, EVP_PKEY *key, const char *what, GError **error);
GBytes *swarm_pem_write_key (EVP_PKEY *key);
/* TRUE for an ECDSA key on P-256, the only kind that we make and sign. */
gboolean swarm_pem_is_p256 (EVP_PKEY *key);
/* SHA-256 of the public key (DER), lower-case hex. */
gboolean swarm_pem_key_digest (EVP_PKEY *key, char ret[65]);
