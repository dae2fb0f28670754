// SPDX-License-Identifier: LGPL-2.1-or-later
/* Networks. Names, nesting and units are those of the Docker Engine API 1.44. */
#pragma once
#include "model/object.h"
#include "model/subnet.h"

/* VXLAN network identifiers as docker gives them out. */
#define SWARM_VNI_FIRST 4096
#define SWARM_VNI_LAST 0xffffff
/* What docker gives networks their subnets of, and how many bits the mask of each has. */
#define SWARM_DEFAULT_ADDR_POOL "10.0.0.0/8"
#define SWARM_DEFAULT_SUBNET_SIZE 24
/* The label by which the networks that every cluster has are known. */
#define SWARM_PREDEFINED_LABEL "com.docker.swarm.predefined"
#define SWARM_DRIVER_OVERLAY "overlay"
/* What nodes name beside the driver when they have what encrypted networks of it take. */
#define SWARM_DRIVER_OVERLAY_ENCRYPTED "overlay-encrypted"
#define SWARM_DRIVER_HOST "host"
#define SWARM_DRIVER_NONE "none"

typedef struct {
  SwarmMessage message;
  char *subnet; /* CIDR */
  char *ip_range; /* CIDR: tasks and services get addresses of it only */
  char *gateway;
} SwarmIPAMConfig;
SWARM_MESSAGE_DECLARE (SwarmIPAMConfig, swarm_ipam_config)

typedef struct {
  SwarmMessage message;
  char *driver;      /* "default" */
  GPtrArray *config; /* SwarmIPAMConfig */
} SwarmIPAM;
SWARM_MESSAGE_DECLARE (SwarmIPAM, swarm_ipam)

typedef struct {
  SwarmMessage message;
  char *name;
  GHashTable *labels;
  char *driver; /* "overlay"; "host" and "none" have one network each, which every cluster has */
  SwarmIPAM *ipam; /* NULL: a subnet of the cluster's address pool */
  gboolean internal;   /* no way out */
  gboolean attachable; /* plain containers may join */
  gboolean ingress;    /* the one of the routing mesh */
  gboolean ipv6;
  GHashTable *options; /* "encrypted", "mtu" (docker's com.docker.network.driver.mtu means the same) */
} SwarmNetworkSpec;
SWARM_MESSAGE_DECLARE (SwarmNetworkSpec, swarm_network_spec)

typedef struct {
  SwarmObject object;
  SwarmNetworkSpec *spec;
  /* Written by the allocator: */
  guint64 vni;     /* 0: none yet, or none is needed */
  SwarmIPAM *ipam; /* what the network really has; NULL: nothing yet */
  char *text;      /* "Message": why it has not what it needs */
} SwarmNetwork;
SWARM_MESSAGE_DECLARE (SwarmNetwork, swarm_network)

/* A public key of a node for encrypted networks (WireGuard). The private one is made on the node and never leaves it. */
typedef struct {
  SwarmMessage message;
  guint64 slot;    /* 0 or 1: two overlap while one replaces the other */
  gboolean newest; /* what is for the node is for this one */
  GBytes *key;     /* SWARM_NETWORK_KEY_SIZE bytes */
} SwarmNetworkKey;
SWARM_MESSAGE_DECLARE (SwarmNetworkKey, swarm_network_key)
#define SWARM_NETWORK_KEY_SIZE 32
#define SWARM_NETWORK_KEYS_MAX 2

/* At most SWARM_NETWORK_KEYS_MAX, of different slots; NULL: none. As a field's rule: of its list. */
gboolean swarm_network_keys_check (const GPtrArray *keys, GError **error);
gboolean swarm_rule_network_keys (const SwarmField *field, const SwarmMessage *message, GError **error);
/* Spans hosts: has a VNI, subnets and addresses. */
gboolean swarm_network_is_overlay (const SwarmNetwork *self);
/* One of those that every cluster has and nobody removes. */
gboolean swarm_network_is_predefined (const SwarmNetwork *self);
/* Has what its tasks need. */
gboolean swarm_network_is_allocated (const SwarmNetwork *self);
/* Value of "mtu" in the options; 0: none. */
guint swarm_network_spec_mtu (const SwarmNetworkSpec *self);
gboolean swarm_network_spec_is_encrypted (const SwarmNetworkSpec *self);
