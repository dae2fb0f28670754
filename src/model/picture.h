// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a node is told of its cluster's networks: one row per object, by the object's id, with only what concerns the node. The leader makes
 * rows from the store (manager/dispatcher/rows.c), the worker keeps them and gives them to the network plugin.
 *
 * On the wire (Worker.Networks, after Worker.Assign's pattern): session, sequence, full, rows that are new or changed (storage form), rows that
 * went (id; one that is not there is passed over). Both lists are packed into one piece each (swarm_picture_pack()): what is the same for
 * thousands of nodes must be no work for each of them. Sequence 0 and full: a part of the whole, more follows; 1 and full: its last part; then
 * changes without a gap. A node that had networks once gets the whole with each new session. Rows may name others that come later, or that do
 * not concern the node: such a name has no effect.
 *
 * A node sees a network while a task that is assigned to it, and not over, is in it; of that network it is told all services, tasks and
 * the nodes that see it. A node with an address in the ingress network is told all services with ports of the routing mesh, their
 * tasks, and the other nodes of the mesh. */
#pragma once
#include "model/objects.h"

typedef struct {
  SwarmMessage message;
  SwarmId id;
  guint64 number;        /* 1 to SWARM_NODE_NUMBER_LAST */
  char *addr;            /* of the host, as other hosts reach it: "192.0.2.1" */
  char *gateway;         /* mesh, or the node itself: "10.0.7.1/24" */
  char *ingress_address; /* the same: "10.0.0.2/24" */
  gboolean down;         /* no new connections to its tasks */
  GPtrArray *keys;       /* SwarmNetworkKey: of another node in an encrypted network that both see */
} SwarmPictureNode;
SWARM_MESSAGE_DECLARE (SwarmPictureNode, swarm_picture_node)

typedef struct {
  SwarmMessage message;
  SwarmId id;
  char *name;
  char *driver;
  guint64 vni;
  guint64 mtu;        /* 0: what fits */
  GPtrArray *subnets; /* "10.0.1.0/24" */
  gboolean ingress;
  gboolean internal;
  gboolean encrypted;
} SwarmPictureNetwork;
SWARM_MESSAGE_DECLARE (SwarmPictureNetwork, swarm_picture_network)

typedef struct {
  SwarmMessage message;
  SwarmId id;
  char *name;
  gboolean affinity;   /* a client stays with the task that it met first */
  GPtrArray *networks; /* SwarmNetworkAttachment: its virtual addresses (none: names lead to its tasks) and aliases */
  GPtrArray *ports;    /* SwarmPortConfig: of the routing mesh */
} SwarmPictureService;
SWARM_MESSAGE_DECLARE (SwarmPictureService, swarm_picture_service)

typedef struct {
  SwarmMessage message;
  SwarmId id;
  char *name; /* "my-web.1.<id>" */
  SwarmId service;
  SwarmId node;
  gboolean ready;      /* takes new connections: it runs, is well and is not about to stop. Without it those that it has go on */
  GPtrArray *networks; /* SwarmNetworkAttachment */
  char *gateway_address; /* mesh, or a task of the node itself: "10.0.7.3/24" */
} SwarmPictureTask;
SWARM_MESSAGE_DECLARE (SwarmPictureTask, swarm_picture_task)

/* What changed in a picture; by kind (NULL: a kind without rows). Removals come first. A task's row goes when the task is over: what it has on
 * its host stays until it is detached. */
typedef struct {
  gboolean whole; /* what is not in it is gone; else: changes to the one before */
  GPtrArray *rows[_SWARM_KIND_MAX];  /* SwarmPictureNode …: new, or instead of the one with its id */
  GArray *removed[_SWARM_KIND_MAX]; /* SwarmId */
} SwarmPictureChange;

#define SWARM_PICTURE_SIGNATURE "(aytbayay)"
/* More rows are refused, by a worker of whichever manager. */
#define SWARM_PICTURE_ROWS_MAX 500000

/* The type of @kind's rows (nodes, networks, services, tasks); NULL: it has none. */
const SwarmType *swarm_picture_type (SwarmKind kind);
/* A row's id: they all begin so. */
const SwarmId *swarm_picture_id (gconstpointer row);
/* Is the task to get new connections, as far as its own state says? */
gboolean swarm_task_is_ready (const SwarmTask *task);
/* Appends one entry of a list: @kind (a byte), the length of @data (varint), @data. */
void swarm_picture_pack (SwarmBuffer *list, SwarmKind kind, gconstpointer data, gsize length);
/* The next entry from *@at on, which moves behind it. FALSE without @error: there is none. @data is borrowed; @kind may be any byte. */
gboolean swarm_picture_unpack (const guint8 **at, const guint8 *end, guchar *kind, const guint8 **data, gsize *length, GError **error);
