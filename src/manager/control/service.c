// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/error.h"
#include "manager/control/networks.h"
#include "manager/control/operation.h"
#include "manager/orchestrator/jobs.h"
#include "model/image.h"
#include "model/rules.h"

#define MAX_SPEC_BYTES (700 * 1024)

/* ---- rules across objects (SWARM_BEHAVIOUR §4.1) ---- */

/* The two ports cannot both be published in the cluster. Host-mode ports of two services can: the scheduler keeps them apart. */
static gboolean
ports_conflict (const SwarmPortConfig *a, const SwarmPortConfig *b)
{
  return a->published_port != 0 && a->published_port == b->published_port && a->protocol == b->protocol
         && (a->publish_mode == SWARM_PUBLISH_INGRESS || b->publish_mode == SWARM_PUBLISH_INGRESS);
}

typedef struct {
  const SwarmServiceSpec *spec;
  const SwarmId *self_id;
  GError **error;
  gboolean ok;
} PortCheck;

static gboolean
check_port (const PortCheck *check, const SwarmPortConfig *port, const SwarmService *other, const GPtrArray *taken)
{
  for (guint i = 0; taken != NULL && i < taken->len; i++) {
    const SwarmPortConfig *theirs = g_ptr_array_index (taken, i);
    if (!ports_conflict (port, theirs))
      continue;
    g_autofree char *id = swarm_id_dup_string (&other->object.id);
    g_set_error (check->error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                 "port '%" G_GUINT64_FORMAT "' is already in use by service '%s' (%s) as %s port", port->published_port,
                 other->spec->name, id, theirs->publish_mode == SWARM_PUBLISH_INGRESS ? "an ingress" : "a host-published");
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_ports_against (gpointer object, gpointer data)
{
  PortCheck *check = data;
  const SwarmService *other = object;
  const GPtrArray *ports = check->spec->endpoint->ports;
  if (check->self_id != NULL && swarm_id_equal (check->self_id, &other->object.id))
    return TRUE;
  for (guint i = 0; check->ok && i < ports->len; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (ports, i);
    check->ok = (other->spec->endpoint == NULL || check_port (check, port, other, other->spec->endpoint->ports))
                && (other->endpoint == NULL || check_port (check, port, other, other->endpoint->ports)); /* numbers that it was given */
  }
  return check->ok;
}

/* A name that nothing answers to would leave the tasks pending. */
static gboolean
check_strategy (SwarmControl *self, const SwarmServiceSpec *spec, GError **error)
{
  const SwarmPlacement *placement = spec->task->placement;
  return self->schedulers == NULL || placement == NULL || swarm_scheduler_set_check (self->schedulers, placement->strategy, error);
}

/* An object with its spec and the one before must fit into a transaction, its tasks into a message to their node. */
static gboolean
check_size (const SwarmServiceSpec *spec, GError **error)
{
  g_autoptr (GBytes) bytes = swarm_message_encode (spec);
  if (g_bytes_get_size (bytes) <= MAX_SPEC_BYTES)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "a service's specification of %" G_GSIZE_FORMAT " bytes, at most %d are allowed",
               g_bytes_get_size (bytes), MAX_SPEC_BYTES);
  return FALSE;
}

gboolean
swarm_control_validate_service (SwarmControl *self, const SwarmServiceSpec *spec, const SwarmId *self_id, GError **error)
{
  if (!swarm_message_validate (spec, error) || !check_size (spec, error) || !check_strategy (self, spec, error))
    return FALSE;
  const SwarmServiceMode *mode = spec->mode;
  if (mode != NULL && mode->replicated == NULL && mode->global == NULL && mode->replicated_job == NULL && mode->global_job == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "Unrecognized service mode");
    return FALSE;
  }
  const SwarmService *other = spec->name != NULL ? swarm_store_get_by_name (self->store, SWARM_KIND_SERVICE, spec->name) : NULL;
  if (other != NULL && (self_id == NULL || !swarm_id_equal (self_id, &other->object.id))) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "name conflicts with an existing object: service %s already exists",
                 spec->name);
    return FALSE;
  }
  if (spec->endpoint == NULL || spec->endpoint->ports == NULL)
    return swarm_control_check_networks (self, spec, error);
  PortCheck check = { spec, self_id, error, TRUE };
  swarm_store_foreach (self->store, SWARM_KIND_SERVICE, check_ports_against, &check);
  return check.ok && swarm_control_check_networks (self, spec, error);
}

static gboolean
is_job_spec (const SwarmServiceSpec *spec)
{
  SwarmServiceKind kind = swarm_service_spec_kind (spec);
  return kind == SWARM_SERVICE_REPLICATED_JOB || kind == SWARM_SERVICE_GLOBAL_JOB;
}

/* A copy with every default that people see, and the image's full name. */
static SwarmServiceSpec *
complete_spec (const SwarmServiceSpec *given, GError **error)
{
  g_autoptr (SwarmServiceSpec) spec = swarm_service_spec_copy (given);
  if (spec->task == NULL || spec->task->container == NULL)
    return g_steal_pointer (&spec); /* validation has the words for it */
  g_autoptr (SwarmTaskSpec) task = swarm_task_spec_copy (spec->task);
  g_autoptr (SwarmContainerSpec) container = swarm_container_spec_copy (task->container);
  if (container->image != NULL && *container->image != '\0') {
    char *image = swarm_image_normalise (container->image, error);
    if (image == NULL)
      return NULL;
    g_free (container->image);
    container->image = image;
  }
  swarm_container_spec_unref (task->container);
  task->container = g_steal_pointer (&container);
  if (task->restart_policy == NULL)
    task->restart_policy = swarm_restart_policy_new ();
  swarm_task_spec_unref (spec->task);
  spec->task = g_steal_pointer (&task);
  if (spec->mode == NULL) {
    spec->mode = swarm_service_mode_new ();
    spec->mode->replicated = swarm_replicated_new ();
  }
  if (!is_job_spec (spec)) {
    spec->update = spec->update != NULL ? spec->update : swarm_update_config_new ();
    spec->rollback = spec->rollback != NULL ? spec->rollback : swarm_update_config_new ();
  }
  return g_steal_pointer (&spec);
}

/* Jobs begin anew with each change of their spec. */
static void
begin_iteration (SwarmControl *self, SwarmService *service)
{
  if (!swarm_service_is_job (service)) {
    g_clear_pointer (&service->job_status, swarm_job_status_unref);
    return;
  }
  SwarmJobStatus *old = service->job_status;
  service->job_status = swarm_job_status_new ();
  service->job_status->iteration = old != NULL ? old->iteration + 1 : 0;
  service->job_status->last_execution = swarm_store_now (self->store);
  swarm_message_unref (old);
}

/* Managers of before there were networks would let its tasks run without any. Nor must those that it needs go before it is there. */
static void
need_networks (SwarmOperation *self, SwarmTx *tx, const SwarmServiceSpec *spec)
{
  if (!swarm_service_spec_is_networked (spec))
    return;
  swarm_tx_need_level (tx, 2);
  swarm_message_set_pointer (&self->named, spec);
}

/* ---- create ---- */

static gboolean
fill_create (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  g_autoptr (SwarmServiceSpec) spec = complete_spec ((SwarmServiceSpec *) self->spec, error);
  if (spec == NULL || !swarm_control_resolve_networks (self->control, spec, error))
    return FALSE;
  if (spec->name == NULL || *spec->name == '\0') {
    g_free (spec->name);
    spec->name = g_strdup_printf ("service-%.10s", swarm_id_string (&self->id).str);
  }
  if (!swarm_control_validate_service (self->control, spec, NULL, error))
    return FALSE;
  g_autoptr (SwarmService) service = swarm_service_new ();
  service->object.id = self->id;
  service->spec = g_steal_pointer (&spec);
  service->spec_version = 1;
  begin_iteration (self->control, service);
  need_networks (self, tx, service->spec);
  swarm_tx_create (tx, service);
  return TRUE;
}

void
swarm_control_create_service (SwarmControl *self, const SwarmServiceSpec *spec, const char *request_id, SwarmControlFunc done,
                              gpointer data)
{
  SwarmId id = swarm_random_id (self->random);
  SwarmOperation *operation = swarm_operation_new (self, fill_create, &id, request_id, done, data);
  operation->spec = swarm_message_ref (spec);
  swarm_operation_run (operation);
}

/* ---- update, scale ---- */

static SwarmService *
find_service (SwarmOperation *self, GError **error)
{
  SwarmService *service = swarm_store_get (self->control->store, SWARM_KIND_SERVICE, &self->id);
  if (service == NULL || service->pending_delete) {
    g_autofree char *id = swarm_id_dup_string (&self->id);
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such service: %s", id);
    return NULL;
  }
  return service;
}

/* An update that says nothing about the registry's credentials keeps those it has. */
static void
keep_credentials (SwarmServiceSpec *spec, const SwarmServiceSpec *old)
{
  SwarmPullOptions *options = old->task->container->pull_options;
  if (options == NULL || spec->task->container->pull_options != NULL)
    return;
  SwarmTaskSpec *task = swarm_task_spec_copy (spec->task);
  SwarmContainerSpec *container = swarm_container_spec_copy (task->container);
  container->pull_options = swarm_pull_options_ref (options);
  swarm_container_spec_unref (task->container);
  task->container = container;
  swarm_task_spec_unref (spec->task);
  spec->task = task;
}

static gboolean
update_is_paused (const SwarmService *service)
{
  const SwarmUpdateStatus *status = service->update_status;
  return status != NULL && (status->state == SWARM_UPDATE_PAUSED || status->state == SWARM_UPDATE_ROLLBACK_PAUSED);
}

/* Puts @spec in place. A change that replaces tasks starts a new version of the service, and so does whatever wakes a paused update: its
 * failures so far count no more. Any change ends what the update's status told; the updater begins anew where tasks are to be replaced.
 * The same spec once more changes nothing else: an update under way goes on, and the way back stays open. */
static void
change_service (SwarmOperation *self, SwarmTx *tx, const SwarmService *service, const SwarmServiceSpec *spec)
{
  g_autoptr (SwarmService) copy = swarm_service_copy (service);
  gboolean same = swarm_message_equal (service->spec, spec);
  if (update_is_paused (service) || swarm_message_differs (service->spec, spec, SWARM_FIELD_REPLACES_TASKS))
    copy->spec_version++;
  if (!same || update_is_paused (service))
    swarm_message_clear_pointer (&copy->update_status);
  if (!same) {
    swarm_message_set_pointer (&copy->previous_spec, service->spec);
    swarm_message_set_pointer (&copy->spec, spec);
    begin_iteration (self->control, copy);
  }
  need_networks (self, tx, spec);
  swarm_tx_update (tx, copy);
}

static gboolean
fill_update (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmService *service = find_service (self, error);
  if (service == NULL)
    return FALSE;
  if (service->object.version != self->version) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE, "update out of sequence");
    return FALSE;
  }
  g_autoptr (SwarmServiceSpec) spec = complete_spec ((SwarmServiceSpec *) self->spec, error);
  if (spec == NULL || !swarm_control_resolve_networks (self->control, spec, error))
    return FALSE;
  if (spec->name == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "meta: name must be provided");
    return FALSE;
  }
  if (g_strcmp0 (spec->name, service->spec->name) != 0) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "renaming services is not supported");
    return FALSE;
  }
  if (swarm_service_spec_kind (spec) != swarm_service_spec_kind (service->spec)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "service mode change is not allowed");
    return FALSE;
  }
  if (!swarm_control_validate_service (self->control, spec, &self->id, error))
    return FALSE;
  keep_credentials (spec, service->spec);
  change_service (self, tx, service, spec);
  return TRUE;
}

void
swarm_control_update_service (SwarmControl *self, const SwarmId *id, guint64 version, const SwarmServiceSpec *spec,
                              const char *request_id, SwarmControlFunc done, gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_update, id, request_id, done, data);
  operation->version = version;
  operation->pinned = TRUE;
  operation->spec = swarm_message_ref (spec);
  swarm_operation_run (operation);
}

/* A copy of @mode with another number; NULL for modes that have none. */
static SwarmServiceMode *
scaled_mode (const SwarmServiceMode *mode, guint64 number)
{
  g_autoptr (SwarmServiceMode) copy = mode != NULL ? swarm_service_mode_copy (mode) : NULL;
  if (copy != NULL && copy->replicated != NULL) {
    g_autoptr (SwarmReplicated) replicated = swarm_replicated_copy (copy->replicated);
    replicated->replicas = number;
    swarm_message_set_pointer (&copy->replicated, replicated);
    return g_steal_pointer (&copy);
  }
  if (copy != NULL && copy->replicated_job != NULL) {
    g_autoptr (SwarmReplicatedJob) job = swarm_replicated_job_copy (copy->replicated_job);
    job->total_completions = number;
    swarm_message_set_pointer (&copy->replicated_job, job);
    return g_steal_pointer (&copy);
  }
  return NULL;
}

static gboolean
fill_scale (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmService *service = find_service (self, error);
  if (service == NULL)
    return FALSE;
  g_autoptr (SwarmServiceMode) mode = scaled_mode (service->spec->mode, self->number);
  if (mode == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "scale can only be used with replicated or replicated-job mode");
    return FALSE;
  }
  if (mode->replicated_job != NULL && self->number == 0) { /* would mean: as many as run at once */
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a job has at least 1 completion");
    return FALSE;
  }
  g_autoptr (SwarmServiceSpec) spec = swarm_service_spec_copy (service->spec);
  swarm_message_set_pointer (&spec->mode, mode);
  if (!swarm_message_validate (spec, error))
    return FALSE;
  change_service (self, tx, service, spec);
  return TRUE;
}

void
swarm_control_scale_service (SwarmControl *self, const SwarmId *id, guint64 replicas, const char *request_id, SwarmControlFunc done,
                             gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_scale, id, request_id, done, data);
  operation->number = replicas;
  swarm_operation_run (operation);
}

/* ---- rollback ---- */

static gboolean
fill_rollback (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmService *service = find_service (self, error);
  if (service == NULL)
    return FALSE;
  if (self->version != 0 && service->object.version != self->version) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE, "update out of sequence");
    return FALSE;
  }
  if (service->previous_spec == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "service %s does not have a previous spec",
                 swarm_id_string (&self->id).str);
    return FALSE;
  }
  /* What was fine then need not be now: another service may have taken its port. */
  if (!swarm_control_validate_service (self->control, service->previous_spec, &self->id, error))
    return FALSE;
  g_autoptr (SwarmService) copy = swarm_service_copy (service);
  swarm_message_set_pointer (&copy->spec, service->previous_spec);
  swarm_message_set_pointer (&copy->previous_spec, service->spec);
  copy->spec_version++;
  swarm_message_clear_pointer (&copy->update_status);
  SwarmServiceKind kind = swarm_service_spec_kind (copy->spec);
  if (kind == SWARM_SERVICE_REPLICATED || kind == SWARM_SERVICE_GLOBAL) { /* jobs begin anew, nothing is rolled */
    copy->update_status = swarm_update_status_new ();
    copy->update_status->state = SWARM_UPDATE_ROLLBACK_STARTED;
    copy->update_status->started_at = swarm_store_now (self->control->store);
    swarm_string_set (&copy->update_status->text, "manually requested rollback");
  }
  need_networks (self, tx, copy->spec);
  swarm_tx_update (tx, copy);
  return TRUE;
}

void
swarm_control_rollback_service (SwarmControl *self, const SwarmId *id, guint64 version, const char *request_id, SwarmControlFunc done,
                                gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_rollback, id, request_id, done, data);
  operation->version = version;
  operation->pinned = version != 0;
  swarm_operation_run (operation);
}

/* ---- rebalance ---- */

/* What was planned takes a while at times. */
static gboolean
may_move (const SwarmTask *task, const SwarmMove *move)
{
  return task != NULL && task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING
         && swarm_id_equal (&task->node_id, &move->from) && swarm_id_is_nil (&task->move_to);
}

static gboolean
fill_rebalance (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  guint n = 0;
  if (find_service (self, error) == NULL)
    return FALSE;
  for (guint i = 0; i < self->moves->len && swarm_tx_has_room (tx, 1); i++) {
    const SwarmMove *move = &g_array_index (self->moves, SwarmMove, i);
    const SwarmTask *there = swarm_store_get (self->control->store, SWARM_KIND_TASK, &move->task);
    if (!may_move (there, move))
      continue;
    g_autoptr (SwarmTask) task = swarm_task_copy (there);
    task->move_to = move->to;
    swarm_tx_update (tx, task);
    n++;
  }
  g_free (self->text);
  self->text = g_strdup_printf ("%u", n);
  return TRUE;
}

static void
rebalance_planned (GArray *moves, const GError *error, gpointer data)
{
  SwarmOperation *operation = data;
  if (error != NULL) {
    swarm_operation_fail (operation, g_error_copy (error));
    return;
  }
  operation->moves = g_array_ref (moves);
  swarm_operation_run (operation);
}

void
swarm_control_plan_rebalance (SwarmControl *self, const SwarmService *service, guint max_moves, SwarmRebalanceDone done, gpointer data)
{
  if (self->rebalance != NULL) {
    g_autoptr (GError) busy = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "another rebalance is being planned, try again in a moment");
    done (NULL, busy, data);
    return;
  }
  swarm_rebalance_plan (&self->rebalance, self->store, self->clock, service, max_moves, done, data);
}

void
swarm_control_rebalance_service (SwarmControl *self, const SwarmId *id, guint max_moves, const char *request_id, SwarmControlFunc done,
                                 gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_rebalance, id, request_id, done, data);
  GError *error = NULL;
  if (swarm_store_has_request (self->store, operation->request_id)) {
    swarm_operation_run (operation); /* it is answered as it was */
    return;
  }
  const SwarmService *service = find_service (operation, &error);
  if (service != NULL)
    swarm_control_plan_rebalance (self, service, max_moves, rebalance_planned, operation);
  else
    swarm_operation_fail (operation, error);
}

/* ---- remove ---- */

static gboolean
fill_remove (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmService *service = find_service (self, error);
  if (service == NULL)
    return FALSE;
  swarm_tx_remove (tx, SWARM_KIND_SERVICE, &self->id, 0);
  return TRUE;
}

void
swarm_control_remove_service (SwarmControl *self, const SwarmId *id, const char *request_id, SwarmControlFunc done, gpointer data)
{
  swarm_operation_run (swarm_operation_new (self, fill_remove, id, request_id, done, data));
}

void
swarm_control_service_status (SwarmControl *self, const SwarmService *service, SwarmServiceStatus *ret)
{
  SwarmServiceKind kind = swarm_service_spec_kind (service->spec);
  guint64 wanted = 0;
  *ret = (SwarmServiceStatus){ .completed = swarm_counts_completed (self->counts, service) };
  swarm_counts_get (self->counts, &service->object.id, &ret->running, &wanted);
  if (kind == SWARM_SERVICE_REPLICATED_JOB) {
    const SwarmReplicatedJob *job = service->spec->mode->replicated_job;
    guint64 total = swarm_job_total (job);
    ret->desired = MIN (swarm_job_concurrent (job), total - MIN (ret->completed, total));
  } else {
    ret->desired = kind == SWARM_SERVICE_REPLICATED ? swarm_service_spec_replicas (service->spec) : wanted;
  }
}
