// SPDX-License-Identifier: LGPL-2.1-or-later
/* Networks that span hosts, with swarm-netd. A task that is in none of them, and has no port of the routing mesh, is on podman's bridge as with
 * network-host. */
#include "private.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RESOLVER "127.0.0.11"
#define REFUSED_AGAIN_US (10 * G_USEC_PER_SEC)
#define LASTING_US (300 * G_USEC_PER_SEC) /* what a task was refused for is told on, though it is gone: others come and are refused, too */

struct SwarmPluginInstance {
  SwarmPluginHost *host;
  const char *mode; /* of the tasks that are no business of ours */
  OverlayModel *model;
  OverlayLink *link;
  OverlayProcesses *processes;
  gboolean has_picture;
  gboolean full;        /* swarm-netd is to get everything */
  gboolean up;
  char *reason;         /* why nothing is possible; NULL: all is well */
  char *refused;        /* the last batch; NULL: it was not */
  uint64_t again;       /* the timer after a refusal */
  guint64 sent;         /* batches */
  GArray *settling;     /* Settling */
  GHashTable *waiting;  /* task id → SwarmPluginCall */
  GHashTable *ready;    /* sandbox → "ns:/proc/…" */
  GHashTable *problems; /* object → text, as swarm-netd says */
  GHashTable *lasting;  /* "network back" → text: why tasks were refused */
  uint64_t lasting_end; /* a timer */
  SwarmPluginNetworkKey keys[2]; /* of this host, as swarm-netd says */
  guint n_keys;
  gboolean state_changed;
};

/* The host waits until a batch is in the kernel, or a later one. */
typedef struct {
  SwarmPluginCall *call;
  guint64 batch; /* by @sent */
} Settling;

/* ---- what is possible ---- */

static void
add_problem (GArray *list, const char *object, const char *text)
{
  SwarmPluginProblem problem = { object, text };
  g_array_append_val (list, problem);
}

/* "interface <sandbox> 4097" for people who know their networks by name. Caller frees. */
static char *
name_object (SwarmPluginInstance *self, const char *object)
{
  const char *vni = g_str_has_prefix (object, "interface ") ? strrchr (object, ' ') + 1 : NULL;
  const OverlayObject *network = vni != NULL ? overlay_model_find_vni (self->model, (guint32) g_ascii_strtoull (vni, NULL, 10)) : NULL;
  return network != NULL && network->name != NULL ? g_strconcat ("network ", network->name, NULL) : g_strdup (object);
}

static void
say_state (SwarmPluginInstance *self)
{
  const char *drivers[] = { "overlay", self->model->abilities & SWARM_NETD_ENCRYPTS ? "overlay-encrypted" : NULL, NULL };
  g_autoptr (GArray) problems = g_array_new (FALSE, FALSE, sizeof (SwarmPluginProblem));
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) said = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer object, text;
  g_hash_table_iter_init (&iter, self->lasting);
  while (g_hash_table_iter_next (&iter, &object, &text)) {
    g_hash_table_add (said, g_strconcat (object, ": ", text, NULL));
    add_problem (problems, object, text);
  }
  g_hash_table_iter_init (&iter, self->problems);
  while (g_hash_table_iter_next (&iter, &object, &text)) {
    g_autofree char *name = name_object (self, object), *whole = g_strconcat (name, ": ", text, NULL);
    if (!g_hash_table_add (said, g_steal_pointer (&whole)))
      continue; /* of another task, too */
    g_ptr_array_add (names, g_steal_pointer (&name));
    add_problem (problems, g_ptr_array_index (names, names->len - 1), text);
  }
  g_hash_table_iter_init (&iter, self->model->problems);
  while (g_hash_table_iter_next (&iter, &object, &text)) {
    g_ptr_array_add (names, g_strdup_printf ("network %s", (char *) object));
    add_problem (problems, g_ptr_array_index (names, names->len - 1), text);
  }
  SwarmPluginNetworkState state = { .drivers = self->up && self->reason == NULL ? drivers : NULL, .reason = self->reason,
                                    .problems = (void *) problems->data, .n_problems = problems->len, .keys = self->keys, .n_keys = self->n_keys };
  self->host->network_state (self->host, &state);
  self->state_changed = FALSE;
}

static void
set_reason (SwarmPluginInstance *self, const char *reason)
{
  g_free (self->reason);
  self->reason = g_strdup (reason);
  if (reason != NULL)
    self->host->log (self->host, 4, NULL, reason);
}

/* ---- tasks that wait ---- */

/* Why it waits still. */
static char *
why (SwarmPluginInstance *self, const char *id)
{
  const OverlayObject *local = overlay_model_find (self->model, OVERLAY_LOCAL, id);
  if (!self->up)
    return g_strdup (self->reason != NULL ? self->reason : "swarm-netd does not answer");
  if (self->refused != NULL)
    return g_strdup_printf ("swarm-netd refuses what is wanted of it: %s", self->refused);
  return local != NULL ? overlay_obstacle (self->model, local) : NULL;
}

static void
answer (SwarmPluginInstance *self, const char *id, SwarmPluginCode code, const char *error)
{
  SwarmPluginCall *call = g_hash_table_lookup (self->waiting, id);
  SwarmPluginResult result = { .code = code, .error = error };
  const OverlayObject *local = overlay_model_find (self->model, OVERLAY_LOCAL, id);
  if (code == SWARM_PLUGIN_OK && local->pid == 0) {
    result.network_mode = g_hash_table_lookup (self->ready, id);
    result.resolver = RESOLVER;
  }
  g_hash_table_remove (self->waiting, id);
  self->host->finish (call, &result);
}

static void
lasting_over (void *data)
{
  SwarmPluginInstance *self = data;
  self->lasting_end = 0;
  g_hash_table_remove_all (self->lasting);
  say_state (self);
}

/* A task was refused for @object. */
static void
keep_telling (SwarmPluginInstance *self, const char *object, const char *text)
{
  if (self->lasting_end != 0)
    self->host->timer_cancel (self->host, self->lasting_end);
  self->lasting_end = self->host->timer (self->host, LASTING_US, lasting_over, self);
  g_hash_table_replace (self->lasting, g_strdup (object), g_strdup (text));
}

/* A task has its networks. */
static void
tell_no_more (SwarmPluginInstance *self, const OverlayObject *local)
{
  for (guint i = 0; i < local->attachments->len; i++) {
    const OverlayAttachment *at = g_ptr_array_index (local->attachments, i);
    const OverlayObject *network = overlay_model_find (self->model, OVERLAY_NETWORK, at->network);
    g_autofree char *object = network != NULL && network->name != NULL ? g_strconcat ("network ", network->name, NULL) : NULL;
    if (object != NULL && g_hash_table_remove (self->lasting, object))
      self->state_changed = TRUE;
  }
}

/* What swarm-netd says of a task's own things. */
static char *
problem_of (SwarmPluginInstance *self, const char *id)
{
  GHashTableIter iter;
  gpointer object, text;
  g_hash_table_iter_init (&iter, self->problems);
  while (g_hash_table_iter_next (&iter, &object, &text))
    if (strstr (object, id) != NULL) {
      g_autofree char *name = name_object (self, object);
      if (g_str_has_prefix (name, "network "))
        keep_telling (self, name, text);
      return g_strdup_printf ("%s: %s", name, (char *) text);
    }
  return NULL;
}

/* "port 8080/tcp", as swarm-netd calls it. */
static char *
port_name (const OverlayPort *port)
{
  return g_strdup_printf ("port %u/%s", port->published, port->protocol == 6 ? "tcp" : port->protocol == 17 ? "udp" : "sctp");
}

/* What stands against a port that the task must have here: one of the host's, for it alone; or of sctp, which it could not serve. Others of the mesh it has by
 * other hosts. NULL: nothing. */
static char *
problem_of_ports (SwarmPluginInstance *self, const OverlayObject *local)
{
  const OverlayObject *task = overlay_model_find (self->model, OVERLAY_TASK, local->id);
  const OverlayObject *service = task != NULL && task->service != NULL ? overlay_model_find (self->model, OVERLAY_SERVICE, task->service) : NULL;
  const GArray *lists[] = { local->ports, service != NULL ? service->ports : NULL };
  for (guint k = 0; k < G_N_ELEMENTS (lists); k++)
    for (guint i = 0; lists[k] != NULL && i < lists[k]->len; i++) {
      const OverlayPort *port = &g_array_index (lists[k], OverlayPort, i);
      g_autofree char *name = port_name (port);
      const char *text = g_hash_table_lookup (self->problems, name);
      if (text != NULL && (k == 0 || port->protocol == 132))
        return g_strdup_printf ("%s: %s", name, text);
    }
  return NULL;
}

/* swarm-netd says nothing more of them when they are gone. */
static void
forget_problems_of_ports (SwarmPluginInstance *self, const OverlayObject *local)
{
  for (guint i = 0; i < local->ports->len; i++) {
    g_autofree char *name = port_name (&g_array_index (local->ports, OverlayPort, i));
    if (g_hash_table_remove (self->problems, name))
      self->state_changed = TRUE;
  }
}

static void
look_at_waiting (SwarmPluginInstance *self)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, self->waiting);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    g_ptr_array_add (ids, g_strdup (id));
  for (guint i = 0; i < ids->len; i++) {
    const OverlayObject *local = overlay_model_find (self->model, OVERLAY_LOCAL, ids->pdata[i]);
    gboolean ready = g_hash_table_contains (self->ready, local->sandbox);
    g_autofree char *problem = problem_of (self, local->sandbox);
    if (problem == NULL && ready)
      problem = problem_of_ports (self, local);
    if (problem != NULL)
      answer (self, ids->pdata[i], SWARM_PLUGIN_FAILED, problem);
    else if (ready) {
      tell_no_more (self, local);
      answer (self, ids->pdata[i], SWARM_PLUGIN_OK, NULL);
    }
  }
}

/* ---- batches ---- */

static void
go_on (SwarmPluginInstance *self)
{
  overlay_model_render (self->model);
  if (!self->has_picture || self->again != 0 || !overlay_link_is_idle (self->link))
    return; /* what is wanted waits, and goes in one batch */
  GByteArray *records = overlay_table_take (self->model->table, self->full);
  if (records == NULL)
    return;
  overlay_link_send (self->link, records, self->full);
  self->full = FALSE;
  self->sent++;
}

/* ---- who waits for what is wanted to be so ---- */

static gboolean
is_pending (SwarmPluginInstance *self)
{
  return (self->full && self->has_picture) || overlay_table_is_dirty (self->model->table);
}

static gboolean
is_settled (SwarmPluginInstance *self)
{
  return overlay_link_is_idle (self->link) && self->refused == NULL && !is_pending (self);
}

/* Batches up to @batch are in the kernel. */
static void
look_at_settling (SwarmPluginInstance *self, guint64 batch)
{
  gboolean all = is_settled (self);
  for (guint i = self->settling->len; i-- > 0;) {
    Settling waits = g_array_index (self->settling, Settling, i);
    if (!all && waits.batch > batch)
      continue;
    g_array_remove_index (self->settling, i);
    self->host->finish (waits.call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK });
  }
}

static void
settle (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  Settling waits = { call, self->sent + is_pending (self) };
  if (is_settled (self))
    self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK });
  else if (self->reason != NULL) /* it has been away for long */
    self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_UNAVAILABLE, .error = self->reason });
  else
    g_array_append_val (self->settling, waits);
}

static gboolean
cancel_settle (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  for (guint i = 0; i < self->settling->len; i++) {
    if (g_array_index (self->settling, Settling, i).call != call)
      continue;
    g_autofree char *text = self->refused != NULL ? g_strdup_printf ("swarm-netd refuses what is wanted of it: %s", self->refused) : NULL;
    g_array_remove_index (self->settling, i);
    self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_CANCELLED, .error = text != NULL ? text : "swarm-netd has not done it yet" });
    return TRUE;
  }
  return FALSE;
}

static void
refusal_over (void *data)
{
  SwarmPluginInstance *self = data;
  self->again = 0;
  self->full = TRUE;
  go_on (self);
}

static void
on_state (gpointer data, gboolean up, guint32 flags, const char *reason)
{
  SwarmPluginInstance *self = data;
  if (!up && !self->up && g_strcmp0 (reason, self->reason) == 0)
    return;
  gboolean news = up != self->up || g_strcmp0 (reason, self->reason) != 0 || (up && ((flags ^ self->model->abilities) & SWARM_NETD_ENCRYPTS) != 0);
  self->up = up;
  set_reason (self, reason);
  if (up) {
    overlay_model_set_abilities (self->model, flags);
    self->full = TRUE;
    g_hash_table_remove_all (self->ready); /* of the one before */
    go_on (self);
  }
  if (news)
    say_state (self);
}

static void
on_begin (gpointer data, gboolean report)
{
  SwarmPluginInstance *self = data;
  if (!report || g_hash_table_size (self->problems) == 0)
    return;
  g_hash_table_remove_all (self->problems);
  self->state_changed = TRUE;
}

static void
on_problem (gpointer data, const char *object, const char *text)
{
  SwarmPluginInstance *self = data;
  self->state_changed = TRUE;
  if (*text != '\0')
    g_hash_table_replace (self->problems, g_strdup (object), g_strdup (text));
  else
    g_hash_table_remove (self->problems, object);
}

static void
forget_problems_of (SwarmPluginInstance *self, const char *id)
{
  GHashTableIter iter;
  gpointer object;
  g_hash_table_iter_init (&iter, self->problems);
  while (g_hash_table_iter_next (&iter, &object, NULL))
    if (strstr (object, id) != NULL) {
      g_hash_table_iter_remove (&iter);
      self->state_changed = TRUE;
    }
}

static void
on_ready (gpointer data, const char *sandbox, guint pid, guint fd)
{
  SwarmPluginInstance *self = data;
  forget_problems_of (self, sandbox);
  g_hash_table_replace (self->ready, g_strdup (sandbox), g_strdup_printf ("ns:/proc/%u/fd/%u", pid, fd));
}

static void
on_end (gpointer data, const SwarmNetdWireguard *keys, guint n)
{
  SwarmPluginInstance *self = data;
  SwarmPluginNetworkKey now[G_N_ELEMENTS (self->keys)] = { { 0 } };
  n = MIN (n, G_N_ELEMENTS (now));
  for (guint i = 0; i < n; i++) {
    now[i].slot = keys[i].slot;
    now[i].flags = keys[i].flags & SWARM_NETD_WIREGUARD_NEWEST ? 1 : 0;
    memcpy (now[i].key, keys[i].key, sizeof now[i].key);
  }
  if (n != self->n_keys || memcmp (now, self->keys, sizeof now) != 0) {
    memcpy (self->keys, now, sizeof now);
    self->n_keys = n;
    self->state_changed = TRUE;
  }
  look_at_waiting (self);
  if (self->state_changed)
    say_state (self);
}

static void
on_acked (gpointer data, const char *refused)
{
  SwarmPluginInstance *self = data;
  g_free (self->refused);
  self->refused = g_strdup (refused);
  if (refused != NULL && self->again == 0) {
    g_autofree char *text = g_strdup_printf ("swarm-netd refuses what is wanted of it: %s", refused);
    self->host->log (self->host, 3, NULL, text);
    self->again = self->host->timer (self->host, REFUSED_AGAIN_US, refusal_over, self);
  }
  guint64 batch = self->sent;
  go_on (self);
  if (refused == NULL)
    look_at_settling (self, batch);
}

static const OverlayLinkOps link_ops = { on_state, on_acked, on_begin, on_end, on_problem, on_ready };

/* ---- what the host asks ---- */

static gboolean
is_ours (const SwarmPluginTask *task)
{
  for (size_t i = 0; i < task->n_networks; i++)
    if (task->networks[i].driver == NULL || strcmp (task->networks[i].driver, "overlay") == 0)
      return TRUE;
  return task->gateway_address != NULL;
}

/* swarm-netd refuses the whole batch for one row that is not right. */
static gboolean
is_container (const SwarmPluginTask *task)
{
  return strspn (task->container_id, "0123456789abcdef") == 64 && task->attach_pid != 0 && task->attach_started != 0
         && task->interface + task->n_networks <= 256;
}

/* The agent answers for it that the process is still the one that it found: its number is passed on with its start. */
static gboolean
watch_container (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  if (overlay_processes_add (self->processes, task->id, task->attach_pid))
    return TRUE;
  int code = errno;
  g_autofree char *text = code == ESRCH ? g_strdup_printf ("container %s is not running", task->name)
                                        : g_strdup_printf ("the process of container %s cannot be watched: %s", task->name, g_strerror (code));
  self->host->finish (call, &(SwarmPluginResult){ .code = code == ESRCH ? SWARM_PLUGIN_NOT_FOUND : SWARM_PLUGIN_FAILED, .error = text });
  return FALSE;
}

static void
container_gone (gpointer data, const char *id)
{
  SwarmPluginInstance *self = data;
  g_autofree char *task_id = g_strdup (id);
  if (g_hash_table_contains (self->waiting, id)) {
    answer (self, id, SWARM_PLUGIN_NOT_FOUND, "the container has ended");
    return;
  }
  self->host->task_exited (self->host, &(SwarmPluginExit){ .task_id = task_id, .exited_at = self->host->now (self->host) });
}

static void
attach (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  if (!is_ours (task)) {
    self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK, .network_mode = self->mode });
    return;
  }
  if (strlen (task->id) >= sizeof (SwarmNetdId) || g_hash_table_contains (self->waiting, task->id)) {
    self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_INVALID, .error = "not a task that can be attached" });
    return;
  }
  if (task->container_id != NULL && !is_container (task)) {
    self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_INVALID, .error = "not a container that can be attached" });
    return;
  }
  if (task->container_id != NULL && overlay_model_has_former (self->model, task)) {
    self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_UNAVAILABLE, .error = "the container was restarted, and its former networks are being taken off; try again" });
    return;
  }
  if (task->container_id != NULL && !watch_container (self, task, call))
    return;
  overlay_model_put_local (self->model, task);
  const char *sandbox = overlay_model_find (self->model, OVERLAY_LOCAL, task->id)->sandbox;
  forget_problems_of (self, sandbox);
  g_hash_table_insert (self->waiting, g_strdup (task->id), call);
  if (task->container_id != NULL) /* it may have been whole without this network */
    g_hash_table_remove (self->ready, sandbox);
  go_on (self);
  if (g_hash_table_contains (self->ready, sandbox)) /* it has it already */
    answer (self, task->id, SWARM_PLUGIN_OK, NULL);
}

static void
detach (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call)
{
  if (g_hash_table_contains (self->waiting, task_id))
    answer (self, task_id, SWARM_PLUGIN_CANCELLED, "the task is taken off its network");
  const OverlayObject *local = overlay_model_find (self->model, OVERLAY_LOCAL, task_id);
  g_autofree char *sandbox = g_strdup (local != NULL ? local->sandbox : task_id);
  if (local != NULL)
    forget_problems_of_ports (self, local);
  overlay_processes_remove (self->processes, task_id);
  overlay_model_remove_local (self->model, task_id);
  g_hash_table_remove (self->ready, sandbox);
  forget_problems_of (self, sandbox);
  go_on (self);
  self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK });
}

static void
picture (SwarmPluginInstance *self, const SwarmPluginPicture *picture)
{
  guint problems = g_hash_table_size (self->model->problems);
  if (!self->has_picture && !(picture->flags & SWARM_PLUGIN_PICTURE_WHOLE))
    return; /* changes of what? */
  overlay_model_picture (self->model, picture);
  if (!self->has_picture)
    overlay_model_imply_locals (self->model, picture);
  self->has_picture = TRUE;
  go_on (self);
  if (problems != g_hash_table_size (self->model->problems))
    say_state (self);
}

static void
cancel (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  GHashTableIter iter;
  gpointer id, waiting;
  if (cancel_settle (self, call))
    return;
  g_hash_table_iter_init (&iter, self->waiting);
  while (g_hash_table_iter_next (&iter, &id, &waiting)) {
    if (waiting != call)
      continue;
    g_autofree char *name = g_strdup (id), *reason = why (self, name);
    answer (self, name, SWARM_PLUGIN_CANCELLED, reason != NULL ? reason : "its namespace did not become ready");
    return;
  }
}

static SwarmPluginInstance *
init (SwarmPluginHost *host, char *error, size_t error_length)
{
  const char *mode = host->config (host, "Mode"), *path = host->config (host, "Socket");
  if (mode != NULL && strcmp (mode, "bridge") != 0 && strcmp (mode, "none") != 0 && strcmp (mode, "host") != 0) {
    snprintf (error, error_length, "Mode=%s is not known (bridge, none, host)", mode);
    return NULL;
  }
  if (host->fd_watch == NULL) {
    snprintf (error, error_length, "it needs descriptors, which this host does not have");
    return NULL;
  }
  SwarmPluginInstance *self = g_new0 (SwarmPluginInstance, 1);
  self->host = host;
  self->mode = mode != NULL ? mode : "bridge";
  self->model = overlay_model_new ();
  self->processes = overlay_processes_new (host, container_gone, self);
  self->waiting = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->ready = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->problems = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->lasting = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->settling = g_array_new (FALSE, FALSE, sizeof (Settling));
  self->link = overlay_link_new (host, path != NULL ? path : SWARM_NETD_SOCKET, &link_ops, self);
  return self;
}

static void
fini (SwarmPluginInstance *self)
{
  overlay_link_free (self->link);
  overlay_processes_free (self->processes);
  if (self->again != 0)
    self->host->timer_cancel (self->host, self->again);
  overlay_model_free (self->model);
  g_hash_table_unref (self->waiting);
  g_hash_table_unref (self->ready);
  g_hash_table_unref (self->problems);
  g_hash_table_unref (self->lasting);
  if (self->lasting_end != 0)
    self->host->timer_cancel (self->host, self->lasting_end);
  g_array_unref (self->settling);
  g_free (self->reason);
  g_free (self->refused);
  g_free (self);
}

static const SwarmNetworkOps overlay_ops = {
  .init = init, .fini = fini, .attach = attach, .detach = detach, .picture = picture, .cancel = cancel, .settle = settle,
};

SWARM_PLUGIN_DEFINE (NETWORK, network_overlay, "network-overlay", "networks that span hosts, with swarm-netd", "1.0", overlay_ops);
