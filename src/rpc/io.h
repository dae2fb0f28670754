// SPDX-License-Identifier: LGPL-2.1-or-later
/* Between the files of rpc/ only: non-blocking sockets on the GLib main context. */
#pragma once
#include "base/clock.h"
#include "base/link.h"
#include <gio/gio.h>
#include <sys/socket.h>

/* Called with what the descriptor is ready for; 0: swarm_fd_source_again() was asked for. */
typedef void (*SwarmFdFunc) (GIOCondition ready, gpointer data);

/* Watches @fd on the default context until g_source_destroy(). The caller owns a reference. */
GSource *swarm_fd_source_new (int fd, GIOCondition wanted, int priority, SwarmFdFunc func, gpointer data);
void swarm_fd_source_want (GSource *source, GIOCondition wanted);
/* Wants input and output; the function is called with G_IO_OUT once without asking whether the descriptor is ready. */
void swarm_fd_source_want_write (GSource *source);
/* Calls the function in the next turn even when the descriptor is not ready. */
void swarm_fd_source_again (GSource *source);

/* The context's priority for links of this kind. */
int swarm_io_priority (SwarmLinkKind kind);

/* TCP_NODELAY, keepalive and a bound for how long sent bytes may stay unacknowledged. */
void swarm_socket_setup (int fd);
/* "10.0.0.1:2377", "[::1]:2377"; IPv4 in IPv6 as IPv4. */
void swarm_socket_peer_name (const struct sockaddr *addr, char *ret, gsize size);
/* A listening socket on "HOST:PORT" with a numeric host (empty host: all addresses) or the error. */
int swarm_socket_listen (const char *address, GError **error);

/* Finds the addresses of HOST:PORT without blocking, tries them in turn, hands over the connected socket or the error.
 * One deadline for all of it. The function is called from the loop. */
typedef struct _SwarmDial SwarmDial;
typedef void (*SwarmDialFunc) (int fd, const char *peer_name, const GError *error, gpointer data);
SwarmDial *swarm_dial_start (const char *address, SwarmClock *clock, gint64 timeout_us, int priority,
                             SwarmDialFunc func, gpointer data);
/* Cancels; after the function was called the dial is gone by itself. */
void swarm_dial_cancel (SwarmDial *self);
