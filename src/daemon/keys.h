// SPDX-License-Identifier: LGPL-2.1-or-later
/* A manager's keys at rest: the one file <state>/node/keys (0600), replaced as a whole, so that no power cut leaves keys that do not fit together.
 *
 *   key-encryption key (KEK), 32 bytes ── seals ──▶ the node's private key
 *                                      ── seals ──▶ data keys 1, 2, … ── seal ──▶ log segments, snapshots, meta (each file names its key's number)
 *
 * Where the KEK is, is the file's mode:
 *   file     in the file itself: whoever has the disk has everything. The default, as in swarm.
 *   locked   nowhere on this host (autolock): it is the cluster's unlock key, which all managers share through the replicated store; a manager
 *            that starts waits for it (`swarmctl unlock`).
 *   sealed   in the file, sealed by systemd-creds to this host's TPM2 or host key: it starts unattended, a stolen disk opens nothing.
 * The KEK has a version, the cluster's UnlockKeyVersion that this manager followed last: after each change of it (autolock on or off, rotation)
 * each manager writes the file anew under the new KEK. With a KEK that leaves the disk, a new data key comes into use as well: blocks of older
 * files that are still on the disk open nothing that is written from then on.
 *
 * Form, little endian: "SWARMKEY", u32 format 1, u32 mode, cluster id, node id, u64 KEK version, u32 length and bytes of the KEK (mode file: 32
 * bytes, locked: none, sealed: what systemd-creds made of it), u32 number of items; each item: u32 kind, u32 number, u32 length, bytes
 * (AES-256-GCM under the KEK; associated data: ids, KEK version, kind, number). At the end SHA-256 of all before: damage is told from a wrong key.
 * Workers have no such file but node.key in clear: their certificate opens nothing but their own tasks. */
#pragma once
#include "base/crypto.h"
#include "base/id.h"

typedef enum {
  SWARM_KEYS_FILE,
  SWARM_KEYS_LOCKED,
  SWARM_KEYS_SEALED,
} SwarmKeysMode;

typedef struct {
  SwarmKeysMode mode;
  SwarmId cluster;
  SwarmId node;
  guint64 version;      /* of the KEK */
  GBytes *kek;          /* NULL: not known (yet) */
  GBytes *sealed_kek;   /* mode sealed: what systemd-creds opens */
  GBytes *node_key;     /* PEM */
  GBytes *data_key;     /* 32 bytes; NULL: not opened */
  guint32 data_number;
  GBytes *old_data_key; /* the one before, while files of it are left; NULL: none */
  guint32 old_data_number;
  GPtrArray *items; /* private: what is still sealed */
} SwarmKeys;

SwarmKeys *swarm_keys_new (void);
void swarm_keys_free (SwarmKeys *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmKeys, swarm_keys_free)
/* Reads the file's form. In mode file it is opened at once; else swarm_keys_open() comes next. */
SwarmKeys *swarm_keys_parse (SwarmCrypto *crypto, GBytes *file, GError **error);
gboolean swarm_keys_is_open (const SwarmKeys *self);
/* SWARM_ERROR_INVALID_ARGUMENT "swarm could not be unlocked: invalid key provided": another key; it stays closed. */
gboolean swarm_keys_open (SwarmKeys *self, SwarmCrypto *crypto, GBytes *kek, GError **error);
/* The file's content; it must be open. In mode sealed ->sealed_kek must fit ->kek. */
GBytes *swarm_keys_format (const SwarmKeys *self, SwarmCrypto *crypto);
