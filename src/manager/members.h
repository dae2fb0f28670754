// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the manager's loops need of the consensus membership; the daemon (or the simulator) hands it in. */
#pragma once
#include "base/id.h"

typedef struct {
  SwarmId node;
  char addr[128]; /* HOST:PORT that others dial */
  gboolean voter;
  gboolean reachable; /* seen by the leader lately; the leader itself: TRUE */
  gboolean leader;
} SwarmMember;

/* Called exactly once, never from within. */
typedef void (*SwarmMembersDone) (const GError *error, gpointer data);

typedef struct {
  /* All members, as this manager knows them: array of SwarmMember, never NULL; caller frees. */
  GArray *(*list) (gpointer data);
  /* Makes a standby a voter once it has caught up (leader only). */
  void (*promote) (const SwarmId *node, SwarmMembersDone done, gpointer done_data, gpointer data);
  /* Takes a member out of the consensus (leader only). */
  void (*remove) (const SwarmId *node, SwarmMembersDone done, gpointer done_data, gpointer data);
  /* Gives the leadership to another voter: needed before the leader itself can be demoted. */
  void (*transfer) (SwarmMembersDone done, gpointer done_data, gpointer data);
  gpointer data;
} SwarmMembers;
