// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/error.h"
#include "manager/control/operation.h"
#include "manager/predefined.h"

/* ---- init ---- */

/* Every part of a cluster spec is there, so that people see what holds. */
static SwarmClusterSpec *
complete_cluster_spec (const SwarmClusterSpec *given)
{
  SwarmClusterSpec *spec = given != NULL ? swarm_cluster_spec_copy (given) : swarm_cluster_spec_new ();
  if (spec->name == NULL)
    spec->name = g_strdup ("default");
  if (spec->orchestration == NULL)
    spec->orchestration = swarm_orchestration_config_new ();
  if (spec->raft == NULL)
    spec->raft = swarm_raft_config_new ();
  if (spec->dispatcher == NULL)
    spec->dispatcher = swarm_dispatcher_config_new ();
  if (spec->ca_config == NULL)
    spec->ca_config = swarm_ca_config_new ();
  if (spec->encryption == NULL)
    spec->encryption = swarm_encryption_config_new ();
  return spec;
}

static SwarmCluster *
make_cluster (SwarmControl *self, const SwarmInitCluster *init)
{
  SwarmCluster *cluster = swarm_cluster_new ();
  cluster->object.id = init->cluster;
  cluster->feature_level = SWARM_FEATURE_LEVEL;
  cluster->spec = complete_cluster_spec (init->spec);
  cluster->networks_made = TRUE;
  cluster->subnet_size = init->subnet_size > 0 ? init->subnet_size : cluster->subnet_size;
  for (guint i = 0; init->address_pool != NULL && init->address_pool[i] != NULL; i++) {
    cluster->address_pool = cluster->address_pool != NULL ? cluster->address_pool : swarm_strings_new ();
    g_ptr_array_add (cluster->address_pool, g_strdup (init->address_pool[i]));
  }
  cluster->root_ca = swarm_root_ca_new ();
  cluster->root_ca->cert = g_strdup (init->root_cert_pem);
  cluster->root_ca->key = init->root_key_pem != NULL ? g_bytes_ref (init->root_key_pem) : NULL;
  cluster->root_ca->digest = g_strdup (init->root_digest);
  cluster->root_ca->issuer_subject = init->root_subject != NULL ? g_bytes_ref (init->root_subject) : NULL;
  cluster->root_ca->issuer_public_key = init->root_public_key != NULL ? g_bytes_ref (init->root_public_key) : NULL;
  cluster->root_ca->tokens = swarm_join_tokens_new ();
  cluster->root_ca->tokens->worker = swarm_control_make_token (self->random, init->root_digest_bytes);
  cluster->root_ca->tokens->manager = swarm_control_make_token (self->random, init->root_digest_bytes);
  swarm_control_follow_encryption (self, cluster);
  return cluster;
}

SwarmNode *
swarm_control_make_founder (const SwarmInitCluster *init)
{
  SwarmNode *node = swarm_node_new ();
  node->object.id = init->node;
  node->spec = swarm_node_spec_new ();
  node->spec->role = SWARM_ROLE_MANAGER;
  node->spec->availability = init->availability;
  node->role = SWARM_ROLE_MANAGER;
  node->cert_serial = g_strdup (init->cert_serial);
  node->cert_not_before = init->cert_not_before;
  node->cert_not_after = init->cert_not_after;
  node->cert_key = g_strdup (init->cert_key);
  node->cert_issuer = g_strdup (init->root_digest);
  if (init->description != NULL)
    node->description = swarm_node_description_ref (init->description);
  if (init->addr != NULL && *init->addr != '\0') {
    node->manager_status = swarm_manager_status_new ();
    node->manager_status->addr = g_strdup (init->addr);
  }
  swarm_node_set_state (node, SWARM_NODE_UNKNOWN, "");
  return node;
}

static gboolean
check_cluster_spec (SwarmControl *self, const SwarmClusterSpec *spec, GError **error)
{
  if (!swarm_message_validate (spec, error))
    return FALSE;
  return self->schedulers == NULL || swarm_scheduler_set_check (self->schedulers, spec->orchestration->strategy, error);
}

static gboolean
fill_init (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  if (swarm_store_cluster (self->control->store) != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "the cluster exists already");
    return FALSE;
  }
  if (!check_cluster_spec (self->control, ((SwarmCluster *) self->objects[0])->spec, error))
    return FALSE;
  swarm_tx_create (tx, self->objects[0]);
  swarm_tx_create (tx, self->objects[1]);
  swarm_predefined_networks (tx);
  return TRUE;
}

void
swarm_control_init_cluster (SwarmControl *self, const SwarmInitCluster *init, const char *request_id, SwarmControlFunc done,
                            gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_init, &init->cluster, request_id, done, data);
  operation->objects[0] = (SwarmMessage *) make_cluster (self, init);
  operation->objects[1] = (SwarmMessage *) swarm_control_make_founder (init);
  swarm_operation_run (operation);
}

/* ---- update ---- */

/* What is left out stays as it is. */
static SwarmClusterSpec *
merge_cluster_spec (const SwarmClusterSpec *given, const SwarmClusterSpec *old)
{
  SwarmClusterSpec *spec = swarm_cluster_spec_copy (given);
  if (spec->name == NULL)
    spec->name = g_strdup (old->name);
  if (spec->orchestration == NULL)
    swarm_message_set_pointer (&spec->orchestration, old->orchestration);
  if (spec->raft == NULL)
    swarm_message_set_pointer (&spec->raft, old->raft);
  if (spec->dispatcher == NULL)
    swarm_message_set_pointer (&spec->dispatcher, old->dispatcher);
  if (spec->ca_config == NULL)
    swarm_message_set_pointer (&spec->ca_config, old->ca_config);
  if (spec->encryption == NULL)
    swarm_message_set_pointer (&spec->encryption, old->encryption);
  return spec;
}

static gboolean
fill_update_cluster (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->control->store);
  if (cluster == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "there is no cluster yet");
    return FALSE;
  }
  if (cluster->object.version != self->version) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE, "update out of sequence");
    return FALSE;
  }
  g_autoptr (SwarmClusterSpec) spec = merge_cluster_spec ((SwarmClusterSpec *) self->spec, cluster->spec);
  if (!check_cluster_spec (self->control, spec, error))
    return FALSE;
  g_autoptr (SwarmCluster) copy = swarm_cluster_copy (cluster);
  swarm_message_set_pointer (&copy->spec, spec);
  swarm_control_follow_encryption (self->control, copy);
  if (!swarm_control_follow_ca (self->control, copy, cluster->spec->ca_config, error))
    return FALSE;
  swarm_tx_update (tx, copy);
  return TRUE;
}

void
swarm_control_update_cluster (SwarmControl *self, guint64 version, const SwarmClusterSpec *spec, const char *request_id,
                              SwarmControlFunc done, gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_update_cluster, NULL, request_id, done, data);
  operation->version = version;
  operation->pinned = TRUE;
  operation->spec = swarm_message_ref (spec);
  swarm_operation_run (operation);
}

/* ---- join tokens ---- */

static gboolean
fill_rotate (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->control->store);
  if (cluster == NULL || cluster->root_ca == NULL || cluster->root_ca->tokens == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "there is no cluster yet");
    return FALSE;
  }
  g_autofree char *token = swarm_control_token_under (self->control->random, cluster->root_ca->digest, error);
  if (token == NULL)
    return FALSE;
  g_autoptr (SwarmCluster) copy = swarm_cluster_copy (cluster);
  SwarmRootCA *root = swarm_root_ca_copy (cluster->root_ca);
  SwarmJoinTokens *tokens = swarm_join_tokens_copy (root->tokens);
  g_free (self->text);
  self->text = g_steal_pointer (&token);
  swarm_string_set (self->number == SWARM_ROLE_MANAGER ? &tokens->manager : &tokens->worker, self->text);
  swarm_join_tokens_unref (root->tokens);
  root->tokens = tokens;
  swarm_root_ca_unref (copy->root_ca);
  copy->root_ca = root;
  swarm_tx_update (tx, copy);
  return TRUE;
}

static gboolean
refuse_role (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unknown role %s", self->text);
  return FALSE;
}

void
swarm_control_rotate_token (SwarmControl *self, const char *role, const char *request_id, SwarmControlFunc done, gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_rotate, NULL, request_id, done, data);
  SwarmRole which = SWARM_ROLE_WORKER;
  if (!swarm_role_from_string (role, &which)) {
    operation->fill = refuse_role;
    operation->text = g_strdup (role);
  }
  operation->number = which;
  swarm_operation_run (operation);
}
