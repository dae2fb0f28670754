// SPDX-License-Identifier: LGPL-2.1-or-later
#include "specs.h"

SwarmServiceSpec *
spec_of (const char *name, const char *image, guint64 replicas)
{
  SwarmServiceSpec *spec = swarm_service_spec_new ();
  spec->name = g_strdup (name);
  spec->task = swarm_task_spec_new ();
  spec->task->container = swarm_container_spec_new ();
  spec->task->container->image = g_strdup (image);
  spec->task->container->labels = swarm_map_new ();
  spec->task->restart_policy = swarm_restart_policy_new ();
  spec->task->restart_policy->delay = 0;
  spec->mode = swarm_service_mode_new ();
  spec->mode->replicated = swarm_replicated_new ();
  spec->mode->replicated->replicas = replicas;
  return spec;
}

void
spec_behave (SwarmServiceSpec *spec, const char *key, gint64 value)
{
  g_hash_table_insert (spec->task->container->labels, g_strdup (key), g_strdup_printf ("%" G_GINT64_FORMAT, value));
}
