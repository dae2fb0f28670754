// SPDX-License-Identifier: LGPL-2.1-or-later
/* The signal TaskChanged. It leaves when the loop has nothing better to do, and then tells of each task what it is by then: thirty thousand
 * signals would otherwise hold up the leader that makes ten thousand tasks. */
#pragma once
#include "api/private.h"

/* @api outlives it. */
SwarmTaskNews *swarm_task_news_new (SwarmApi *api);
/* What was not told yet will not be. */
void swarm_task_news_free (SwarmTaskNews *self);
/* @gone: it was deleted. */
void swarm_task_news_add (SwarmTaskNews *self, const SwarmTask *task, gboolean gone);
