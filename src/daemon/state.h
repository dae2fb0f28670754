// SPDX-License-Identifier: LGPL-2.1-or-later
/* What this host keeps about its membership: <state>/node/{node.conf, root.crt, node.crt, node.key, dek, kek}, all 0600.
 * Read at start; written through the writer thread, all files of one change in one batch. */
#pragma once
#include "base/disk.h"
#include "base/id.h"
#include "base/crypto.h"
#include "base/random.h"

typedef struct {
  SwarmId node;
  SwarmId cluster;
  gboolean manager;      /* runs the manager's part */
  guint64 raft_id;       /* of this manager's membership; 0: bootstrapped or none yet */
  char *listen;          /* HOST:PORT */
  char *advertise;       /* HOST:PORT that others dial */
  GPtrArray *managers;   /* char *: HOST:PORT of managers known last */
  GPtrArray *members;    /* char *: "ID HOST:PORT" of the log's members when this manager joined: its way to them until its log tells */
  char *root_cert;       /* PEM */
  char *cert;            /* PEM */
  GBytes *key;           /* PEM */
  GBytes *log_key;       /* data key of the log, 32 bytes; managers only */
  GBytes *seal_key;      /* seals log_key on disk; made at the first store and kept */
} SwarmMembership;


SwarmMembership *swarm_membership_new (void);
void swarm_membership_free (SwarmMembership *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmMembership, swarm_membership_free)
/* NULL without error: in no cluster. Damage is an error that names the file. Synchronous. */
SwarmMembership *swarm_membership_load (SwarmDisk *disk, SwarmCrypto *crypto, GError **error);
/* Writes all files; @done when they are on stable storage. */
void swarm_membership_store (SwarmMembership *self, SwarmDisk *disk, SwarmCrypto *crypto, SwarmRandom *random, SwarmDiskDoneFunc done, gpointer data);
/* 32 random bytes; caller owns. */
GBytes *swarm_membership_new_key (SwarmRandom *random);
/* Removes them all (leave). */
void swarm_membership_erase (SwarmDisk *disk, SwarmDiskDoneFunc done, gpointer data);
