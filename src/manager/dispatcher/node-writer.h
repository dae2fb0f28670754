// SPDX-License-Identifier: LGPL-2.1-or-later
/* The loop that writes what the dispatcher learns about nodes: state, address, description. The newest word per node counts. */
#pragma once
#include "manager/dispatcher/ticket.h"
#include "manager/leader.h"

typedef struct _SwarmNodeWriter SwarmNodeWriter;

/* The text of a node that said so: down, but not silent. */
#define SWARM_TEXT_SHUTDOWN "host is shutting down"

SwarmNodeWriter *swarm_node_writer_new (const SwarmLeader *leader);
/* What was not written is answered with CANCELLED. */
void swarm_node_writer_free (SwarmNodeWriter *self);
/* @addr, @description: NULL leaves them. @ticket (may be NULL) gets one part more, settled after commit; NOT_FOUND: the node is gone. */
void swarm_node_writer_set (SwarmNodeWriter *self, const SwarmId *node, SwarmNodeState state, const char *text, const char *addr,
                            const SwarmNodeDescription *description, SwarmTicket *ticket);
/* A new description alone. */
void swarm_node_writer_describe (SwarmNodeWriter *self, const SwarmId *node, const SwarmNodeDescription *description, SwarmTicket *ticket);
/* How far the node's clock is ahead of ours; 0: near enough. */
void swarm_node_writer_set_clock (SwarmNodeWriter *self, const SwarmId *node, gint64 offset_ns);
