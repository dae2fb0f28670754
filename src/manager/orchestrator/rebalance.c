// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/rebalance.h"
#include "base/error.h"
#include "manager/orchestrator/slot.h"
#include "manager/scheduler/branch.h"
#include "manager/scheduler/filter.h"

/* A node as the plan has it. */
typedef struct {
  SwarmNode *node;
  guint branch;
  guint n;           /* tasks of the service that are here, or on their way */
  GPtrArray *movable; /* SwarmTask that run here, oldest first */
  gboolean looked_at; /* capacity is known */
  guint capacity;     /* so many more fit */
} Place;

typedef struct {
  SwarmStore *store;
  const SwarmService *service;
  GArray *places;     /* Place, by node id */
  GHashTable *by_node; /* node id → index + 1 */
  SwarmNodeSet *set;  /* of the nodes that were asked for their capacity */
  SwarmNeeds needs;
  SwarmBranches *branches; /* NULL: no preferences */
  GArray *moves;
} Plan;

static void
place_clear (gpointer data)
{
  g_ptr_array_unref (((Place *) data)->movable);
}

static gboolean
add_place (gpointer object, gpointer data)
{
  Plan *plan = data;
  SwarmNode *node = object;
  Place place = { .node = node, .movable = g_ptr_array_new () };
  if (plan->branches != NULL)
    place.branch = swarm_branches_find (plan->branches, node);
  g_array_append_val (plan->places, place);
  g_hash_table_insert (plan->by_node, &node->object.id, GUINT_TO_POINTER (plan->places->len));
  swarm_node_set_put (plan->set, node);
  return TRUE;
}

static Place *
place_of (Plan *plan, const SwarmId *node)
{
  guint at = GPOINTER_TO_UINT (g_hash_table_lookup (plan->by_node, node));
  return at > 0 ? &g_array_index (plan->places, Place, at - 1) : NULL;
}

static gboolean
is_live (const SwarmTask *task)
{
  return task->desired_state <= SWARM_TASK_RUNNING && task->status->state <= SWARM_TASK_RUNNING && !swarm_id_is_nil (&task->node_id);
}

/* A task that is moved already counts where it goes; it and what does not run stay out of this plan. */
static void
add_task (Plan *plan, SwarmTask *task)
{
  gboolean moving = !swarm_id_is_nil (&task->move_to);
  Place *place = place_of (plan, moving ? &task->move_to : &task->node_id);
  if (place == NULL)
    return;
  place->n++;
  if (!moving && task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING
      && !swarm_task_is_dirty (plan->store, task, plan->service))
    g_ptr_array_add (place->movable, task);
}

/* One live task per slot: of two (start-first) the newer is where the slot will be. */
static void
add_tasks (Plan *plan, GPtrArray *tasks)
{
  g_autoptr (GArray) slots = swarm_slots_of (tasks);
  for (guint i = 0; i < slots->len; i++) {
    const SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
    for (guint j = slot->n; j-- > 0;) {
      if (is_live (slot->tasks[j])) {
        add_task (plan, slot->tasks[j]);
        break;
      }
    }
  }
}

static guint
place_capacity (Plan *plan, Place *place)
{
  if (place->looked_at)
    return place->capacity;
  SwarmFilterCounts counts = { 0 };
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (plan->store, &place->node->object.id);
  for (guint i = 0; i < tasks->len; i++)
    swarm_node_set_add (plan->set, g_ptr_array_index (tasks, i));
  place->looked_at = TRUE;
  place->capacity = swarm_filters_capacity (&plan->needs, plan->set, swarm_node_set_get (plan->set, &place->node->object.id), &counts);
  return place->capacity;
}

/* The place with the fewest tasks, at most @most, in the branch of @from, which can take one more. */
static Place *
find_target (Plan *plan, const Place *from, guint most)
{
  Place *best = NULL;
  for (guint i = 0; i < plan->places->len; i++) {
    Place *place = &g_array_index (plan->places, Place, i);
    if (place->branch == from->branch && place->n <= most && (best == NULL || place->n < best->n) && place_capacity (plan, place) > 0)
      best = place;
  }
  return best;
}

static int
compare_crowded (gconstpointer a, gconstpointer b)
{
  const Place *x = *(Place *const *) a, *y = *(Place *const *) b;
  if (x->n != y->n)
    return x->n > y->n ? -1 : 1;
  return swarm_id_compare (&x->node->object.id, &y->node->object.id);
}

/* Drained nodes are emptied anyway, and of a node that does not answer nothing can be moved. */
static gboolean
may_give (const Place *place)
{
  return place->movable->len > 0 && place->n >= 2 && place->node->status->state == SWARM_NODE_READY
         && place->node->spec->availability != SWARM_AVAILABILITY_DRAIN;
}

/* FALSE: all is even, as far as it can be. */
static gboolean
plan_move (Plan *plan)
{
  g_autoptr (GPtrArray) crowded = g_ptr_array_new ();
  for (guint i = 0; i < plan->places->len; i++) {
    Place *place = &g_array_index (plan->places, Place, i);
    if (may_give (place))
      g_ptr_array_add (crowded, place);
  }
  g_ptr_array_sort (crowded, compare_crowded);
  for (guint i = 0; i < crowded->len; i++) {
    Place *from = g_ptr_array_index (crowded, i), *to = find_target (plan, from, from->n - 2);
    if (to == NULL)
      continue;
    SwarmTask *task = g_ptr_array_steal_index (from->movable, from->movable->len - 1);
    SwarmMove move = { task->object.id, task->slot, from->node->object.id, to->node->object.id };
    g_array_append_val (plan->moves, move);
    from->n--;
    to->n++;
    to->capacity--;
    return TRUE;
  }
  return FALSE;
}

static int
compare_age (gconstpointer a, gconstpointer b)
{
  const SwarmTask *x = *(SwarmTask *const *) a, *y = *(SwarmTask *const *) b;
  if (x->object.created_at != y->object.created_at)
    return x->object.created_at < y->object.created_at ? -1 : 1;
  return swarm_id_compare (&x->object.id, &y->object.id);
}

static void
plan_moves (Plan *plan, guint max)
{
  for (guint i = 0; i < plan->places->len; i++)
    g_ptr_array_sort (g_array_index (plan->places, Place, i).movable, compare_age);
  while (plan->moves->len < max && plan_move (plan))
    ;
}

GArray *
swarm_rebalance_plan (SwarmStore *store, SwarmClock *clock, const SwarmService *service, guint max, GError **error)
{
  if (swarm_service_spec_kind (service->spec) != SWARM_SERVICE_REPLICATED) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "rebalance can only be used with replicated mode");
    return NULL;
  }
  Plan plan = { .store = store, .service = service, .moves = g_array_new (FALSE, FALSE, sizeof (SwarmMove)) };
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (store, &service->object.id);
  g_autoptr (SwarmTask) any = swarm_task_new (); /* what one of its tasks asks for */
  any->service_id = service->object.id;
  any->spec = swarm_task_spec_ref (service->spec->task);
  any->endpoint = service->spec->endpoint != NULL ? swarm_endpoint_spec_ref (service->spec->endpoint) : NULL;
  any->status = swarm_task_status_new ();
  plan.places = g_array_new (FALSE, FALSE, sizeof (Place));
  g_array_set_clear_func (plan.places, place_clear);
  plan.by_node = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  plan.set = swarm_node_set_new (clock);
  plan.branches = swarm_branches_new (any);
  swarm_needs_init (&plan.needs, any);
  swarm_store_foreach (store, SWARM_KIND_NODE, add_place, &plan);
  add_tasks (&plan, tasks);
  plan_moves (&plan, max > 0 ? MIN (max, SWARM_REBALANCE_MAX) : SWARM_REBALANCE_MAX);
  swarm_needs_clear (&plan.needs);
  g_clear_pointer (&plan.branches, swarm_branches_free);
  swarm_node_set_free (plan.set);
  g_hash_table_unref (plan.by_node);
  g_array_unref (plan.places);
  return plan.moves;
}
