// SPDX-License-Identifier: LGPL-2.1-or-later
/* This host's clock: does it follow a time server, and is it the reason why nobody believes our certificate, or we nobody else's? */
#include "base/difference.h"
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "daemon/agent-private.h"
#include <string.h>

#define TIMEDATE "org.freedesktop.timedate1"
#define LOOK_US (G_GINT64_CONSTANT (1800) * G_USEC_PER_SEC) /* its service is started for the answer: seldom */
#define ASK_TIMEOUT_US (5 * G_USEC_PER_SEC)
#define PROBLEM_US (G_GINT64_CONSTANT (300) * G_USEC_PER_SEC)

char *
swarm_agent_clock_problem (SwarmAgent *self, gint64 ahead_us)
{
  static const char *const follows[] = {
    [SWARM_CLOCK_UNKNOWN] = "Set it right.",
    [SWARM_CLOCK_SYNCHRONIZED] = "It follows a time server: look at that one, or at the managers' clocks.",
    [SWARM_CLOCK_FREE] = "It follows no time server: set it right (timedatectl set-ntp true).",
  };
  g_autofree char *size = swarm_clock_difference_text (ahead_us);
  return g_strdup_printf ("The clock of this host is %s %s the manager's, so that certificates seem to be past or before their time. %s", size,
                          ahead_us < 0 ? "behind" : "ahead of", follows[self->clock_state]);
}

/* ---- does it follow a time server? ---- */

static void
got_synchronized (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  SwarmClockState state = SWARM_CLOCK_UNKNOWN;
  if (self->gone)
    return;
  if (reply != NULL && g_variant_is_of_type (reply, G_VARIANT_TYPE ("(v)"))) {
    g_autoptr (GVariant) value = NULL;
    g_variant_get (reply, "(v)", &value);
    if (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
      state = g_variant_get_boolean (value) ? SWARM_CLOCK_SYNCHRONIZED : SWARM_CLOCK_FREE;
  }
  if (state == self->clock_state)
    return;
  self->clock_state = state;
  if (self->worker != NULL)
    swarm_worker_describe (self->worker);
}

static void
look (gpointer data)
{
  SwarmAgent *self = data;
  self->clock_timer = swarm_clock_timer (self->clock, LOOK_US, SWARM_PRIORITY_IDLE, look, self);
  if (self->membership != NULL)
    swarm_bus_call (self->bus, TIMEDATE, "/org/freedesktop/timedate1", "org.freedesktop.DBus.Properties", "Get",
                    g_variant_new ("(ss)", TIMEDATE, "NTPSynchronized"), -1, NULL, got_synchronized, self);
}

void
swarm_agent_watch_clock (SwarmAgent *self)
{
  swarm_agent_unwatch_clock (self);
  if (self->bus != NULL)
    self->clock_timer = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_IDLE, look, self);
}

void
swarm_agent_unwatch_clock (SwarmAgent *self)
{
  swarm_clock_clear_timer (self->clock, &self->clock_timer);
}

/* ---- why there is no session ---- */

void
swarm_agent_tell_trouble (SwarmAgent *self, const char *text)
{
  if (self->api->state != SWARM_LOCAL_PENDING && self->api->state != SWARM_LOCAL_ACTIVE)
    return;
  if (g_strcmp0 (self->api->error, text) != 0)
    swarm_log (LOG_ERR, swarm_log_id_node_trouble, NULL, "%s", text);
  swarm_api_set_state (self->api, SWARM_LOCAL_PENDING, text);
  swarm_agent_update_status (self);
}

static void
got_time (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  gint64 time_us, ahead;
  if (self->gone)
    return;
  self->asking_time = FALSE;
  if (error != NULL || self->membership == NULL)
    return;
  g_variant_get (reply, "(&sx)", NULL, &time_us);
  ahead = swarm_difference (swarm_clock_now (self->clock), time_us);
  if (ABS (ahead) < PROBLEM_US) {
    swarm_agent_renew_refused (self);
    return;
  }
  /* To the hour: the text stays the same while nothing changes. */
  g_autofree char *text = swarm_agent_clock_problem (self, ahead);
  swarm_agent_tell_trouble (self, text);
}

void
swarm_agent_session_refused (SwarmAgent *self, const char *address)
{
  if (self->asking_time || self->membership == NULL || self->job != NULL)
    return;
  self->asking_time = TRUE;
  swarm_oneshot_call_unverified (self->rpc, address, "org.swarmagent1.CA", "GetRootCA", NULL, "(sx)", ASK_TIMEOUT_US, got_time, self);
}
