// SPDX-License-Identifier: LGPL-2.1-or-later
/* The loop that writes what nodes report about their tasks. Reports of one turn share a transaction; the newest per task counts. */
#pragma once
#include "manager/dispatcher/ticket.h"
#include "manager/leader.h"

typedef struct _SwarmStatusWriter SwarmStatusWriter;

SwarmStatusWriter *swarm_status_writer_new (const SwarmLeader *leader);
/* What was not written is answered with CANCELLED. */
void swarm_status_writer_free (SwarmStatusWriter *self);
/* @ticket gets one part more, settled after commit. A report about a task that is gone, over, or further than that is dropped. */
void swarm_status_writer_report (SwarmStatusWriter *self, const SwarmId *task, const SwarmTaskStatus *status, SwarmTicket *ticket);
