// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include "ctl/json.h"

/* The lines of `swarmctl info` from the agent's Info(). Caller frees. */
char *ctl_info_text (JsonObject *info);
