// SPDX-License-Identifier: LGPL-2.1-or-later
/* Waits until a service has what it asks for, and shows how it goes. */
#pragma once
#include "ctl/client.h"

/* What is known at one moment: pure, for tests. Lines are keyed: the same key replaces its line on a terminal. */
typedef struct _CtlProgress CtlProgress;
typedef void (*CtlProgressLineFunc) (const char *key, const char *text, gboolean lasting, gpointer data);
/* @width: the terminal's columns, bars need more than 110; 0: no bars. */
CtlProgress *ctl_progress_new (guint width, CtlProgressLineFunc func, gpointer data);
void ctl_progress_free (CtlProgress *self);
/* Looks at the service (its Inspect form), its tasks and the ids of nodes that are not down. TRUE: converged at this
 * moment. */
gboolean ctl_progress_update (CtlProgress *self, JsonObject *service, GPtrArray *tasks, GHashTable *active_nodes);

/* Waits for @path (a service); @reference is what the user called it. Ctrl-C ends the waiting, not the work, and is no
 * error. */
gboolean ctl_progress_wait (CtlContext *context, const char *path, const char *reference, gboolean quiet,
                            GError **error);
