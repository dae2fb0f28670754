// SPDX-License-Identifier: LGPL-2.1-or-later
/* Networks: the rules across objects (SWARM_BEHAVIOUR §9). */
#include "base/error.h"
#include "manager/control/networks.h"
#include "manager/control/operation.h"

#define MAX_SUBNET_SIZE 29

/* ---- the address pool ---- */

gboolean
swarm_control_check_pool (const char *const *pool, guint size, GError **error)
{
  static const char *const usual[] = { SWARM_DEFAULT_ADDR_POOL, NULL };
  if (size == 0 || size > MAX_SUBNET_SIZE) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "subnet size is out of range: %u", size);
    return FALSE;
  }
  if (pool == NULL || pool[0] == NULL)
    pool = usual;
  for (guint i = 0; pool[i] != NULL; i++) {
    SwarmSubnet subnet, other;
    if (!swarm_subnet_parse (pool[i], &subnet) || subnet.address.length != 4 || subnet.prefix < 8) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "invalid CIDR: \"%s\". An address pool is a subnet of IPv4, such as 10.0.0.0/8",
                   pool[i]);
      return FALSE;
    }
    if (swarm_subnet_is_reserved (&subnet)) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "invalid CIDR: \"%s\". No host can have addresses of it", pool[i]);
      return FALSE;
    }
    if (subnet.prefix > size) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "invalid CIDR: \"%s\". Subnet size is too small for pool: %u", pool[i], size);
      return FALSE;
    }
    for (guint k = 0; k < i; k++) {
      if (swarm_subnet_parse (pool[k], &other) && swarm_subnets_overlap (&subnet, &other)) {
        g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "address pools %s and %s overlap", pool[k], pool[i]);
        return FALSE;
      }
    }
  }
  return TRUE;
}

/* ---- looking ---- */

typedef struct {
  const SwarmId *network; /* that is looked for */
  const SwarmIPAM *ipam;
  SwarmObject *found; /* borrowed */
} Search;

static gboolean
find_ingress (gpointer object, gpointer data)
{
  const SwarmNetwork *network = object;
  Search *search = data;
  if (network->spec->ingress)
    search->found = object;
  return search->found == NULL;
}

const SwarmNetwork *
swarm_control_ingress_network (SwarmControl *self)
{
  Search search = { 0 };
  swarm_store_foreach (self->store, SWARM_KIND_NETWORK, find_ingress, &search);
  return (const SwarmNetwork *) search.found;
}

static gboolean
overlaps (const SwarmIPAM *a, const SwarmIPAM *b)
{
  guint n = a != NULL && a->config != NULL ? a->config->len : 0, m = b != NULL && b->config != NULL ? b->config->len : 0;
  for (guint i = 0; i < n; i++) {
    for (guint k = 0; k < m; k++) {
      SwarmSubnet one, other;
      if (swarm_subnet_parse (((SwarmIPAMConfig *) g_ptr_array_index (a->config, i))->subnet, &one)
          && swarm_subnet_parse (((SwarmIPAMConfig *) g_ptr_array_index (b->config, k))->subnet, &other) && swarm_subnets_overlap (&one, &other))
        return TRUE;
    }
  }
  return FALSE;
}

static gboolean
find_overlap (gpointer object, gpointer data)
{
  const SwarmNetwork *network = object;
  Search *search = data;
  if (overlaps (search->ipam, network->ipam) || overlaps (search->ipam, network->spec->ipam))
    search->found = object;
  return search->found == NULL;
}

static gboolean
find_node_overlap (gpointer object, gpointer data)
{
  const SwarmNode *node = object;
  Search *search = data;
  SwarmSubnet gateway, subnet;
  if (node->network == NULL || !swarm_subnet_parse (node->network->gateway, &gateway))
    return TRUE;
  for (guint i = 0; search->ipam->config != NULL && i < search->ipam->config->len; i++) {
    if (swarm_subnet_parse (((SwarmIPAMConfig *) g_ptr_array_index (search->ipam->config, i))->subnet, &subnet)
        && swarm_subnets_overlap (&subnet, &gateway))
      search->found = object;
  }
  return search->found == NULL;
}

static gboolean
spec_names (const SwarmServiceSpec *spec, const SwarmId *network)
{
  const GPtrArray *networks = spec->task->networks;
  SwarmIdString id = swarm_id_string (network);
  for (guint i = 0; networks != NULL && i < networks->len; i++) {
    if (g_strcmp0 (((SwarmNetworkAttachmentConfig *) g_ptr_array_index (networks, i))->target, id.str) == 0)
      return TRUE;
  }
  return FALSE;
}

static gboolean
find_service (gpointer object, gpointer data)
{
  const SwarmService *service = object;
  Search *search = data;
  if (spec_names (service->spec, search->network))
    search->found = object;
  return search->found == NULL;
}

static gboolean
find_publisher (gpointer object, gpointer data)
{
  const SwarmService *service = object;
  if (swarm_endpoint_spec_has_ingress (service->spec->endpoint))
    ((Search *) data)->found = object;
  return ((Search *) data)->found == NULL;
}

static gboolean
find_task (gpointer object, gpointer data)
{
  const SwarmTask *task = object;
  Search *search = data;
  if (task->networks == NULL || !swarm_task_holds_addresses (task))
    return TRUE;
  for (guint i = 0; i < task->networks->len; i++) {
    if (swarm_id_equal (&((SwarmNetworkAttachment *) g_ptr_array_index (task->networks, i))->network, search->network))
      search->found = object;
  }
  return search->found == NULL;
}

/* ---- what is under way: others must not be judged as if it were not ---- */

/* The service that is about to need @network; NULL: none. */
static const SwarmId *
coming_service (SwarmControl *self, const SwarmNetwork *network)
{
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, self->flying);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    const SwarmOperation *operation = key;
    const SwarmServiceSpec *spec = operation->named;
    if (spec != NULL && (spec_names (spec, &network->object.id) || (network->spec->ingress && swarm_endpoint_spec_has_ingress (spec->endpoint))))
      return &operation->id;
  }
  return NULL;
}

gboolean
swarm_control_network_leaves (SwarmControl *self, const SwarmNetwork *network)
{
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, self->flying);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    if (swarm_id_equal (&((const SwarmOperation *) key)->leaving, &network->object.id))
      return TRUE;
  }
  return FALSE;
}

static gboolean
ingress_is_coming (SwarmControl *self)
{
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, self->flying);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    if (((const SwarmOperation *) key)->ingress)
      return TRUE;
  }
  return FALSE;
}

/* ---- a service's networks ---- */

static gboolean
refuse (GError **error, const char *text)
{
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, text);
  return FALSE;
}

static gboolean
check_attachment (const SwarmNetwork *network, const SwarmServiceSpec *spec, GHashTable *seen, GError **error)
{
  if (network->spec->ingress) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "Service cannot be explicitly attached to the ingress network \"%s\"",
                 network->spec->name);
    return FALSE;
  }
  if (!g_hash_table_add (seen, (gpointer) &network->object.id)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "network %s is given twice", network->spec->name);
    return FALSE;
  }
  if (swarm_network_is_overlay (network))
    return TRUE;
  if (spec->task->networks->len > 1) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "network %s cannot be combined with other networks", network->spec->name);
    return FALSE;
  }
  if (spec->endpoint != NULL && spec->endpoint->ports != NULL && spec->endpoint->ports->len > 0) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "ports cannot be published on network %s: %s", network->spec->name,
                 g_str_equal (network->spec->driver, SWARM_DRIVER_HOST) ? "its tasks have those of their node" : "nothing reaches its tasks");
    return FALSE;
  }
  return TRUE;
}

gboolean
swarm_control_check_networks (SwarmControl *self, const SwarmServiceSpec *spec, GError **error)
{
  const GPtrArray *networks = spec->task->networks;
  g_autoptr (GHashTable) seen = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  for (guint i = 0; networks != NULL && i < networks->len; i++) {
    const SwarmNetworkAttachmentConfig *config = g_ptr_array_index (networks, i);
    const SwarmNetwork *network = swarm_store_resolve (self->store, SWARM_KIND_NETWORK, config->target != NULL ? config->target : "", error);
    if (network == NULL || !check_attachment (network, spec, seen, error))
      return FALSE;
    if (swarm_control_network_leaves (self, network)) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "network %s not found", config->target);
      return FALSE;
    }
  }
  const SwarmNetwork *ingress = swarm_endpoint_spec_has_ingress (spec->endpoint) ? swarm_control_ingress_network (self) : NULL;
  if (swarm_endpoint_spec_has_ingress (spec->endpoint) && (ingress == NULL || swarm_control_network_leaves (self, ingress)))
    return refuse (error, "service needs ingress network, but no ingress network is present");
  return TRUE;
}

gboolean
swarm_control_resolve_networks (SwarmControl *self, SwarmServiceSpec *spec, GError **error)
{
  const GPtrArray *networks = spec->task != NULL ? spec->task->networks : NULL;
  if (networks == NULL || networks->len == 0)
    return TRUE;
  g_autoptr (SwarmTaskSpec) task = swarm_task_spec_copy (spec->task);
  g_clear_pointer (&task->networks, g_ptr_array_unref);
  task->networks = swarm_messages_new ();
  for (guint i = 0; i < networks->len; i++) {
    SwarmNetworkAttachmentConfig *config = swarm_network_attachment_config_copy (g_ptr_array_index (networks, i));
    g_ptr_array_add (task->networks, config);
    const SwarmNetwork *network = swarm_store_resolve (self->store, SWARM_KIND_NETWORK, config->target != NULL ? config->target : "", error);
    if (network == NULL)
      return FALSE;
    swarm_string_set (&config->target, swarm_id_string (&network->object.id).str);
  }
  swarm_message_set_pointer (&spec->task, task);
  return TRUE;
}

/* ---- create ---- */

static SwarmNetworkSpec *
complete_network_spec (const SwarmNetworkSpec *given)
{
  SwarmNetworkSpec *spec = swarm_network_spec_copy (given);
  if (spec->driver == NULL || *spec->driver == '\0')
    swarm_string_set (&spec->driver, SWARM_DRIVER_OVERLAY);
  return spec;
}

static gboolean
check_driver (const SwarmNetworkSpec *spec, GError **error)
{
  if (g_str_equal (spec->driver, SWARM_DRIVER_OVERLAY))
    return TRUE;
  if (g_str_equal (spec->driver, SWARM_DRIVER_HOST) || g_str_equal (spec->driver, SWARM_DRIVER_NONE)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "only one instance of \"%s\" network is allowed", spec->driver);
    return FALSE;
  }
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "network driver %s is not known, only overlay is", spec->driver);
  return FALSE;
}

static gboolean
check_network (SwarmControl *self, const SwarmNetworkSpec *spec, GError **error)
{
  Search search = { .ipam = spec->ipam };
  if (!swarm_message_validate (spec, error) || !check_driver (spec, error))
    return FALSE;
  if (spec->name == NULL || *spec->name == '\0')
    return refuse (error, "meta: name must be provided");
  if (spec->labels != NULL && g_hash_table_contains (spec->labels, SWARM_PREDEFINED_LABEL))
    return refuse (error, "label " SWARM_PREDEFINED_LABEL " is for internally-created predefined networks and cannot be applied by users");
  if (swarm_store_get_by_name (self->store, SWARM_KIND_NETWORK, spec->name) != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "network with name %s already exists", spec->name);
    return FALSE;
  }
  if (spec->ingress && ingress_is_coming (self)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "ingress network is already being made");
    return FALSE;
  }
  const SwarmNetwork *ingress = spec->ingress ? swarm_control_ingress_network (self) : NULL;
  if (ingress != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "ingress network (%s) is already present", swarm_id_string (&ingress->object.id).str);
    return FALSE;
  }
  if (spec->ipam != NULL)
    swarm_store_foreach (self->store, SWARM_KIND_NETWORK, find_overlap, &search);
  if (spec->ipam != NULL && search.found == NULL)
    swarm_store_foreach (self->store, SWARM_KIND_NODE, find_node_overlap, &search);
  return search.found == NULL || refuse (error, "invalid pool request: Pool overlaps with other one on this address space");
}

static gboolean
fill_create (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  g_autoptr (SwarmNetworkSpec) spec = complete_network_spec ((SwarmNetworkSpec *) self->spec);
  if (!check_network (self->control, spec, error))
    return FALSE;
  g_autoptr (SwarmNetwork) network = swarm_network_new ();
  network->object.id = self->id;
  network->spec = g_steal_pointer (&spec);
  self->ingress = network->spec->ingress;
  swarm_tx_create (tx, network);
  return TRUE;
}

void
swarm_control_create_network (SwarmControl *self, const SwarmNetworkSpec *spec, const char *request_id, SwarmControlFunc done, gpointer data)
{
  SwarmId id = swarm_random_id (self->random);
  SwarmOperation *operation = swarm_operation_new (self, fill_create, &id, request_id, done, data);
  operation->spec = swarm_message_ref (spec);
  swarm_operation_run (operation);
}

/* ---- remove ---- */

static gboolean
in_use (const SwarmNetwork *network, const char *by, const char *name, GError **error)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "network %s is in use by %s %s", swarm_id_string (&network->object.id).str, by, name);
  return FALSE;
}

static gboolean
is_unused (SwarmControl *self, const SwarmNetwork *network, GError **error)
{
  Search search = { .network = &network->object.id };
  swarm_store_foreach (self->store, SWARM_KIND_SERVICE, find_service, &search);
  if (search.found != NULL)
    return in_use (network, "service", swarm_id_string (&search.found->id).str, error);
  if (network->spec->ingress)
    swarm_store_foreach (self->store, SWARM_KIND_SERVICE, find_publisher, &search);
  if (search.found != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "ingress network cannot be removed because service %s depends on it",
                 swarm_id_string (&search.found->id).str);
    return FALSE;
  }
  const SwarmId *coming = coming_service (self, network);
  if (coming != NULL)
    return in_use (network, "service", swarm_id_string (coming).str, error);
  if (swarm_counts_tasks_in_network (self->counts, &network->object.id) == 0)
    return TRUE;
  swarm_store_foreach (self->store, SWARM_KIND_TASK, find_task, &search);
  return search.found == NULL || in_use (network, "task", swarm_id_string (&search.found->id).str, error);
}

static gboolean
fill_remove (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmNetwork *network = swarm_store_get (self->control->store, SWARM_KIND_NETWORK, &self->id);
  if (network == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "network %s not found", swarm_id_string (&self->id).str);
    return FALSE;
  }
  if (swarm_network_is_predefined (network)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "%s is a pre-defined network and cannot be removed", network->spec->name);
    return FALSE;
  }
  if (!is_unused (self->control, network, error))
    return FALSE;
  self->leaving = self->id;
  swarm_tx_remove (tx, SWARM_KIND_NETWORK, &self->id, network->object.version);
  swarm_tx_need_level (tx, 2);
  return TRUE;
}

void
swarm_control_remove_network (SwarmControl *self, const SwarmId *id, const char *request_id, SwarmControlFunc done, gpointer data)
{
  swarm_operation_run (swarm_operation_new (self, fill_remove, id, request_id, done, data));
}
