// SPDX-License-Identifier: LGPL-2.1-or-later
/* Network namespaces, held by descriptor. netd has one thread that enters them, and always comes back before it returns to its loop. */
#pragma once
#include <glib.h>

/* Remembers where netd lives. Once, first. */
gboolean swarm_netd_netns_init (GError **error);
/* Its descriptor, borrowed. */
int swarm_netd_netns_home (void);
/* A new one, its loopback up. The descriptor, or -1. */
int swarm_netd_netns_new (GError **error);
/* The same descriptor by a number of 1024 or more, if there is one. libnftables waits for its sockets with select(), which knows the numbers below alone: what there is one of
 * for each task, and lives as long, stays out of them. */
int swarm_netd_fd_away (int fd);
/* That of the process with the number @pid that began at @started. */
int swarm_netd_netns_open_pid (guint32 pid, guint64 started, GError **error);
/* When the process began: field 22 of its /proc/PID/stat. 0: there is none. */
guint64 swarm_netd_process_start (guint32 pid);
/* The root directory of that process; -1: it is gone. Caller closes. */
int swarm_netd_process_root (guint32 pid, guint64 started);
/* From here on sockets are made in @fd's namespace and /proc/sys/net is its own, until leave. Not nested. */
gboolean swarm_netd_netns_enter (int fd, GError **error);
void swarm_netd_netns_leave (void);
/* Writes @value into /proc/sys/net/@path of the present namespace. FALSE: it is not there, or may not be written. */
gboolean swarm_netd_sysctl (const char *path, const char *value);
