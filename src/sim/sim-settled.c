// SPDX-License-Identifier: LGPL-2.1-or-later
/* Has the cluster come to rest, as it was declared? */
#include "manager/orchestrator/slot.h"
#include "model/constraint.h"
#include "model/subnet.h"
#include "runtime-sim.h"
#include "sim/sim-cluster.h"
#include "sim/sim-pictures.h"

typedef struct {
  SimCluster *cluster;
  SwarmStore *store;
  guint running; /* containers that are where they shall be */
  char *why;
} Settled;

static void
check_settled_container (const RuntimeSimTask *container, gpointer data)
{
  Settled *settled = data;
  SimMachine *machine = sim_cluster_find (settled->cluster, container->host);
  SwarmId id;
  if (!container->exists || !machine->powered || settled->why != NULL || !swarm_id_parse (container->task_id, &id))
    return;
  /* It was removed by force while its agent was away: nobody can tell it anything. */
  if (swarm_store_get (settled->store, SWARM_KIND_NODE, &machine->id) == NULL)
    return;
  const SwarmTask *task = swarm_store_get (settled->store, SWARM_KIND_TASK, &id);
  if (!container->running) {
    if (task == NULL)
      settled->why = g_strdup_printf ("%s is gone, and its container is left on %s", container->name, container->host);
    return;
  }
  if (task == NULL || task->desired_state != SWARM_TASK_RUNNING || task->status->state != SWARM_TASK_RUNNING
      || !swarm_id_equal (&task->node_id, &machine->id))
    settled->why = g_strdup_printf ("%s runs on %s; the store says %s, wanted %s", container->name, container->host,
                                    task != NULL ? swarm_task_state_to_string (task->status->state) : "nothing",
                                    task != NULL ? swarm_task_state_to_string (task->desired_state) : "nothing");
  settled->running++;
}

/* An update that stopped half way leaves tasks of both specs. */
static gboolean
is_paused (const SwarmService *service)
{
  SwarmUpdateState state = service->update_status != NULL ? service->update_status->state : SWARM_UPDATE_NONE;
  return state == SWARM_UPDATE_PAUSED || state == SWARM_UPDATE_ROLLBACK_PAUSED;
}

/* A paused node's task of a global service is not updated, whether the update was finished elsewhere or rolled back. */
static gboolean
is_held (const Settled *settled, const SwarmService *service, const SwarmTask *task)
{
  const SwarmNode *node = swarm_store_get (settled->store, SWARM_KIND_NODE, &task->node_id);
  return swarm_service_spec_kind (service->spec) == SWARM_SERVICE_GLOBAL && node != NULL && node->spec->availability == SWARM_AVAILABILITY_PAUSE;
}

static gboolean
is_good (const Settled *settled, const SwarmService *service, const SwarmTask *task)
{
  return task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING
         && (is_paused (service) || is_held (settled, service, task) || !swarm_task_is_dirty (settled->store, task, service));
}

/* ---- networks that are full ---- */

typedef struct {
  const SwarmId *network;
  guint64 used;
} Held;

static gboolean
count_virtual (gpointer object, gpointer data)
{
  const SwarmEndpoint *endpoint = ((const SwarmService *) object)->endpoint;
  Held *held = data;
  for (guint i = 0; endpoint != NULL && endpoint->virtual_ips != NULL && i < endpoint->virtual_ips->len; i++)
    held->used += swarm_id_equal (&((const SwarmVirtualIP *) endpoint->virtual_ips->pdata[i])->network, held->network);
  return TRUE;
}

static gboolean
count_attached (gpointer object, gpointer data)
{
  const SwarmTask *task = object;
  Held *held = data;
  for (guint i = 0; task->networks != NULL && swarm_task_holds_addresses (task) && i < task->networks->len; i++) {
    const SwarmNetworkAttachment *attachment = task->networks->pdata[i];
    held->used += swarm_id_equal (&attachment->network, held->network) && attachment->addresses != NULL && attachment->addresses->len > 0;
  }
  return TRUE;
}

/* Each of its addresses is in use, but its own, the gateway and the broadcast. */
static gboolean
is_full (const Settled *settled, const SwarmNetwork *network)
{
  const SwarmIPAM *ipam = network->ipam;
  SwarmSubnet subnet;
  Held held = { &network->object.id, 0 };
  if (ipam == NULL || ipam->config == NULL || ipam->config->len == 0
      || !swarm_subnet_parse (((const SwarmIPAMConfig *) ipam->config->pdata[0])->subnet, &subnet))
    return FALSE;
  swarm_store_foreach (settled->store, SWARM_KIND_SERVICE, count_virtual, &held);
  swarm_store_foreach (settled->store, SWARM_KIND_TASK, count_attached, &held);
  return held.used + 3 >= G_GUINT64_CONSTANT (1) << (32 - subnet.prefix);
}

static guint
n_running (GPtrArray *tasks)
{
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = tasks->pdata[i];
    n += task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING;
  }
  return n;
}

/* A task of it waits for an address rightly, and may do so for ever. */
static gboolean
waits_for_address (const Settled *settled, GPtrArray *tasks)
{
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = tasks->pdata[i];
    const GPtrArray *networks = task->spec->networks;
    if (task->status->state != SWARM_TASK_NEW || task->desired_state > SWARM_TASK_RUNNING)
      continue;
    for (guint k = 0; networks != NULL && k < networks->len; k++) {
      const SwarmNetwork *network
        = swarm_store_resolve (settled->store, SWARM_KIND_NETWORK, ((const SwarmNetworkAttachmentConfig *) networks->pdata[k])->target, NULL);
      if (network != NULL && is_full (settled, network))
        return TRUE;
    }
  }
  return FALSE;
}

/* ---- services ---- */

typedef struct {
  const Settled *settled;
  const SwarmService *service;
  GPtrArray *tasks;
  GPtrArray *constraints;
  char *why;
} GlobalCheck;

/* Every node that can have a task of a global service has one that is good; a paused one may have its old one. */
static gboolean
check_global_node (gpointer object, gpointer data)
{
  GlobalCheck *check = data;
  const SwarmNode *node = object;
  guint n = 0;
  for (guint i = 0; i < check->tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (check->tasks, i);
    n += swarm_id_equal (&task->node_id, &node->object.id) && is_good (check->settled, check->service, task);
  }
  gboolean fits = node->spec->availability != SWARM_AVAILABILITY_DRAIN && node->status->state == SWARM_NODE_READY
                  && swarm_constraints_match (check->constraints, node);
  if (fits ? n == 1 || (n == 0 && node->spec->availability == SWARM_AVAILABILITY_PAUSE) : n == 0)
    return TRUE;
  check->why = g_strdup_printf ("%s: %u tasks run on %s", check->service->spec->name, n, node->description != NULL ? node->description->hostname : "?");
  return FALSE;
}

/* Each node that takes a global job has completed it once. */
static gboolean
check_global_job_node (gpointer object, gpointer data)
{
  GlobalCheck *check = data;
  const SwarmNode *node = object;
  guint64 iteration = check->service->job_status != NULL ? check->service->job_status->iteration : 0;
  guint done = 0;
  if (node->spec->availability != SWARM_AVAILABILITY_ACTIVE || node->status->state != SWARM_NODE_READY
      || !swarm_constraints_match (check->constraints, node))
    return TRUE;
  for (guint i = 0; i < check->tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (check->tasks, i);
    done += swarm_id_equal (&task->node_id, &node->object.id) && task->job_iteration == iteration && task->status->state == SWARM_TASK_COMPLETE;
  }
  if (done == 1)
    return TRUE;
  check->why = g_strdup_printf ("%s: was completed %u times on %s", check->service->spec->name, done,
                                node->description != NULL ? node->description->hostname : "?");
  return FALSE;
}

static char *
check_global (const Settled *settled, const SwarmService *service, GPtrArray *tasks)
{
  gboolean job = swarm_service_spec_kind (service->spec) == SWARM_SERVICE_GLOBAL_JOB;
  const SwarmPlacement *placement = service->spec->task->placement;
  g_autoptr (GPtrArray) constraints = swarm_constraints_parse (placement != NULL ? placement->constraints : NULL, NULL);
  GlobalCheck check = { settled, service, tasks, constraints, NULL };
  if (constraints != NULL)
    swarm_store_foreach (settled->store, SWARM_KIND_NODE, job ? check_global_job_node : check_global_node, &check);
  return check.why;
}

static char *
check_job (const SwarmService *service, GPtrArray *tasks)
{
  guint64 iteration = service->job_status != NULL ? service->job_status->iteration : 0, done = 0;
  guint64 want = swarm_job_total (service->spec->mode->replicated_job);
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    done += task->status->state == SWARM_TASK_COMPLETE && task->job_iteration == iteration;
  }
  return done >= want ? NULL : g_strdup_printf ("%s: %" G_GUINT64_FORMAT " tasks of %" G_GUINT64_FORMAT " are complete", service->spec->name, done, want);
}

/* No more tasks are kept than the history's limit and the policy's attempts say. */
static char *
check_history (const Settled *settled, const SwarmService *service, GPtrArray *tasks)
{
  const SwarmCluster *cluster = swarm_store_cluster (settled->store);
  const SwarmRestartPolicy *policy = service->spec->task->restart_policy;
  gint64 limit = cluster->spec->orchestration != NULL ? cluster->spec->orchestration->task_history_limit : 5;
  g_autoptr (GArray) slots = swarm_slots_of (tasks);
  if (limit < 0 || swarm_service_spec_kind (service->spec) != SWARM_SERVICE_REPLICATED)
    return NULL;
  limit = MAX (limit, policy != NULL ? (gint64) policy->max_attempts + 1 : 1);
  for (guint i = 0; i < slots->len; i++) {
    const SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
    if (slot->n > MAX (limit, 1))
      return g_strdup_printf ("%s: slot %" G_GUINT64_FORMAT " keeps %u tasks", service->spec->name, slot->number, slot->n);
  }
  return NULL;
}

/* ---- managers ---- */

/* Who is to be a manager votes and has a brain, nobody else. */
static char *
check_role (const SimCluster *cluster, const SimMachine *machine, const SwarmNode *node, GArray *members)
{
  const SwarmConsensusMember *member = NULL;
  gboolean wanted = node->spec->role == SWARM_ROLE_MANAGER;
  for (guint i = 0; i < members->len; i++) {
    const SwarmConsensusMember *one = &g_array_index (members, SwarmConsensusMember, i);
    if (swarm_id_equal (&one->node, &machine->id))
      member = one;
  }
  if (wanted ? member == NULL || !member->voter || node->manager_status == NULL : member != NULL || node->manager_status != NULL)
    return g_strdup_printf ("%s is to be a %s: %s", machine->name, swarm_role_to_string (node->spec->role),
                            member == NULL ? "no member" : member->voter ? "it votes" : "a standby");
  if (machine->running && wanted != (machine->stack != NULL))
    return g_strdup_printf ("%s is to be a %s, and has %s brain", machine->name, swarm_role_to_string (node->spec->role), wanted ? "no" : "a");
  return NULL;
}

static char *
check_roles (const Settled *settled, const SimMachine *leader)
{
  if (leader->consensus == NULL)
    return NULL;
  char *why = NULL;
  g_autoptr (GArray) members = swarm_consensus_members (leader->consensus);
  for (guint i = 0; i < sim_cluster_n_machines (settled->cluster) && why == NULL; i++) {
    const SimMachine *machine = sim_cluster_machine (settled->cluster, i);
    const SwarmNode *node = swarm_store_get (settled->store, SWARM_KIND_NODE, &machine->id);
    if (node != NULL)
      why = check_role (settled->cluster, machine, node, members);
  }
  return why;
}

static gboolean
check_settled_service (gpointer object, gpointer data)
{
  Settled *settled = data;
  const SwarmService *service = object;
  SwarmServiceKind kind = swarm_service_spec_kind (service->spec);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (settled->store, &service->object.id);
  guint run = 0;
  for (guint i = 0; i < tasks->len && kind != SWARM_SERVICE_REPLICATED_JOB && kind != SWARM_SERVICE_GLOBAL_JOB; i++)
    run += is_good (settled, service, g_ptr_array_index (tasks, i));
  if (kind == SWARM_SERVICE_REPLICATED && run != swarm_service_spec_replicas (service->spec))
    settled->why = g_strdup_printf ("%s: %u tasks of %" G_GUINT64_FORMAT " run", service->spec->name, run, swarm_service_spec_replicas (service->spec));
  else if (kind == SWARM_SERVICE_GLOBAL || kind == SWARM_SERVICE_GLOBAL_JOB)
    settled->why = check_global (settled, service, tasks);
  else if (kind == SWARM_SERVICE_REPLICATED_JOB)
    settled->why = check_job (service, tasks);
  if (settled->why != NULL && waits_for_address (settled, tasks)) {
    g_clear_pointer (&settled->why, g_free);
    run = n_running (tasks); /* also what an update cannot replace for want of one */
  }
  if (settled->why == NULL)
    settled->why = check_history (settled, service, tasks);
  settled->running -= run; /* may wrap, comes back to 0 in the end */
  return settled->why == NULL;
}

gboolean
sim_cluster_is_settled (SimCluster *self, char **why)
{
  SimMachine *leader = sim_cluster_leader (self);
  Settled settled = { self, leader != NULL ? leader->store : NULL, 0, NULL };
  if (leader == NULL)
    settled.why = g_strdup ("nobody leads");
  else
    settled.why = check_roles (&settled, leader);
  if (settled.why == NULL)
    runtime_sim_foreach (NULL, check_settled_container, &settled);
  if (settled.why == NULL)
    swarm_store_foreach (settled.store, SWARM_KIND_SERVICE, check_settled_service, &settled);
  if (settled.why == NULL)
    settled.why = swarm_manager_audit (leader->brain);
  if (settled.why == NULL)
    settled.why = sim_pictures_check (self, settled.store);
  if (settled.why == NULL && settled.running != 0)
    settled.why = g_strdup ("containers and tasks do not match");
  gboolean ok = settled.why == NULL;
  if (why != NULL)
    *why = settled.why;
  else
    g_free (settled.why);
  return ok;
}

/* ---- the managers' stores ---- */

#define MEET_US (20 * G_TIME_SPAN_SECOND)

static SimMachine *
brain (SimCluster *self, guint i)
{
  return g_ptr_array_index (self->world.brains, i);
}

static gboolean
same_index (SimCluster *self, gpointer data)
{
  for (guint i = 1; i < self->world.brains->len; i++) {
    if (swarm_store_index (brain (self, i)->store) != swarm_store_index (brain (self, 0)->store))
      return FALSE;
  }
  return TRUE;
}

gboolean
sim_cluster_stores_agree (SimCluster *self, char **why)
{
  *why = NULL;
  if (!sim_cluster_run_until (self, MEET_US, same_index, NULL)) {
    *why = g_strdup ("the managers do not come to the same index");
    return FALSE;
  }
  g_autoptr (GBytes) first = self->world.brains->len > 0 ? swarm_store_encode (brain (self, 0)->store) : NULL;
  for (guint i = 1; i < self->world.brains->len && *why == NULL; i++) {
    g_autoptr (GBytes) other = swarm_store_encode (brain (self, i)->store);
    if (!g_bytes_equal (first, other))
      *why = g_strdup_printf ("the stores of %s and %s are not the same at index %" G_GUINT64_FORMAT, brain (self, 0)->name, brain (self, i)->name,
                              swarm_store_index (brain (self, i)->store));
  }
  return *why == NULL;
}
