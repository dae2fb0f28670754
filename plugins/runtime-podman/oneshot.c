// SPDX-License-Identifier: LGPL-2.1-or-later
/* Units that run one program to its end. An agent that was killed meanwhile may have left one of the same name (a long pull): it is
 * stopped, and then ours runs. */
#include "private.h"

typedef struct {
  SwarmPluginInstance *self;
  char *name;
  char **properties;
  char **argv;
  gboolean again;
  SwarmPluginUnitFunc func;
  void *data;
} Oneshot;

static void
oneshot_free (gpointer data)
{
  Oneshot *oneshot = data;
  g_free (oneshot->name);
  g_strfreev (oneshot->properties);
  g_strfreev (oneshot->argv);
  g_free (oneshot);
}

static void go (Oneshot *oneshot);

static void
leftover_stopped (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  go (data);
}

static void
done (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  Oneshot *oneshot = data;
  if (code == SWARM_PLUGIN_EXISTS && !oneshot->again) {
    oneshot->again = TRUE;
    oneshot->self->host->unit_stop (oneshot->self->host, oneshot->name, leftover_stopped, oneshot);
    return;
  }
  g_hash_table_steal (oneshot->self->oneshots, oneshot);
  oneshot->func (code, error, state, oneshot->data);
  oneshot_free (oneshot);
}

static void
go (Oneshot *oneshot)
{
  const SwarmPluginExec exec = { "ExecStart", (const char *const *) oneshot->argv, false };
  const SwarmPluginUnit unit = {
    .name = oneshot->name,
    .properties = (const char *const *) oneshot->properties,
    .exec = &exec,
    .n_exec = 1,
  };
  oneshot->self->host->unit_start (oneshot->self->host, &unit, done, oneshot);
}

void
podman_run_oneshot (SwarmPluginInstance *self, const char *name, const char *const *properties, const char *const *argv,
                    SwarmPluginUnitFunc func, void *data)
{
  Oneshot *oneshot = g_new0 (Oneshot, 1);
  oneshot->self = self;
  oneshot->name = g_strdup (name);
  oneshot->properties = g_strdupv ((char **) properties);
  oneshot->argv = g_strdupv ((char **) argv);
  oneshot->func = func;
  oneshot->data = data;
  if (self->oneshots == NULL)
    self->oneshots = g_hash_table_new_full (NULL, NULL, oneshot_free, NULL);
  g_hash_table_add (self->oneshots, oneshot);
  go (oneshot);
}
