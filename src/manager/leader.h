// SPDX-License-Identifier: LGPL-2.1-or-later
/* What every loop of the leader is given. */
#pragma once
#include "manager/members.h"
#include "manager/runner.h"

typedef struct {
  SwarmStore *store;
  SwarmClock *clock;
  SwarmRandom *random;
  SwarmRunner *runner;
  const SwarmMembers *members;
  SwarmId self; /* the leader's own node */
  gboolean rehearses; /* a plan's: nothing of it happens, and the journal does not hear of it */
} SwarmLeader;
