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

/* Its mode ends by itself: nothing is to be watched after the last task. */
gboolean ctl_progress_is_job (JsonObject *service);

/* What the service's update status says about the waiting. */
typedef enum {
  CTL_PROGRESS_GOES_ON,
  CTL_PROGRESS_CONVERGED, /* at this moment */
  CTL_PROGRESS_ENDED,     /* the update is over, though not every task runs */
  CTL_PROGRESS_FAILED,    /* the error is set: paused or rolled back */
} CtlProgressEnd;
typedef struct {
  gboolean wanted; /* the user asked for a rollback: it is no failure */
  gboolean seen;   /* an update or rollback while we wait: what an older one left behind does not count */
  char *rollback;  /* why it is rolled back; owned */
} CtlProgressJudge;
CtlProgressEnd ctl_progress_judge (CtlProgressJudge *self, JsonObject *service, gboolean converged, GError **error);

typedef enum {
  CTL_PROGRESS_QUIET = 1 << 0,
  CTL_PROGRESS_ROLLBACK = 1 << 1, /* a rollback is what was asked for */
} CtlProgressFlags;
/* Waits for @path (a service); @reference is what the user called it. Ctrl-C ends the waiting, not the work, and is no
 * error. */
gboolean ctl_progress_wait (CtlContext *context, const char *path, const char *reference, CtlProgressFlags flags,
                            GError **error);
