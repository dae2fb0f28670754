// SPDX-License-Identifier: LGPL-2.1-or-later
/* What api/'s wire tables are in the agent: takes a node's calls apart and hands them to the manager. */
#pragma once
#include "manager/manager.h"

/* Answers a call of org.swarmagent1.Dispatcher; anything else fails. @manager NULL: this host is no manager (any more). */
void sim_wire_call (SwarmManager *manager, SwarmCall *call);
