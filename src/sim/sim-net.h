// SPDX-License-Identifier: LGPL-2.1-or-later
/* The simulated network: hosts with addresses, SwarmLinks between them that deliver in order after a delay, cuts and crashes. */
#pragma once
#include "base/link.h"
#include "sim/sim-clock.h"

typedef struct _SimNet SimNet;
typedef struct _SimHost SimHost;

/* Messages take between @min_us and @max_us each way. @clock and @random must outlive it. */
SimNet *sim_net_new (SimClock *clock, SimRandom *random, gint64 min_us, gint64 max_us);
/* Its users must have dropped their links. Frees the hosts. */
void sim_net_free (SimNet *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimNet, sim_net_free)

/* A link came in and is up; the function takes over the reference and sets its events. */
typedef void (*SimAcceptFunc) (SwarmLink *link, gpointer data);

/* A host at @address ("10.99.0.1:2377"), off until sim_host_boot(). */
SimHost *sim_net_host (SimNet *self, const char *address);
/* Who it is for others; may change (a node joins): counts for links that come up later. */
void sim_host_set_identity (SimHost *host, SwarmPeerRole role, const SwarmId *node, const SwarmId *cluster);
/* Takes dialled links from now on; @accept NULL refuses them. */
void sim_host_boot (SimHost *host, SimAcceptFunc accept, gpointer data);
/* It speaks no more: nothing that its links still send leaves. Then free its objects as on a stop. The other ends hear of it after a delay
 * (@power_cut FALSE: the kernel closes the sockets) or when their connection times out. */
void sim_host_crash (SimHost *host, gboolean power_cut);
/* After a crash of its agent alone: now nobody refuses connections any more, they time out. */
void sim_host_power_off (SimHost *host);
gboolean sim_host_is_up (SimHost *host);
/* What code on this host dials with. */
SwarmTransport *sim_host_transport (SimHost *host);

/* Cuts the path between two hosts, both ways or from @from to @to only; what is under way waits. A link that is cut for longer than
 * the connection timeout (5 s) goes down at both ends. */
void sim_net_cut (SimNet *self, SimHost *from, SimHost *to, gboolean both);
void sim_net_heal (SimNet *self, SimHost *from, SimHost *to);
void sim_net_heal_all (SimNet *self);
/* Breaks every link between two hosts at once, as a reset of the connection does. */
void sim_net_reset (SimNet *self, SimHost *a, SimHost *b);
/* What @host sends is late by up to @late_us from now on, @loss of 100 messages are lost, and their connection with them; connections of the
 * consensus only lose and double the message itself: for their sender to do (sim_host_loss()). */
void sim_host_set_noise (SimHost *host, guint loss, gint64 late_us);
guint sim_host_loss (SimHost *host);
/* Messages delivered so far. */
guint64 sim_net_delivered (SimNet *self);
