// SPDX-License-Identifier: LGPL-2.1-or-later
/* Hears of changes that others make to what is ours in the host's namespace: links, addresses, routes, neighbours, nftables. */
#pragma once
#include "netd/plane.h"

typedef struct _SwarmNetdMonitor SwarmNetdMonitor;

/* @what (SwarmNetdResync) is not as it should be; called from the loop, at most ten times a second, a tenth of a second after the first news. */
typedef void (*SwarmNetdMonitorFunc) (guint what, gpointer data);
/* The links of one sandbox are not. A task that may (NET_ADMIN) can do that to itself as often as it likes: the first time it is told after a tenth of a
 * second, then ever later, up to a minute, until it has left them alone for that long. */
typedef void (*SwarmNetdMonitorBoxFunc) (const char *sandbox, gpointer data);

SwarmNetdMonitor *swarm_netd_monitor_new (SwarmNetdPlane *plane, SwarmNetdMonitorFunc func, SwarmNetdMonitorBoxFunc box_func, gpointer data, GError **error);
void swarm_netd_monitor_free (SwarmNetdMonitor *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdMonitor, swarm_netd_monitor_free)
