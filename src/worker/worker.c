// SPDX-License-Identifier: LGPL-2.1-or-later
#include "worker/worker.h"
#include "base/error.h"
#include "base/log.h"
#include "worker/private.h"
#include <string.h>

#define WORKER "org.swarmagent1.Worker"
#define TASKS_MAX 10000

const SwarmEnum swarm_session_state_enum = { "session state",
                                             (const SwarmEnumRow[]){ { SWARM_SESSION_NONE, "none" },
                                                                     { SWARM_SESSION_CONNECTING, "connecting" },
                                                                     { SWARM_SESSION_REGISTERED, "registered" },
                                                                     { 0, NULL } } };

static void
on_task_exited (const SwarmId *id, int exit_code, gint64 exited_at, const char *reason, gpointer data)
{
  SwarmWorkerTask *task = swarm_worker_task_of (data, id);

  if (task != NULL)
    swarm_worker_task_exited (task, exit_code, exited_at, reason);
}

static void
on_container_gone (const SwarmId *id, gint64 exited_at, gpointer data)
{
  SwarmWorkerTask *task = swarm_worker_task_of (data, id);

  if (task != NULL && swarm_worker_task_is_attachment (task))
    swarm_worker_task_exited (task, 0, exited_at, NULL);
}

SwarmWorker *
swarm_worker_new (const SwarmWorkerConfig *config)
{
  SwarmWorker *self = g_new0 (SwarmWorker, 1);

  self->config = *config;
  if (self->config.max_tasks == 0)
    self->config.max_tasks = TASKS_MAX;
  self->hostname = g_strdup (config->hostname);
  self->boot_id = g_strdup (config->boot_id);
  self->listen_address = g_strdup (config->listen_address);
  self->tasks = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, swarm_worker_task_free);
  self->image_asks = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, g_free);
  self->image_health = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) swarm_healthcheck_unref);
  for (guint i = 0; i < G_N_ELEMENTS (self->waiting); i++)
    g_queue_init (&self->waiting[i]);
  self->reports = swarm_worker_reports_new (self);
  self->session = swarm_worker_session_new (self);
  self->picture = swarm_worker_picture_new (self);
  self->containers = swarm_worker_containers_new (self);
  swarm_runtime_host_set_exit_func (config->runtime, on_task_exited, self);
  if (config->network != NULL)
    swarm_network_host_set_exit_func (config->network, on_container_gone, self);
  return self;
}

void
swarm_worker_free (SwarmWorker *self)
{
  if (self == NULL)
    return;
  swarm_runtime_host_set_exit_func (self->config.runtime, NULL, NULL);
  if (self->config.network != NULL)
    swarm_network_host_set_exit_func (self->config.network, NULL, NULL);
  swarm_worker_containers_free (self->containers);
  swarm_worker_op_forget (self);
  swarm_clock_clear_timer (self->config.clock, &self->list_retry);
  swarm_clock_clear_timer (self->config.clock, &self->drain_limit);
  swarm_worker_session_free (self->session);
  swarm_worker_reports_free (self->reports);
  swarm_worker_picture_free (self->picture);
  g_hash_table_unref (self->tasks);
  g_hash_table_unref (self->image_health);
  g_hash_table_unref (self->image_asks);
  g_clear_pointer (&self->collected, g_hash_table_unref);
  g_clear_pointer (&self->managers, g_ptr_array_unref);
  g_free (self->hostname);
  g_free (self->boot_id);
  g_free (self->listen_address);
  g_free (self);
}

static GPtrArray *
copy_managers (GPtrArray *managers)
{
  GPtrArray *copy = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_manager_address_free);

  for (guint i = 0; managers != NULL && i < managers->len; i++) {
    const SwarmManagerAddress *one = g_ptr_array_index (managers, i);
    g_ptr_array_add (copy, swarm_manager_address_new (&one->node, one->address));
  }
  return copy;
}

gboolean
swarm_worker_start (SwarmWorker *self, GPtrArray *managers, GError **error)
{
  g_clear_pointer (&self->managers, g_ptr_array_unref);
  self->managers = copy_managers (managers);
  swarm_worker_picture_load (self->picture);
  return swarm_worker_adopt (self, error);
}

void
swarm_worker_set_managers (SwarmWorker *self, GPtrArray *managers)
{
  g_clear_pointer (&self->managers, g_ptr_array_unref);
  self->managers = copy_managers (managers);
  swarm_worker_session_set_managers (self->session, managers);
}

void
swarm_worker_describe (SwarmWorker *self)
{
  swarm_worker_session_describe (self->session);
}

/* A step may forget its task, so the ids are taken first. */
static void
step_all (SwarmWorker *self)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  GHashTableIter iter;
  gpointer id;

  g_hash_table_iter_init (&iter, self->tasks);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    g_array_append_vals (ids, id, 1);
  for (guint i = 0; i < ids->len; i++) {
    SwarmWorkerTask *task = swarm_worker_task_of (self, &g_array_index (ids, SwarmId, i));
    if (task != NULL)
      swarm_worker_task_step (task);
  }
}

void
swarm_worker_adoption_done (SwarmWorker *self)
{
  self->adopted = TRUE;
  swarm_worker_network_adopt (self);
  swarm_worker_picture_start (self->picture);
  step_all (self);
  if (!self->draining)
    swarm_worker_session_start (self->session, self->managers);
}

void
swarm_worker_session_began (SwarmWorker *self)
{
  self->sequence = 0;
  g_clear_pointer (&self->collected, g_hash_table_unref);
  swarm_worker_picture_session_began (self->picture);
}

SwarmWorkerTask *
swarm_worker_task_of (SwarmWorker *self, const SwarmId *id)
{
  return g_hash_table_lookup (self->tasks, id);
}

/* ---- leaving ---- */

void
swarm_worker_goodbye (SwarmWorker *self, gboolean host_shutdown, void (*func) (gpointer data), gpointer data)
{
  swarm_worker_session_goodbye (self->session, host_shutdown, func, data);
}

static void
drain_over (SwarmWorker *self)
{
  void (*func) (gpointer) = self->drain_func;

  swarm_clock_clear_timer (self->config.clock, &self->drain_limit);
  self->drain_func = NULL;
  if (func != NULL)
    func (self->drain_data);
}

static void
drain_takes_too_long (gpointer data)
{
  SwarmWorker *self = data;

  self->drain_limit = NULL;
  swarm_warning ("%u tasks could not be stopped and removed in time", g_hash_table_size (self->tasks));
  drain_over (self);
}

static void
drain_is_empty (gpointer data)
{
  SwarmWorker *self = data;

  self->drain_limit = NULL;
  drain_over (self);
}

void
swarm_worker_task_gone (SwarmWorker *self)
{
  swarm_worker_containers_look (self->containers);
  if (!self->draining || g_hash_table_size (self->tasks) > 0)
    return;
  /* In a turn of its own: the caller may free the worker then. */
  swarm_clock_clear_timer (self->config.clock, &self->drain_limit);
  self->drain_limit = swarm_clock_timer (self->config.clock, 0, SWARM_PRIORITY_NORMAL, drain_is_empty, self);
}

void
swarm_worker_drain (SwarmWorker *self, gint64 timeout_us, void (*func) (gpointer data), gpointer data)
{
  self->draining = TRUE;
  self->drain_func = func;
  self->drain_data = data;
  swarm_worker_reports_set_session (self->reports, NULL, NULL);
  self->drain_limit = swarm_clock_timer (self->config.clock, timeout_us, SWARM_PRIORITY_NORMAL, drain_takes_too_long, self);
  if (g_hash_table_size (self->tasks) == 0)
    swarm_worker_task_gone (self);
  else
    step_all (self);
}

/* ---- what the leader tells ---- */

static gboolean
id_from_variant (GVariant *value, SwarmId *ret)
{
  gsize length;
  const guint8 *bytes = g_variant_get_fixed_array (value, &length, 1);

  if (length != sizeof ret->bytes)
    return FALSE;
  memcpy (ret->bytes, bytes, length);
  return TRUE;
}

void
swarm_worker_managers_told (SwarmWorker *self, GVariant *managers, GVariant *leader)
{
  g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_manager_address_free);
  SwarmId leader_id = SWARM_ID_NIL;
  gboolean known = id_from_variant (leader, &leader_id);

  for (gsize i = 0; i < g_variant_n_children (managers); i++) {
    g_autoptr (GVariant) id_value = NULL;
    const char *address;
    SwarmId id;

    g_variant_get_child (managers, i, "(@ay&s)", &id_value, &address);
    if (id_from_variant (id_value, &id))
      g_ptr_array_add (list, swarm_manager_address_new (&id, address));
  }
  if (list->len > 0) {
    swarm_worker_set_managers (self, list);
    if (self->config.managers_changed != NULL)
      self->config.managers_changed (list, known ? &leader_id : NULL, self->config.data);
  }
  swarm_worker_session_leader_is (self->session, &leader_id);
}

static SwarmTask *
decode_task (SwarmWorker *self, GVariant *value, GError **error)
{
  g_autoptr (GBytes) bytes = g_variant_get_data_as_bytes (value);
  g_autoptr (SwarmTask) task = swarm_message_decode (&swarm_task_type, bytes, error);

  if (task == NULL)
    return NULL;
  if (!swarm_id_equal (&task->node_id, &self->config.node) || swarm_id_is_nil (&task->object.id)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "task %s is not for this node", swarm_id_string (&task->object.id).str);
    return NULL;
  }
  return g_steal_pointer (&task);
}

/* All or nothing: everything is decoded before anything is done. NULL: refused. */
static GPtrArray *
decode_tasks (SwarmWorker *self, GVariant *values, GError **error)
{
  g_autoptr (GPtrArray) tasks = g_ptr_array_new_with_free_func (swarm_message_unref);
  guint n_new = 0;

  for (gsize i = 0; i < g_variant_n_children (values); i++) {
    g_autoptr (GVariant) value = g_variant_get_child_value (values, i);
    SwarmTask *task = decode_task (self, value, error);

    if (task == NULL)
      return NULL;
    g_ptr_array_add (tasks, task);
    n_new += swarm_worker_task_of (self, &task->object.id) == NULL;
  }
  if (n_new > 0 && g_hash_table_size (self->tasks) + n_new > self->config.max_tasks) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "a node takes at most %u tasks", self->config.max_tasks);
    return NULL;
  }
  return g_steal_pointer (&tasks);
}

static void
unassign (SwarmWorker *self, const SwarmId *id)
{
  SwarmWorkerTask *task = swarm_worker_task_of (self, id);

  if (task == NULL || task->unassigned)
    return;
  task->unassigned = TRUE;
  swarm_worker_task_step (task);
}

/* Everything that a full assignment did not name. */
static void
unassign_others (SwarmWorker *self, GHashTable *named)
{
  g_autoptr (GArray) others = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  GHashTableIter iter;
  gpointer id;

  g_hash_table_iter_init (&iter, self->tasks);
  while (g_hash_table_iter_next (&iter, &id, NULL)) {
    if (!g_hash_table_contains (named, id))
      g_array_append_vals (others, id, 1);
  }
  for (guint i = 0; i < others->len; i++)
    unassign (self, &g_array_index (others, SwarmId, i));
}

static void
apply_tasks (SwarmWorker *self, GPtrArray *tasks)
{
  for (guint i = 0; i < tasks->len; i++) {
    SwarmTask *task = g_ptr_array_index (tasks, i);
    SwarmWorkerTask *own = swarm_worker_task_of (self, &task->object.id);

    if (self->collected != NULL)
      g_hash_table_add (self->collected, g_memdup2 (&task->object.id, sizeof (SwarmId)));
    if (own == NULL)
      own = swarm_worker_task_new (self, &task->object.id, NULL);
    swarm_worker_task_assign (own, task);
  }
}

/* Sequence 0 and full: a part of a full set, more follows; 1 and full: its last part; then deltas without a gap. */
static gboolean
check_sequence (SwarmWorker *self, guint64 sequence, gboolean full, GError **error)
{
  if (full && sequence <= 1 && self->sequence == 0)
    return TRUE;
  if (!full && sequence == self->sequence + 1 && self->sequence > 0)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE,
               "assignment %" G_GUINT64_FORMAT "%s after %" G_GUINT64_FORMAT "; a full one is needed", sequence, full ? " (full)" : "",
               self->sequence);
  return FALSE;
}

static gboolean
assign (SwarmWorker *self, GVariant *args, GError **error)
{
  g_autoptr (GVariant) session = NULL;
  g_autoptr (GVariant) values = NULL;
  g_autoptr (GVariant) removed = NULL;
  g_autoptr (GPtrArray) tasks = NULL;
  guint64 sequence;
  gboolean full;

  if (self->draining)
    return TRUE; /* the goodbye that follows ends it all */
  g_variant_get (args, "(@aytb@aay@aay)", &session, &sequence, &full, &values, &removed);
  if (!swarm_worker_session_is (self->session, session)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such session");
    return FALSE;
  }
  if (full && sequence <= 1) { /* begins anew whenever the leader wants to */
    if (self->sequence > 0)
      g_clear_pointer (&self->collected, g_hash_table_unref);
    self->sequence = 0;
  }
  if (!check_sequence (self, sequence, full, error))
    return FALSE;
  tasks = decode_tasks (self, values, error);
  if (tasks == NULL)
    return FALSE;
  if (full && self->collected == NULL)
    self->collected = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->sequence = sequence;
  apply_tasks (self, tasks);
  for (gsize i = 0; i < g_variant_n_children (removed); i++) {
    g_autoptr (GVariant) value = g_variant_get_child_value (removed, i);
    SwarmId id;
    if (id_from_variant (value, &id))
      unassign (self, &id);
  }
  if (full && sequence == 1) {
    g_autoptr (GHashTable) named = g_steal_pointer (&self->collected);
    unassign_others (self, named);
  }
  return TRUE;
}

static gboolean
take_assign (SwarmWorker *self, SwarmCall *call, GError **error)
{
  if (!assign (self, call->args, error))
    return FALSE;
  swarm_call_return (call, NULL);
  return TRUE;
}

static gboolean
take_networks (SwarmWorker *self, SwarmCall *call, GError **error)
{
  if (!self->draining)
    return swarm_worker_picture_take (self->picture, call, error);
  swarm_call_return (call, NULL);
  return TRUE;
}

static gboolean
take_managers (SwarmWorker *self, SwarmCall *call, GError **error)
{
  g_autoptr (GVariant) managers = NULL;
  g_autoptr (GVariant) leader = NULL;

  g_variant_get (call->args, "(@a(ays)@ay)", &managers, &leader);
  swarm_call_return (call, NULL); /* first: the session that it came by may be dropped for it */
  swarm_worker_managers_told (self, managers, leader);
  return TRUE;
}

static gboolean
take_node (SwarmWorker *self, SwarmCall *call, GError **error)
{
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (SwarmNode) node = NULL;

  g_variant_get (call->args, "(@ay)", &value);
  bytes = g_variant_get_data_as_bytes (value);
  node = swarm_message_decode (&swarm_node_type, bytes, error);
  if (node == NULL)
    return FALSE;
  if (!swarm_id_equal (&node->object.id, &self->config.node)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "this is another node's object");
    return FALSE;
  }
  swarm_call_return (call, NULL);
  if (self->config.node_changed != NULL)
    self->config.node_changed (node, self->config.data);
  return TRUE;
}

static gboolean
take_root (SwarmWorker *self, SwarmCall *call, GError **error)
{
  const char *pem;

  g_variant_get (call->args, "(&s)", &pem);
  if (self->config.root_changed != NULL)
    self->config.root_changed (pem, self->config.data);
  swarm_call_return (call, NULL);
  return TRUE;
}

static gboolean
take_read_logs (SwarmWorker *self, SwarmCall *call, GError **error)
{
  if (self->config.read_logs == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "this node gives no logs");
    return FALSE;
  }
  self->config.read_logs (call, self->config.data);
  return TRUE;
}

/* The methods of org.swarmagent1.Worker. A function that answers TRUE has answered the call. */
static const struct {
  const char *member;
  const char *signature;
  gboolean (*take) (SwarmWorker *self, SwarmCall *call, GError **error);
} methods[] = {
  { "Assign", "(aytbaayaay)", take_assign },
  { "Managers", "(a(ays)ay)", take_managers },
  { "Networks", SWARM_PICTURE_SIGNATURE, take_networks },
  { "NodeChanged", "(ay)", take_node },
  { "ReadLogs", "(a{sv})", take_read_logs },
  { "RootCA", "(s)", take_root },
};

void
swarm_worker_handle_call (SwarmWorker *self, SwarmCall *call)
{
  g_autoptr (GError) error = NULL;

  if (strcmp (call->iface, WORKER) != 0) {
    if (self->config.other_call != NULL) {
      self->config.other_call (call, self->config.data);
      return;
    }
    g_set_error (&error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "interface %s is not served here", call->iface);
    swarm_call_fail (call, error);
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (methods); i++) {
    if (strcmp (methods[i].member, call->member) != 0)
      continue;
    if (!g_variant_is_of_type (call->args, G_VARIANT_TYPE (methods[i].signature)))
      g_set_error (&error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s takes %s", call->member, methods[i].signature);
    else if (methods[i].take (self, call, &error))
      return;
    swarm_call_fail (call, error);
    return;
  }
  g_set_error (&error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "no method %s", call->member);
  swarm_call_fail (call, error);
}

/* ---- what others ask ---- */

void
swarm_worker_get_status (SwarmWorker *self, SwarmWorkerStatus *ret)
{
  GHashTableIter iter;
  SwarmWorkerTask *task;

  ret->session = swarm_worker_session_state (self->session);
  ret->tasks = g_hash_table_size (self->tasks);
  ret->running = 0;
  g_hash_table_iter_init (&iter, self->tasks);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &task))
    ret->running += swarm_worker_task_state (task) == SWARM_TASK_RUNNING;
}

GPtrArray *
swarm_worker_list_tasks (SwarmWorker *self)
{
  GPtrArray *list = g_ptr_array_new_with_free_func (swarm_message_unref);
  GHashTableIter iter;
  SwarmWorkerTask *task;

  g_hash_table_iter_init (&iter, self->tasks);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &task))
    g_ptr_array_add (list, swarm_worker_task_view (task));
  return list;
}

SwarmTask *
swarm_worker_find_task (SwarmWorker *self, const SwarmId *id)
{
  SwarmWorkerTask *task = swarm_worker_task_of (self, id);

  return task != NULL ? swarm_worker_task_view (task) : NULL;
}
