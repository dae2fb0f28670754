// SPDX-License-Identifier: LGPL-2.1-or-later
/* The strategies that this manager has, by name: services and clusters choose among them. */
#pragma once
#include "plugin/scheduler-host.h"

#define SWARM_DEFAULT_STRATEGY "spread"

typedef struct _SwarmSchedulerSet SwarmSchedulerSet;

/* Empty; freeing it ends its plugins. */
SwarmSchedulerSet *swarm_scheduler_set_new (void);
void swarm_scheduler_set_free (SwarmSchedulerSet *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmSchedulerSet, swarm_scheduler_set_free)
/* Brings @plugin to life and adds it under its name without "scheduler-". */
gboolean swarm_scheduler_set_add (SwarmSchedulerSet *self, SwarmPlugin *plugin, const SwarmPluginHostConfig *config, GError **error);
/* Adds each scheduler-*.so of @dir. One that is broken is left out with a line in the log. */
void swarm_scheduler_set_load (SwarmSchedulerSet *self, const char *dir, const SwarmPluginHostConfig *config);
/* What is placed with when neither service nor cluster says; without a call: spread. */
void swarm_scheduler_set_default (SwarmSchedulerSet *self, const char *name);

/* @name NULL or "": the default. Borrowed; NULL: there is none of that name. */
SwarmSchedulerHost *swarm_scheduler_set_get (SwarmSchedulerSet *self, const char *name);
/* FALSE with INVALID_ARGUMENT and the names that there are. */
gboolean swarm_scheduler_set_check (SwarmSchedulerSet *self, const char *name, GError **error);
