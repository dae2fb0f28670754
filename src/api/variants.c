// SPDX-License-Identifier: LGPL-2.1-or-later
/* The shapes that Inspect and the List calls give: those of the Engine API. */
#include "api/private.h"

static void
insert_status (GVariantDict *dict, SwarmApi *self, const SwarmService *service)
{
  SwarmServiceStatus counts;
  GVariantDict status;
  swarm_control_service_status (swarm_manager_control (self->manager), service, &counts);
  g_variant_dict_init (&status, NULL);
  g_variant_dict_insert (&status, "RunningTasks", "t", counts.running);
  g_variant_dict_insert (&status, "DesiredTasks", "t", counts.desired);
  g_variant_dict_insert (&status, "CompletedTasks", "t", counts.completed);
  g_variant_dict_insert_value (dict, "ServiceStatus", g_variant_dict_end (&status));
}

GVariant *
swarm_api_service_variant (SwarmApi *self, const SwarmService *service)
{
  GVariantDict dict;
  swarm_api_object_dict (&dict, service, self);
  insert_status (&dict, self, service);
  return g_variant_dict_end (&dict);
}

/* ---- certificates and clocks ---- */

/* The root that certificates are to be under: while a rotation lasts, the next one. */
static const char *
desired_digest (const SwarmRootCA *root)
{
  return root->rotation != NULL ? root->rotation->digest : root->digest;
}

static const char *
tls_status (const SwarmRootCA *root, const SwarmNode *node)
{
  const SwarmNodeTLS *tls = node->description != NULL ? node->description->tls : NULL;
  if (root == NULL || tls == NULL)
    return "Unknown";
  return g_strcmp0 (node->cert_issuer, desired_digest (root)) == 0 && g_strcmp0 (tls->cert_serial, node->cert_serial) == 0
                 && (root->rotation != NULL || g_strcmp0 (tls->trust_digest, root->digest) == 0)
             ? "Ready"
             : "Needs Rotation";
}

static void
insert_base64 (GVariantDict *dict, const char *key, GBytes *bytes)
{
  gsize len = 0;
  const guint8 *data = bytes != NULL ? g_bytes_get_data (bytes, &len) : NULL;
  g_autofree char *text = g_base64_encode (data, len);
  g_variant_dict_insert (dict, key, "s", text);
}

/* As the Engine API has it: the root that is trusted, and who issues (issued) certificates. */
static GVariant *
tls_info (const char *trust_root, GBytes *subject, GBytes *public_key)
{
  GVariantDict tls;
  g_variant_dict_init (&tls, NULL);
  g_variant_dict_insert (&tls, "TrustRoot", "s", trust_root != NULL ? trust_root : "");
  insert_base64 (&tls, "CertIssuerSubject", subject);
  insert_base64 (&tls, "CertIssuerPublicKey", public_key);
  return g_variant_dict_end (&tls);
}

static GVariant *
node_tls_info (const SwarmRootCA *root, const SwarmNode *node)
{
  const SwarmRootRotation *rotation = root->rotation;
  const SwarmNodeTLS *tls = node->description->tls;
  gboolean by_next = rotation != NULL && g_strcmp0 (node->cert_issuer, rotation->digest) == 0 && g_strcmp0 (tls->cert_serial, node->cert_serial) == 0;
  gboolean by_root = !by_next && (rotation != NULL || g_strcmp0 (node->cert_issuer, root->digest) == 0);
  return tls_info (g_strcmp0 (tls->trust_digest, root->digest) == 0 ? root->cert : NULL,
                   by_next ? rotation->issuer_subject : by_root ? root->issuer_subject : NULL,
                   by_next ? rotation->issuer_public_key : by_root ? root->issuer_public_key : NULL);
}

static void
insert_clock (GVariantDict *dict, const SwarmNode *node)
{
  GVariantDict clock;
  g_variant_dict_init (&clock, NULL);
  g_variant_dict_insert (&clock, "Offset", "x", node->clock_offset);
  g_variant_dict_insert (&clock, "Synchronization", "s",
                         swarm_clock_state_to_string (node->description != NULL ? node->description->clock : SWARM_CLOCK_UNKNOWN));
  if (node->clock_offset != 0) {
    g_autofree char *text = swarm_node_clock_text (node, node->clock_offset);
    g_variant_dict_insert (&clock, "Warning", "s", text);
  }
  g_variant_dict_remove (dict, "ClockOffset");
  g_variant_dict_insert_value (dict, "Clock", g_variant_dict_end (&clock));
}

GVariant *
swarm_api_node_details_variant (SwarmApi *self, const SwarmNode *node)
{
  g_autoptr (GVariant) whole = g_variant_ref_sink (swarm_api_node_variant (self, node));
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  g_autoptr (GVariant) old = g_variant_lookup_value (whole, "Description", G_VARIANT_TYPE_VARDICT);
  GVariantDict dict, description;
  g_variant_dict_init (&dict, whole);
  if (old != NULL && node->description->tls != NULL && cluster != NULL && cluster->root_ca != NULL) {
    g_variant_dict_init (&description, old);
    g_variant_dict_insert_value (&description, "TLSInfo", node_tls_info (cluster->root_ca, node));
    g_variant_dict_insert_value (&dict, "Description", g_variant_dict_end (&description));
  }
  return g_variant_dict_end (&dict);
}

GVariant *
swarm_api_node_variant (SwarmApi *self, const SwarmNode *node)
{
  GVariantDict dict, manager;
  const char *status = swarm_control_manager_status (swarm_manager_control (self->manager), &node->object.id);
  swarm_api_object_dict (&dict, node, self);
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  g_variant_dict_insert (&dict, "TLSStatus", "s", tls_status (cluster != NULL ? cluster->root_ca : NULL, node));
  insert_clock (&dict, node);
  g_variant_dict_remove (&dict, "ManagerStatus");
  if (*status != '\0') {
    g_variant_dict_init (&manager, NULL);
    g_variant_dict_insert (&manager, "Leader", "b", g_str_equal (status, "leader"));
    g_variant_dict_insert (&manager, "Reachability", "s", g_str_equal (status, "leader") ? "reachable" : status);
    g_variant_dict_insert (&manager, "Addr", "s", node->manager_status != NULL && node->manager_status->addr != NULL ? node->manager_status->addr : "");
    g_variant_dict_insert_value (&dict, "ManagerStatus", g_variant_dict_end (&manager));
  }
  return g_variant_dict_end (&dict);
}

GVariant *
swarm_api_task_variant (SwarmApi *self, const SwarmTask *task)
{
  g_autofree char *name = swarm_task_name (task);
  GVariantDict dict;
  swarm_api_object_dict (&dict, task, self);
  g_variant_dict_insert (&dict, "Name", "s", name);
  return g_variant_dict_end (&dict);
}

GVariant *
swarm_api_cluster_variant (SwarmApi *self, const SwarmCluster *cluster)
{
  GVariantDict dict;
  const SwarmRootCA *root = cluster->root_ca;
  swarm_api_object_dict (&dict, cluster, self);
  g_variant_dict_remove (&dict, "RootCA");
  g_variant_dict_remove (&dict, "RemovedNodes");
  if (cluster->address_pool == NULL) {
    static const char *const pool[] = { SWARM_DEFAULT_ADDR_POOL, NULL };
    g_variant_dict_insert_value (&dict, "DefaultAddrPool", g_variant_new_strv (pool, -1));
  }
  if (root != NULL) {
    const SwarmRootRotation *next = root->rotation;
    g_variant_dict_insert (&dict, "RootRotationInProgress", "b", next != NULL);
    g_variant_dict_insert (&dict, "DesiredRootDigest", "s", desired_digest (root));
    g_variant_dict_insert_value (&dict, "TLSInfo", tls_info (root->cert, next != NULL ? next->issuer_subject : root->issuer_subject,
                                                             next != NULL ? next->issuer_public_key : root->issuer_public_key));
  }
  return g_variant_dict_end (&dict);
}
