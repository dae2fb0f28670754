// SPDX-License-Identifier: LGPL-2.1-or-later
/* Placement constraints: `key op value`, op == or != (swarm's grammar). */
#pragma once
#include "model/objects.h"

typedef struct {
  char *key;
  gboolean equal;
  char *value;
  guint what;          /* row of the table of keys: compiled once, matched often */
  const char *label;   /* in @key; NULL: not a label */
  gpointer mask;       /* GInetAddressMask of node.ip */
} SwarmConstraint;

/* Parses the list of expressions; NULL list gives an empty array. Unknown keys are errors too (a typo must not leave tasks pending silently).
 * Caller owns the array (elements freed with it). */
GPtrArray *swarm_constraints_parse (GPtrArray *expressions, GError **error);
/* Do they look at what no two nodes have in common (id, hostname, address)? */
gboolean swarm_constraints_by_node (GPtrArray *constraints);
gboolean swarm_constraints_match (GPtrArray *constraints, const SwarmNode *node);
