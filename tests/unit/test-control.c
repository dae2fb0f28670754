// SPDX-License-Identifier: LGPL-2.1-or-later
/* Operations: rules across objects with swarm's words, request ids, roles, the CA's decisions. */
#include "base/error.h"
#include "brain-fixture.h"
#include <string.h>

static void
assert_refused (Brain *brain, const SwarmServiceSpec *spec, int code, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_assert_false (brain_try_create (brain, spec, NULL, NULL, &error));
  g_assert_error (error, SWARM_ERROR, code);
  g_assert_cmpstr (error->message, ==, text);
}

static void
test_validation (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) good = brain_spec ("web", 1);
  brain_create (brain, good);
  assert_refused (brain, good, SWARM_ERROR_ALREADY_EXISTS, "name conflicts with an existing object: service web already exists");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("other", 1);
  swarm_string_set (&spec->task->container->image, "Not/An/Image");
  assert_refused (brain, spec, SWARM_ERROR_INVALID_ARGUMENT, "ContainerSpec: \"Not/An/Image\" is not a valid repository/tag");
  swarm_string_set (&spec->task->container->image, NULL);
  assert_refused (brain, spec, SWARM_ERROR_INVALID_ARGUMENT, "ContainerSpec: image reference must be provided");
  swarm_string_set (&spec->task->container->image, "nginx");
  swarm_string_set (&spec->name, "no_good_");
  assert_refused (brain, spec, SWARM_ERROR_INVALID_ARGUMENT, "name must be valid as a DNS name component");
  swarm_string_set (&spec->name, "other");
  spec->task->restart_policy->delay = -1;
  assert_refused (brain, spec, SWARM_ERROR_INVALID_ARGUMENT, "TaskSpec: restart-delay cannot be negative");
  spec->task->restart_policy->delay = 0;
  g_clear_pointer (&spec->mode->replicated, swarm_replicated_unref);
  assert_refused (brain, spec, SWARM_ERROR_INVALID_ARGUMENT, "Unrecognized service mode");
  spec->mode->replicated = swarm_replicated_new ();
  spec_host_port (spec, 8080);
  spec_host_port (spec, 8080);
  assert_refused (brain, spec, SWARM_ERROR_INVALID_ARGUMENT, "EndpointSpec: duplicate published ports provided");
}

static void
test_no_name (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  g_autoptr (GError) error = NULL;
  g_clear_pointer (&spec->name, g_free);
  g_assert_true (swarm_control_validate_service (swarm_manager_control (brain->manager), spec, NULL, &error));
  SwarmId first = brain_create (brain, spec), second = brain_create (brain, spec);
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &first);
  const SwarmService *other = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &second);
  g_assert_true (g_str_has_prefix (service->spec->name, "service-"));
  g_assert_cmpstr (service->spec->name, !=, other->spec->name);
}

static void
test_update (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  SwarmId web = brain_create (brain, spec), nobody = { { 1 } };
  g_autoptr (GError) renamed = NULL, stale = NULL, missing = NULL;
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &web);
  g_assert_cmpuint (service->spec_version, ==, 1);
  swarm_string_set (&spec->name, "web2");
  g_assert_false (brain_update (brain, &web, spec, &renamed));
  g_assert_cmpstr (renamed->message, ==, "renaming services is not supported");
  /* An update of what has changed meanwhile is the caller's to look at. */
  swarm_string_set (&spec->name, "web");
  swarm_control_scale_service (swarm_manager_control (brain->manager), &web, 2, NULL, NULL, NULL);
  g_assert_false (brain_update (brain, &web, spec, &stale));
  g_assert_error (stale, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE);
  g_assert_cmpstr (stale->message, ==, "update out of sequence");
  service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &web);
  g_assert_cmpuint (service->spec->mode->replicated->replicas, ==, 2);
  g_assert_cmpuint (service->spec_version, ==, 1);
  g_assert_false (brain_scale (brain, &nobody, 2, &missing));
  g_assert_error (missing, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
}

/* Spec and PreviousSpec change places, so two rollbacks are none. */
static void
test_rollback (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  g_autoptr (GError) error = NULL;
  SwarmId web = brain_create (brain, spec);
  g_assert_false (brain_rollback (brain, &web, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  g_autofree char *text = g_strdup_printf ("service %s does not have a previous spec", swarm_id_string (&web).str);
  g_assert_cmpstr (error->message, ==, text);
  spec->task->force_update = 7;
  g_assert_true (brain_update (brain, &web, spec, NULL));
  g_assert_true (brain_rollback (brain, &web, NULL));
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &web);
  g_assert_cmpuint (service->spec->task->force_update, ==, 0);
  g_assert_cmpuint (service->previous_spec->task->force_update, ==, 7);
  g_assert_cmpuint (service->spec_version, ==, 3);
  g_assert_cmpstr (service->update_status->text, ==, "manually requested rollback");
  g_assert_cmpint (service->update_status->state, ==, SWARM_UPDATE_ROLLBACK_STARTED);
  g_assert_cmpint (service->update_status->started_at, !=, 0);
  g_assert_true (brain_rollback (brain, &web, NULL));
  service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &web);
  g_assert_cmpuint (service->spec->task->force_update, ==, 7);
  /* The same spec once more keeps the way back, and what the status tells. */
  spec->task->force_update = 7;
  g_assert_true (brain_update (brain, &web, spec, NULL));
  service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &web);
  g_assert_cmpuint (service->previous_spec->task->force_update, ==, 0);
  g_assert_cmpuint (service->spec_version, ==, 4);
  g_assert_nonnull (service->update_status);
  /* Anything else ends it. */
  g_assert_true (brain_scale (brain, &web, 2, NULL));
  service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &web);
  g_assert_null (service->update_status);
  g_assert_cmpuint (service->spec_version, ==, 4);
}

static void
take_error (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  *(GError **) data = error != NULL ? g_error_copy (error) : NULL;
}

/* What the update of the cluster's spec says; NULL: it is done. */
static GError *
update_cluster (Brain *brain, guint64 version, const SwarmClusterSpec *spec)
{
  GError *error = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "no answer");
  GError *unanswered = error;
  swarm_control_update_cluster (swarm_manager_control (brain->manager), version, spec, NULL, take_error, &error);
  brain_run (brain, SECOND);
  g_assert_true (error != unanswered);
  g_error_free (unanswered);
  return error;
}

static void
test_update_cluster (void)
{
  g_autoptr (Brain) brain = brain_new ();
  guint64 version = swarm_store_cluster (brain->store)->object.version;
  g_autoptr (SwarmClusterSpec) spec = swarm_cluster_spec_new ();
  g_autoptr (GError) strategy = NULL, stale = NULL, beat = NULL, expiry = NULL, name = NULL, done = NULL;
  spec->orchestration = swarm_orchestration_config_new ();
  spec->orchestration->task_history_limit = 2;
  done = update_cluster (brain, version, spec);
  g_assert_no_error (done);
  const SwarmClusterSpec *now = swarm_store_cluster (brain->store)->spec;
  g_assert_cmpint (now->orchestration->task_history_limit, ==, 2);
  g_assert_cmpstr (now->name, ==, "default");
  g_assert_nonnull (now->dispatcher); /* what is left out stays */
  stale = update_cluster (brain, version, spec);
  g_assert_error (stale, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE);
  g_assert_cmpstr (stale->message, ==, "update out of sequence");
  version = swarm_store_cluster (brain->store)->object.version;
  swarm_string_set (&spec->orchestration->strategy, "nonesuch");
  strategy = update_cluster (brain, version, spec);
  g_assert_error (strategy, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  swarm_string_set (&spec->orchestration->strategy, NULL);
  spec->dispatcher = swarm_dispatcher_config_new ();
  spec->dispatcher->heartbeat_period = 99 * G_GINT64_CONSTANT (1000000);
  beat = update_cluster (brain, version, spec);
  g_assert_cmpstr (beat->message, ==, "minimum heartbeat time period is: 100ms");
  spec->dispatcher->heartbeat_period = -1;
  g_autoptr (GError) negative = update_cluster (brain, version, spec);
  g_assert_cmpstr (negative->message, ==, "heartbeat time period cannot be a negative duration");
  g_clear_pointer (&spec->dispatcher, swarm_dispatcher_config_unref);
  spec->ca_config = swarm_ca_config_new ();
  spec->ca_config->node_cert_expiry = 1;
  expiry = update_cluster (brain, version, spec);
  g_assert_cmpstr (expiry->message, ==, "minimum certificate expiry time is: 1h0m0s");
  g_clear_pointer (&spec->ca_config, swarm_ca_config_unref);
  swarm_string_set (&spec->name, "other");
  name = update_cluster (brain, version, spec);
  g_assert_cmpstr (name->message, ==, "swarm spec must be named \"default\"");
  g_assert_cmpuint (swarm_store_cluster (brain->store)->object.version, ==, version);
}

/* A call that is repeated with its request id is done once and answered twice. */
static void
test_request_id (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  g_autoptr (GError) error = NULL, taken = NULL;
  SwarmId first, second;
  g_assert_true (brain_try_create (brain, spec, "r1", &first, &error));
  g_assert_no_error (error);
  g_assert_true (brain_try_create (brain, spec, "r1", &second, &error));
  g_assert_no_error (error);
  g_assert_true (swarm_id_equal (&first, &second));
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_SERVICE), ==, 1);
  g_assert_false (brain_try_create (brain, spec, "r2", NULL, &taken));
  g_assert_error (taken, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS);
}

static void
test_availability (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 4);
  spec->task->restart_policy->delay = G_GINT64_CONSTANT (5000000000);
  SwarmId web = brain_create (brain, spec);
  g_autoptr (GError) error = NULL;
  brain_run (brain, SECOND);
  g_assert_false (brain_availability (brain, n1, "asleep", &error));
  g_assert_cmpstr (error->message, ==, "invalid availability \"asleep\", only active, pause and drain are supported");
  g_assert_true (brain_availability (brain, n1, "drain", NULL));
  brain_run (brain, 500 * MS);
  /* No restart delay when a drain moves tasks. */
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 0);
  g_assert_cmpuint (tame_n_tasks (n2, SWARM_TASK_RUNNING), ==, 4);
  g_assert_cmpuint (count_running (brain, &web), ==, 4);
  g_assert_true (brain_availability (brain, n1, "active", NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 0);
}

static void
test_labels (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmControl *control = swarm_manager_control (brain->manager);
  g_autoptr (GHashTable) set = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) remove = g_ptr_array_new ();
  g_hash_table_insert (set, (gpointer) "a", (gpointer) "1");
  g_hash_table_insert (set, (gpointer) "b", (gpointer) "2");
  swarm_control_update_labels (control, &node->id, set, NULL, NULL, NULL, NULL);
  brain_run (brain, 10 * MS);
  g_assert_cmpstr (g_hash_table_lookup (tame_node (node)->spec->labels, "b"), ==, "2");
  g_ptr_array_add (remove, (gpointer) "a");
  swarm_control_update_labels (control, &node->id, NULL, remove, NULL, NULL, NULL);
  brain_run (brain, 10 * MS);
  g_assert_cmpuint (g_hash_table_size (tame_node (node)->spec->labels), ==, 1);
  g_assert_cmpuint (node->node_changes, ==, 3);
}

typedef struct {
  guint answers;
  char *refusal;
} Answer;

static void
take_answer (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  Answer *answer = data;
  answer->answers++;
  if (error != NULL)
    answer->refusal = g_strdup (error->message);
}

/* Availability and labels in one write: all of it or nothing. */
static void
test_update_node (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmControl *control = swarm_manager_control (brain->manager);
  g_autoptr (GHashTable) set = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) remove = g_ptr_array_new ();
  Answer refused = { 0 }, done = { 0 };
  g_hash_table_insert (set, (gpointer) "zone", (gpointer) "a");
  g_ptr_array_add (remove, (gpointer) "nowhere");
  brain_run (brain, 10 * MS);
  guint64 before = swarm_store_index (brain->store);
  swarm_control_update_node (control, &node->id, "drain", set, remove, NULL, take_answer, &refused);
  brain_run (brain, 10 * MS);
  g_assert_cmpuint (refused.answers, ==, 1);
  g_assert_cmpstr (refused.refusal, ==, "key nowhere doesn't exist in node's labels");
  g_assert_cmpint (tame_node (node)->spec->availability, ==, SWARM_AVAILABILITY_ACTIVE);
  g_assert_null (tame_node (node)->spec->labels);
  g_assert_cmpuint (swarm_store_index (brain->store), ==, before);
  swarm_control_update_node (control, &node->id, "drain", set, NULL, NULL, take_answer, &done);
  brain_run (brain, 10 * MS);
  g_assert_cmpuint (done.answers, ==, 1);
  g_assert_null (done.refusal);
  g_assert_cmpint (tame_node (node)->spec->availability, ==, SWARM_AVAILABILITY_DRAIN);
  g_assert_cmpstr (g_hash_table_lookup (tame_node (node)->spec->labels, "zone"), ==, "a");
  g_assert_cmpuint (swarm_store_index (brain->store), ==, before + 1);
  g_free (refused.refusal);
}

static void
test_remove_node (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 2, &web);
  Tame *n1 = brain_tame (brain, 0);
  Tame *n2 = brain_tame (brain, 1);
  g_autoptr (GError) error = NULL;
  g_autofree char *id = swarm_id_dup_string (&n1->id);
  g_autofree char *text = g_strdup_printf ("node %s is not down and can't be removed", id);
  SwarmPeer peer = n1->far->peer;
  g_assert_true (swarm_ca_standing (brain->store, &peer, swarm_clock_now (brain->clock), NULL));
  g_assert_false (brain_remove_node (brain, n1, FALSE, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  g_assert_cmpstr (error->message, ==, text);
  g_assert_true (brain_remove_node (brain, n1, TRUE, NULL));
  brain_run (brain, SECOND);
  g_assert_true (n1->disconnected);
  g_assert_cmpuint (tame_n_tasks (n2, SWARM_TASK_RUNNING), ==, 2);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
  g_assert_cmpuint (count_tasks (brain, &web, SWARM_TASK_ORPHANED, SWARM_TASK_REMOVE), ==, 1);
  g_assert_false (swarm_ca_standing (brain->store, &peer, swarm_clock_now (brain->clock), NULL));
  g_assert_cmpuint (swarm_store_cluster (brain->store)->removed_nodes->len, ==, 1);
  tame_connect (n1);
  brain_run (brain, SECOND);
  g_assert_error (n1->register_error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
}

/* ---- roles ---- */

static void
list_member (Brain *brain, const SwarmId *id, gboolean reachable, gboolean leader)
{
  SwarmMember member = { .node = *id, .addr = "10.0.0.1:2377", .voter = TRUE, .reachable = reachable, .leader = leader };
  g_array_append_val (brain->members, member);
}

static void
add_member (Brain *brain, const SwarmId *id, gboolean reachable, gboolean leader)
{
  list_member (brain, id, reachable, leader);
  swarm_manager_members_changed (brain->manager);
  brain_run (brain, 100 * MS);
}

static gboolean
find_founder (gpointer object, gpointer data)
{
  if (((SwarmNode *) object)->spec->role == SWARM_ROLE_MANAGER)
    *(SwarmId *) data = SWARM_OBJECT (object)->id;
  return TRUE;
}

static void
test_roles (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmId founder = SWARM_ID_NIL;
  g_autoptr (GError) last = NULL, quorum = NULL, member = NULL;
  swarm_store_foreach (brain->store, SWARM_KIND_NODE, find_founder, &founder);
  Tame manager = { .brain = brain, .id = founder };
  add_member (brain, &founder, TRUE, TRUE);
  g_assert_false (brain_set_role (brain, &manager, SWARM_ROLE_WORKER, &last));
  g_assert_cmpstr (last->message, ==, "attempting to demote the last manager of the swarm");
  /* Promotion: the node is told, joins, and its object follows. */
  g_assert_true (brain_set_role (brain, node, SWARM_ROLE_MANAGER, NULL));
  brain_run (brain, 100 * MS);
  g_assert_cmpint (node->told_role, ==, SWARM_ROLE_MANAGER);
  g_assert_null (tame_node (node)->manager_status);
  add_member (brain, &node->id, FALSE, FALSE);
  g_assert_nonnull (tame_node (node)->manager_status);
  g_assert_cmpint (tame_node (node)->role, ==, SWARM_ROLE_MANAGER);
  g_assert_nonnull (node->managers);
  g_assert_cmpstr (swarm_control_manager_status (swarm_manager_control (brain->manager), &node->id), ==, "unreachable");
  g_assert_cmpstr (swarm_control_manager_status (swarm_manager_control (brain->manager), &founder), ==, "leader");
  g_assert_false (brain_remove_node (brain, node, TRUE, &member));
  g_assert_error (member, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  /* Without the founder nobody reachable would be left. */
  g_assert_false (brain_set_role (brain, &manager, SWARM_ROLE_WORKER, &quorum));
  g_assert_cmpstr (quorum->message, ==, "can't remove member from the raft: this would result in a loss of quorum");
  /* Demotion: out of the consensus, then a worker. */
  g_assert_true (brain_set_role (brain, node, SWARM_ROLE_WORKER, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpmem (brain->removed_member.bytes, 16, node->id.bytes, 16);
  g_assert_null (tame_node (node)->manager_status);
  g_assert_cmpint (tame_node (node)->role, ==, SWARM_ROLE_WORKER);
  SwarmPeer peer = { .role = SWARM_PEER_MANAGER, .node = node->id, .serial = "old" };
  g_assert_cmpint (swarm_ca_effective_role (brain->store, &peer), ==, SWARM_PEER_WORKER);
  g_assert_false (swarm_ca_standing (brain->store, &peer, swarm_clock_now (brain->clock), NULL));
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_READY);
}

/* Standbys become voters in turn; one that does not catch up holds up nobody, and is tried again, not all the time. */
static void
test_standbys (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmControl *control = swarm_manager_control (brain->manager);
  Tame *nodes[2] = { brain_node (brain, "n1"), brain_node (brain, "n2") };
  SwarmId founder = SWARM_ID_NIL;
  swarm_store_foreach (brain->store, SWARM_KIND_NODE, find_founder, &founder);
  brain->slow_member = nodes[0]->id;
  list_member (brain, &founder, TRUE, TRUE);
  for (guint i = 0; i < 2; i++) {
    g_assert_true (brain_set_role (brain, nodes[i], SWARM_ROLE_MANAGER, NULL));
    list_member (brain, &nodes[i]->id, TRUE, FALSE);
    g_array_index (brain->members, SwarmMember, i + 1).voter = FALSE;
  }
  g_assert_cmpstr (swarm_control_manager_status (control, &nodes[1]->id), ==, "unknown");
  swarm_manager_members_changed (brain->manager);
  brain_run (brain, 10 * SECOND);
  g_assert_nonnull (tame_node (nodes[1])->manager_status);
  g_assert_cmpstr (swarm_control_manager_status (control, &nodes[1]->id), ==, "reachable");
  g_assert_null (tame_node (nodes[0])->manager_status);
  g_assert_cmpuint (brain->promotions, >=, 3);
  g_assert_cmpuint (brain->promotions, <=, 12);
  brain->slow_member = SWARM_ID_NIL;
  brain_run (brain, 20 * SECOND);
  g_assert_nonnull (tame_node (nodes[0])->manager_status);
}

static void
test_may_leave (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2"), *n3 = brain_node (brain, "n3");
  SwarmControl *control = swarm_manager_control (brain->manager);
  g_autoptr (GError) last = NULL, quorum = NULL;
  g_assert_true (swarm_control_may_leave (control, &n1->id, NULL));
  list_member (brain, &n1->id, TRUE, TRUE);
  g_assert_false (swarm_control_may_leave (control, &n1->id, &last));
  g_assert_true (g_str_has_suffix (last->message, "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. "));
  list_member (brain, &n2->id, TRUE, FALSE);
  list_member (brain, &n3->id, FALSE, FALSE);
  g_assert_false (swarm_control_may_leave (control, &n1->id, &quorum));
  g_assert_nonnull (strstr (quorum->message, "Removing this node leaves 1 managers out of 3. Without a Raft quorum"));
}

/* ---- tokens, certificates ---- */

static void
keep_text (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  *(char **) data = error != NULL ? g_strdup (error->message) : g_strdup (reply->text);
}

static void
test_tokens (void)
{
  g_autoptr (Brain) brain = brain_new ();
  const SwarmJoinTokens *tokens = swarm_store_cluster (brain->store)->root_ca->tokens;
  g_autofree char *worker = g_strdup (tokens->worker), *manager = g_strdup (tokens->manager), *fresh = NULL, *refused = NULL;
  g_assert_true (g_regex_match_simple ("^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$", worker, 0, 0));
  g_assert_cmpint (strncmp (worker, manager, 59), ==, 0);
  swarm_control_rotate_token (swarm_manager_control (brain->manager), "worker", NULL, keep_text, &fresh);
  swarm_control_rotate_token (swarm_manager_control (brain->manager), "king", NULL, keep_text, &refused);
  brain_run (brain, 20 * MS);
  tokens = swarm_store_cluster (brain->store)->root_ca->tokens;
  g_assert_cmpstr (fresh, !=, worker);
  g_assert_cmpstr (fresh, ==, tokens->worker);
  g_assert_cmpstr (manager, ==, tokens->manager);
  g_assert_cmpstr (refused, ==, "unknown role king");
}

typedef struct {
  gboolean done;
  SwarmId node;
  SwarmRole role;
  GError *error;
} Issued;

static void
issued (const SwarmCAReply *reply, const GError *error, gpointer data)
{
  Issued *out = data;
  g_clear_error (&out->error);
  out->done = TRUE;
  if (error != NULL) {
    out->error = g_error_copy (error);
  } else {
    out->node = reply->node;
    out->role = reply->role;
    g_assert_nonnull (reply->cert_pem);
    g_assert_nonnull (reply->root_pem);
  }
}

/* No certificate comes with this answer. */
static void
answered (const SwarmCAReply *reply, const GError *error, gpointer data)
{
  Issued *out = data;
  g_clear_error (&out->error);
  out->done = TRUE;
  out->error = error != NULL ? g_error_copy (error) : NULL;
}

static void
test_issue (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmCAServer *ca = swarm_manager_ca_server (brain->manager);
  const SwarmJoinTokens *tokens = swarm_store_cluster (brain->store)->root_ca->tokens;
  g_autofree char *csr = sim_crypto_csr (&brain->crypto), *token = g_strdup (tokens->worker);
  Issued out = { 0 };
  swarm_ca_server_issue (ca, csr, token, "drain", "10.0.0.5:4711", issued, &out);
  g_assert_false (out.done);
  brain_run (brain, 20 * MS);
  g_assert_no_error (out.error);
  const SwarmNode *node = swarm_store_get (brain->store, SWARM_KIND_NODE, &out.node);
  g_assert_cmpint (node->spec->availability, ==, SWARM_AVAILABILITY_DRAIN);
  g_assert_cmpint (node->role, ==, SWARM_ROLE_WORKER);
  g_assert_cmpstr (node->status->addr, ==, "10.0.0.5");
  SwarmPeer peer = { .role = SWARM_PEER_WORKER, .node = out.node, .cluster = brain->cluster };
  g_strlcpy (peer.serial, node->cert_serial, sizeof peer.serial);
  brain_run (brain, 6 * SECOND);
  swarm_ca_server_renew (ca, &peer, csr, issued, &out);
  brain_run (brain, 20 * MS);
  g_assert_no_error (out.error);
  node = swarm_store_get (brain->store, SWARM_KIND_NODE, &out.node);
  g_assert_cmpstr (node->cert_serial, !=, peer.serial);
  /* Should the answer be lost, the node asks again with what it has; once it used the new one, what came before renews nothing. */
  brain_run (brain, 6 * SECOND);
  swarm_ca_server_renew (ca, &peer, csr, issued, &out);
  brain_run (brain, 20 * MS);
  g_assert_no_error (out.error);
  node = swarm_store_get (brain->store, SWARM_KIND_NODE, &out.node);
  g_assert_cmpstr (node->cert_serial_before, ==, peer.serial);
  SwarmPeer newest = peer;
  g_strlcpy (newest.serial, node->cert_serial, sizeof newest.serial);
  brain_run (brain, 6 * SECOND);
  swarm_ca_server_renew (ca, &newest, csr, issued, &out);
  brain_run (brain, 20 * MS);
  g_assert_no_error (out.error);
  brain_run (brain, 6 * SECOND);
  swarm_ca_server_renew (ca, &peer, csr, issued, &out);
  brain_run (brain, 20 * MS);
  g_assert_error (out.error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  swarm_ca_server_issue (ca, csr, "SWMTKN-1-x", "", NULL, issued, &out);
  brain_run (brain, 20 * MS);
  g_assert_cmpstr (out.error->message, ==, "A valid join token is necessary to join this cluster");
  swarm_control_rotate_token (swarm_manager_control (brain->manager), "worker", NULL, NULL, NULL);
  brain_run (brain, 20 * MS);
  swarm_ca_server_issue (ca, csr, token, "", NULL, issued, &out);
  brain_run (brain, 20 * MS);
  g_assert_error (out.error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  swarm_ca_server_issue (ca, csr, token, "sleepy", NULL, issued, &out);
  brain_run (brain, 20 * MS);
  g_assert_error (out.error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&out.error);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_NODE), ==, 2);
}

/* A node that was let in and then could not come is forgotten, in the consensus too; one that has been here is not. */
static void
test_withdraw (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmCAServer *ca = swarm_manager_ca_server (brain->manager);
  Tame *here = brain_node (brain, "n1");
  g_autofree char *csr = sim_crypto_csr (&brain->crypto), *token = g_strdup (swarm_store_cluster (brain->store)->root_ca->tokens->manager);
  SwarmId founder = SWARM_ID_NIL;
  Issued out = { 0 }, answer = { 0 };
  swarm_store_foreach (brain->store, SWARM_KIND_NODE, find_founder, &founder);
  add_member (brain, &founder, TRUE, TRUE);
  swarm_ca_server_issue (ca, csr, token, "", NULL, issued, &out);
  brain_run (brain, 20 * MS);
  g_assert_no_error (out.error);
  add_member (brain, &out.node, TRUE, FALSE);
  swarm_ca_server_withdraw (ca, &out.node, answered, &answer);
  brain_run (brain, SECOND);
  g_assert_true (answer.done);
  g_assert_no_error (answer.error);
  g_assert_null (swarm_store_get (brain->store, SWARM_KIND_NODE, &out.node));
  g_assert_cmpmem (brain->removed_member.bytes, 16, out.node.bytes, 16);
  swarm_ca_server_withdraw (ca, &out.node, answered, &answer);
  brain_run (brain, 20 * MS);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
  swarm_ca_server_withdraw (ca, &here->id, answered, &answer);
  brain_run (brain, 20 * MS);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  g_assert_nonnull (swarm_store_get (brain->store, SWARM_KIND_NODE, &here->id));
  g_clear_error (&answer.error);
}

/* Autolock gives the cluster an unlock key, takes it away again, and each change is a version of its own. */
static void
test_unlock_key (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmControl *control = swarm_manager_control (brain->manager);
  const SwarmCluster *cluster = swarm_store_cluster (brain->store);
  g_autofree char *refused = NULL, *rotated = NULL;
  g_autoptr (SwarmClusterSpec) spec = swarm_cluster_spec_copy (cluster->spec), off = swarm_cluster_spec_copy (cluster->spec);
  g_assert_null (cluster->unlock_key);
  swarm_control_rotate_unlock_key (control, NULL, keep_text, &refused);
  swarm_encryption_config_unref (spec->encryption);
  spec->encryption = swarm_encryption_config_new ();
  spec->encryption->auto_lock_managers = TRUE;
  swarm_control_update_cluster (control, cluster->object.version, spec, NULL, NULL, NULL);
  brain_run (brain, 20 * MS);
  g_assert_cmpstr (refused, ==, "cannot rotate because autolock is not turned on");
  cluster = swarm_store_cluster (brain->store);
  g_assert_cmpuint (g_bytes_get_size (cluster->unlock_key), ==, 32);
  g_assert_cmpuint (cluster->unlock_key_version, ==, 1);
  g_autoptr (GBytes) first = g_bytes_ref (cluster->unlock_key);
  swarm_control_rotate_unlock_key (control, NULL, keep_text, &rotated);
  brain_run (brain, 20 * MS);
  cluster = swarm_store_cluster (brain->store);
  g_assert_true (g_str_has_prefix (rotated, "SWMKEY-1-"));
  g_assert_false (g_bytes_equal (first, cluster->unlock_key));
  g_assert_cmpuint (cluster->unlock_key_version, ==, 2);
  swarm_control_update_cluster (control, cluster->object.version, off, NULL, NULL, NULL);
  brain_run (brain, 20 * MS);
  cluster = swarm_store_cluster (brain->store);
  g_assert_null (cluster->unlock_key);
  g_assert_cmpuint (cluster->unlock_key_version, ==, 3);
}

static SwarmServiceSpec *
spec_of_size (const char *name, gsize kib)
{
  SwarmServiceSpec *spec = brain_spec (name, 2);
  spec->task->container->env = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *fill = g_strnfill (kib * 1024, 'x');
  g_ptr_array_add (spec->task->container->env, g_strconcat ("FILL=", fill, NULL));
  return spec;
}

/* What would fit into no transaction with its former version, or into no message to a node, would hold up all others. */
static void
test_size_of_spec (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) large = spec_of_size ("large", 690), huge = spec_of_size ("huge", 701), other = spec_of_size ("large", 680);
  g_autoptr (SwarmServiceSpec) small = brain_spec ("small", 2);
  g_autoptr (GError) refused = NULL, error = NULL;
  SwarmId id, none;
  brain_node (brain, "n1");
  g_assert_false (brain_try_create (brain, huge, NULL, &none, &refused));
  g_assert_error (refused, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  g_assert_true (g_str_has_suffix (refused->message, " bytes, at most 716800 are allowed"));
  id = brain_create (brain, large);
  SwarmId second = brain_create (brain, small);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (count_running (brain, &id), ==, 2);
  g_assert_cmpuint (count_running (brain, &second), ==, 2);
  g_assert_true (brain_update (brain, &id, other, &error));
  brain_run (brain, 60 * SECOND);
  g_assert_cmpuint (count_running (brain, &id), ==, 2);
  g_assert_cmpint (((SwarmService *) swarm_store_get (brain->store, SWARM_KIND_SERVICE, &id))->update_status->state, ==, SWARM_UPDATE_COMPLETED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/control/size-of-spec", test_size_of_spec);
  g_test_add_func ("/control/validation", test_validation);
  g_test_add_func ("/control/no-name", test_no_name);
  g_test_add_func ("/control/update", test_update);
  g_test_add_func ("/control/update-cluster", test_update_cluster);
  g_test_add_func ("/control/rollback", test_rollback);
  g_test_add_func ("/control/request-id", test_request_id);
  g_test_add_func ("/control/availability", test_availability);
  g_test_add_func ("/control/labels", test_labels);
  g_test_add_func ("/control/update-node", test_update_node);
  g_test_add_func ("/control/remove-node", test_remove_node);
  g_test_add_func ("/control/roles", test_roles);
  g_test_add_func ("/control/standbys", test_standbys);
  g_test_add_func ("/control/may-leave", test_may_leave);
  g_test_add_func ("/control/tokens", test_tokens);
  g_test_add_func ("/control/unlock-key", test_unlock_key);
  g_test_add_func ("/control/issue", test_issue);
  g_test_add_func ("/control/withdraw", test_withdraw);
  return g_test_run ();
}
