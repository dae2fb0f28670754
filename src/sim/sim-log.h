// SPDX-License-Identifier: LGPL-2.1-or-later
/* The shortest log there is, for tests of one manager: what is proposed is applied after a delay, and kept for a restart. */
#pragma once
#include "sim/sim-clock.h"
#include "store/store.h"

typedef struct _SimLog SimLog;

SimLog *sim_log_new (SimClock *clock, gint64 delay_us);
void sim_log_free (SimLog *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimLog, sim_log_free)
/* The store that entries are applied to from now on, after all that were applied before; NULL: none, what is under way is lost. */
void sim_log_attach (SimLog *self, SwarmStore *store);
/* A SwarmProposeFunc; @data is the SimLog. */
void sim_log_propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data);
/* Proposals fail with NO_QUORUM from now on, until it is lifted. */
void sim_log_break (SimLog *self, gboolean broken);
guint sim_log_n_entries (SimLog *self);
