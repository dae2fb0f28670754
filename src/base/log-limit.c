// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log-limit.h"

typedef struct {
  gint64 since;
  guint told;
  guint suppressed;
} Allowance;

/* What was counted is kept for a while, for the next line to tell. */
static gboolean
is_over (gpointer key, gpointer value, gpointer now)
{
  const Allowance *allowance = value;
  gint64 age = *(gint64 *) now - allowance->since;
  return age >= (allowance->suppressed > 0 ? 60 : 1) * SWARM_LOG_LIMIT_PERIOD_US;
}

/* Those that are too many share the one without a name. */
static Allowance *
allowance_of (SwarmLogLimit *self, const char *key, gint64 now)
{
  Allowance *allowance = g_hash_table_lookup (self->keys, key);

  if (allowance == NULL && g_hash_table_size (self->keys) >= SWARM_LOG_LIMIT_KEYS) {
    g_hash_table_foreach_remove (self->keys, is_over, &now);
    if (g_hash_table_size (self->keys) >= SWARM_LOG_LIMIT_KEYS) {
      key = "";
      allowance = g_hash_table_lookup (self->keys, key);
    }
  }
  if (allowance == NULL) {
    allowance = g_new0 (Allowance, 1);
    allowance->since = now;
    g_hash_table_insert (self->keys, g_strdup (key), allowance);
  }
  return allowance;
}

gboolean
swarm_log_limit_take (SwarmLogLimit *self, const char *key, gint64 now, guint *ret_suppressed)
{
  if (self->keys == NULL)
    self->keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  Allowance *allowance = allowance_of (self, key, now);
  if (now - allowance->since >= SWARM_LOG_LIMIT_PERIOD_US) {
    allowance->since = now;
    allowance->told = 0;
  }
  if (allowance->told >= SWARM_LOG_LIMIT_LINES) {
    allowance->suppressed++;
    return FALSE;
  }
  allowance->told++;
  *ret_suppressed = allowance->suppressed;
  allowance->suppressed = 0;
  return TRUE;
}

void
swarm_log_limit_clear (SwarmLogLimit *self)
{
  g_clear_pointer (&self->keys, g_hash_table_unref);
}
