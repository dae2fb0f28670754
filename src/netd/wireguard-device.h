// SPDX-License-Identifier: LGPL-2.1-or-later
/* One WireGuard device of this host: its link is in the namespace @inside, its packets to other hosts come and go by the host's own. The kernel's
 * WireGuard where there is one, else wireguard-go.
 *
 * wireguard-go cannot be a child of netd: it would die with netd and take the connections along, and netd's sandbox has no devices. It is a unit of its own
 * (swarm-wireguard@.service), started and left alone; it ends by itself when its link is deleted, and its link goes when it ends. */
#pragma once
#include "netd/netlink.h"
#include "netd/wireguard.h"

typedef struct _SwarmNetdWireguardDevice SwarmNetdWireguardDevice;

/* How a sync ended. @is: the device as it was found (NULL: @error), with what was wanted then set. Not called when the device is freed before. */
typedef void (*SwarmNetdWireguardFunc) (const SwarmNetdWireguardConfig *is, const GError *error, gpointer data);

/* @home, @inside: sockets of the two namespaces, @inside_fd: the latter itself; borrowed. */
SwarmNetdWireguardDevice *swarm_netd_wireguard_device_new (const char *name, SwarmNetdNetlink *home, SwarmNetdNetlink *inside, int inside_fd,
                                                           SwarmNetdWireguardFunc func, gpointer data);
/* Leaves the link as it is. */
void swarm_netd_wireguard_device_free (SwarmNetdWireguardDevice *self);
/* Makes the link if it is not there, and makes it be as @wanted (taken). Never waits; a sync under way is given up for this one. */
void swarm_netd_wireguard_device_sync (SwarmNetdWireguardDevice *self, SwarmNetdWireguardConfig *wanted, guint mtu);
gboolean swarm_netd_wireguard_device_is_busy (SwarmNetdWireguardDevice *self);

/* Is there any WireGuard on this host? Asks the kernel (which loads its module), then looks for wireguard-go. */
gboolean swarm_netd_wireguard_is_possible (void);

/* What starts wireguard-go for tests and hosts without systemd: a program, called with the link's name, that goes into the background. NULL: the unit. */
extern char *swarm_netd_wireguard_program;

/* ---- wireguard-kernel.c: generic netlink; all at once, for the kernel answers within the call. @inside is entered for it ---- */

gboolean swarm_netd_wireguard_kernel_is_there (void);
SwarmNetdWireguardConfig *swarm_netd_wireguard_kernel_get (int inside, const char *name, GError **error);
gboolean swarm_netd_wireguard_kernel_set (int inside, const char *name, const SwarmNetdWireguardChange *change, GError **error);

/* The messages by themselves, for tests. Write: the @change from its peer @at on, as much as goes into one; where to go on. Read: adds to @config. */
struct nlmsghdr;
guint swarm_netd_wireguard_kernel_write (struct nlmsghdr *message, const char *name, const SwarmNetdWireguardChange *change, guint at);
void swarm_netd_wireguard_kernel_read (const struct nlmsghdr *message, SwarmNetdWireguardConfig *config);

/* ---- wireguard-user.c: its socket ---- */

typedef struct _SwarmNetdWireguardTalk SwarmNetdWireguardTalk;
/* @config NULL: @error. Called once, from the loop. */
typedef void (*SwarmNetdWireguardTalkFunc) (SwarmNetdWireguardConfig *config, const GError *error, gpointer data);
/* Sends @question (taken, and wiped) and waits for the answer for some seconds. Free it after its function was called, or to give up. */
SwarmNetdWireguardTalk *swarm_netd_wireguard_talk (const char *name, GString *question, SwarmNetdWireguardTalkFunc func, gpointer data);
void swarm_netd_wireguard_talk_free (SwarmNetdWireguardTalk *self);
