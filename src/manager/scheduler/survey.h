// SPDX-License-Identifier: LGPL-2.1-or-later
/* The nodes that can take tasks of one group now, as a strategy is shown them. A survey of many nodes is made in parts. */
#pragma once
#include "manager/scheduler/branch.h"

typedef struct {
  SwarmNodeSet *set;
  SwarmNeeds *needs;
  gint64 now;             /* boottime */
  GArray *rows;           /* SwarmPluginNode */
  GPtrArray *infos;       /* SwarmNodeInfo of each row; valid while no node goes */
  SwarmBranches *branches; /* NULL: no preferences */
  SwarmFilterCounts counts;
  gboolean complete;      /* all nodes were looked at, so counts tell why there is no more */
  SwarmId last;           /* of a survey in parts: where to go on behind */
  gboolean begun;
} SwarmSurvey;

/* An empty one, to be made again and again. */
void swarm_survey_init (SwarmSurvey *self, SwarmNodeSet *set);
void swarm_survey_clear (SwarmSurvey *self);
void swarm_survey_begin (SwarmSurvey *self, SwarmNeeds *needs, gint64 now);
/* The first @n that fit in the order: few failures, few tasks of the service, few tasks. FALSE: there are not so many without tasks of the
 * service, all must be looked at. */
gboolean swarm_survey_idlest (SwarmSurvey *self, guint n);
/* Looks at up to @n more nodes. TRUE: that were all. */
gboolean swarm_survey_all (SwarmSurvey *self, guint n);
/* The rows' texts belong to the nodes, which may have changed since they were looked at: the present ones. Before the rows are used. */
void swarm_survey_refresh (SwarmSurvey *self);
/* Nodes looked at since it began, about: a measure of the time it took. */
guint swarm_survey_effort (const SwarmSurvey *self);
