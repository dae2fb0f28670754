// SPDX-License-Identifier: LGPL-2.1-or-later
/* What network.c has for the other files of control/. */
#pragma once
#include "manager/control/control.h"

/* NULL: there is none. */
const SwarmNetwork *swarm_control_ingress_network (SwarmControl *self);
/* The networks that the spec names, by whatever they are called, are there and fit together. */
gboolean swarm_control_check_networks (SwarmControl *self, const SwarmServiceSpec *spec, GError **error);
/* Its removal is under way. */
gboolean swarm_control_network_leaves (SwarmControl *self, const SwarmNetwork *network);
/* Puts ids in place of names; @spec is a copy. */
gboolean swarm_control_resolve_networks (SwarmControl *self, SwarmServiceSpec *spec, GError **error);
