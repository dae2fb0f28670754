// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pending tasks of the same service and spec version: identical, so they are placed together. */
#pragma once
#include "model/objects.h"

typedef struct {
  SwarmId service;
  guint64 version;
  GHashTable *tasks; /* set of SwarmId * */
  gboolean dirty;
} SwarmGroup;

typedef struct {
  GHashTable *groups; /* of SwarmGroup, keyed by itself */
  GQueue dirty;       /* of SwarmGroup, in the order in which they became so */
} SwarmGroups;

void swarm_groups_init (SwarmGroups *self);
void swarm_groups_clear (SwarmGroups *self);
/* A task that waits for a place; its group becomes dirty when the task is new in it. */
void swarm_groups_add (SwarmGroups *self, const SwarmTask *task);
/* It waits no more; fine when it did not. */
void swarm_groups_remove (SwarmGroups *self, const SwarmTask *task);
void swarm_groups_mark (SwarmGroups *self, SwarmGroup *group);
/* What was full may have room again. */
void swarm_groups_mark_all (SwarmGroups *self);
/* The first dirty group, clean from now on; NULL: none. */
SwarmGroup *swarm_groups_take (SwarmGroups *self);
