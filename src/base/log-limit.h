// SPDX-License-Identifier: LGPL-2.1-or-later
/* Bounds the lines that others can cause: so many in a period for each of them, the rest is counted. */
#pragma once
#include <glib.h>

#define SWARM_LOG_LIMIT_LINES 10
#define SWARM_LOG_LIMIT_PERIOD_US (10 * G_USEC_PER_SEC)
/* More of them share one allowance. */
#define SWARM_LOG_LIMIT_KEYS 64

typedef struct {
  GHashTable *keys; /* key → Allowance; NULL until the first */
} SwarmLogLimit;

/* May a line be written about @key (a user, an address) at @now (µs, never falling)? TRUE: @ret_suppressed tells how many about it were not,
 * since the last one that was. */
gboolean swarm_log_limit_take (SwarmLogLimit *self, const char *key, gint64 now, guint *ret_suppressed);
void swarm_log_limit_clear (SwarmLogLimit *self);
