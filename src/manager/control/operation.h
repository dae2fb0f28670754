// SPDX-License-Identifier: LGPL-2.1-or-later
/* One write under way: fills a transaction from the current state, commits it, and does so again when the state changed meanwhile. */
#pragma once
#include "manager/control/control.h"
#include "manager/control/counts.h"

typedef struct _SwarmOperation SwarmOperation;

/* Shared by the calls under way: one that is answered after the control is gone does nothing more. */
struct _SwarmControl {
  gint ref_count;
  gboolean closed;
  SwarmStore *store;
  SwarmClock *clock;
  SwarmRandom *random;
  const SwarmMembers *members; /* may be NULL */
  SwarmCounts *counts;
  SwarmSchedulerSet *schedulers; /* may be NULL */
  SwarmCrypto *crypto;           /* may be NULL */
  SwarmRebalance *rebalance;     /* the plan that is being made; NULL: none */
  GHashTable *flying;            /* set of SwarmOperation: whose transaction under way says something below */
};

/* Adds the changes to @tx. FALSE: refused. @self->id and ->text become the reply. */
typedef gboolean (*SwarmOperationFill) (SwarmOperation *self, SwarmTx *tx, GError **error);

struct _SwarmOperation {
  SwarmControl *control;
  SwarmOperationFill fill;
  gboolean pinned; /* to a version that the caller read: a change meanwhile is the caller's to see */
  guint tries;
  char *request_id;
  SwarmControlFunc done;
  gpointer data;
  /* Arguments and results; each operation uses some. */
  SwarmId id;
  SwarmId node;
  char *reference; /* to another object */
  guint64 version;
  guint64 number;
  gboolean flag;
  char *text;
  SwarmMessage *spec; /* owned */
  SwarmMessage *objects[2]; /* owned */
  GHashTable *set;
  GPtrArray *remove;
  GArray *moves;
  /* What the transaction under way does that others, judged by the store as it is, have to know. */
  SwarmServiceSpec *named; /* owned: there will be a service with these networks */
  SwarmId leaving;         /* this network will be gone */
  gboolean ingress;        /* there will be an ingress network */
  const char *container;   /* there will be another attachment of this container; borrowed of the arguments */
};

/* cluster.c: the first node of a cluster. */
SwarmNode *swarm_control_make_founder (const SwarmInitCluster *init);
/* keys.c: gives a fresh copy of the cluster an unlock key, or takes it away, as its spec says. */
void swarm_control_follow_encryption (SwarmControl *self, SwarmCluster *cluster);

/* ca.c: begins a root rotation in a fresh copy of the cluster when its spec, against the config @before, asks for one. A signing key leaves the spec. */
gboolean swarm_control_follow_ca (SwarmControl *self, SwarmCluster *cluster, const SwarmCAConfig *before, GError **error);

SwarmOperation *swarm_operation_new (SwarmControl *control, SwarmOperationFill fill, const SwarmId *id, const char *request_id,
                                     SwarmControlFunc done, gpointer data);
void swarm_control_unref (SwarmControl *self);
/* Starts it; it answers and frees itself. */
void swarm_operation_run (SwarmOperation *self);
/* The same, without a try. Takes over @error. */
void swarm_operation_fail (SwarmOperation *self, GError *error);
