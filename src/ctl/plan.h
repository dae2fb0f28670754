// SPDX-License-Identifier: LGPL-2.1-or-later
/* Dry runs: what the agent says would happen. */
#pragma once
#include "ctl/client.h"
#include "model/spec.h"

/* The table of @steps (an array of steps as Manager.PlanService gives them), or a line each as JSON. Caller frees. */
char *ctl_plan_text (JsonArray *steps, gboolean json);

/* Prints what creating @spec, or putting it in place of the spec of the service of its name, would do. @options: those of
 * CreateService; sunk. */
gboolean ctl_plan_service (CtlContext *context, const SwarmServiceSpec *spec, GVariant *options, GError **error);
/* Prints what a call that plans answered: (aa{sv} steps, b truncated). */
gboolean ctl_plan_print (CtlContext *context, GVariant *reply, GError **error);
