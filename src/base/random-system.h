// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include "base/random.h"

/* The kernel's randomness, getrandom(2). One for the whole process, never freed. */
SwarmRandom *swarm_random_system (void);
