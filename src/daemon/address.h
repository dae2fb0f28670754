// SPDX-License-Identifier: LGPL-2.1-or-later
/* Addresses that users give and that this host has. */
#pragma once
#include <glib.h>

#define SWARM_DEFAULT_PORT 2377

/* Splits "HOST", "HOST:PORT", "[V6]", "[V6]:PORT"; @ret_port is @default_port when absent. */
gboolean swarm_address_split (const char *text, guint default_port, char **ret_host, guint *ret_port, GError **error);
/* "HOST:PORT", with brackets around IPv6. Caller frees. */
char *swarm_address_join (const char *host, guint port);
/* The listen address "HOST:PORT" from "<ip|interface>[:port]". */
char *swarm_address_listen (const char *text, GError **error);
/* Has an interface of this host that is up this address? Loopback counts. */
gboolean swarm_address_is_own (const char *host);
/* The address of this host that packets to @remote ("HOST:PORT") leave from; NULL: there is no way. Caller frees. */
char *swarm_address_towards (const char *remote);
/* What to advertise: @text is "<ip|interface>[:port]" or NULL/"": then this host's only address, or with @towards ("HOST:PORT" of a manager) the
 * one that leads there. Else docker's error. The port defaults to that of @listen. Caller frees "HOST:PORT". */
char *swarm_address_advertise (const char *text, const char *listen, const char *towards, GError **error);
