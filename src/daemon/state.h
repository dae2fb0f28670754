// SPDX-License-Identifier: LGPL-2.1-or-later
/* What this host keeps about its membership: <state>/node/{node.conf, root.crt, node.crt} and a worker's node.key or a manager's keys (see
 * keys.h), all 0600. Read at start; written through the writer thread, all files of one change in one batch. */
#pragma once
#include "base/disk.h"
#include "base/id.h"
#include "base/crypto.h"
#include "base/random.h"
#include "daemon/keys.h"

typedef struct {
  SwarmId node;
  SwarmId cluster;
  gboolean manager;      /* runs the manager's part */
  guint64 epoch;         /* of the cluster, the highest that this node has heard of; see SwarmCluster */
  guint64 raft_id;       /* of this manager's membership; 0: bootstrapped or none yet */
  char *listen;          /* HOST:PORT */
  char *advertise;       /* HOST:PORT that others dial */
  gboolean own_address;  /* the advertised one was an address of this host */
  GPtrArray *managers;   /* char *: HOST:PORT of managers known last */
  GPtrArray *members;    /* char *: "ID HOST:PORT" of the log's members when this manager joined: its way to them until its log tells */
  gint64 expired_renewal_us; /* the cluster's: what stands in its log counts only once there is a leader */
  char *root_cert;       /* PEM */
  char *cert;            /* PEM */
  char *next_cert;       /* PEM; of a change that was torn: it counts when the key is its own; NULL: none */
  GBytes *key;           /* PEM; NULL while a manager's keys are closed */
  gboolean new_key;      /* another one than is on the disk, maybe */
  SwarmKeys *keys;       /* managers only */
} SwarmMembership;

SwarmMembership *swarm_membership_new (void);
void swarm_membership_free (SwarmMembership *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmMembership, swarm_membership_free)
/* NULL without error: in no cluster. Damage is an error that names the file. Synchronous. A manager whose keys are not open
 * (swarm_membership_is_open()) comes without its key. */
SwarmMembership *swarm_membership_load (SwarmDisk *disk, SwarmCrypto *crypto, GError **error);
gboolean swarm_membership_is_open (const SwarmMembership *self);
/* Opens a manager's keys; see swarm_keys_open(). */
gboolean swarm_membership_open (SwarmMembership *self, SwarmCrypto *crypto, GBytes *kek, GError **error);
/* This node becomes a manager: keys of its own, if it has none yet. */
void swarm_membership_make_keys (SwarmMembership *self, SwarmRandom *random);
/* A new data key comes into use, the one before stays for what is sealed with it. @log_number: the key that the log uses. FALSE: that is an older one
 * than this host has made last; a third would take its place in the file, so none is made. */
gboolean swarm_membership_new_data_key (SwarmMembership *self, guint32 log_number, SwarmRandom *random);
/* Writes all files; @done when they are on stable storage. A manager's keys must be open. */
void swarm_membership_store (SwarmMembership *self, SwarmDisk *disk, SwarmCrypto *crypto, SwarmRandom *random, SwarmDiskDoneFunc done, gpointer data);
/* 32 random bytes; caller owns. */
GBytes *swarm_membership_new_key (SwarmRandom *random);
/* Removes them all (leave). */
void swarm_membership_erase (SwarmDisk *disk, SwarmDiskDoneFunc done, gpointer data);
