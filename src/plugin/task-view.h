// SPDX-License-Identifier: LGPL-2.1-or-later
/* A stored task as the plugins see it. */
#pragma once
#include "model/objects.h"
#include "plugin/swarm-plugin.h"

typedef struct {
  SwarmPluginTask task; /* points into the copies below and into the SwarmTask */
  GPtrArray *keep;
} SwarmTaskView;

/* @task, @network_mode and @resolver must outlive the view. Credentials of the registry are left out unless @with_auth. */
/* SwarmNetworkAttachment's as plugins see them; what is made for it goes into @keep (freed with g_free), all else is borrowed from @networks. */
const SwarmPluginAttachment *swarm_attachments_view (GPtrArray *keep, GPtrArray *networks, gsize *ret_n);
/* NULL-terminated, borrowing the strings. */
const char *const *swarm_strings_view (GPtrArray *keep, GPtrArray *list);

SwarmTaskView *swarm_task_view_new (const SwarmTask *task, const SwarmId *node, const char *hostname, const char *network_mode,
                                    const char *resolver, gboolean with_auth);
void swarm_task_view_free (SwarmTaskView *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmTaskView, swarm_task_view_free)
