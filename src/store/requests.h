// SPDX-License-Identifier: LGPL-2.1-or-later
/* Results of requests, replicated: a retry after a lost reply gets the first result. Kept ten minutes, at most 100,000, oldest out first.
 * Time is that of the entries, so every manager forgets at the same entry. */
#pragma once
#include <glib.h>

#define SWARM_REQUESTS_KEEP_US (G_GINT64_CONSTANT (600) * G_USEC_PER_SEC)
#define SWARM_REQUESTS_MAX 100000

/* Immutable, counted with g_atomic_rc_box: snapshots hold them. */
typedef struct {
  char *id;
  guint64 index; /* log index of its entry */
  gint64 at;
  GBytes *result; /* may be NULL */
} SwarmRequest;

void swarm_request_unref (gpointer request);

typedef struct {
  GHashTable *by_id; /* id → SwarmRequest, borrowed from order */
  GQueue order;      /* SwarmRequest, oldest first */
  gint64 now;        /* the stamp of the last entry */
} SwarmRequests;

void swarm_requests_init (SwarmRequests *self);
void swarm_requests_clear (SwarmRequests *self);
const SwarmRequest *swarm_requests_find (SwarmRequests *self, const char *id);
/* Time goes on to @stamp, or by the least there is where that would not be forward; what is too old is forgotten. Returns the time it is. */
gint64 swarm_requests_advance (SwarmRequests *self, gint64 stamp);
/* @result may be NULL. */
void swarm_requests_add (SwarmRequests *self, const char *id, guint64 index, gint64 at, GBytes *result);
