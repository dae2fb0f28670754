// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include "ctl/json.h"

/* The text of `node ls` for @nodes (JsonObject *, sorted in place). Caller frees. */
char *ctl_node_list_text (GPtrArray *nodes, const char *self_id, gboolean quiet, gboolean json);
