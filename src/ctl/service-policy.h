// SPDX-License-Identifier: LGPL-2.1-or-later
/* Options of create and update that say how tasks are placed, restarted, updated and judged: from the command line to the
 * spec, with docker's error texts. The spec and its task are the caller's alone. */
#pragma once
#include "ctl/opts.h"
#include "model/spec.h"

/* Option checks (CtlOption.check). */
gboolean ctl_check_positive_duration (const char *text, GError **error);
gboolean ctl_check_failure_action (const char *text, GError **error);
gboolean ctl_check_rollback_action (const char *text, GError **error);
gboolean ctl_check_update_order (const char *text, GError **error);
gboolean ctl_check_on_disconnect (const char *text, GError **error);
/* "spread=node.labels.zone" */
gboolean ctl_check_placement_pref (const char *text, GError **error);
/* "gpu=2" */
gboolean ctl_check_generic_resource (const char *text, GError **error);

/* --mode, --replicas, --max-concurrent of a new service. */
gboolean ctl_policy_mode_create (CtlArgs *args, SwarmServiceSpec *spec, GError **error);
/* --replicas, --max-concurrent of one that is there. */
gboolean ctl_policy_mode_update (CtlArgs *args, SwarmServiceSpec *spec, GError **error);

/* --on-disconnect. */
void ctl_policy_on_disconnect (CtlArgs *args, SwarmServiceSpec *spec);
void ctl_policy_restart (CtlArgs *args, SwarmTaskSpec *task);
/* --update-*, --rollback-*; jobs have none. */
gboolean ctl_policy_update (CtlArgs *args, SwarmServiceSpec *spec, GError **error);
gboolean ctl_policy_health (CtlArgs *args, SwarmContainerSpec *container, GError **error);

/* --limit-*, --reserve-*. */
void ctl_policy_resources (CtlArgs *args, SwarmTaskSpec *task);
/* @remove: kinds; NULL: none. */
gboolean ctl_policy_generic (GPtrArray *add, GPtrArray *remove, SwarmTaskSpec *task, GError **error);
/* --replicas-max-per-node, --strategy. */
void ctl_policy_placement (CtlArgs *args, SwarmTaskSpec *task);
/* @remove may be NULL. */
void ctl_policy_preferences (GPtrArray *add, GPtrArray *remove, SwarmTaskSpec *task);
