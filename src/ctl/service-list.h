// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include "ctl/json.h"

/* The text of `service ls` for @services (JsonObject *, sorted in place). Caller frees. */
char *ctl_service_list_text (GPtrArray *services, gboolean quiet, gboolean json);
