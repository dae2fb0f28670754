// SPDX-License-Identifier: LGPL-2.1-or-later
/* Networks on the command line. */
#pragma once
#include "ctl/client.h"
#include "model/network.h"
#include "model/spec.h"

/* What `network create` asks for. */
SwarmNetworkSpec *ctl_network_spec (CtlArgs *args, GError **error);
gboolean ctl_check_network_option (const char *text, GError **error);
/* `network ls`. Caller frees. */
char *ctl_network_list_text (GPtrArray *networks, gboolean quiet, gboolean json, gboolean no_trunc);

/* --network of services: "net", or "name=net,alias=web". */
SwarmNetworkAttachmentConfig *ctl_attachment_parse (const char *text, GError **error);
gboolean ctl_check_attachment (const char *text, GError **error);
gboolean ctl_check_endpoint_mode (const char *text, GError **error);
gboolean ctl_check_affinity (const char *text, GError **error);
/* --network-rm and --network-add, on a spec that is ours alone, with its task. */
gboolean ctl_attachments_update (CtlContext *context, SwarmTaskSpec *task, GError **error);
