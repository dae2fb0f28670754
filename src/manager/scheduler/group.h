// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pending tasks of the same service and spec version: identical, so they are placed together. */
#pragma once
#include "base/id-table.h"
#include "manager/scheduler/filter.h"

typedef struct {
  SwarmId service;
  guint64 version;
  SwarmIdTable tasks; /* of SwarmTask as the store has them: those that wait */
  GArray *queue;      /* SwarmId of each task that waits, in the order in which they came; and of some that wait no more */
  SwarmNeeds needs;   /* .task NULL: not known yet */
  char *why;          /* why its tasks wait, as … */
  guint explained;    /* … the first so many of the queue say already */
  gboolean dirty;
  gboolean held;      /* is being placed: stays when it gets empty */
} SwarmGroup;

typedef struct {
  GHashTable *groups; /* of SwarmGroup, keyed by itself */
  GQueue dirty;       /* of SwarmGroup, in the order in which they became so */
} SwarmGroups;

void swarm_groups_init (SwarmGroups *self);
void swarm_groups_clear (SwarmGroups *self);
/* A task that waits for a place, or a newer form of one that does; its group becomes dirty when the task is new in it. */
void swarm_groups_add (SwarmGroups *self, SwarmTask *task);
/* It waits no more; fine when it did not. */
void swarm_groups_remove (SwarmGroups *self, const SwarmTask *task);
void swarm_groups_mark (SwarmGroups *self, SwarmGroup *group);
/* All that wait say @why: as long as it stays the same, and the group is not marked, only those that come later have to. */
void swarm_group_set_explained (SwarmGroup *self, const char *why);
/* How many of the queue, from its beginning on, say @why already. */
guint swarm_group_explained (const SwarmGroup *self, const char *why);
/* Something has changed about nodes as such. */
void swarm_groups_mark_all (SwarmGroups *self);
/* There may be more room on @info: whom it helps is due. */
void swarm_groups_mark_fitting (SwarmGroups *self, SwarmNodeSet *set, SwarmNodeInfo *info);
/* The first dirty group, clean and held from now on; NULL: none. */
SwarmGroup *swarm_groups_take (SwarmGroups *self);
void swarm_groups_release (SwarmGroups *self, SwarmGroup *group);

/* What its tasks ask for; NULL when none waits. */
SwarmNeeds *swarm_group_needs (SwarmGroup *self);
/* How many wait, at most, from position @cursor of the queue on; at its beginning what has gathered of others is dropped from it. */
guint swarm_group_left (SwarmGroup *self, guint cursor);
/* Appends to @ids up to @n that wait, from position *@cursor of the queue on, and moves the cursor behind them. */
void swarm_group_collect (SwarmGroup *self, guint *cursor, guint n, GArray *ids);
/* Before the task of @ids[@at] is looked for, of all that come one after the other: now and then asks the memory for the next ones. */
void swarm_group_fetch_ahead (const SwarmGroup *self, const GArray *ids, guint at);
