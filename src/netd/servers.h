// SPDX-License-Identifier: LGPL-2.1-or-later
/* The DNS servers that a resolv.conf names: the host's, or that of a container which is attached. */
#pragma once
#include "netd/address.h"
#include <glib.h>

#define SWARM_NETD_SERVERS_MAX 3 /* as libc */

/* The host's own, as /etc/resolv.conf has them now (read again when it changed). */
void swarm_netd_host_servers (GArray *servers);
/* Those of process @pid, which began at @started: as its own /etc/resolv.conf has them, which is somebody else's file. None: it has none, or is gone. */
void swarm_netd_process_servers (guint32 pid, guint64 started, GArray *servers);
