// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who is in a network. */
#pragma once
#include "ctl/json.h"

/* Adds Services, Containers and Peers to @network. The others: objects of JSON as the agent lists them. */
void ctl_network_add_verbose (JsonObject *network, GPtrArray *services, GPtrArray *tasks, GPtrArray *nodes);
/* The same to read; nothing for what was not added. */
void ctl_network_verbose_text (GString *out, JsonObject *network);
