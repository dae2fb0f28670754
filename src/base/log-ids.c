// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log-ids.h"

#define CONSTANT(name, id, subject, text) const char swarm_log_id_##name[] = id;
SWARM_LOG_IDS (CONSTANT)
