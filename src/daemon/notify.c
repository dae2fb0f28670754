// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/notify.h"
#include <systemd/sd-daemon.h>

static guint watchdog_source;
static char *last_status;

void
swarm_notify_ready (void)
{
  sd_notify (0, "READY=1");
}

void
swarm_notify_stopping (void)
{
  sd_notify (0, "STOPPING=1");
}

void
swarm_notify_status (const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  if (g_strcmp0 (text, last_status) == 0)
    return;
  sd_notifyf (0, "STATUS=%s", text);
  g_free (last_status);
  last_status = g_steal_pointer (&text);
}

static gboolean
feed (gpointer data)
{
  sd_notify (0, "WATCHDOG=1");
  return G_SOURCE_CONTINUE;
}

void
swarm_notify_watchdog_start (void)
{
  guint64 usec;
  if (sd_watchdog_enabled (0, &usec) > 0 && watchdog_source == 0)
    watchdog_source = g_timeout_add (MAX (usec / 2000, 100), feed, NULL);
}

void
swarm_notify_watchdog_stop (void)
{
  if (watchdog_source != 0)
    g_source_remove (watchdog_source);
  watchdog_source = 0;
  g_clear_pointer (&last_status, g_free);
}
