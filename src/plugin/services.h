// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the daemon gives so that plugins reach the system: transient units over D-Bus and small files. The tests give fakes.
 * plugin/host.c stands between this and a plugin: it counts, bounds and forgets what a plugin asked for. */
#pragma once
#include "base/clock.h"
#include "plugin/swarm-plugin.h"

typedef struct _SwarmPluginServices SwarmPluginServices;

/* @state is borrowed and NULL when unknown. */
typedef void (*SwarmUnitFunc) (const SwarmPluginUnitState *state, const GError *error, gpointer data);
/* @states is borrowed, NULL on error. */
typedef void (*SwarmUnitListFunc) (const SwarmPluginUnitState *states, gsize n_states, const GError *error, gpointer data);
typedef void (*SwarmUnitWatchFunc) (const SwarmPluginUnitState *state, gpointer data);
/* @content NULL but for reads. */
typedef void (*SwarmFileFunc) (GBytes *content, const GError *error, gpointer data);

/* Functions given are called exactly once, from the loop, never from within; all requests end by themselves (time-outs are the
 * implementation's). */
struct _SwarmPluginServices {
  /* Manager.StartTransientUnit (@name, "replace", @properties a(sv), []), then waits for its JobRemoved. Job result "done": no error, and
   * @state as GetAll has it (a oneshot unit that is gone already: ABSENT with exit_code 0). Other results: error, with @state telling the
   * exit code when a process of the unit failed. @properties is sunk. A name that exists: SWARM_ERROR_ALREADY_EXISTS. */
  void (*start) (SwarmPluginServices *self, const char *name, GVariant *properties, SwarmUnitFunc func, gpointer data);
  /* Manager.StopUnit (@name, "replace"), waits for JobRemoved, then ResetFailedUnit, so that systemd forgets the unit. Not loaded: no error. */
  void (*stop) (SwarmPluginServices *self, const char *name, SwarmUnitFunc func, gpointer data);
  /* The unit's state; not loaded: ABSENT, no error. */
  void (*query) (SwarmPluginServices *self, const char *name, SwarmUnitFunc func, gpointer data);
  /* Manager.ListUnitsByPatterns ([], [@prefix + "*"]) with the state of each. */
  void (*list) (SwarmPluginServices *self, const char *prefix, SwarmUnitListFunc func, gpointer data);
  /* Until unwatch: @func is told when a unit whose name begins with @prefix changed (phase, main process, exit), whoever caused it; once
   * per change, as soon as known. Returns a number for unwatch. */
  guint (*watch) (SwarmPluginServices *self, const char *prefix, SwarmUnitWatchFunc func, gpointer data);
  void (*unwatch) (SwarmPluginServices *self, guint watch);
};

/* The a(sv) of StartTransientUnit from a plugin's description of a unit: plain "Key=value" texts become typed properties as
 * `systemd-run -p` does it; NULL with SWARM_ERROR_INVALID_ARGUMENT naming a key that is unknown or whose value does not fit. Floating. */
GVariant *swarm_plugin_unit_properties (const SwarmPluginUnit *unit, GError **error);

/* Phase of a unit from systemd's ActiveState and SubState ("active", "exited"). */
SwarmPluginUnitPhase swarm_plugin_unit_phase (const char *active_state, const char *sub_state);
/* A SwarmPluginUnitState from the properties of org.freedesktop.systemd1.Unit and .Service (a{sv}, both in one dictionary or two; either may
 * be NULL). The strings in @ret point into the dictionaries. */
void swarm_plugin_unit_state (const char *name, GVariant *unit_properties, GVariant *service_properties, SwarmPluginUnitState *ret);
