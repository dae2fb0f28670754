// SPDX-License-Identifier: LGPL-2.1-or-later
#include "plugin/loader.h"
#include "base/error.h"
#include <gmodule.h>
#include <string.h>

struct _SwarmPlugin {
  gint ref_count;
  const SwarmPluginDescriptor *descriptor;
  char *where; /* for errors: the file, or "built in" */
};

/* What the host wants of each kind. Mandatory are the operations before @mandatory_size: what may be missing, and what is no operation, stands last. */
static const struct {
  SwarmPluginKind kind;
  const char *name;
  guint abi;
  gsize ops_size;
  gsize mandatory_size;
  const char *const *ops; /* names, in order */
} kinds[] = {
  { SWARM_PLUGIN_RUNTIME, "runtime", SWARM_PLUGIN_ABI_RUNTIME, sizeof (SwarmRuntimeOps), G_STRUCT_OFFSET (SwarmRuntimeOps, cancel),
    (const char *const[]){ "init", "fini", "prepare", "start", "stop", "remove", "list", "resolve_image" } },
  { SWARM_PLUGIN_SCHEDULER, "scheduler", SWARM_PLUGIN_ABI_SCHEDULER, sizeof (SwarmSchedulerOps), G_STRUCT_OFFSET (SwarmSchedulerOps, offer),
    (const char *const[]){ "init", "fini", "place" } },
  { SWARM_PLUGIN_NETWORK, "network", SWARM_PLUGIN_ABI_NETWORK, sizeof (SwarmNetworkOps), G_STRUCT_OFFSET (SwarmNetworkOps, picture),
    (const char *const[]){ "init", "fini", "attach", "detach" } },
};

static const char *
kind_name (guint32 kind)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    if ((guint32) kinds[i].kind == kind)
      return kinds[i].name;
  }
  return "unknown";
}

static gboolean
refuse_number (GError **error, const char *where, const char *what, guint64 found, guint64 wanted)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
               "plugin %s: %s is %" G_GUINT64_FORMAT ", this agent wants %" G_GUINT64_FORMAT
               "; build it against the swarm-plugin.h of this version",
               where, what, found, wanted);
  return FALSE;
}

static gboolean
check_ops (const char *where, const SwarmPluginDescriptor *d, guint row, GError **error)
{
  gsize n = kinds[row].mandatory_size / sizeof (void (*) (void));

  if (d->ops == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "plugin %s: it has no table of operations", where);
    return FALSE;
  }
  for (gsize i = 0; i < n; i++) {
    void *op;
    memcpy (&op, (const guint8 *) d->ops + i * sizeof op, sizeof op);
    if (op == NULL) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "plugin %s: the mandatory operation \"%s\" is missing", where,
                   kinds[row].ops[i]);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check (const char *where, const SwarmPluginDescriptor *d, SwarmPluginKind kind, GError **error)
{
  guint row = 0;

  while (kinds[row].kind != kind)
    row++;
  /* Sizes first: nothing behind them can be trusted while they differ. */
  if (d->magic != SWARM_PLUGIN_MAGIC) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "plugin %s: its descriptor is not one of swarm-agent's (wrong magic)",
                 where);
    return FALSE;
  }
  if (d->descriptor_size != sizeof *d)
    return refuse_number (error, where, "the size of its descriptor", d->descriptor_size, sizeof *d);
  if (d->kind != (guint32) kind) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "plugin %s: it is a %s plugin, wanted is a %s plugin", where,
                 kind_name (d->kind), kinds[row].name);
    return FALSE;
  }
  if (d->abi != kinds[row].abi)
    return refuse_number (error, where, "its ABI", d->abi, kinds[row].abi);
  if (d->ops_size != kinds[row].ops_size)
    return refuse_number (error, where, "the size of its table of operations", d->ops_size, kinds[row].ops_size);
  if (d->host_size != sizeof (SwarmPluginHost))
    return refuse_number (error, where, "the size of the host's table it was built for", d->host_size, sizeof (SwarmPluginHost));
  if (d->name == NULL || d->name[0] == '\0' || d->version == NULL || d->description == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "plugin %s: its descriptor lacks a name, version or description", where);
    return FALSE;
  }
  return check_ops (where, d, row, error);
}

static SwarmPlugin *
plugin_new (const SwarmPluginDescriptor *descriptor, const char *where)
{
  SwarmPlugin *self = g_new0 (SwarmPlugin, 1);

  self->ref_count = 1;
  self->descriptor = descriptor;
  self->where = g_strdup (where);
  return self;
}

SwarmPlugin *
swarm_plugin_load (const char *path, SwarmPluginKind kind, GError **error)
{
  GModule *module = g_module_open (path, G_MODULE_BIND_LAZY | G_MODULE_BIND_LOCAL);
  gpointer symbol = NULL;

  if (module == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "plugin %s: cannot be opened: %s", path, g_module_error ());
    return NULL;
  }
  if (!g_module_symbol (module, SWARM_PLUGIN_SYMBOL, &symbol) || symbol == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "plugin %s: the symbol \"%s\" is missing", path, SWARM_PLUGIN_SYMBOL);
    g_module_close (module);
    return NULL;
  }
  if (!check (path, symbol, kind, error)) {
    g_module_close (module);
    return NULL;
  }
  g_module_make_resident (module);
  return plugin_new (symbol, path);
}

SwarmPlugin *
swarm_plugin_load_named (const char *dir, const char *name, SwarmPluginKind kind, GError **error)
{
  g_autofree char *file = g_strconcat (name, ".so", NULL);
  g_autofree char *path = g_build_filename (dir, file, NULL);
  g_autoptr (SwarmPlugin) self = NULL;

  if (name[0] == '\0' || name[0] == '.' || strchr (name, '/') != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is not the name of a plugin", name);
    return NULL;
  }
  self = swarm_plugin_load (path, kind, error);
  if (self != NULL && strcmp (self->descriptor->name, name) != 0) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "plugin %s: it calls itself \"%s\"", path, self->descriptor->name);
    return NULL;
  }
  return g_steal_pointer (&self);
}

SwarmPlugin *
swarm_plugin_from_descriptor (const SwarmPluginDescriptor *descriptor, SwarmPluginKind kind, GError **error)
{
  if (!check ("(built in)", descriptor, kind, error))
    return NULL;
  return plugin_new (descriptor, "(built in)");
}

const SwarmPluginDescriptor *
swarm_plugin_descriptor_of (const SwarmPlugin *self)
{
  return self->descriptor;
}

SwarmPlugin *
swarm_plugin_ref (SwarmPlugin *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
swarm_plugin_unref (SwarmPlugin *self)
{
  if (self == NULL || !g_atomic_int_dec_and_test (&self->ref_count))
    return;
  g_free (self->where);
  g_free (self);
}
