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
  const SwarmPluginBranch *rows;
  guint n_rows;
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

/* ---- choosing one move ---- */

/* The place is in @branch, or in one below it. Branch 0 is the whole cluster. */
static gboolean
is_in (const Plan *plan, const Place *place, guint branch)
{
  guint at = place->branch;
  while (at != branch && at != 0)
    at = plan->rows[at].parent;
  return at == branch;
}

/* The place of @branch with the fewest tasks, at most @most, which can take one more; the first of equals. */
static Place *
find_target (Plan *plan, guint branch, guint most)
{
  Place *best = NULL;
  for (guint i = 0; i < plan->places->len; i++) {
    Place *place = &g_array_index (plan->places, Place, i);
    if (place->n <= most && (best == NULL || place->n < best->n) && is_in (plan, place, branch) && place_capacity (plan, place) > 0)
      best = place;
  }
  return best;
}

/* Drained nodes are emptied anyway, and of a node that does not answer nothing can be moved. */
static gboolean
may_give (const Place *place)
{
  return place->movable->len > 0 && place->node->status->state == SWARM_NODE_READY
         && place->node->spec->availability != SWARM_AVAILABILITY_DRAIN;
}

/* The place of @branch with the most tasks that can give one; the next one after @after (NULL: the first). */
static Place *
find_source (Plan *plan, guint branch, const Place *after)
{
  Place *best = NULL;
  for (guint i = 0; i < plan->places->len; i++) {
    Place *place = &g_array_index (plan->places, Place, i);
    gboolean next = after == NULL || place->n < after->n || (place->n == after->n && place > after);
    if (next && may_give (place) && (best == NULL || place->n > best->n) && is_in (plan, place, branch))
      best = place;
  }
  return best;
}

static void
move (Plan *plan, Place *from, Place *to)
{
  SwarmTask *task = g_ptr_array_steal_index (from->movable, from->movable->len - 1);
  SwarmMove one = { task->object.id, task->slot, from->node->object.id, to->node->object.id };
  g_array_append_val (plan->moves, one);
  from->n--;
  to->n++;
  to->capacity--;
}

/* Between the nodes of an innermost branch. */
static gboolean
even_nodes (Plan *plan, guint branch)
{
  for (Place *from = find_source (plan, branch, NULL); from != NULL && from->n >= 2; from = find_source (plan, branch, from)) {
    Place *to = find_target (plan, branch, from->n - 2);
    if (to != NULL) {
      move (plan, from, to);
      return TRUE;
    }
  }
  return FALSE;
}

static guint
count_branch (const Plan *plan, guint branch)
{
  guint n = 0;
  for (guint i = 0; i < plan->places->len; i++) {
    const Place *place = &g_array_index (plan->places, Place, i);
    n += is_in (plan, place, branch) ? place->n : 0;
  }
  return n;
}

typedef struct {
  guint branch;
  guint n;
} Child;

static int
compare_children (gconstpointer a, gconstpointer b)
{
  const Child *x = a, *y = b;
  if (x->n != y->n)
    return x->n > y->n ? -1 : 1;
  return x->branch < y->branch ? -1 : x->branch > y->branch;
}

/* The branches right below @branch, those with most tasks first. */
static GArray *
children_of (const Plan *plan, guint branch)
{
  GArray *children = g_array_new (FALSE, FALSE, sizeof (Child));
  for (guint i = 1; i < plan->n_rows; i++) {
    Child child = { i, 0 };
    if (plan->rows[i].parent != branch)
      continue;
    child.n = count_branch (plan, i);
    g_array_append_val (children, child);
  }
  g_array_sort (children, compare_children);
  return children;
}

/* As the scheduler spreads: first between the branches, the outermost first, then inside each. FALSE: all is even, as far as it can be. */
static gboolean
even_branch (Plan *plan, guint branch)
{
  g_autoptr (GArray) children = children_of (plan, branch);
  if (children->len == 0)
    return even_nodes (plan, branch);
  for (guint i = 0; i < children->len; i++) {
    const Child *full = &g_array_index (children, Child, i);
    Place *from = find_source (plan, full->branch, NULL);
    for (guint j = children->len; from != NULL && j-- > i + 1;) {
      const Child *empty = &g_array_index (children, Child, j);
      Place *to = full->n >= empty->n + 2 ? find_target (plan, empty->branch, G_MAXUINT) : NULL;
      if (to != NULL) {
        move (plan, from, to);
        return TRUE;
      }
    }
  }
  for (guint i = 0; i < children->len; i++) {
    if (even_branch (plan, g_array_index (children, Child, i).branch))
      return TRUE;
  }
  return FALSE;
}

static void
plan_moves (Plan *plan, guint max)
{
  for (guint i = 0; i < plan->places->len; i++)
    g_ptr_array_sort (g_array_index (plan->places, Place, i).movable, swarm_task_compare_age);
  while (plan->moves->len < max && even_branch (plan, 0))
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
  if (plan.branches != NULL)
    plan.rows = swarm_branches_rows (plan.branches, &plan.n_rows);
  add_tasks (&plan, tasks);
  plan_moves (&plan, max > 0 ? MIN (max, SWARM_REBALANCE_MAX) : SWARM_REBALANCE_MAX);
  swarm_needs_clear (&plan.needs);
  g_clear_pointer (&plan.branches, swarm_branches_free);
  swarm_node_set_free (plan.set);
  g_hash_table_unref (plan.by_node);
  g_array_unref (plan.places);
  return plan.moves;
}
