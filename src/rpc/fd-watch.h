// SPDX-License-Identifier: LGPL-2.1-or-later
/* Between the files of rpc/ only: what happens to the sockets. A thousand of them (two for each node) cost a turn of the main loop no more than
 * those of them that are ready: GLib sees one descriptor, epoll's, for all of a priority. */
#pragma once
#include <glib.h>

typedef struct _SwarmFdWatch SwarmFdWatch;

/* Called with what the descriptor is ready for; 0: swarm_fd_watch_again() was asked for. */
typedef void (*SwarmFdFunc) (GIOCondition ready, gpointer data);

/* Watches @fd on the default context until it is freed, which must be before @fd is closed. */
SwarmFdWatch *swarm_fd_watch_new (int fd, GIOCondition wanted, int priority, SwarmFdFunc func, gpointer data);
void swarm_fd_watch_free (SwarmFdWatch *self);
/* 0: nothing, not even that the other end has hung up. */
void swarm_fd_watch_want (SwarmFdWatch *self, GIOCondition wanted);
/* Wants input and output; the function is called with G_IO_OUT once without asking whether the descriptor is ready. */
void swarm_fd_watch_want_write (SwarmFdWatch *self);
/* Calls the function in the next turn even when the descriptor is not ready. */
void swarm_fd_watch_again (SwarmFdWatch *self);
void swarm_fd_watch_set_priority (SwarmFdWatch *self, int priority);
/* The same for all watches in one turn of the loop, another one in the next (monotonic time). */
gint64 swarm_fd_watch_turn (SwarmFdWatch *self);
