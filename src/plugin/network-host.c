// SPDX-License-Identifier: LGPL-2.1-or-later
#include "plugin/network-host.h"
#include "base/error.h"
#include "base/log.h"
#include "plugin/host-private.h"
#include "plugin/task-view.h"
#include <string.h>

#define PROBLEMS_MAX 100

SWARM_PLUGIN_HAS_LIFE (SwarmNetworkOps);

struct _SwarmNetworkHost {
  SwarmHostHead head;
  const SwarmNetworkOps *ops;
  char **drivers;
  char *reason;
  char **problems;
  GPtrArray *keys; /* SwarmNetworkKey; NULL: none */
  SwarmNetworkStateFunc func;
  gpointer data;
  SwarmNetworkExitFunc exit_func;
  gpointer exit_data;
};

typedef struct {
  SwarmNetworkFunc func;
  gpointer data;
  gboolean container; /* not a task's, but others' */
} Asker;

static void
on_task_exit (gpointer owner, const SwarmPluginExit *event)
{
  SwarmNetworkHost *self = owner;
  SwarmId id;

  if (event->task_id == NULL || !swarm_id_parse (event->task_id, &id))
    swarm_warning ("%s reports the end of something that is no task", swarm_network_host_name (self));
  else if (self->exit_func != NULL)
    self->exit_func (&id, event->exited_at, self->exit_data);
}

static void
on_cancel (gpointer owner, SwarmPluginCall *call)
{
  SwarmNetworkHost *self = owner;
  gint64 started = g_get_monotonic_time ();

  self->ops->cancel (self->head.instance, call);
  swarm_host_timed (self->head.host, "cancel", started);
}

static char *
valid (const char *text)
{
  return text != NULL ? g_utf8_make_valid (text, (gssize) strnlen (text, 512)) : NULL;
}

/* A manager takes no description with keys that are not right: the node would be out of its cluster for it. */
static GPtrArray *
take_keys (SwarmNetworkHost *self, const SwarmPluginNetworkState *state)
{
  g_autoptr (GPtrArray) keys = swarm_messages_new ();
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < MIN (state->n_keys, SWARM_NETWORK_KEYS_MAX + 1); i++) {
    SwarmNetworkKey *key = swarm_network_key_new ();
    key->slot = state->keys[i].slot;
    key->newest = (state->keys[i].flags & 1) != 0;
    key->key = g_bytes_new (state->keys[i].key, sizeof state->keys[i].key);
    g_ptr_array_add (keys, key);
  }
  if (!swarm_network_keys_check (keys, &error)) {
    swarm_warning ("%s: its keys for encrypted networks are not passed on: %s", swarm_network_host_name (self), error->message);
    return NULL;
  }
  return keys->len > 0 ? g_steal_pointer (&keys) : NULL;
}

static int
by_text (gconstpointer a, gconstpointer b, gpointer unused)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static void
on_state (gpointer owner, const SwarmPluginNetworkState *state)
{
  SwarmNetworkHost *self = owner;
  g_autoptr (GStrvBuilder) problems = g_strv_builder_new ();

  g_strfreev (self->drivers);
  self->drivers = g_strdupv ((char **) state->drivers);
  g_free (self->reason);
  self->reason = valid (state->reason);
  for (gsize i = 0; i < MIN (state->n_problems, PROBLEMS_MAX); i++) {
    g_autofree char *object = valid (state->problems[i].object), *text = valid (state->problems[i].text), *line = NULL;
    line = g_strdup_printf ("%s: %s", object, text);
    g_strv_builder_add (problems, line);
  }
  g_strfreev (self->problems);
  self->problems = g_strv_builder_end (problems);
  /* In one order: what is no news must not look like news. */
  g_qsort_with_data (self->problems, (int) g_strv_length (self->problems), sizeof (char *), by_text, NULL);
  g_clear_pointer (&self->keys, g_ptr_array_unref);
  self->keys = take_keys (self, state);
  if (self->func != NULL)
    self->func (self, self->data);
}

SwarmNetworkHost *
swarm_network_host_new (SwarmPlugin *plugin, const SwarmPluginHostConfig *config, GError **error)
{
  SwarmNetworkHost *self = g_new0 (SwarmNetworkHost, 1);

  self->ops = swarm_plugin_descriptor_of (plugin)->ops;
  if (swarm_host_open (&self->head, plugin, config, self->ops->cancel != NULL ? on_cancel : NULL, on_task_exit, on_state, error))
    return self;
  swarm_network_host_free (self);
  return NULL;
}

void
swarm_network_host_free (SwarmNetworkHost *self)
{
  if (self == NULL)
    return;
  swarm_host_close (&self->head);
  g_strfreev (self->drivers);
  g_free (self->reason);
  g_strfreev (self->problems);
  g_clear_pointer (&self->keys, g_ptr_array_unref);
  g_free (self);
}

const char *
swarm_network_host_name (SwarmNetworkHost *self)
{
  return swarm_host_plugin_name (self->head.host);
}

static void
on_done (const SwarmPluginResult *view, const GError *error, gpointer data)
{
  g_autofree Asker *asker = data;
  g_autoptr (GError) unknown = NULL;

  if (asker->container && view != NULL && view->network_mode != NULL && *view->network_mode != '\0') { /* it took it for a task */
    unknown = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "this network plugin cannot attach containers");
    asker->func (NULL, NULL, unknown, asker->data);
    return;
  }
  asker->func (view != NULL ? view->network_mode : NULL, view != NULL ? view->resolver : NULL, error, asker->data);
}

static Asker *
asker_new (SwarmNetworkFunc func, gpointer data)
{
  Asker *asker = g_new0 (Asker, 1);

  asker->func = func;
  asker->data = data;
  return asker;
}

static guint64
call_attach (SwarmNetworkHost *self, const SwarmTaskView *view, gint64 timeout_us, Asker *asker)
{
  gint64 started = g_get_monotonic_time ();
  guint64 number;
  SwarmPluginCall *call = swarm_host_call (self->head.host, "attach", view->task.id, timeout_us, on_done, asker, &number);

  self->ops->attach (self->head.instance, &view->task, call);
  swarm_host_timed (self->head.host, "attach", started);
  return number;
}

guint64
swarm_network_host_attach (SwarmNetworkHost *self, const SwarmTask *task, const SwarmId *node, const char *hostname,
                           gint64 timeout_us, SwarmNetworkFunc func, gpointer data)
{
  g_autoptr (SwarmTaskView) view = swarm_task_view_new (task, node, hostname, NULL, NULL, FALSE);

  return call_attach (self, view, timeout_us, asker_new (func, data));
}

guint64
swarm_network_host_attach_container (SwarmNetworkHost *self, const SwarmTask *task, guint32 pid, guint64 started, const SwarmId *node,
                                     const char *hostname, gint64 timeout_us, SwarmNetworkFunc func, gpointer data)
{
  g_autoptr (SwarmTaskView) view = swarm_task_view_new (task, node, hostname, NULL, NULL, FALSE);
  Asker *asker = asker_new (func, data);

  asker->container = TRUE;
  view->task.attach_pid = pid;
  view->task.attach_started = started;
  return call_attach (self, view, timeout_us, asker);
}

guint64
swarm_network_host_detach (SwarmNetworkHost *self, const SwarmId *task, gint64 timeout_us, SwarmNetworkFunc func, gpointer data)
{
  SwarmIdString id = swarm_id_string (task);
  gint64 started = g_get_monotonic_time ();
  guint64 number;
  SwarmPluginCall *call = swarm_host_call (self->head.host, "detach", id.str, timeout_us, on_done, asker_new (func, data), &number);

  self->ops->detach (self->head.instance, id.str, call);
  swarm_host_timed (self->head.host, "detach", started);
  return number;
}

void
swarm_network_host_cancel (SwarmNetworkHost *self, guint64 call)
{
  swarm_host_give_up (self->head.host, call);
}

gboolean
swarm_network_host_picture (SwarmNetworkHost *self, const SwarmPluginPicture *picture)
{
  gint64 started = g_get_monotonic_time ();

  if (self->ops->picture == NULL)
    return FALSE;
  self->ops->picture (self->head.instance, picture);
  swarm_host_timed (self->head.host, "picture", started);
  return TRUE;
}

gboolean
swarm_network_host_settle (SwarmNetworkHost *self, gint64 timeout_us, SwarmNetworkFunc func, gpointer data)
{
  gint64 started = g_get_monotonic_time ();

  if (self->ops->settle == NULL)
    return FALSE;
  self->ops->settle (self->head.instance, swarm_host_call (self->head.host, "settle", NULL, timeout_us, on_done, asker_new (func, data), NULL));
  swarm_host_timed (self->head.host, "settle", started);
  return TRUE;
}

void
swarm_network_host_set_exit_func (SwarmNetworkHost *self, SwarmNetworkExitFunc func, gpointer data)
{
  self->exit_func = func;
  self->exit_data = data;
}

void
swarm_network_host_on_state (SwarmNetworkHost *self, SwarmNetworkStateFunc func, gpointer data)
{
  self->func = func;
  self->data = data;
}

gboolean
swarm_network_host_supports (SwarmNetworkHost *self, const char *driver)
{
  return self->drivers != NULL && g_strv_contains ((const char *const *) self->drivers, driver);
}

void
swarm_network_host_set_reason (SwarmNetworkHost *self, const char *reason)
{
  g_free (self->reason);
  self->reason = g_strdup (reason);
}

const char *
swarm_network_host_reason (SwarmNetworkHost *self)
{
  return self->reason;
}

GPtrArray *
swarm_network_host_keys (SwarmNetworkHost *self)
{
  return self->keys;
}

const char *const *
swarm_network_host_problems (SwarmNetworkHost *self)
{
  static const char *const none[] = { NULL };
  return self->problems != NULL ? (const char *const *) self->problems : none;
}
