// SPDX-License-Identifier: LGPL-2.1-or-later
/* Sealing a key to this host with systemd-creds: by its TPM2 where there is one, by its host key otherwise. It runs in a unit of its own, outside
 * of the agent's sandbox; the key passes through files in the run time directory (0600, in memory), which are removed at once. */
#pragma once
#include "plugin/services.h"

/* @bytes is borrowed, NULL on error. Exactly once, never from within. */
typedef void (*SwarmCredsFunc) (GBytes *bytes, const GError *error, gpointer data);
/* At the start: wipes what a run that was cut off left in @runtime_dir. Synchronous. */
void swarm_creds_clean (const char *runtime_dir);
void swarm_creds_seal (SwarmPluginServices *units, const char *runtime_dir, GBytes *key, SwarmCredsFunc func, gpointer data);
void swarm_creds_unseal (SwarmPluginServices *units, const char *runtime_dir, GBytes *sealed, SwarmCredsFunc func, gpointer data);
