// SPDX-License-Identifier: LGPL-2.1-or-later
/* IP addresses and subnets (CIDR), IPv4 and IPv6, as pure values. */
#pragma once
#include <glib.h>

typedef struct {
  guint8 bytes[16]; /* network order; IPv4: the first four */
  guint8 length;    /* 4 or 16; 0: none */
} SwarmAddress;

typedef struct {
  SwarmAddress address; /* bits beyond the prefix are zero */
  guint prefix;
} SwarmSubnet;

/* FALSE: it is none. */
gboolean swarm_address_parse (const char *text, SwarmAddress *ret);
/* "10.0.1.0/24"; bits beyond the prefix are cut off. */
gboolean swarm_subnet_parse (const char *text, SwarmSubnet *ret);
/* "10.0.1.7/24" as the address and the subnet that it is in; either may be NULL. */
gboolean swarm_subnet_parse_host (const char *text, SwarmAddress *ret_address, SwarmSubnet *ret_subnet);
/* Caller frees. */
char *swarm_address_to_string (const SwarmAddress *address);
char *swarm_subnet_to_string (const SwarmSubnet *subnet);
/* "10.0.1.7/24". Caller frees. */
char *swarm_address_in_subnet (const SwarmAddress *address, const SwarmSubnet *subnet);
gboolean swarm_subnet_contains (const SwarmSubnet *self, const SwarmAddress *address);
/* One of the two lies in the other, or they are the same. */
gboolean swarm_subnets_overlap (const SwarmSubnet *a, const SwarmSubnet *b);
/* No host can have an address of it, or not of all of it: loopback, multicast and the like. */
gboolean swarm_subnet_is_reserved (const SwarmSubnet *self);
/* Of IPv4: as a number in the host's byte order, and back. */
guint32 swarm_address_number (const SwarmAddress *self);
SwarmAddress swarm_address_from_number (guint32 number);
/* How many addresses an IPv4 subnet has. */
guint64 swarm_subnet_size (const SwarmSubnet *self);
/* The address in an IPv6 subnet (/96 or larger) that belongs to an IPv4 one: that in its last 32 bits. */
SwarmAddress swarm_subnet_embed (const SwarmSubnet *self, const SwarmAddress *ipv4);
/* "02:42:0a:00:01:07": what an interface with this IPv4 address has. Caller frees. */
char *swarm_address_mac (const SwarmAddress *ipv4);
