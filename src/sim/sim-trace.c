// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every transition with its virtual time, and what there is at the end; as text and as JSON. */
#include "sim/sim-run-private.h"
#include <stdio.h>
#include <string.h>

void
sim_transition_free (gpointer data)
{
  SimTransition *self = data;
  g_free (self->name);
  g_free (self->node);
  g_free (self->state);
  g_free (self->desired);
  g_free (self->text);
  g_free (self->err);
  g_free (self);
}

const char *
sim_node_name (SimRun *self, const SwarmId *id)
{
  for (guint i = 0; i < sim_cluster_n_machines (self->cluster); i++) {
    const SimMachine *machine = sim_cluster_machine (self->cluster, i);
    if (swarm_id_equal (&machine->id, id))
      return machine->name;
  }
  return "";
}

static SimTransition *
add (SimRun *self, const char *what)
{
  SimTransition *line = g_new0 (SimTransition, 1);
  line->at = sim_clock_time (self->cluster->world.sim) - self->began;
  line->what = what;
  g_ptr_array_add (self->transitions, line);
  return line;
}

void
sim_trace_add (SimRun *self, const char *what, const char *name, const char *state, const char *text)
{
  if (!self->options.trace)
    return;
  SimTransition *line = add (self, what);
  line->name = g_strdup (name);
  line->state = g_strdup (state);
  line->text = g_strdup (text);
}

void
sim_trace_leader (SimRun *self)
{
  SimMachine *leader = sim_cluster_leader (self->cluster);
  guint64 term = leader != NULL && leader->consensus != NULL ? swarm_consensus_term (leader->consensus) : 0;
  if (term <= self->term)
    return;
  self->term = term;
  sim_trace_add (self, "leader", leader->name, "leads", NULL);
}

/* ---- tasks ---- */

/* Figures: a slot whose new task is on another node than its last one has moved. */
static void
count_task (SimRun *self, const SwarmTask *task, const SwarmTask *before)
{
  if (before == NULL)
    self->figures.tasks++;
  if (swarm_id_is_nil (&task->node_id) || task->slot == 0 || (before != NULL && swarm_id_equal (&task->node_id, &before->node_id)))
    return;
  char *key = g_strdup_printf ("%s/%" G_GUINT64_FORMAT, swarm_id_string (&task->service_id).str, task->slot);
  const SwarmId *last = g_hash_table_lookup (self->slot_nodes, key);
  self->figures.moved += last != NULL && !swarm_id_equal (last, &task->node_id);
  g_hash_table_insert (self->slot_nodes, key, g_memdup2 (&task->node_id, sizeof task->node_id));
}

static void
trace_task (SimRun *self, const SwarmEvent *event)
{
  const SwarmTask *task = event->object, *before = event->previous;
  if (event->event != SWARM_EVENT_REMOVE)
    count_task (self, task, before);
  if (!self->options.trace)
    return;
  if (before != NULL && before->desired_state == task->desired_state && before->status->state == task->status->state
      && g_strcmp0 (before->status->err, task->status->err) == 0 && swarm_id_equal (&before->node_id, &task->node_id))
    return;
  SimTransition *line = add (self, "task");
  line->name = swarm_task_name (task);
  line->node = g_strdup (sim_node_name (self, &task->node_id));
  line->state = g_strdup (event->event == SWARM_EVENT_REMOVE ? "removed" : swarm_task_state_to_string (task->status->state));
  line->desired = g_strdup (swarm_task_state_to_string (task->desired_state));
  line->text = g_strdup (task->status->text);
  line->err = g_strdup (task->status->err);
}

/* ---- services and nodes ---- */

static const char *
update_state (const SwarmService *service)
{
  return service != NULL && service->update_status != NULL ? swarm_update_state_to_string (service->update_status->state) : "none";
}

static void
trace_service (SimRun *self, const SwarmEvent *event)
{
  const SwarmService *service = event->object, *before = event->previous;
  const char *state = update_state (service);
  gboolean status = before != NULL && !g_str_equal (state, update_state (before));
  self->figures.services += event->event == SWARM_EVENT_CREATE;
  self->figures.updates += before != NULL && before->spec_version != service->spec_version;
  self->figures.rollbacks += status && g_str_equal (state, "rollback_started");
  if (!self->options.trace)
    return;
  if (event->event != SWARM_EVENT_UPDATE)
    sim_trace_add (self, "service", service->spec->name, event->event == SWARM_EVENT_CREATE ? "created" : "removed", NULL);
  else if (status)
    sim_trace_add (self, "service", service->spec->name, state, service->update_status != NULL ? service->update_status->text : NULL);
  else if (before->spec != service->spec)
    sim_trace_add (self, "service", service->spec->name, "changed", NULL);
}

static void
count_node (SimRun *self, const SwarmNode *was, const SwarmNode *is)
{
  SimRunFigures *figures = &self->figures;
  gboolean managed = was != NULL && was->spec->role == SWARM_ROLE_MANAGER, manages = is != NULL && is->spec->role == SWARM_ROLE_MANAGER;
  figures->nodes = figures->nodes + (is != NULL) - (was != NULL);
  figures->managers = figures->managers + manages - managed;
  figures->joins += was == NULL;
  figures->promotions += was != NULL && manages && !managed;
  figures->demotions += is != NULL && managed && !manages;
  figures->least_nodes = MIN (figures->least_nodes, figures->nodes);
  figures->least_managers = MIN (figures->least_managers, figures->managers);
}

static void
trace_node (SimRun *self, const SwarmEvent *event)
{
  const SwarmNode *node = event->object, *before = event->previous;
  if (event->event == SWARM_EVENT_REMOVE)
    count_node (self, node, NULL);
  else
    count_node (self, before, node);
  if (!self->options.trace
      || (before != NULL && before->status->state == node->status->state && before->spec->availability == node->spec->availability))
    return;
  SimTransition *line = add (self, "node");
  line->name = g_strdup (sim_node_name (self, &node->object.id));
  line->state = g_strdup (event->event == SWARM_EVENT_REMOVE ? "removed" : swarm_node_state_to_string (node->status->state));
  line->desired = g_strdup (swarm_availability_to_string (node->spec->availability));
  line->text = g_strdup (node->status->text);
}

void
sim_trace_commit (const SwarmEvent *event, gpointer data)
{
  if (event->kind == SWARM_KIND_TASK)
    trace_task (data, event);
  else if (event->kind == SWARM_KIND_SERVICE)
    trace_service (data, event);
  else if (event->kind == SWARM_KIND_NODE)
    trace_node (data, event);
}

/* ---- printing ---- */

static gboolean
collect (gpointer object, gpointer data)
{
  g_ptr_array_add (data, object);
  return TRUE;
}

static int
compare_tasks (gconstpointer a, gconstpointer b)
{
  const SwarmTask *x = *(SwarmTask *const *) a, *y = *(SwarmTask *const *) b;
  int order = g_strcmp0 (x->service_name, y->service_name);
  if (order != 0)
    return order;
  if (x->slot != y->slot)
    return x->slot < y->slot ? -1 : 1;
  if (x->object.created_at != y->object.created_at)
    return x->object.created_at < y->object.created_at ? -1 : 1;
  return memcmp (&x->object.id, &y->object.id, sizeof x->object.id);
}

static GPtrArray *
objects (SimRun *self, SwarmKind kind)
{
  GPtrArray *list = g_ptr_array_new ();
  SwarmStore *truth = sim_cluster_truth (self->cluster);
  if (truth != NULL)
    swarm_store_foreach (truth, kind, collect, list);
  if (kind == SWARM_KIND_TASK)
    g_ptr_array_sort (list, compare_tasks);
  return list;
}

static void
print_transition (const SimTransition *line)
{
  printf ("%10.3f  %-7s %-20.60s", (double) line->at / G_USEC_PER_SEC, line->what, line->name != NULL ? line->name : "");
  if (line->node != NULL && *line->node != '\0')
    printf ("  on %s", line->node);
  printf ("  %s", line->state != NULL ? line->state : "");
  if (line->desired != NULL)
    printf (" (%s)", line->desired);
  if (line->text != NULL && *line->text != '\0')
    printf ("  %s", line->text);
  if (line->err != NULL && *line->err != '\0')
    printf ("  \"%s\"", line->err);
  printf ("\n");
}

static void
print_objects (SimRun *self)
{
  g_autoptr (GPtrArray) tasks = objects (self, SWARM_KIND_TASK);
  g_autoptr (GPtrArray) services = objects (self, SWARM_KIND_SERVICE);
  printf ("\nTASKS\n");
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    g_autofree char *name = swarm_task_name (task);
    printf ("  %-44s %-8s %-9s (%s)  %s %s\n", name, sim_node_name (self, &task->node_id), swarm_task_state_to_string (task->status->state),
            swarm_task_state_to_string (task->desired_state), task->status->text != NULL ? task->status->text : "",
            task->status->err != NULL ? task->status->err : "");
  }
  printf ("\nSERVICES\n");
  for (guint i = 0; i < services->len; i++) {
    const SwarmService *service = g_ptr_array_index (services, i);
    printf ("  %-20s update: %s %s\n", service->spec->name, update_state (service),
            service->update_status != NULL && service->update_status->text != NULL ? service->update_status->text : "");
  }
}

void
sim_run_print_text (SimRun *self)
{
  guint n;
  const SimPromise *promises = sim_promises_list (self->cluster->promises, &n);
  for (guint i = 0; i < self->transitions->len; i++)
    print_transition (g_ptr_array_index (self->transitions, i));
  print_objects (self);
  printf ("\nINVARIANTS\n");
  for (guint i = 0; i < n; i++)
    printf ("  %s: checked %" G_GUINT64_FORMAT " times\n", promises[i].name, promises[i].checked);
}

/* ---- JSON ---- */

static void
add_text (JsonBuilder *out, const char *key, const char *text)
{
  if (text == NULL || *text == '\0')
    return;
  json_builder_set_member_name (out, key);
  json_builder_add_string_value (out, text);
}

static void
add_double (JsonBuilder *out, const char *key, double value)
{
  json_builder_set_member_name (out, key);
  json_builder_add_double_value (out, value);
}

static void
add_int (JsonBuilder *out, const char *key, gint64 value)
{
  json_builder_set_member_name (out, key);
  json_builder_add_int_value (out, value);
}

static void
begin_list (JsonBuilder *out, const char *key)
{
  json_builder_set_member_name (out, key);
  json_builder_begin_array (out);
}

static void
build_transitions (SimRun *self, JsonBuilder *out)
{
  begin_list (out, "Transitions");
  for (guint i = 0; i < self->transitions->len; i++) {
    const SimTransition *line = g_ptr_array_index (self->transitions, i);
    json_builder_begin_object (out);
    add_double (out, "At", (double) line->at / G_USEC_PER_SEC);
    add_text (out, "What", line->what);
    add_text (out, "Name", line->name);
    add_text (out, "Node", line->node);
    add_text (out, "State", line->state);
    add_text (out, "Desired", line->desired);
    add_text (out, "Message", line->text);
    add_text (out, "Err", line->err);
    json_builder_end_object (out);
  }
  json_builder_end_array (out);
}

static void
build_objects (SimRun *self, JsonBuilder *out)
{
  g_autoptr (GPtrArray) tasks = objects (self, SWARM_KIND_TASK);
  g_autoptr (GPtrArray) services = objects (self, SWARM_KIND_SERVICE);
  begin_list (out, "Tasks");
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    g_autofree char *name = swarm_task_name (task);
    json_builder_begin_object (out);
    add_text (out, "Name", name);
    add_text (out, "Service", task->service_name);
    add_int (out, "Slot", (gint64) task->slot);
    add_text (out, "Node", sim_node_name (self, &task->node_id));
    add_text (out, "State", swarm_task_state_to_string (task->status->state));
    add_text (out, "Desired", swarm_task_state_to_string (task->desired_state));
    add_text (out, "Message", task->status->text);
    add_text (out, "Err", task->status->err);
    json_builder_end_object (out);
  }
  json_builder_end_array (out);
  begin_list (out, "Services");
  for (guint i = 0; i < services->len; i++) {
    const SwarmService *service = g_ptr_array_index (services, i);
    json_builder_begin_object (out);
    add_text (out, "Name", service->spec->name);
    add_text (out, "UpdateState", update_state (service));
    add_text (out, "UpdateMessage", service->update_status != NULL ? service->update_status->text : NULL);
    json_builder_end_object (out);
  }
  json_builder_end_array (out);
}

static void
build_verdict (SimRun *self, JsonBuilder *out)
{
  guint n;
  const SimPromise *promises = sim_promises_list (self->cluster->promises, &n);
  begin_list (out, "Invariants");
  for (guint i = 0; i < n; i++) {
    json_builder_begin_object (out);
    add_text (out, "Name", promises[i].name);
    add_int (out, "Checked", (gint64) promises[i].checked);
    json_builder_end_object (out);
  }
  json_builder_end_array (out);
  begin_list (out, "Failures");
  for (guint i = 0; i < self->failures->len; i++)
    json_builder_add_string_value (out, g_ptr_array_index (self->failures, i));
  json_builder_end_array (out);
}

void
sim_run_print_json (SimRun *self, const char *name)
{
  g_autoptr (JsonBuilder) out = json_builder_new ();
  json_builder_begin_object (out);
  add_text (out, "Scenario", name);
  add_text (out, "Rule", self->scenario->rule);
  add_int (out, "Seed", (gint64) self->options.seed);
  build_transitions (self, out);
  build_objects (self, out);
  build_verdict (self, out);
  json_builder_end_object (out);
  g_autoptr (JsonNode) root = json_builder_get_root (out);
  g_autofree char *text = json_to_string (root, TRUE);
  printf ("%s\n", text);
}
