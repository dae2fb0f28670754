// SPDX-License-Identifier: LGPL-2.1-or-later
/* Networks. Names, nesting and units are those of the Docker Engine API 1.44. */
#pragma once
#include "model/object.h"
#include "model/subnet.h"

/* VXLAN network identifiers as docker gives them out. */
#define SWARM_VNI_FIRST 4096
#define SWARM_VNI_LAST 0xffffff
/* The label by which the networks that every cluster has are known. */
#define SWARM_PREDEFINED_LABEL "com.docker.swarm.predefined"
#define SWARM_DRIVER_OVERLAY "overlay"
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

/* Spans hosts: has a VNI, subnets and addresses. */
gboolean swarm_network_is_overlay (const SwarmNetwork *self);
/* One of those that every cluster has and nobody removes. */
gboolean swarm_network_is_predefined (const SwarmNetwork *self);
/* Has what its tasks need. */
gboolean swarm_network_is_allocated (const SwarmNetwork *self);
/* Value of "mtu" in the options; 0: none. */
guint swarm_network_spec_mtu (const SwarmNetworkSpec *self);
gboolean swarm_network_spec_is_encrypted (const SwarmNetworkSpec *self);
