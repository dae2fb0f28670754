// SPDX-License-Identifier: LGPL-2.1-or-later
/* The inspect commands: an array of what was found, errors for the rest. */
#pragma once
#include "ctl/client.h"

/* The human form of one object; caller frees. */
typedef char *(*CtlPretty) (JsonObject *object);
/* What is to be added to one that was found, which may take more calls. @human: it is to be read. */
typedef gboolean (*CtlComplete) (CtlContext *context, JsonObject *object, gboolean human, GError **error);

/* @complete may be NULL. */
gboolean ctl_inspect_run (CtlContext *context, const char *kind, CtlPretty pretty, CtlComplete complete, GError **error);

/* Human forms. */
char *ctl_pretty_network (JsonObject *network);
char *ctl_pretty_node (JsonObject *node);
char *ctl_pretty_service (JsonObject *service);
char *ctl_pretty_task (JsonObject *task);
