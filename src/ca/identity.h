// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who this node is, in files: swarm-node.key (0600), swarm-node.crt, swarm-root-ca.crt in one directory.
 * These functions read, write and sync a few kilobytes and wait for the disk: call them at start, at join, init and
 * leave, or from a worker thread (they share no state). */
#pragma once
#include "base/crypto.h"

#define SWARM_IDENTITY_KEY_FILE "swarm-node.key"
#define SWARM_IDENTITY_CERT_FILE "swarm-node.crt"
#define SWARM_IDENTITY_ROOT_FILE "swarm-root-ca.crt"

typedef struct {
  char *cert_pem;
  GBytes *key_pem;
  char *root_pem;
  SwarmCertInfo info; /* of cert_pem */
} SwarmIdentity;

/* Checks that the certificate says who it is, belongs to the key and was issued by the root; its time is not looked at,
 * for an expired identity is still this node's. Copies the texts, references the key. */
SwarmIdentity *swarm_identity_new (const char *cert_pem, GBytes *key_pem, const char *root_pem, GError **error);
void swarm_identity_free (SwarmIdentity *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmIdentity, swarm_identity_free)

/* G_FILE_ERROR_NOENT when @dir holds none; any other error means that what is there is damaged, and names the file.
 * Finishes a save that a power cut interrupted. */
SwarmIdentity *swarm_identity_load (const char *dir, GError **error);
/* Replaces what is there; after a power cut either the old or the new identity is found, never a mixture. */
gboolean swarm_identity_save (const SwarmIdentity *self, const char *dir, GError **error);
/* Fine when there is none. The key's bytes are overwritten first, for what that is worth on today's disks. */
gboolean swarm_identity_remove (const char *dir, GError **error);
