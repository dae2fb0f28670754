// SPDX-License-Identifier: LGPL-2.1-or-later
/* A manager's part of an agent: store, replicated log and brain, wired together. Exists while the node is a manager. */
#pragma once
#include "consensus/consensus.h"
#include "manager/manager.h"
#include "store/store.h"

typedef struct _SwarmStack SwarmStack;

typedef struct {
  SwarmClock *clock;
  SwarmRandom *random;
  SwarmCrypto *crypto;
  SwarmDisk *disk;  /* the log's directory */
  GBytes *log_key;
  guint32 log_key_number; /* see SwarmConsensusConfig */
  GBytes *old_log_key;    /* NULL: none */
  guint32 old_log_key_number;
  SwarmId node;
  SwarmId cluster;
  SwarmExternalSigner signer;
  SwarmSchedulerSet *schedulers;
  SwarmClock *budget; /* see SwarmManagerConfig */
  /* Simulations of the brain alone: entries go here instead of into a replicated log, and whoever takes them applies them to the store. This
   * manager, at @address, is then the only one; there is no consensus, and it is told to lead by swarm_manager_lead(). NULL: a log. */
  SwarmProposeFunc propose;
  gpointer propose_data;
  const char *address; /* borrowed */
  const char *alone;   /* see SwarmConsensusConfig; borrowed until swarm_stack_start() */
} SwarmStackConfig;

typedef struct {
  void (*send) (const SwarmId *to, GBytes *message, gpointer data);
  /* Leadership, leader or members changed. */
  void (*changed) (gpointer data);
  /* This node is no member any more. */
  void (*removed) (gpointer data);
  /* The manager cannot go on (disk, damage); @error is for people. */
  void (*fatal) (const GError *error, gpointer data);
  /* Encodes @snapshot (taken over), which may take long, and calls @done with the bytes, not from within. */
  void (*encode) (SwarmSnapshot *snapshot, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data);
} SwarmStackEvents;

/* @events is borrowed, @data is for its functions; nothing runs before swarm_stack_start(). */
SwarmStack *swarm_stack_new (const SwarmStackConfig *config, const SwarmStackEvents *events, gpointer data);
void swarm_stack_free (SwarmStack *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmStack, swarm_stack_free)
/* Loads what is on disk; synchronous. */
gboolean swarm_stack_start (SwarmStack *self, SwarmConsensusStart *ret_state, GError **error);

/* Borrowed; there as long as the stack is. */
SwarmStore *swarm_stack_store (SwarmStack *self);
SwarmManager *swarm_stack_manager (SwarmStack *self);
/* NULL without a log. */
SwarmConsensus *swarm_stack_consensus (SwarmStack *self);
