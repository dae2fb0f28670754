// SPDX-License-Identifier: LGPL-2.1-or-later
/* Services for whole simulated clusters. */
#pragma once
#include "model/objects.h"

/* One container of @image, a restart policy without delay, @replicas replicas. Caller owns it and may change it. */
SwarmServiceSpec *spec_of (const char *name, const char *image, guint64 replicas);
/* A label that tells the simulated runtime how the container behaves ("sim.stop-ms"). */
void spec_behave (SwarmServiceSpec *spec, const char *key, gint64 value);
