// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-pictures.h"

/* One node's picture, looked through. */
typedef struct {
  SwarmStore *store;
  SimMachine *machine;
  const SwarmNode *node;
  GHashTable *networks; /* ids of those with a task on the node */
  GHashTable *nodes;    /* ids of those that have a task in one of them */
  GHashTable *secret;   /* and in one that is encrypted */
  gboolean mesh;
  guint want[_SWARM_KIND_MAX]; /* rows that there must be */
  guint have[_SWARM_KIND_MAX];
  char *why;
} Look;

static GHashTable *
id_set (void)
{
  return g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
}

static gboolean
is_there (const SwarmTask *task)
{
  return !swarm_id_is_nil (&task->node_id) && task->status->state >= SWARM_TASK_ASSIGNED && swarm_task_holds_addresses (task);
}

static void
missing (Look *look, gconstpointer row, const char *what, const SwarmId *id)
{
  if (look->why == NULL)
    look->why = g_strdup_printf ("%s has a picture in which %s %s is %s", look->machine->name, what, swarm_id_string (id).str, row == NULL ? "missing" : "not as it is");
}

/* ---- who sees what ---- */

static gboolean
collect_networks (gpointer object, gpointer data)
{
  const SwarmTask *task = object;
  Look *look = data;
  if (!is_there (task) || !swarm_id_equal (&task->node_id, &look->node->object.id))
    return TRUE;
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    const SwarmNetworkAttachment *attachment = g_ptr_array_index (task->networks, i);
    if (g_strcmp0 (attachment->driver, SWARM_DRIVER_OVERLAY) == 0)
      g_hash_table_add (look->networks, g_memdup2 (&attachment->network, sizeof (SwarmId)));
  }
  return TRUE;
}

static guint
n_shared (const Look *look, const SwarmTask *task)
{
  guint n = 0;
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++)
    n += g_hash_table_contains (look->networks, &((const SwarmNetworkAttachment *) g_ptr_array_index (task->networks, i))->network);
  return n;
}

static gboolean
is_encrypted (const Look *look, const SwarmId *id)
{
  const SwarmNetwork *network = swarm_store_get (look->store, SWARM_KIND_NETWORK, id);
  return network != NULL && network->spec->options != NULL && g_hash_table_contains (network->spec->options, "encrypted");
}

/* Also: what the scheduler goes by is so. */
static void
collect_secret (Look *look, const SwarmTask *task)
{
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    const SwarmNetworkAttachment *attachment = g_ptr_array_index (task->networks, i);
    gboolean encrypted = is_encrypted (look, &attachment->network);
    if (encrypted != attachment->encrypted && look->why == NULL)
      look->why = g_strdup_printf ("task %s does not know whether its network is encrypted", swarm_id_string (&task->object.id).str);
    if (encrypted && g_hash_table_contains (look->networks, &attachment->network))
      g_hash_table_add (look->secret, g_memdup2 (&task->node_id, sizeof (SwarmId)));
  }
}

/* ---- rows ---- */

static gboolean
is_gateway_known (const Look *look, const SwarmTask *task)
{
  gboolean own = swarm_id_equal (&task->node_id, &look->node->object.id);
  return task->gateway_address != NULL && (own || (look->mesh && swarm_endpoint_spec_has_ingress (task->endpoint)));
}

static gboolean
check_task (gpointer object, gpointer data)
{
  const SwarmTask *task = object;
  Look *look = data;
  guint n = is_there (task) ? n_shared (look, task) : 0;
  gboolean gateway = is_there (task) && is_gateway_known (look, task);
  if (n > 0)
    g_hash_table_add (look->nodes, g_memdup2 (&task->node_id, sizeof (SwarmId)));
  if (n > 0)
    collect_secret (look, task);
  if (n == 0 && !gateway)
    return TRUE;
  look->want[SWARM_KIND_TASK]++;
  g_autoptr (SwarmPictureTask) row = swarm_worker_picture_get (look->machine->worker, SWARM_KIND_TASK, &task->object.id);
  gboolean takes = task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING;
  if (row == NULL || row->ready != takes || (row->networks != NULL ? row->networks->len : 0) != n
      || g_strcmp0 (row->gateway_address, gateway ? task->gateway_address : NULL) != 0 || !swarm_id_equal (&row->node, &task->node_id))
    missing (look, row, "task", &task->object.id);
  return TRUE;
}

static gboolean
is_asked_for (const SwarmService *service, const SwarmId *network)
{
  const GPtrArray *asked = service->spec->task->networks;
  SwarmIdString id = swarm_id_string (network);
  for (guint i = 0; asked != NULL && i < asked->len; i++) {
    if (g_strcmp0 (((const SwarmNetworkAttachmentConfig *) g_ptr_array_index (asked, i))->target, id.str) == 0)
      return TRUE;
  }
  return FALSE;
}

static gboolean
check_service (gpointer object, gpointer data)
{
  const SwarmService *service = object;
  Look *look = data;
  const SwarmEndpoint *endpoint = service->endpoint;
  guint addresses = 0, names = 0, ports = 0, in_row = 0;
  GHashTableIter iter;
  gpointer id;
  for (guint i = 0; endpoint != NULL && endpoint->virtual_ips != NULL && i < endpoint->virtual_ips->len; i++)
    addresses += g_hash_table_contains (look->networks, &((const SwarmVirtualIP *) g_ptr_array_index (endpoint->virtual_ips, i))->network);
  g_hash_table_iter_init (&iter, look->networks);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    names += is_asked_for (service, id);
  for (guint i = 0; look->mesh && endpoint != NULL && endpoint->ports != NULL && i < endpoint->ports->len; i++)
    ports += ((const SwarmPortConfig *) g_ptr_array_index (endpoint->ports, i))->publish_mode == SWARM_PUBLISH_INGRESS;
  if (addresses + names + ports == 0)
    return TRUE;
  look->want[SWARM_KIND_SERVICE]++;
  g_autoptr (SwarmPictureService) row = swarm_worker_picture_get (look->machine->worker, SWARM_KIND_SERVICE, &service->object.id);
  for (guint i = 0; row != NULL && row->networks != NULL && i < row->networks->len; i++)
    in_row += ((const SwarmNetworkAttachment *) g_ptr_array_index (row->networks, i))->addresses != NULL;
  if (row == NULL || in_row != addresses || (row->ports != NULL ? row->ports->len : 0) != ports)
    missing (look, row, "service", &service->object.id);
  return TRUE;
}

static gboolean
check_network (gpointer object, gpointer data)
{
  const SwarmNetwork *network = object;
  Look *look = data;
  gboolean ingress = look->mesh && swarm_id_equal (&look->node->network->ingress, &network->object.id);
  if (!ingress && !g_hash_table_contains (look->networks, &network->object.id))
    return TRUE;
  look->want[SWARM_KIND_NETWORK]++;
  g_autoptr (SwarmPictureNetwork) row = swarm_worker_picture_get (look->machine->worker, SWARM_KIND_NETWORK, &network->object.id);
  if (row == NULL || row->vni != network->vni || row->ingress != network->spec->ingress || g_strcmp0 (row->name, network->spec->name) != 0)
    missing (look, row, "network", &network->object.id);
  return TRUE;
}

static gboolean
same_keys (const GPtrArray *a, const GPtrArray *b)
{
  guint n = a != NULL ? a->len : 0;
  gboolean same = n == (b != NULL ? b->len : 0);
  for (guint i = 0; same && i < n; i++)
    same = swarm_message_equal (a->pdata[i], b->pdata[i]);
  return same;
}

/* The keys that the other host has now, and nobody's else. */
static gboolean
has_right_keys (const Look *look, const SwarmNode *node, const SwarmPictureNode *row)
{
  gboolean known = node != look->node && g_hash_table_contains (look->secret, &node->object.id);
  return same_keys (row->keys, known && node->description != NULL ? node->description->network_keys : NULL);
}

static gboolean
check_node (gpointer object, gpointer data)
{
  const SwarmNode *node = object;
  Look *look = data;
  gboolean mesh = look->mesh && node->network != NULL && node->network->ingress_address != NULL;
  gboolean own = node == look->node;
  if (node->network == NULL || !(mesh || g_hash_table_contains (look->nodes, &node->object.id)))
    return TRUE;
  look->want[SWARM_KIND_NODE]++;
  g_autoptr (SwarmPictureNode) row = swarm_worker_picture_get (look->machine->worker, SWARM_KIND_NODE, &node->object.id);
  if (row == NULL || row->number != node->network->number || g_strcmp0 (row->addr, node->status->addr) != 0
      || row->down != (node->status->state == SWARM_NODE_DOWN) || g_strcmp0 (row->gateway, mesh || own ? node->network->gateway : NULL) != 0
      || !has_right_keys (look, node, row))
    missing (look, row, "node", &node->object.id);
  return TRUE;
}

static void
count_row (gpointer row, gpointer data)
{
  ++*(guint *) data;
}

/* ---- the whole ---- */

static char *
check_machine (SwarmStore *store, SimMachine *machine)
{
  static const SwarmKind kinds[] = { SWARM_KIND_TASK, SWARM_KIND_SERVICE, SWARM_KIND_NETWORK, SWARM_KIND_NODE };
  static const SwarmStoreEach checks[] = { check_task, check_service, check_network, check_node };
  Look look = { .store = store, .machine = machine, .node = swarm_store_get (store, SWARM_KIND_NODE, &machine->id) };
  if (look.node == NULL || look.node->network == NULL || look.node->status->state != SWARM_NODE_READY || !machine->running
      || machine->worker == NULL || machine->session != SWARM_SESSION_REGISTERED || machine->leaving)
    return NULL;
  look.mesh = look.node->network->ingress_address != NULL;
  look.networks = id_set ();
  look.nodes = id_set ();
  look.secret = id_set ();
  if (!same_keys (machine->keys, look.node->description->network_keys))
    look.why = g_strdup_printf ("%s has other keys than the cluster knows", machine->name);
  swarm_store_foreach (store, SWARM_KIND_TASK, collect_networks, &look);
  for (guint i = 0; i < G_N_ELEMENTS (kinds) && look.why == NULL; i++) {
    swarm_store_foreach (store, kinds[i], checks[i], &look);
    swarm_worker_picture_foreach (machine->worker, kinds[i], count_row, &look.have[kinds[i]]);
    if (look.why == NULL && look.have[kinds[i]] != look.want[kinds[i]])
      look.why = g_strdup_printf ("%s has a picture of %u %ss, %u concern it", machine->name, look.have[kinds[i]], swarm_kind_to_string (kinds[i]),
                                  look.want[kinds[i]]);
  }
  g_hash_table_unref (look.networks);
  g_hash_table_unref (look.nodes);
  g_hash_table_unref (look.secret);
  return look.why;
}

char *
sim_pictures_check (SimCluster *cluster, SwarmStore *store)
{
  char *why = NULL;
  for (guint i = 0; i < sim_cluster_n_machines (cluster) && why == NULL; i++)
    why = check_machine (store, sim_cluster_machine (cluster, i));
  return why;
}
