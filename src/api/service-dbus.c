// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/private.h"
#include "base/error.h"
#include "model/image.h"

/* ---- create and update: parse, find the image's digest, hand over ---- */

/* A create or update that waits for its image. */
typedef struct {
  SwarmApi *api;
  SwarmInvocation *invocation;
  SwarmServiceSpec *spec;
  SwarmId id; /* nil: create */
  guint64 version;
  char *request_id;
  char *warning;
  gboolean plan; /* nothing is written: what would happen? */
} PendingWrite;

static void
pending_free (PendingWrite *pending)
{
  swarm_service_spec_unref (pending->spec);
  g_free (pending->request_id);
  g_free (pending->warning);
  g_free (pending);
}

static void
written (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  PendingWrite *pending = data;
  const char *about_spec = swarm_service_spec_warning (pending->spec);
  const char *warnings[] = { pending->warning != NULL ? pending->warning : about_spec, pending->warning != NULL ? about_spec : NULL, NULL };
  if (error != NULL)
    swarm_invocation_fail (pending->invocation, error);
  else if (swarm_id_is_nil (&pending->id))
    swarm_invocation_return (pending->invocation, g_variant_new ("(s^as)", swarm_id_string (&reply->id).str, warnings));
  else
    swarm_invocation_return (pending->invocation, g_variant_new ("(^as)", warnings));
  pending_free (pending);
}

static void
hand_over (PendingWrite *pending)
{
  if (pending->api->manager == NULL) {
    g_autoptr (GError) error = swarm_api_not_manager_error (pending->api);
    written (NULL, error, pending);
    return;
  }
  SwarmControl *control = swarm_manager_control (pending->api->manager);
  if (pending->plan) {
    SwarmPlanRequest request = { .kind = SWARM_PLAN_SERVICE, .spec = pending->spec };
    swarm_api_plan (pending->api, pending->invocation, &request);
    pending_free (pending);
    return;
  }
  if (swarm_id_is_nil (&pending->id))
    swarm_control_create_service (control, pending->spec, pending->request_id, written, pending);
  else
    swarm_control_update_service (control, &pending->id, pending->version, pending->spec, pending->request_id, written, pending);
}

/* The spec with another image: nested messages are shared, so the path to it is copied. */
static void
replace_image (SwarmServiceSpec *spec, const char *image)
{
  SwarmTaskSpec *task = swarm_task_spec_copy (spec->task);
  SwarmContainerSpec *container = swarm_container_spec_copy (task->container);
  g_free (container->image);
  container->image = g_strdup (image);
  swarm_container_spec_unref (task->container);
  task->container = container;
  swarm_task_spec_unref (spec->task);
  spec->task = task;
}

static void
image_resolved (const char *image, const char *warning, gpointer data)
{
  PendingWrite *pending = data;
  replace_image (pending->spec, image);
  pending->warning = g_strdup (warning);
  hand_over (pending);
}

static void
add_registry_auth (SwarmServiceSpec *spec, const char *auth)
{
  SwarmTaskSpec *task = swarm_task_spec_copy (spec->task);
  SwarmContainerSpec *container = swarm_container_spec_copy (task->container);
  SwarmPullOptions *pull = swarm_pull_options_new ();
  pull->registry_auth = g_strdup (auth);
  swarm_pull_options_unref (container->pull_options);
  container->pull_options = pull;
  swarm_container_spec_unref (task->container);
  task->container = container;
  swarm_task_spec_unref (spec->task);
  spec->task = task;
}

static const char *
request_id_of (SwarmInvocation *invocation, GVariant *options)
{
  const char *request_id = NULL;
  if (!g_variant_lookup (options, "RequestId", "&s", &request_id))
    request_id = swarm_invocation_caller (invocation)->request_id;
  return request_id;
}

/* Before a registry is asked, or when nothing will be written; a write itself is judged by control in any case. A repeat is not judged by the cluster
 * that it has changed itself. */
static gboolean
judge_spec (SwarmApi *self, SwarmInvocation *invocation, const SwarmServiceSpec *spec, GVariant *options, const SwarmId *id, GError **error)
{
  if (swarm_store_has_request (self->store, request_id_of (invocation, options)))
    return TRUE;
  return swarm_control_validate_service (swarm_manager_control (self->manager), spec, id, error);
}

/* What create and update have in common; consumes nothing. NULL after having answered. */
static SwarmServiceSpec *
parse_spec (SwarmInvocation *invocation, GVariant *dict, GVariant *options, const char **auth)
{
  static const char *const allowed[] = { "RequestId:s", "RegistryAuth:s", "NoResolveImage:b", "Rollback:s", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmServiceSpec) spec = NULL;
  if (!swarm_api_check_options (options, allowed, &error)
      || (spec = swarm_message_from_variant (&swarm_service_spec_type, dict, SWARM_FORM_FROM_USER, &error)) == NULL) {
    swarm_invocation_fail (invocation, error);
    return NULL;
  }
  *auth = NULL;
  if (g_variant_lookup (options, "RegistryAuth", "&s", auth) && **auth != '\0')
    add_registry_auth (spec, *auth);
  return g_steal_pointer (&spec);
}

/* As docker: an update without credentials keeps those of before. */
static void
keep_registry_auth (SwarmServiceSpec *spec, const SwarmService *old)
{
  const SwarmPullOptions *pull = old->spec->task->container->pull_options;
  if (pull != NULL && pull->registry_auth != NULL && *pull->registry_auth != '\0')
    add_registry_auth (spec, pull->registry_auth);
}

static void
write_spec (SwarmInvocation *invocation, const SwarmService *old, guint64 version, GVariant *dict, GVariant *options, gboolean plan)
{
  SwarmApi *self = swarm_api_of (invocation);
  const char *auth = NULL;
  gboolean no_resolve = FALSE;
  g_autoptr (GError) error = NULL;
  SwarmServiceSpec *spec = parse_spec (invocation, dict, options, &auth);
  if (spec == NULL)
    return;
  if (old != NULL && (auth == NULL || *auth == '\0'))
    keep_registry_auth (spec, old);
  PendingWrite *pending = g_new0 (PendingWrite, 1);
  pending->api = self;
  pending->invocation = invocation;
  pending->spec = spec;
  pending->version = version;
  pending->plan = plan;
  pending->request_id = g_strdup (request_id_of (invocation, options));
  if (old != NULL)
    pending->id = old->object.id;
  g_variant_lookup (options, "NoResolveImage", "b", &no_resolve);
  g_autofree char *image = swarm_image_normalise (spec->task->container->image, NULL);
  gboolean unchanged = old != NULL && g_strcmp0 (old->spec->task->container->image, spec->task->container->image) == 0;
  gboolean resolve = !no_resolve && !unchanged && image != NULL && !swarm_image_has_digest (image);
  if ((resolve || plan) && !judge_spec (self, invocation, spec, options, old != NULL ? &old->object.id : NULL, &error))
    written (NULL, error, pending);
  else if (resolve)
    self->hooks->resolve_image (self->agent, image, auth, image_resolved, pending);
  else
    hand_over (pending);
}

void
swarm_api_create_service (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  g_autoptr (GVariant) spec = NULL, options = NULL;
  if (!swarm_api_need_manager (swarm_api_of (invocation), invocation))
    return;
  g_variant_get (args, "(@a{sv}@a{sv})", &spec, &options);
  write_spec (invocation, NULL, 0, spec, options, FALSE);
}

void
swarm_api_plan_service (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  g_autoptr (GVariant) spec = NULL, options = NULL;
  const char *name = NULL;
  if (!swarm_api_need_manager (self, invocation))
    return;
  g_variant_get (args, "(@a{sv}@a{sv})", &spec, &options);
  g_variant_lookup (spec, "Name", "&s", &name);
  write_spec (invocation, name != NULL ? swarm_store_get_by_name (self->store, SWARM_KIND_SERVICE, name) : NULL, 0, spec, options, TRUE);
}

static void
rolled_back_as_update (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  const char *none[] = { NULL };
  if (error != NULL)
    swarm_invocation_fail (data, error);
  else
    swarm_invocation_return (data, g_variant_new ("(^as)", none));
}

/* Update with Rollback "previous": the spec that comes with it does not count, as in the Engine API. */
static void
update_to_previous (SwarmInvocation *invocation, const SwarmService *service, guint64 version, const char *to, GVariant *options)
{
  SwarmApi *self = swarm_api_of (invocation);
  g_autoptr (GError) error = NULL;
  if (g_str_equal (to, "previous")) {
    swarm_control_rollback_service (swarm_manager_control (self->manager), &service->object.id, version,
                                    request_id_of (invocation, options), rolled_back_as_update, invocation);
    return;
  }
  error = g_error_new (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unrecognized rollback option %s", to);
  swarm_invocation_fail (invocation, error);
}

static void
service_update (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  guint64 version;
  const char *rollback = NULL;
  g_autoptr (GVariant) spec = NULL, options = NULL;
  g_variant_get (args, "(t@a{sv}@a{sv})", &version, &spec, &options);
  if (g_variant_lookup (options, "Rollback", "&s", &rollback) && *rollback != '\0')
    update_to_previous (invocation, object, version, rollback, options);
  else
    write_spec (invocation, object, version, spec, options, FALSE);
}

static void
service_rollback (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  swarm_control_rollback_service (swarm_manager_control (self->manager), &SWARM_OBJECT (object)->id, 0,
                                  swarm_invocation_caller (invocation)->request_id, swarm_api_done, invocation);
}

/* ---- the rest ---- */

static void
service_inspect (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  swarm_invocation_return (invocation, g_variant_new ("(@a{sv})", swarm_api_service_variant (self, object)));
}

static void
service_scale (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  guint64 replicas;
  g_variant_get (args, "(t)", &replicas);
  swarm_control_scale_service (swarm_manager_control (self->manager), &SWARM_OBJECT (object)->id, replicas,
                               swarm_invocation_caller (invocation)->request_id, swarm_api_done, invocation);
}

/* The most moves that the options allow; 0: no limit. */
static gboolean
rebalance_options (SwarmInvocation *invocation, GVariant *args, guint *max)
{
  static const char *const allowed[] = { "MaxMoves:t", NULL };
  g_autoptr (GVariant) options = g_variant_get_child_value (args, 0);
  g_autoptr (GError) error = NULL;
  guint64 given = 0;
  if (!swarm_api_check_options (options, allowed, &error)) {
    swarm_invocation_fail (invocation, error);
    return FALSE;
  }
  g_variant_lookup (options, "MaxMoves", "t", &given);
  *max = (guint) MIN (given, G_MAXUINT);
  return TRUE;
}

static void
rebalanced (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  if (error != NULL)
    swarm_invocation_fail (data, error);
  else
    swarm_invocation_return (data, g_variant_new ("(u)", (guint) g_ascii_strtoull (reply->text, NULL, 10)));
}

static void
service_rebalance (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  guint max;
  if (rebalance_options (invocation, args, &max))
    swarm_control_rebalance_service (swarm_manager_control (swarm_api_of (invocation)->manager), &SWARM_OBJECT (object)->id, max,
                                     swarm_invocation_caller (invocation)->request_id, rebalanced, invocation);
}

static void
service_plan_rebalance (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  guint max;
  if (rebalance_options (invocation, args, &max))
    swarm_api_plan_rebalance (swarm_api_of (invocation), invocation, object, max);
}

static void
service_remove (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  swarm_control_remove_service (swarm_manager_control (self->manager), &SWARM_OBJECT (object)->id,
                                swarm_invocation_caller (invocation)->request_id, swarm_api_done, invocation);
}

static void
service_open_logs (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  static const char *const allowed[] = { "follow:b", "tail:u", "since:t", "task:s", NULL };
  SwarmApi *self = swarm_api_of (invocation);
  g_autoptr (GVariant) options = g_variant_get_child_value (args, 0);
  g_autoptr (GError) error = NULL;
  if (swarm_api_check_options (options, allowed, &error))
    self->hooks->open_logs (self->agent, object, options, invocation);
  else
    swarm_invocation_fail (invocation, error);
}

static void
service_read_logs (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  const char *cursor;
  guint max;
  g_variant_get (args, "(&su)", &cursor, &max);
  self->hooks->read_logs (self->agent, object, cursor, max, invocation);
}

static void
service_details (gpointer object, GVariant *args, GHashTable *details)
{
  g_hash_table_replace (details, g_strdup ("service"), g_strdup (swarm_object_name (object)));
  g_hash_table_replace (details, g_strdup ("service-id"), swarm_id_dup_string (&SWARM_OBJECT (object)->id));
}

static SwarmServiceStatus
counts_of (SwarmApi *self, gpointer service)
{
  SwarmServiceStatus status;
  swarm_control_service_status (swarm_manager_control (self->manager), service, &status);
  return status;
}

static GVariant *
get_id (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_id_string (&SWARM_OBJECT (object)->id).str);
}

static GVariant *
get_name (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_object_name (object));
}

static GVariant *
get_mode (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_service_kind_to_string (swarm_service_spec_kind (((SwarmService *) object)->spec)));
}

static GVariant *
get_image (gpointer object, gpointer data)
{
  const SwarmService *service = object;
  g_autofree char *image = swarm_image_familiar (service->spec->task->container->image, TRUE);
  return g_variant_new_string (image);
}

static GVariant *
get_replicas (gpointer object, gpointer data)
{
  return g_variant_new_uint64 (counts_of (data, object).desired);
}

static GVariant *
get_running (gpointer object, gpointer data)
{
  return g_variant_new_uint64 (counts_of (data, object).running);
}

static GVariant *
get_completed (gpointer object, gpointer data)
{
  return g_variant_new_uint64 (counts_of (data, object).completed);
}

static GVariant *
get_update_state (gpointer object, gpointer data)
{
  const SwarmUpdateStatus *status = ((SwarmService *) object)->update_status;
  return g_variant_new_string (status != NULL ? swarm_update_state_to_string (status->state) : "");
}

static GVariant *
get_update_message (gpointer object, gpointer data)
{
  const SwarmUpdateStatus *status = ((SwarmService *) object)->update_status;
  return g_variant_new_string (status != NULL && status->text != NULL ? status->text : "");
}

static const SwarmBusMethod service_methods[] = {
  { "Inspect", NULL, "a{sv}:service", service_inspect, SWARM_ACTION_READ, SWARM_ROLES_MANAGER, .details = service_details,
    .doc = "The whole service in the shape of the Engine API." },
  { "Update", "t:version a{sv}:spec a{sv}:options", "as:warnings", service_update, SWARM_ACTION_MANAGE_SERVICES, SWARM_ROLES_MANAGER,
    SWARM_METHOD_WRITE | SWARM_METHOD_SENSITIVE_ARGS, service_details,
    "Replaces the spec; version is Version.Index as Inspect gave it: a stale one is OutOfSequence. Options as CreateService, and Rollback s: "
    "\"previous\" goes back to the spec before instead." },
  { "Rollback", NULL, NULL, service_rollback, SWARM_ACTION_MANAGE_SERVICES, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE, service_details,
    "Goes back to the spec before; once more comes back to this one." },
  { "Scale", "t:replicas", NULL, service_scale, SWARM_ACTION_MANAGE_SERVICES, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE, service_details,
    "Sets the number of replicas, or of a replicated job's completions; the other modes have none." },
  { "Rebalance", "a{sv}:options", "u:moves", service_rebalance, SWARM_ACTION_MANAGE_SERVICES, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE,
    service_details, "Evens out the tasks of a replicated service over the nodes; nothing moves by itself. Options: MaxMoves t (0: no limit)." },
  { "PlanRebalance", "a{sv}:options", "aa{sv}:steps b:truncated", service_plan_rebalance, SWARM_ACTION_READ, SWARM_ROLES_MANAGER, 0,
    service_details, "What Rebalance would move; nothing is written. Steps as Manager.PlanService gives them." },
  { "Remove", NULL, NULL, service_remove, SWARM_ACTION_MANAGE_SERVICES, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE, service_details,
    "Removes the service; its tasks are stopped and cleaned up in the background." },
  { "OpenLogs", "a{sv}:options", "h:stream", service_open_logs, SWARM_ACTION_READ, SWARM_ROLES_BUS_ONLY, SWARM_METHOD_LOCAL, service_details,
    "A pipe from which the logs of all tasks on all nodes are read, a line each: microseconds, task id, node, stream (1 or 2), "
    "service.slot, text, separated by spaces. Options: follow b, tail u (lines per task), since t (microseconds), task s (id)." },
  { "ReadLogs", "s:cursor u:max", "aa{sv}:lines s:next", service_read_logs, SWARM_ACTION_READ, SWARM_ROLES_MANAGER,
    .details = service_details,
    .doc = "Log lines for connections that carry no descriptors: cursor is empty at first, then what next gave." },
  { NULL },
};

static const SwarmBusProperty service_properties[] = {
  { "ID", "s", get_id, TRUE, "The service's id, 25 characters." },
  { "Name", "s", get_name, FALSE, "Its name." },
  { "Mode", "s", get_mode, FALSE, "replicated, global, replicated-job or global-job." },
  { "Image", "s", get_image, FALSE, "The image, without digest." },
  { "Replicas", "t", get_replicas, FALSE, "How many tasks should run." },
  { "RunningTasks", "t", get_running, FALSE, "How many tasks run." },
  { "CompletedTasks", "t", get_completed, FALSE, "How many tasks of a job have ended well." },
  { "UpdateState", "s", get_update_state, FALSE,
    "updating, paused, completed, rollback_started, rollback_paused or rollback_completed; empty: never updated." },
  { "UpdateMessage", "s", get_update_message, FALSE, "What there is to say about the last update or rollback." },
  { NULL },
};

const SwarmBusInterface swarm_api_service_interface = {
  "org.swarmagent1.Service", service_methods, service_properties, NULL, "A service that the cluster keeps true.",
};
