// SPDX-License-Identifier: LGPL-2.1-or-later
/* The inspect commands: an array of what was found, errors for the rest. */
#pragma once
#include "ctl/client.h"

/* @pretty: the human form of one object (caller frees its text). */
gboolean ctl_inspect_run (CtlContext *context, const char *kind, char *(*pretty) (JsonObject *object), GError **error);

/* Human forms. */
char *ctl_pretty_network (JsonObject *network);
char *ctl_pretty_node (JsonObject *node);
char *ctl_pretty_service (JsonObject *service);
char *ctl_pretty_task (JsonObject *task);
