// SPDX-License-Identifier: LGPL-2.1-or-later
/* The task tables of `node ps` and `service ps`. */
#pragma once
#include "ctl/client.h"
#include "ctl/format.h"

typedef struct {
  gboolean no_trunc;
  gboolean no_resolve;
  gboolean quiet;
  gboolean json;
  gint64 now_us;
} CtlTaskListOptions;

/* Id → name tables; NULL values: ids are shown as they are. */
typedef struct {
  GHashTable *nodes;
  GHashTable *services;
  GHashTable *jobs; /* ids of replicated jobs: their slots begin at 0; NULL: none known */
} CtlNames;

/* The text for @tasks (JsonObject *, sorted in place): names with history rows indented, newest first in a slot. Caller
 * frees. */
char *ctl_task_list_text (GPtrArray *tasks, const CtlNames *names, const CtlTaskListOptions *options);
/* Options from the command line. */
void ctl_task_list_options (CtlContext *context, CtlTaskListOptions *options);
/* Fetches the names (best effort) and prints. */
void ctl_task_list_print (CtlContext *context, GPtrArray *tasks, const CtlTaskListOptions *options);

/* "web.3", or "web.<node>" for tasks without a slot. Caller frees. */
char *ctl_task_slot_name (JsonObject *task, const CtlNames *names, gboolean no_resolve);
