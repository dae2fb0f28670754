// SPDX-License-Identifier: LGPL-2.1-or-later
/* The names of the networks: an index over the NAME rows. */
#pragma once
#include "netd/row.h"

typedef struct _SwarmNetdNames SwarmNetdNames;

SwarmNetdNames *swarm_netd_names_new (void);
void swarm_netd_names_free (SwarmNetdNames *self);
void swarm_netd_names_add (SwarmNetdNames *self, const SwarmNetdName *name);
void swarm_netd_names_remove (SwarmNetdNames *self, const SwarmNetdName *name);
/* The addresses of @name in @vni; NULL: no such name. Valid until the next change. */
const SwarmNetdAddress *swarm_netd_names_find (SwarmNetdNames *self, guint32 vni, const char *name, guint *n);
