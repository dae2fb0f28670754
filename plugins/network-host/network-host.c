// SPDX-License-Identifier: LGPL-2.1-or-later
/* No network of our own: tasks are on podman's bridge, and ports of mode host are opened on the host by the runtime. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <swarm-plugin.h>

struct SwarmPluginInstance {
  SwarmPluginHost *host;
  const char *mode;
};

static void
attach (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK, .network_mode = self->mode };

  self->host->finish (call, &result);
}

static void
detach (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call)
{
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK };

  self->host->finish (call, &result);
}

static SwarmPluginInstance *
init (SwarmPluginHost *host, char *error, size_t error_length)
{
  SwarmPluginInstance *self = calloc (1, sizeof *self);
  const char *mode = host->config (host, "Mode");

  if (self == NULL) {
    snprintf (error, error_length, "out of memory");
    return NULL;
  }
  self->host = host;
  self->mode = mode != NULL ? mode : "bridge";
  if (strcmp (self->mode, "bridge") != 0 && strcmp (self->mode, "none") != 0 && strcmp (self->mode, "host") != 0) {
    snprintf (error, error_length, "Mode=%s is not known (bridge, none, host)", self->mode);
    free (self);
    return NULL;
  }
  return self;
}

static void
fini (SwarmPluginInstance *self)
{
  free (self);
}

static const SwarmNetworkOps network_host_ops = {
  .init = init,
  .fini = fini,
  .attach = attach,
  .detach = detach,
};

SWARM_PLUGIN_DEFINE (NETWORK, network_host, "network-host", "podman's bridge and ports of the host", "0.1", network_host_ops);
