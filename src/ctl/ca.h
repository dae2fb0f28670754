// SPDX-License-Identifier: LGPL-2.1-or-later
/* What commands about the CA share. */
#pragma once
#include "ctl/json.h"
#include "ctl/opts.h"
#include "model/spec.h"

/* "protocol=cfssl,url=https://…[,cacert=FILE]". Caller frees. */
SwarmExternalCA *ctl_external_ca_parse (const char *text, GError **error);
/* Puts those of the --external-ca options in place of @cas, when there are any. */
gboolean ctl_external_cas_set (CtlArgs *args, GPtrArray **cas, GError **error);
/* A CtlOption's check. */
gboolean ctl_check_external_ca (const char *value, GError **error);

/* How far a root rotation is. */
typedef struct {
  const char *desired; /* digest of the root to come; borrowed from the cluster */
  guint total, away;   /* nodes; of these down */
  guint certs;         /* use a certificate under it */
  guint roots;         /* trust it alone */
  gboolean over;
} CtlCAProgress;
/* From Cluster.Inspect and the nodes of ListNodes. */
void ctl_ca_progress (JsonObject *cluster, GPtrArray *nodes, CtlCAProgress *ret);
