// SPDX-License-Identifier: LGPL-2.1-or-later
/* The brain's handle on the scheduler's strategy plugin. */
#pragma once
#include "plugin/host.h"

typedef struct _SwarmSchedulerHost SwarmSchedulerHost;

/* Calls the plugin's init; NULL when it fails. A strategy gets log, config, clock and timers, but neither units nor files. */
SwarmSchedulerHost *swarm_scheduler_host_new (SwarmPlugin *plugin, const SwarmPluginHostConfig *config, GError **error);
void swarm_scheduler_host_free (SwarmSchedulerHost *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmSchedulerHost, swarm_scheduler_host_free)
const char *swarm_scheduler_host_name (SwarmSchedulerHost *self);
/* Which nodes the strategy has to see. */
SwarmPluginOffer swarm_scheduler_host_offer (SwarmSchedulerHost *self);

/* Places @group->count identical tasks on @nodes (those that passed the filters, with what each can still take). @placement has
 * @group->count elements: index into @nodes, or -1. A plugin that answers nonsense (an index out of range, more than a node's capacity) is
 * refused: FALSE, nothing placed. */
gboolean swarm_scheduler_host_place (SwarmSchedulerHost *self, const SwarmPluginGroup *group, const SwarmPluginNode *nodes,
                                     guint n_nodes, gint32 *placement, GError **error);
