// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include "base/clock.h"

/* The real clock, on GLib's default main context. One for the whole process, never freed. */
SwarmClock *swarm_clock_glib (void);
