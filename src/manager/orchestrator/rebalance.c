// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/rebalance.h"
#include "base/error.h"
#include "manager/orchestrator/heap.h"
#include "manager/orchestrator/slot.h"
#include "manager/scheduler/branch.h"
#include "manager/scheduler/filter.h"

#define TURN_US (5 * G_TIME_SPAN_MILLISECOND)
#define PART 64 /* nodes, or tasks, between two looks at the clock */

typedef struct {
  SwarmId task;
  guint64 slot;
  gint64 created_at;
} Movable;

/* A node as the plan has it. */
typedef struct {
  SwarmNode *node;    /* a reference */
  guint branch;
  guint n;            /* tasks of the service that are here, or on their way */
  GArray *movable;    /* Movable: what runs here */
  gboolean sorted;    /* … oldest first */
  gboolean looked_at; /* capacity is known */
  guint capacity;     /* so many more fit */
} Place;

/* A branch of the preferences, or all there is (0), with the places in it and in those below it. */
typedef struct {
  guint n;           /* tasks of the service */
  GArray *children;  /* guint: the branches right below; NULL: the area has not been met */
  SwarmHeap sources; /* places by number, with most tasks first; the rank is minus their count … */
  SwarmHeap targets; /* … and with fewest first; items with a count that was once are skipped */
} Area;

typedef enum { FIND_NODES, COUNT_TASKS, OPEN_AREAS, CHOOSE_MOVES } Phase;

struct _SwarmRebalance {
  SwarmRebalance **slot;
  SwarmStore *store;
  SwarmClock *clock;
  SwarmTimer *timer;
  SwarmService *service; /* a reference */
  guint max;
  SwarmRebalanceDone done;
  gpointer data;
  Phase phase;
  gint64 until;        /* boottime: the turn is over then */
  GArray *places;      /* Place, by node id */
  GHashTable *by_node; /* node id → index + 1 */
  guint64 cursor;      /* COUNT_TASKS: the next slot; OPEN_AREAS: the next place */
  SwarmNodeSet *set;   /* of the nodes that were asked for their capacity */
  SwarmNeeds needs;
  SwarmBranches *branches; /* NULL: no preferences */
  GArray *areas;       /* Area, by branch */
  guint asked;         /* in this turn: nodes for their capacity */
  gboolean late;       /* the turn was over before all were asked: what was found does not count */
  GArray *moves;
};

static gboolean
turn_is_over (const SwarmRebalance *self)
{
  return swarm_clock_boottime (self->clock) >= self->until;
}

/* ---- what there is ---- */

static void
place_clear (gpointer data)
{
  Place *place = data;
  swarm_node_unref (place->node);
  g_array_unref (place->movable);
}

static gboolean
find_nodes (SwarmRebalance *self)
{
  SwarmNode *node = self->places->len > 0 ? g_array_index (self->places, Place, self->places->len - 1).node : NULL;
  while ((node = swarm_store_next (self->store, SWARM_KIND_NODE, node != NULL ? &node->object.id : NULL)) != NULL) {
    Place place = { .node = swarm_node_ref (node), .movable = g_array_new (FALSE, FALSE, sizeof (Movable)) };
    if (self->branches != NULL)
      place.branch = swarm_branches_find (self->branches, node);
    g_array_append_val (self->places, place);
    g_hash_table_insert (self->by_node, &place.node->object.id, GUINT_TO_POINTER (self->places->len));
    if (self->places->len % PART == 0 && turn_is_over (self))
      return FALSE;
  }
  return TRUE;
}

static Place *
place_of (SwarmRebalance *self, const SwarmId *node)
{
  guint at = GPOINTER_TO_UINT (g_hash_table_lookup (self->by_node, node));
  return at > 0 ? &g_array_index (self->places, Place, at - 1) : NULL;
}

static gboolean
is_live (const SwarmTask *task)
{
  return task->desired_state <= SWARM_TASK_RUNNING && task->status->state <= SWARM_TASK_RUNNING && !swarm_id_is_nil (&task->node_id);
}

/* A task that is moved already counts where it goes; it and what does not run stay out of this plan. */
static void
add_task (SwarmRebalance *self, const SwarmTask *task)
{
  gboolean moving = !swarm_id_is_nil (&task->move_to);
  Place *place = place_of (self, moving ? &task->move_to : &task->node_id);
  Movable movable = { task->object.id, task->slot, task->object.created_at };
  if (place == NULL)
    return;
  place->n++;
  if (!moving && task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING
      && !swarm_task_is_dirty (self->store, task, self->service))
    g_array_append_val (place->movable, movable);
}

/* One live task per slot: of two (start-first) the newer is where the slot will be. */
static gboolean
count_tasks (SwarmRebalance *self)
{
  guint n;
  do {
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_from_slot (self->store, &self->service->object.id, self->cursor, PART);
    g_autoptr (GArray) slots = swarm_slots_of (tasks);
    n = tasks->len;
    for (guint i = 0; i < slots->len; i++) {
      const SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
      guint at = slot->n;
      while (at > 0 && !is_live (slot->tasks[at - 1]))
        at--;
      if (at > 0)
        add_task (self, slot->tasks[at - 1]);
      self->cursor = slot->number + 1;
    }
    if (n >= PART && turn_is_over (self))
      return FALSE;
  } while (n >= PART);
  self->cursor = 0;
  return TRUE;
}

/* ---- areas ---- */

static void
area_clear (gpointer data)
{
  Area *area = data;
  if (area->children == NULL)
    return;
  g_array_unref (area->children);
  swarm_heap_clear (&area->sources);
  swarm_heap_clear (&area->targets);
}

static guint
parent_of (const SwarmRebalance *self, guint branch)
{
  guint n;
  return branch == 0 ? 0 : swarm_branches_rows (self->branches, &n)[branch].parent;
}

static Area *
area_of (SwarmRebalance *self, guint branch)
{
  Area *area = &g_array_index (self->areas, Area, branch);
  if (area->children != NULL)
    return area;
  area->children = g_array_new (FALSE, FALSE, sizeof (guint));
  swarm_heap_init (&area->sources);
  swarm_heap_init (&area->targets);
  if (branch != 0)
    g_array_append_val (area_of (self, parent_of (self, branch))->children, branch);
  return area;
}

/* The place stands in its areas as it is now, with @by tasks more than before. */
static void
enter (SwarmRebalance *self, const Place *place, int by)
{
  guint number = (guint) (place - (const Place *) (gpointer) self->places->data);
  for (guint branch = place->branch;; branch = parent_of (self, branch)) {
    Area *area = area_of (self, branch);
    area->n = (guint) ((int) area->n + by);
    swarm_heap_add (&area->sources, -(gint64) place->n, number);
    swarm_heap_add (&area->targets, place->n, number);
    if (branch == 0)
      return;
  }
}

static gboolean
open_areas (SwarmRebalance *self)
{
  guint n = 1;
  if (self->branches != NULL)
    swarm_branches_rows (self->branches, &n);
  g_array_set_size (self->areas, n);
  area_of (self, 0);
  while (self->cursor < self->places->len) {
    const Place *place = &g_array_index (self->places, Place, self->cursor);
    enter (self, place, (int) place->n);
    if (++self->cursor % PART == 0 && turn_is_over (self))
      return FALSE;
  }
  return TRUE;
}

/* ---- choosing one move ---- */

/* FALSE: it is not known yet, and the turn is over. */
static gboolean
ask_capacity (SwarmRebalance *self, Place *place)
{
  if (place->looked_at)
    return TRUE;
  if (self->asked++ > 0 && turn_is_over (self)) {
    self->late = TRUE;
    return FALSE;
  }
  SwarmFilterCounts counts = { 0 };
  const SwarmId *id = &place->node->object.id;
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (self->store, id);
  swarm_node_set_put (self->set, place->node);
  for (guint i = 0; i < tasks->len; i++)
    swarm_node_set_add (self->set, g_ptr_array_index (tasks, i));
  place->looked_at = TRUE;
  place->capacity = swarm_filters_capacity (&self->needs, self->set, swarm_node_set_get (self->set, id), &counts);
  return TRUE;
}

/* The place with the fewest tasks that can take one more; the first of equals. NULL: there is none, or it is late. */
static Place *
find_target (SwarmRebalance *self, Area *area)
{
  const SwarmHeapItem *first;
  SwarmHeapItem item;
  while ((first = swarm_heap_first (&area->targets)) != NULL) {
    Place *place = &g_array_index (self->places, Place, first->number);
    if (first->rank == place->n) {
      if (!ask_capacity (self, place))
        return NULL;
      if (place->capacity > 0)
        return place;
    }
    swarm_heap_take (&area->targets, &item);
  }
  return NULL;
}

/* Drained nodes are emptied anyway, and of a node that does not answer nothing can be moved. */
static gboolean
may_give (const Place *place)
{
  return place->movable->len > 0 && place->node->status->state == SWARM_NODE_READY
         && place->node->spec->availability != SWARM_AVAILABILITY_DRAIN;
}

/* The place with the most tasks that can give one; the first of equals. NULL: there is none. */
static Place *
find_source (SwarmRebalance *self, Area *area)
{
  const SwarmHeapItem *first;
  SwarmHeapItem item;
  while ((first = swarm_heap_first (&area->sources)) != NULL) {
    Place *place = &g_array_index (self->places, Place, first->number);
    if (first->rank == -(gint64) place->n && may_give (place))
      return place;
    swarm_heap_take (&area->sources, &item);
  }
  return NULL;
}

static int
compare_age (gconstpointer a, gconstpointer b)
{
  const Movable *x = a, *y = b;
  if (x->created_at != y->created_at)
    return x->created_at < y->created_at ? -1 : 1;
  return swarm_id_compare (&x->task, &y->task);
}

/* What has run for the shortest time. */
static void
move (SwarmRebalance *self, Place *from, Place *to)
{
  if (!from->sorted)
    g_array_sort (from->movable, compare_age);
  from->sorted = TRUE;
  const Movable *last = &g_array_index (from->movable, Movable, from->movable->len - 1);
  SwarmMove one = { last->task, last->slot, from->node->object.id, to->node->object.id };
  g_array_append_val (self->moves, one);
  g_array_set_size (from->movable, from->movable->len - 1);
  from->n--;
  to->n++;
  to->capacity--;
  enter (self, from, -1);
  enter (self, to, 1);
}

/* Between the nodes of an innermost branch. */
static gboolean
even_nodes (SwarmRebalance *self, Area *area)
{
  Place *from = find_source (self, area), *to = from != NULL && from->n >= 2 ? find_target (self, area) : NULL;
  if (to == NULL || to->n + 2 > from->n)
    return FALSE;
  move (self, from, to);
  return TRUE;
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

/* Those with most tasks first. */
static GArray *
children_of (SwarmRebalance *self, const Area *area)
{
  GArray *children = g_array_sized_new (FALSE, FALSE, sizeof (Child), area->children->len);
  for (guint i = 0; i < area->children->len; i++) {
    Child child = { g_array_index (area->children, guint, i), 0 };
    child.n = area_of (self, child.branch)->n;
    g_array_append_val (children, child);
  }
  g_array_sort (children, compare_children);
  return children;
}

/* From the fullest of them that can give one to the emptiest that can take it. */
static gboolean
even_children (SwarmRebalance *self, const GArray *children)
{
  Place *from = NULL, *to = NULL;
  guint i = 0, j = children->len;
  while (i < children->len && (from = find_source (self, area_of (self, g_array_index (children, Child, i).branch))) == NULL)
    i++;
  while (to == NULL && !self->late && j-- > i + 1 && g_array_index (children, Child, i).n >= g_array_index (children, Child, j).n + 2)
    to = find_target (self, area_of (self, g_array_index (children, Child, j).branch));
  if (from == NULL || to == NULL)
    return FALSE;
  move (self, from, to);
  return TRUE;
}

/* As the scheduler spreads: first between the branches, the outermost first, then inside each. FALSE: all is even, as far as it can be; or it is
 * late. */
static gboolean
even_area (SwarmRebalance *self, Area *area)
{
  if (area->children->len == 0)
    return even_nodes (self, area);
  g_autoptr (GArray) children = children_of (self, area);
  if (even_children (self, children))
    return TRUE;
  for (guint i = 0; i < children->len && !self->late; i++) {
    if (even_area (self, area_of (self, g_array_index (children, Child, i).branch)))
      return TRUE;
  }
  return FALSE;
}

static gboolean
choose_moves (SwarmRebalance *self)
{
  while (self->moves->len < self->max) {
    self->late = FALSE;
    if (!even_area (self, area_of (self, 0)))
      return !self->late;
    if (turn_is_over (self))
      return FALSE;
  }
  return TRUE;
}

/* ---- life ---- */

static void
rebalance_end (SwarmRebalance *self, const GError *error)
{
  *self->slot = NULL;
  swarm_clock_clear_timer (self->clock, &self->timer);
  self->done (error == NULL ? self->moves : NULL, error, self->data);
  g_array_unref (self->moves);
  g_array_unref (self->areas);
  swarm_needs_clear (&self->needs);
  swarm_branches_free (self->branches);
  swarm_node_set_free (self->set);
  g_hash_table_unref (self->by_node);
  g_array_unref (self->places);
  swarm_service_unref (self->service);
  g_free (self);
}

static void
rebalance_turn (gpointer data)
{
  static gboolean (*const phases[]) (SwarmRebalance *) = { find_nodes, count_tasks, open_areas, choose_moves };
  SwarmRebalance *self = data;
  self->timer = NULL;
  self->until = swarm_clock_boottime (self->clock) + TURN_US;
  self->asked = 0;
  while (phases[self->phase](self)) {
    if (self->phase == CHOOSE_MOVES) {
      rebalance_end (self, NULL);
      return;
    }
    self->phase++;
  }
  self->timer = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_IDLE, rebalance_turn, self);
}

void
swarm_rebalance_plan (SwarmRebalance **slot, SwarmStore *store, SwarmClock *clock, const SwarmService *service, guint max,
                      SwarmRebalanceDone done, gpointer data)
{
  if (swarm_service_spec_kind (service->spec) != SWARM_SERVICE_REPLICATED) {
    g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "rebalance can only be used with replicated mode");
    done (NULL, error, data);
    return;
  }
  g_autoptr (SwarmTask) any = swarm_task_new (); /* what one of its tasks asks for */
  any->service_id = service->object.id;
  any->spec = swarm_task_spec_ref (service->spec->task);
  any->endpoint = service->spec->endpoint != NULL ? swarm_endpoint_spec_ref (service->spec->endpoint) : NULL;
  any->status = swarm_task_status_new ();
  SwarmRebalance *self = *slot = g_new0 (SwarmRebalance, 1);
  self->slot = slot;
  self->store = store;
  self->clock = clock;
  self->service = swarm_service_ref ((SwarmService *) service);
  self->max = max > 0 ? MIN (max, SWARM_REBALANCE_MAX) : SWARM_REBALANCE_MAX;
  self->done = done;
  self->data = data;
  self->places = g_array_new (FALSE, FALSE, sizeof (Place));
  g_array_set_clear_func (self->places, place_clear);
  self->by_node = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  self->set = swarm_node_set_new (clock);
  self->branches = swarm_branches_new (any);
  swarm_needs_init (&self->needs, any);
  self->areas = g_array_new (FALSE, TRUE, sizeof (Area));
  g_array_set_clear_func (self->areas, area_clear);
  self->moves = g_array_new (FALSE, FALSE, sizeof (SwarmMove));
  rebalance_turn (self);
}

void
swarm_rebalance_cancel (SwarmRebalance *self)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "the rebalance is given up");
  rebalance_end (self, error);
}
