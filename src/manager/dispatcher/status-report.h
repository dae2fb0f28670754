// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a node says about its tasks, checked one by one: a report that is wrong takes no other with it. */
#pragma once
#include "store/store.h"

/* More in one call are refused as a whole: agents send 500. */
#define SWARM_REPORTS_MAX 2000

typedef struct {
  SwarmId task;
  SwarmTaskStatus *status;
} SwarmReport;

/* @updates: a(ayay) of task id and SwarmTaskStatus, from the node @node. Returns an array of SwarmReport, those that may be written; what is
 * said about tasks that are gone is left out. @ret_refused gets a(ays), task id and reason of those that may not, not floating. */
GArray *swarm_status_reports_read (SwarmStore *store, const SwarmId *node, GVariant *updates, GVariant **ret_refused);
