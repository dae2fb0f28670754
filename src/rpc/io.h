// SPDX-License-Identifier: LGPL-2.1-or-later
/* Between the files of rpc/ only: non-blocking sockets on the GLib main context. */
#pragma once
#include "base/clock.h"
#include "base/link.h"
#include "rpc/fd-watch.h"
#include <gio/gio.h>
#include <sys/socket.h>

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
