// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/survey.h"

#define FAULTY 5 /* from so many failures on a node is one of the last */

void
swarm_survey_init (SwarmSurvey *self, SwarmNodeSet *set)
{
  *self = (SwarmSurvey){ .set = set };
  self->rows = g_array_new (FALSE, FALSE, sizeof (SwarmPluginNode));
  self->infos = g_ptr_array_new ();
}

void
swarm_survey_clear (SwarmSurvey *self)
{
  g_array_unref (self->rows);
  g_ptr_array_unref (self->infos);
  g_clear_pointer (&self->branches, swarm_branches_free);
}

void
swarm_survey_begin (SwarmSurvey *self, SwarmNeeds *needs, gint64 now)
{
  self->needs = needs;
  self->now = now;
  self->counts = (SwarmFilterCounts){ { 0 } };
  self->complete = self->begun = FALSE;
  g_array_set_size (self->rows, 0);
  g_ptr_array_set_size (self->infos, 0);
  g_clear_pointer (&self->branches, swarm_branches_free);
  self->branches = swarm_branches_new (needs->task);
}

static void
add_row (SwarmSurvey *self, SwarmNodeInfo *info, guint capacity, guint service_tasks, guint failures)
{
  SwarmPluginNode row = {
    .id = info->id_string,
    .hostname = info->hostname,
    .labels = (const char *const *) info->labels,
    .service_tasks = service_tasks,
    .total_tasks = info->active,
    .failures = failures,
    .capacity = capacity,
    .branch = self->branches != NULL ? swarm_branches_find (self->branches, info->node) : 0,
    .nano_cpus = info->total_nano_cpus,
    .memory = info->total_memory,
    .free_nano_cpus = info->total_nano_cpus - info->nano_cpus,
    .free_memory = info->total_memory - info->memory,
  };
  g_array_append_val (self->rows, row);
  g_ptr_array_add (self->infos, info);
}

static guint
failures_of (const SwarmSurvey *self, const SwarmNodeInfo *info)
{
  const SwarmTask *task = self->needs->task;
  return info->failures != NULL ? swarm_node_info_failures (info, &task->service_id, task->spec_version, self->now) : 0;
}

static void
look (SwarmSurvey *self, SwarmNodeInfo *info, const SwarmServiceLoad *load)
{
  guint capacity = swarm_filters_capacity (self->needs, self->set, info, &self->counts);
  if (capacity > 0)
    add_row (self, info, capacity, swarm_node_info_service_tasks (info, load), failures_of (self, info));
}

/* Nodes with none of the service's tasks come before all others, and stand in the lists in order of their number of tasks. */
gboolean
swarm_survey_idlest (SwarmSurvey *self, guint n)
{
  const SwarmServiceLoad *load = swarm_node_set_load (self->set, &self->needs->task->service_id);
  GPtrArray *levels = swarm_node_set_levels (self->set);
  if (self->branches != NULL)
    return FALSE;
  for (guint i = swarm_node_set_lowest (self->set); i < levels->len; i++) {
    GPtrArray *level = g_ptr_array_index (levels, i);
    for (guint k = 0; k < level->len; k++) {
      SwarmNodeInfo *info = g_ptr_array_index (level, k);
      if (swarm_node_info_service_tasks (info, load) > 0 || failures_of (self, info) >= FAULTY)
        continue;
      guint capacity = swarm_filters_capacity (self->needs, self->set, info, &self->counts);
      if (capacity > 0)
        add_row (self, info, capacity, 0, failures_of (self, info));
      if (self->rows->len == n)
        return TRUE;
    }
  }
  return FALSE;
}

static void
forget (SwarmSurvey *self)
{
  self->counts = (SwarmFilterCounts){ { 0 } };
  g_array_set_size (self->rows, 0);
  g_ptr_array_set_size (self->infos, 0);
  self->begun = TRUE;
}

gboolean
swarm_survey_all (SwarmSurvey *self, guint n)
{
  const SwarmServiceLoad *load = swarm_node_set_load (self->set, &self->needs->task->service_id);
  gboolean goes_on = self->begun;
  SwarmIdIter iter;
  swarm_id_iter_init (&iter, swarm_node_set_infos (self->set), goes_on ? &self->last : NULL);
  if (!goes_on)
    forget (self);
  for (guint i = 0; i < n; i++) {
    SwarmNodeInfo *info = swarm_id_iter_next (&iter);
    if (info != NULL && goes_on && swarm_id_equal (&info->id, &self->last))
      continue;
    if (info == NULL) {
      if (self->branches != NULL)
        swarm_branches_count (self->branches, load);
      self->complete = TRUE;
      return TRUE;
    }
    self->last = info->id;
    if (info->node != NULL)
      look (self, info, load);
  }
  return FALSE;
}

void
swarm_survey_refresh (SwarmSurvey *self)
{
  for (guint i = 0; i < self->rows->len; i++) {
    SwarmPluginNode *row = &g_array_index (self->rows, SwarmPluginNode, i);
    const SwarmNodeInfo *info = g_ptr_array_index (self->infos, i);
    row->hostname = info->hostname;
    row->labels = (const char *const *) info->labels;
  }
}

guint
swarm_survey_effort (const SwarmSurvey *self)
{
  guint n = self->rows->len;
  for (guint i = 0; i < SWARM_N_FILTERS; i++)
    n += self->counts.refused[i];
  return n;
}
