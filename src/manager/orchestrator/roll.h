// SPDX-License-Identifier: LGPL-2.1-or-later
/* What each slot of a service or job came to when it was last looked at, and what that adds up to: a whole look at a service, in parts that fit
 * into turns of the main loop, and then kept up with the slots that change. Nothing in it but what could be read from the store again. */
#pragma once
#include "manager/orchestrator/heap.h"
#include "manager/orchestrator/update.h"

typedef struct {
  guint64 number;
  SwarmId node;     /* the live task's; the slot's where there is one on each node */
  guint pass;       /* the roll's, when something was done about the slot last */
  gboolean known;   /* it was looked at */
  gboolean present; /* it stands for a replica */
  gboolean running;
  gboolean stale;   /* it has changed since */
  gboolean untended; /* it asks for something */
  gboolean listed;   /* in the roll's list of those */
  SwarmMoving moving;
  gboolean moved;   /* when it was its turn to move */
  guint8 queued;    /* in the roll's heap of those that wait: bit 0 as one that does not run, bit 1 as one that does */
  SwarmUpdateShare share;
} SwarmRollEntry;

/* Slots that are too many are chosen entry by entry. */
typedef struct {
  GHashTable *seen;  /* node id → how many of the service's better slots are there */
  GPtrArray *ranks;  /* GArray of slot numbers: with none better on their node, with one … */
  GArray *homeless;  /* those without a node */
  gboolean stopped;  /* those that run have been ranked */
  guint at;
  guint64 n_present; /* the roll's when it began */
} SwarmRollChoice;

typedef struct {
  guint64 version;   /* of the service's object; 0: it is gone */
  gboolean gone;     /* the service is, or about to: slots are removed as they come */
  gboolean counted;  /* all slots were looked at */
  guint64 cursor;    /* until then: the next one's number, at least */
  gboolean by_node;  /* slots are nodes', and numbered here as they are met */
  GHashTable *numbers; /* … node id → number, as pointer */
  SwarmId last;      /* … the last node that was looked at; nil: none */
  GHashTable *blocks;
  GPtrArray *order;  /* SwarmRollEntry, but for later ones by number */
  guint64 n_present;
  SwarmUpdate update;
  SwarmHeap waiting; /* for the update: what does not run first, then by number */
  GTree *moves;      /* by number: those whose move waits for its turn */
  guint n_moving;    /* whose move has begun */
  SwarmHeap dues;    /* by when they are to be counted anew */
  GArray *stale;     /* numbers */
  GArray *untended;  /* numbers of slots that asked for something, in the order in which that was seen */
  guint tended;      /* of them */
  SwarmRollChoice *choice; /* NULL: none is under way */
  GArray *surplus;   /* numbers of slots to remove, the last one first */
  GArray *left;      /* gone: ids of tasks to remove of the slot that was met last, the last one first */
  guint64 next;      /* slots are missing: numbers from here on may be free */
  guint pass;
  GArray *done;      /* numbers of slots about which the pass has done something */
} SwarmRoll;

SwarmRoll *swarm_roll_new (const SwarmService *service);
void swarm_roll_free (gpointer roll);
/* Slots are still to be moved, or on their way: each that arrives lets the next one go. */
gboolean swarm_roll_has_moves (const SwarmRoll *self);
/* It was begun for the service as it is. */
gboolean swarm_roll_is_of (const SwarmRoll *self, const SwarmService *service);
/* NULL: nothing is known of it. */
SwarmRollEntry *swarm_roll_find (const SwarmRoll *self, guint64 number);
/* A pass begins. */
void swarm_roll_begin_pass (SwarmRoll *self);
/* It does something about the slot: what is known of it will be true when its transaction is there. */
void swarm_roll_do (SwarmRoll *self, guint64 number);
/* The transaction of the last pass has failed: what it did was not. FALSE: the roll is of no use any more. */
gboolean swarm_roll_undo (SwarmRoll *self);
/* Something about the slot has changed. */
void swarm_roll_touch (SwarmRoll *self, guint64 number);
/* The same of a node's slot. */
void swarm_roll_touch_node (SwarmRoll *self, const SwarmId *node);
/* The number of a node's slot. */
guint64 swarm_roll_number_of (SwarmRoll *self, const SwarmId *node);
/* What the slot counts now; it is present, unless that is nothing. */
SwarmRollEntry *swarm_roll_set (SwarmRoll *self, guint64 number, const SwarmUpdateShare *share);
/* The same for a replica (not present: there is none). @calm: it asks for nothing. */
void swarm_roll_count (SwarmRoll *self, const SwarmReplica *replica, gboolean present, gboolean calm, gint64 now);
/* Takes the first of those that wait, or that waited once. NULL: there is none. */
SwarmRollEntry *swarm_roll_take_waiting (SwarmRoll *self, gboolean *ret_running);
/* Touches what is to be counted anew by now. */
void swarm_roll_touch_due (SwarmRoll *self, gint64 now);
/* Ranks up to @n more slots; with the last one @surplus is what is there beyond @want. FALSE: there are more. */
gboolean swarm_roll_choose_surplus (SwarmRoll *self, guint64 want, guint n);
