// SPDX-License-Identifier: LGPL-2.1-or-later
#include "brain-fixture.h"
#include "base/error.h"
#include "ca/authority.h"
#include "sim/sim-wire.h"
#include <string.h>

extern const SwarmPluginDescriptor swarm_plugin_builtin_scheduler_spread, swarm_plugin_builtin_scheduler_binpack,
  swarm_plugin_builtin_scheduler_random;

static GArray *
list_members (gpointer data)
{
  Brain *self = data;
  GArray *copy = g_array_new (FALSE, FALSE, sizeof (SwarmMember));
  g_array_append_vals (copy, self->members->data, self->members->len);
  return copy;
}

typedef struct {
  SwarmMembersDone done;
  gpointer data;
} Later;

static void
later_ok (gpointer data)
{
  g_autofree Later *later = data;
  later->done (NULL, later->data);
}

static void
later_slow (gpointer data)
{
  g_autofree Later *later = data;
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "the new manager did not catch up in time");
  later->done (error, later->data);
}

static void
answer_later (Brain *self, SwarmMembersDone done, gpointer data)
{
  Later *later = g_new0 (Later, 1);
  *later = (Later){ done, data };
  swarm_clock_timer (self->clock, 5 * MS, SWARM_PRIORITY_NORMAL, later_ok, later);
}

static void
promote_member (const SwarmId *node, SwarmMembersDone done, gpointer done_data, gpointer data)
{
  Brain *self = data;
  self->promotions++;
  if (swarm_id_equal (node, &self->slow_member)) {
    Later *later = g_new0 (Later, 1);
    *later = (Later){ done, done_data };
    swarm_clock_timer (self->clock, 5 * MS, SWARM_PRIORITY_NORMAL, later_slow, later);
    return;
  }
  for (guint i = 0; i < self->members->len; i++) {
    SwarmMember *member = &g_array_index (self->members, SwarmMember, i);
    member->voter |= swarm_id_equal (&member->node, node);
  }
  answer_later (self, done, done_data);
}

static void
remove_member (const SwarmId *node, SwarmMembersDone done, gpointer done_data, gpointer data)
{
  Brain *self = data;
  self->removed_member = *node;
  for (guint i = 0; i < self->members->len; i++) {
    if (swarm_id_equal (&g_array_index (self->members, SwarmMember, i).node, node))
      g_array_remove_index (self->members, i--);
  }
  answer_later (self, done, done_data);
}

static void
transfer (SwarmMembersDone done, gpointer done_data, gpointer data)
{
  Brain *self = data;
  self->transfers++;
  answer_later (self, done, done_data);
}

static void
brain_begin (Brain *self)
{
  self->store = swarm_store_new (self->clock, &self->random.iface, sim_log_propose, self->log);
  sim_log_attach (self->log, self->store);
  SwarmManagerConfig config = {
    .store = self->store,
    .clock = self->manager_clock,
    .random = &self->random.iface,
    .crypto = &self->crypto.iface,
    .signer = self->signer,
    .members = { list_members, promote_member, remove_member, transfer, self },
    .schedulers = self->schedulers,
  };
  self->manager = swarm_manager_new (&config);
}

static void
cluster_made (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

static void
brain_init_cluster (Brain *self)
{
  g_autofree char *cert = NULL;
  g_autoptr (GBytes) key = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) hex = g_string_new (NULL);
  SwarmInitCluster init = { .cluster = self->cluster, .node = swarm_random_id (&self->random.iface) };
  gboolean ok = self->crypto.iface.create_root (&self->crypto.iface, swarm_clock_now (self->clock), &cert, &key, &error)
                && self->crypto.iface.root_digest (&self->crypto.iface, cert, init.root_digest_bytes, &error);
  g_assert_no_error (error);
  g_assert_true (ok);
  for (guint i = 0; i < 32; i++)
    g_string_append_printf (hex, "%02x", init.root_digest_bytes[i]);
  init.root_cert_pem = cert;
  init.root_key_pem = key;
  init.root_digest = hex->str;
  init.cert_serial = "1";
  init.availability = SWARM_AVAILABILITY_DRAIN; /* the founder takes no tasks here: tests count on their own nodes */
  swarm_control_init_cluster (swarm_manager_control (self->manager), &init, NULL, cluster_made, NULL);
  brain_run (self, 10 * MS);
  g_assert_nonnull (swarm_store_cluster (self->store));
}

static void
add_schedulers (Brain *self)
{
  static const SwarmPluginDescriptor *const descriptors[] = { &swarm_plugin_builtin_scheduler_spread, &swarm_plugin_builtin_scheduler_binpack,
                                                              &swarm_plugin_builtin_scheduler_random };
  SwarmPluginHostConfig config = { .clock = self->clock, .random = &self->random.iface };
  self->schedulers = swarm_scheduler_set_new ();
  for (guint i = 0; i < G_N_ELEMENTS (descriptors); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (SwarmPlugin) plugin = swarm_plugin_from_descriptor (descriptors[i], SWARM_PLUGIN_SCHEDULER, &error);
    g_assert_no_error (error);
    g_assert_true (swarm_scheduler_set_add (self->schedulers, plugin, &config, &error));
  }
}

Brain *
brain_new (void)
{
  Brain *self = g_new0 (Brain, 1);
  g_autoptr (GError) error = NULL;
  self->sim = sim_clock_new (1700000000 * SECOND);
  self->clock = sim_clock_iface (self->sim);
  self->manager_clock = sim_clock_view (self->sim, 0);
  sim_random_init (&self->random, 1);
  sim_crypto_init (&self->crypto, &self->random);
  self->log = sim_log_new (self->sim, 1 * MS);
  self->cluster = swarm_random_id (&self->random.iface);
  self->nodes = g_ptr_array_new ();
  self->members = g_array_new (FALSE, FALSE, sizeof (SwarmMember));
  add_schedulers (self);
  brain_begin (self);
  swarm_manager_lead (self->manager, TRUE);
  brain_init_cluster (self);
  return self;
}

static void
tame_drop (Tame *self)
{
  swarm_clock_clear_timer (self->brain->clock, &self->beat);
  if (self->near != NULL) {
    swarm_link_set_events (self->near, NULL, NULL);
    swarm_link_set_events (self->far, NULL, NULL);
    swarm_link_close (self->near, NULL);
  }
  g_clear_pointer (&self->near, swarm_link_unref);
  g_clear_pointer (&self->far, swarm_link_unref);
  g_clear_pointer (&self->session, g_bytes_unref);
  g_clear_pointer (&self->stash, g_hash_table_unref);
}

static void
tame_free (Tame *self)
{
  tame_drop (self);
  g_hash_table_unref (self->tasks);
  g_clear_error (&self->register_error);
  g_clear_error (&self->describe_error);
  g_clear_pointer (&self->keys, g_ptr_array_unref);
  g_clear_pointer (&self->managers, g_variant_unref);
  g_free (self->hostname);
  g_free (self);
}

void
brain_free (Brain *self)
{
  swarm_manager_free (self->manager);
  for (guint i = 0; i < self->nodes->len; i++)
    tame_free (g_ptr_array_index (self->nodes, i));
  g_ptr_array_unref (self->nodes);
  sim_clock_run (self->sim, SECOND);
  sim_log_attach (self->log, NULL);
  swarm_store_free (self->store);
  swarm_scheduler_set_free (self->schedulers);
  g_array_unref (self->members);
  sim_log_free (self->log);
  sim_clock_free (self->sim);
  g_free (self);
}

void
brain_run (Brain *self, gint64 us)
{
  sim_clock_run (self->sim, us);
}

void
brain_restart (Brain *self)
{
  for (guint i = 0; i < self->nodes->len; i++)
    tame_drop (g_ptr_array_index (self->nodes, i));
  swarm_manager_free (self->manager);
  sim_log_attach (self->log, NULL);
  swarm_store_free (self->store);
  brain_begin (self);
  swarm_manager_lead (self->manager, TRUE);
}

/* ---- nodes ---- */

static void
node_made (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

Tame *
brain_offline_node (Brain *self, const char *hostname)
{
  Tame *tame = g_new0 (Tame, 1);
  g_autoptr (SwarmNode) node = swarm_node_new ();
  tame->brain = self;
  tame->id = swarm_random_id (&self->random.iface);
  tame->hostname = g_strdup (hostname);
  tame->tasks = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, (GDestroyNotify) swarm_task_unref);
  node->object.id = tame->id;
  node->spec = swarm_node_spec_new ();
  node->cert_serial = g_strdup ("7");
  swarm_node_set_state (node, SWARM_NODE_UNKNOWN, "");
  SwarmTx *tx = swarm_store_tx (self->store);
  swarm_tx_create (tx, node);
  swarm_tx_commit (tx, NULL, node_made, NULL);
  g_ptr_array_add (self->nodes, tame);
  brain_run (self, 10 * MS);
  return tame;
}

Tame *
brain_node (Brain *self, const char *hostname)
{
  Tame *tame = brain_offline_node (self, hostname);
  tame_connect (tame);
  brain_run (self, 20 * MS);
  g_assert_cmpint (tame_node (tame)->status->state, ==, SWARM_NODE_READY);
  return tame;
}

const SwarmNode *
tame_node (Tame *self)
{
  return swarm_store_get (self->brain->store, SWARM_KIND_NODE, &self->id);
}

static GVariant *
session_variant (Tame *self)
{
  return g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, self->session, TRUE);
}

static void beat (gpointer data);

static void
beaten (GVariant *reply, const GError *error, gpointer data)
{
  Tame *self = data;
  gint64 period;
  if (error != NULL || self->beat != NULL || self->session == NULL)
    return;
  g_variant_get (reply, "(x)", &period);
  self->beat = swarm_clock_timer (self->brain->clock, period / 1000, SWARM_PRIORITY_URGENT, beat, self);
}

static void
beat (gpointer data)
{
  Tame *self = data;
  self->beat = NULL;
  self->told_clock = self->tells_clock && !(self->slow_beats && self->told_clock);
  gint64 time = self->told_clock ? swarm_clock_now (self->brain->clock) + self->clock_offset : 0;
  if (self->near != NULL && !self->mute)
    swarm_link_call (self->near, "org.swarmagent1.Dispatcher", "Heartbeat", g_variant_new ("(@ayx)", session_variant (self), time), SECOND, beaten,
                     self);
}

void
tame_speak (Tame *self)
{
  self->mute = FALSE;
  swarm_clock_clear_timer (self->brain->clock, &self->beat);
  beat (self);
}

static void
reported (GVariant *reply, const GError *error, gpointer data)
{
}

void
tame_report (Tame *self, const SwarmId *task, SwarmTaskState state, const char *err)
{
  g_autoptr (SwarmTaskStatus) status = swarm_task_status_new ();
  GVariantBuilder updates;
  if (self->session == NULL)
    return;
  status->state = state;
  status->timestamp = swarm_clock_now (self->brain->clock);
  status->text = g_strdup (swarm_task_state_to_string (state));
  status->err = g_strdup (err);
  g_autoptr (GBytes) data = swarm_message_encode (status);
  g_variant_builder_init (&updates, G_VARIANT_TYPE ("a(ayay)"));
  g_variant_builder_add (&updates, "(@ay@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, task->bytes, 16, 1),
                         g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, data, TRUE));
  swarm_link_call (self->near, "org.swarmagent1.Dispatcher", "UpdateTaskStatus",
                   g_variant_new ("(@aya(ayay))", session_variant (self), &updates), SECOND, reported, self);
}

/* Does at once what is wanted of a task. */
static void
tame_obey (Tame *self, const SwarmTask *task)
{
  if (self->lazy)
    return;
  if (task->desired_state > SWARM_TASK_COMPLETE) {
    if (!self->stubborn)
      tame_report (self, &task->object.id, SWARM_TASK_SHUTDOWN, NULL);
  } else if (self->bad_image != NULL && strstr (task->spec->container->image, self->bad_image) != NULL) {
    if (task->desired_state == SWARM_TASK_RUNNING)
      tame_report (self, &task->object.id, SWARM_TASK_FAILED, "task: non-zero exit (1)");
  } else if (self->rejects) {
    tame_report (self, &task->object.id, SWARM_TASK_REJECTED, "No such image: nginx:latest");
  } else {
    tame_report (self, &task->object.id, MIN (task->desired_state, SWARM_TASK_RUNNING), NULL); /* a job's task runs until the test ends it */
  }
}

static void
take_tasks (Tame *self, GHashTable *set, GVariant *list)
{
  for (gsize i = 0; i < g_variant_n_children (list); i++) {
    g_autoptr (GVariant) item = g_variant_get_child_value (list, i);
    g_autoptr (GBytes) data = g_variant_get_data_as_bytes (item);
    g_autoptr (GError) error = NULL;
    SwarmTask *task = swarm_message_decode (&swarm_task_type, data, &error);
    g_assert_no_error (error);
    g_assert_cmpmem (task->node_id.bytes, 16, self->id.bytes, 16);
    g_hash_table_replace (set, &task->object.id, task);
    tame_obey (self, task);
  }
}

static void
tame_assign (Tame *self, SwarmCall *call)
{
  guint64 sequence;
  gboolean full;
  g_autoptr (GVariant) session = NULL, tasks = NULL, removed = NULL;
  g_variant_get (call->args, "(@aytb@aay@aay)", &session, &sequence, &full, &tasks, &removed);
  self->assigns++;
  if (self->refuses) {
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "no");
    swarm_call_fail (call, error);
    return;
  }
  g_assert_true (full ? sequence <= 1 : sequence == self->sequence + 1);
  self->sequence = sequence;
  if (full) {
    if (self->stash == NULL)
      self->stash = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, (GDestroyNotify) swarm_task_unref);
    take_tasks (self, self->stash, tasks);
    self->parts += sequence == 0;
    if (sequence == 1) {
      self->fulls++;
      g_hash_table_unref (self->tasks);
      self->tasks = g_steal_pointer (&self->stash);
    }
  } else {
    take_tasks (self, self->tasks, tasks);
  }
  for (gsize i = 0; i < g_variant_n_children (removed); i++) {
    g_autoptr (GVariant) item = g_variant_get_child_value (removed, i);
    gsize len;
    g_hash_table_remove (self->tasks, g_variant_get_fixed_array (item, &len, 1));
  }
  swarm_call_return (call, NULL);
}

static void
tame_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  Tame *self = data;
  if (g_str_equal (call->member, "Assign")) {
    tame_assign (self, call);
    return;
  }
  if (g_str_equal (call->member, "Networks") && self->networks != NULL) {
    self->networks (self, call);
    return;
  }
  if (g_str_equal (call->member, "Managers")) {
    g_clear_pointer (&self->managers, g_variant_unref);
    self->managers = g_variant_ref (call->args);
  } else if (g_str_equal (call->member, "NodeChanged")) {
    g_autoptr (GVariant) item = g_variant_get_child_value (call->args, 0);
    g_autoptr (GBytes) bytes = g_variant_get_data_as_bytes (item);
    g_autoptr (SwarmNode) node = swarm_message_decode (&swarm_node_type, bytes, NULL);
    g_assert_nonnull (node);
    self->node_changes++;
    self->told_role = node->spec->role;
  }
  swarm_call_return (call, NULL);
}

static void
tame_down (SwarmLink *link, const GError *error, gpointer data)
{
  ((Tame *) data)->disconnected = TRUE;
}

static const SwarmLinkEvents tame_events = { NULL, tame_down, tame_call };

static void
far_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  sim_wire_call (((Tame *) data)->brain->manager, call);
}

static void
far_down (SwarmLink *link, const GError *error, gpointer data)
{
  swarm_dispatcher_link_down (swarm_manager_dispatcher (((Tame *) data)->brain->manager), link);
}

static const SwarmLinkEvents far_events = { NULL, far_down, far_call };

static void
tame_registered (GVariant *reply, const GError *error, gpointer data)
{
  Tame *self = data;
  if (self->near == NULL)
    return;
  g_clear_error (&self->register_error);
  if (error != NULL) {
    self->register_error = g_error_copy (error);
    return;
  }
  g_autoptr (GVariant) session = g_variant_get_child_value (reply, 0);
  gint64 period;
  g_variant_get_child (reply, 1, "x", &period);
  self->session = g_variant_get_data_as_bytes (session);
  self->beat = swarm_clock_timer (self->brain->clock, period / 1000, SWARM_PRIORITY_URGENT, beat, self);
}

static GVariant *
description_variant (const Tame *self)
{
  g_autoptr (SwarmNodeDescription) description = swarm_node_description_new ();
  description->hostname = g_strdup (self->hostname);
  description->feature_level = self->level;
  description->platform = swarm_platform_new ();
  description->platform->architecture = g_strdup ("amd64");
  description->platform->os = g_strdup ("linux");
  description->resources = swarm_resources_new ();
  description->resources->nano_cpus = G_GINT64_CONSTANT (4000000000);
  description->resources->memory_bytes = G_GINT64_CONSTANT (8) << 30;
  if (self->keys != NULL)
    description->network_keys = g_ptr_array_ref (self->keys);
  if (self->network_drivers != NULL) {
    description->engine = swarm_engine_description_new ();
    description->engine->plugins = swarm_messages_new ();
    for (guint i = 0; self->network_drivers[i] != NULL; i++) {
      SwarmEnginePlugin *plugin = swarm_engine_plugin_new ();
      plugin->type = g_strdup ("Network");
      plugin->name = g_strdup (self->network_drivers[i]);
      g_ptr_array_add (description->engine->plugins, plugin);
    }
  }
  g_autoptr (GBytes) data = swarm_message_encode (description);
  return g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, data, TRUE);
}

void
tame_connect (Tame *self)
{
  SwarmPeer node = { .role = SWARM_PEER_WORKER, .node = self->id, .cluster = self->brain->cluster, .serial = "7", .address = "10.0.0.7:4711" };
  SwarmPeer manager = { .role = SWARM_PEER_MANAGER, .cluster = self->brain->cluster };
  tame_drop (self);
  self->sequence = 0;
  self->disconnected = FALSE;
  swarm_link_pair (self->brain->clock, &node, &manager, &self->near, &self->far);
  swarm_link_set_events (self->near, &tame_events, self);
  swarm_link_set_events (self->far, &far_events, self);
  swarm_link_call (self->near, "org.swarmagent1.Dispatcher", "Register",
                   g_variant_new ("(@ays@ay)", description_variant (self), "10.0.0.7:2377", g_variant_new_array (G_VARIANT_TYPE_BYTE, NULL, 0)),
                   5 * SECOND, tame_registered, self);
}

static void
described (GVariant *reply, const GError *error, gpointer data)
{
  Tame *self = data;
  g_clear_error (&self->describe_error);
  self->describe_error = error != NULL ? g_error_copy (error) : NULL;
}

const GError *
tame_describe (Tame *self)
{
  swarm_link_call (self->near, "org.swarmagent1.Dispatcher", "Describe", g_variant_new ("(@ay@ay)", session_variant (self), description_variant (self)),
                   SECOND, described, self);
  brain_run (self->brain, 100 * MS);
  return self->describe_error;
}

void
tame_disconnect (Tame *self)
{
  SwarmLink *far = swarm_link_ref (self->far);
  tame_drop (self);
  swarm_dispatcher_link_down (swarm_manager_dispatcher (self->brain->manager), far);
  swarm_link_unref (far);
}

void
tame_goodbye (Tame *self, gboolean host_shutdown)
{
  swarm_link_call (self->near, "org.swarmagent1.Dispatcher", "Goodbye", g_variant_new ("(@ayb)", session_variant (self), host_shutdown),
                   SECOND, reported, self);
  brain_run (self->brain, 10 * MS);
  tame_disconnect (self);
}

guint
tame_n_tasks (Tame *self, SwarmTaskState max_desired)
{
  guint n = 0;
  GHashTableIter iter;
  gpointer task;
  g_hash_table_iter_init (&iter, self->tasks);
  while (g_hash_table_iter_next (&iter, NULL, &task))
    n += ((SwarmTask *) task)->desired_state <= max_desired;
  return n;
}

/* ---- services ---- */

SwarmServiceSpec *
brain_spec (const char *name, guint64 replicas)
{
  SwarmServiceSpec *spec = swarm_service_spec_new ();
  spec->name = g_strdup (name);
  spec->task = swarm_task_spec_new ();
  spec->task->container = swarm_container_spec_new ();
  swarm_string_set (&spec->task->container->image, "nginx");
  spec->task->restart_policy = swarm_restart_policy_new ();
  spec->task->restart_policy->delay = 0;
  spec->mode = swarm_service_mode_new ();
  spec->mode->replicated = swarm_replicated_new ();
  spec->mode->replicated->replicas = replicas;
  return spec;
}

void
spec_host_port (SwarmServiceSpec *spec, guint port)
{
  SwarmPortConfig *config = swarm_port_config_new ();
  if (spec->endpoint == NULL) {
    spec->endpoint = swarm_endpoint_spec_new ();
    spec->endpoint->ports = g_ptr_array_new_with_free_func (swarm_message_unref);
  }
  config->protocol = SWARM_PROTOCOL_TCP;
  config->publish_mode = SWARM_PUBLISH_HOST;
  config->target_port = 80;
  config->published_port = port;
  g_ptr_array_add (spec->endpoint->ports, config);
}

void
brain_outcome (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  BrainOutcome *out = data;
  g_assert_false (out->done);
  out->done = TRUE;
  if (reply != NULL) {
    out->id = reply->id;
    out->text = g_strdup (reply->text);
  }
  if (error != NULL)
    out->error = g_error_copy (error);
}

static gboolean
is_done (gpointer data)
{
  return ((BrainOutcome *) data)->done;
}

static gboolean
wait_outcome (Brain *self, BrainOutcome *out, SwarmId *ret, GError **error)
{
  g_assert_false (out->done); /* never from within */
  g_assert_true (sim_clock_run_until (self->sim, 10 * SECOND, is_done, out));
  if (ret != NULL)
    *ret = out->id;
  g_free (out->text);
  if (out->error == NULL)
    return TRUE;
  g_propagate_error (error, out->error);
  return FALSE;
}

/* Tests change what is inside their specs; the store shares what it was given. */
static SwarmServiceSpec *
deep_copy (const SwarmServiceSpec *spec)
{
  g_autoptr (GBytes) bytes = swarm_message_encode (spec);
  return swarm_message_decode (&swarm_service_spec_type, bytes, NULL);
}

gboolean
brain_try_create (Brain *self, const SwarmServiceSpec *spec, const char *request_id, SwarmId *ret, GError **error)
{
  BrainOutcome out = { 0 };
  g_autoptr (SwarmServiceSpec) own = deep_copy (spec);
  swarm_control_create_service (swarm_manager_control (self->manager), own, request_id, brain_outcome, &out);
  return wait_outcome (self, &out, ret, error);
}

SwarmId
brain_create (Brain *self, const SwarmServiceSpec *spec)
{
  g_autoptr (GError) error = NULL;
  SwarmId id = SWARM_ID_NIL;
  brain_try_create (self, spec, NULL, &id, &error);
  g_assert_no_error (error);
  return id;
}

Brain *
brain_with_web (guint nodes, guint replicas, SwarmId *ret_web)
{
  Brain *self = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", replicas);
  for (guint i = 1; i <= nodes; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    brain_node (self, name);
  }
  *ret_web = brain_create (self, spec);
  brain_run (self, SECOND);
  return self;
}

Tame *
brain_tame (Brain *self, guint i)
{
  return g_ptr_array_index (self->nodes, i);
}

gboolean
brain_update (Brain *self, const SwarmId *id, const SwarmServiceSpec *spec, GError **error)
{
  BrainOutcome out = { 0 };
  const SwarmService *service = swarm_store_get (self->store, SWARM_KIND_SERVICE, id);
  g_autoptr (SwarmServiceSpec) own = deep_copy (spec);
  swarm_control_update_service (swarm_manager_control (self->manager), id, service->object.version, own, NULL, brain_outcome, &out);
  return wait_outcome (self, &out, NULL, error);
}

gboolean
brain_scale (Brain *self, const SwarmId *id, guint64 replicas, GError **error)
{
  BrainOutcome out = { 0 };
  swarm_control_scale_service (swarm_manager_control (self->manager), id, replicas, NULL, brain_outcome, &out);
  return wait_outcome (self, &out, NULL, error);
}

gboolean
brain_rollback (Brain *self, const SwarmId *id, GError **error)
{
  BrainOutcome out = { 0 };
  swarm_control_rollback_service (swarm_manager_control (self->manager), id, 0, NULL, brain_outcome, &out);
  return wait_outcome (self, &out, NULL, error);
}

gboolean
brain_remove (Brain *self, const SwarmId *id, GError **error)
{
  BrainOutcome out = { 0 };
  swarm_control_remove_service (swarm_manager_control (self->manager), id, NULL, brain_outcome, &out);
  return wait_outcome (self, &out, NULL, error);
}

gboolean
brain_availability (Brain *self, Tame *node, const char *availability, GError **error)
{
  BrainOutcome out = { 0 };
  swarm_control_set_availability (swarm_manager_control (self->manager), &node->id, availability, NULL, brain_outcome, &out);
  return wait_outcome (self, &out, NULL, error);
}

gboolean
brain_set_role (Brain *self, Tame *node, SwarmRole role, GError **error)
{
  BrainOutcome out = { 0 };
  swarm_control_set_role (swarm_manager_control (self->manager), &node->id, role, NULL, brain_outcome, &out);
  return wait_outcome (self, &out, NULL, error);
}

gboolean
brain_remove_node (Brain *self, Tame *node, gboolean force, GError **error)
{
  BrainOutcome out = { 0 };
  swarm_control_remove_node (swarm_manager_control (self->manager), &node->id, force, NULL, brain_outcome, &out);
  return wait_outcome (self, &out, NULL, error);
}

/* ---- counting ---- */

guint
count_tasks (Brain *self, const SwarmId *service, SwarmTaskState state, SwarmTaskState max_desired)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (self->store, service);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    n += task->status->state == state && task->desired_state <= max_desired;
  }
  return n;
}

guint
count_running (Brain *self, const SwarmId *service)
{
  return count_tasks (self, service, SWARM_TASK_RUNNING, SWARM_TASK_RUNNING);
}

SwarmTask *
newest_task (Brain *self, const SwarmId *service, guint64 slot)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_slot (self->store, service, slot);
  return tasks->len > 0 ? g_ptr_array_index (tasks, tasks->len - 1) : NULL;
}

Tame *
node_of_task (Brain *self, const SwarmTask *task)
{
  for (guint i = 0; i < self->nodes->len; i++) {
    Tame *tame = g_ptr_array_index (self->nodes, i);
    if (swarm_id_equal (&tame->id, &task->node_id))
      return tame;
  }
  return NULL;
}
