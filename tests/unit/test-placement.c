// SPDX-License-Identifier: LGPL-2.1-or-later
/* The scheduler's rules (SWARM_BEHAVIOUR §7), one by one: filters and their words, generic resources, preferences, large groups. Nodes are
 * objects in the store only: what is looked at is where tasks are assigned to. */
#include "base/error.h"
#include "brain-fixture.h"
#include "manager/scheduler/filter.h"
#include "plugin/task-view.h"

#define GIB (G_GINT64_CONSTANT (1) << 30)
#define CPU G_GINT64_CONSTANT (1000000000)

/* ---- nodes ---- */

static SwarmNode *
make_node (Brain *brain, const char *hostname)
{
  SwarmNode *node = swarm_node_new ();
  node->object.id = swarm_random_id (&brain->random.iface);
  node->spec = swarm_node_spec_new ();
  node->spec->labels = swarm_map_new ();
  node->description = swarm_node_description_new ();
  node->description->hostname = g_strdup (hostname);
  node->description->resources = swarm_resources_new ();
  node->description->resources->nano_cpus = 4 * CPU;
  node->description->resources->memory_bytes = 8 * GIB;
  node->description->engine = swarm_engine_description_new ();
  node->description->engine->labels = swarm_map_new ();
  swarm_node_set_state (node, SWARM_NODE_READY, "");
  return node;
}

static void
done (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

static SwarmId
add_node (Brain *brain, SwarmNode *node)
{
  SwarmTx *tx = swarm_store_tx (brain->store);
  SwarmId id = node->object.id;
  swarm_tx_create (tx, node);
  swarm_tx_commit (tx, NULL, done, NULL);
  brain_run (brain, 10 * MS);
  swarm_node_unref (node);
  return id;
}

static SwarmId
plain_node (Brain *brain, const char *hostname)
{
  return add_node (brain, make_node (brain, hostname));
}

static SwarmId
node_in (Brain *brain, const char *hostname, const char *zone, const char *rack)
{
  SwarmNode *node = make_node (brain, hostname);
  if (zone != NULL)
    g_hash_table_insert (node->spec->labels, g_strdup ("zone"), g_strdup (zone));
  if (rack != NULL)
    g_hash_table_insert (node->description->engine->labels, g_strdup ("rack"), g_strdup (rack));
  return add_node (brain, node);
}

static void
set_ready (Brain *brain, const SwarmId *id, gboolean ready)
{
  SwarmTx *tx = swarm_store_tx (brain->store);
  g_autoptr (SwarmNode) copy = swarm_node_copy (swarm_store_get (brain->store, SWARM_KIND_NODE, id));
  g_autoptr (SwarmNodeSpec) spec = swarm_node_spec_copy (copy->spec);
  spec->availability = ready ? SWARM_AVAILABILITY_ACTIVE : SWARM_AVAILABILITY_PAUSE;
  swarm_message_set_pointer (&copy->spec, spec);
  swarm_tx_update (tx, copy);
  swarm_tx_commit (tx, NULL, done, NULL);
}

/* After a new leader took over, who knows nothing of it yet. */
static void
make_ready (Brain *brain, const SwarmId *id)
{
  SwarmTx *tx = swarm_store_tx (brain->store);
  g_autoptr (SwarmNode) copy = swarm_node_copy (swarm_store_get (brain->store, SWARM_KIND_NODE, id));
  swarm_node_set_state (copy, SWARM_NODE_READY, "");
  swarm_tx_update (tx, copy);
  swarm_tx_commit (tx, NULL, done, NULL);
  brain_run (brain, 10 * MS);
}

/* ---- things ---- */

static SwarmGenericResource *
things (const char *kind, gint64 n)
{
  SwarmGenericResource *self = swarm_generic_resource_new ();
  self->discrete = swarm_discrete_resource_new ();
  swarm_string_set (&self->discrete->kind, kind);
  self->discrete->value = n;
  return self;
}

static SwarmGenericResource *
thing (const char *kind, const char *name)
{
  SwarmGenericResource *self = swarm_generic_resource_new ();
  self->named = swarm_named_resource_new ();
  swarm_string_set (&self->named->kind, kind);
  swarm_string_set (&self->named->value, name);
  return self;
}

static void
give (SwarmNode *node, SwarmGenericResource *resource)
{
  if (node->description->resources->generic == NULL)
    node->description->resources->generic = swarm_messages_new ();
  g_ptr_array_add (node->description->resources->generic, resource);
}

static SwarmResources *
reservations (SwarmServiceSpec *spec)
{
  if (spec->task->resources == NULL) {
    spec->task->resources = swarm_resource_requirements_new ();
    spec->task->resources->reservations = swarm_resources_new ();
  }
  return spec->task->resources->reservations;
}

static void
ask_for (SwarmServiceSpec *spec, const char *kind, gint64 n)
{
  SwarmResources *reserved = reservations (spec);
  if (reserved->generic == NULL)
    reserved->generic = swarm_messages_new ();
  g_ptr_array_add (reserved->generic, things (kind, n));
}

static SwarmPlacement *
placement_of (SwarmServiceSpec *spec)
{
  if (spec->task->placement == NULL)
    spec->task->placement = swarm_placement_new ();
  return spec->task->placement;
}

static void
prefer (SwarmServiceSpec *spec, const char *descriptor)
{
  SwarmPlacement *placement = placement_of (spec);
  SwarmPlacementPreference *preference = swarm_placement_preference_new ();
  preference->spread = swarm_spread_new ();
  swarm_string_set (&preference->spread->descriptor, descriptor);
  if (placement->preferences == NULL)
    placement->preferences = swarm_messages_new ();
  g_ptr_array_add (placement->preferences, preference);
}

static void
constrain (SwarmServiceSpec *spec, const char *constraint)
{
  SwarmPlacement *placement = placement_of (spec);
  if (placement->constraints == NULL)
    placement->constraints = swarm_strings_new ();
  g_ptr_array_add (placement->constraints, g_strdup (constraint));
}

/* ---- looking ---- */

static guint
count_on (Brain *brain, const SwarmId *service, const SwarmId *node)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, service);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    n += swarm_id_equal (&task->node_id, node) && task->status->state == SWARM_TASK_ASSIGNED
         && task->desired_state <= SWARM_TASK_COMPLETE;
  }
  return n;
}

/* How many wait, all of them for the same reason. */
static void
assert_waiting (Brain *brain, const SwarmId *service, guint n, const char *why)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, service);
  guint found = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    if (task->status->state != SWARM_TASK_PENDING)
      continue;
    found++;
    g_assert_cmpstr (task->status->err, ==, why);
  }
  g_assert_cmpuint (found, ==, n);
}

static void
end_task_on (Brain *brain, const SwarmId *service, const SwarmId *node, SwarmTaskState state)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, service);
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    if (!swarm_id_equal (&task->node_id, node) || task->status->state != SWARM_TASK_ASSIGNED)
      continue;
    SwarmTx *tx = swarm_store_tx (brain->store);
    g_autoptr (SwarmTask) copy = swarm_task_copy (task);
    g_assert_true (swarm_task_set_state (copy, state, SWARM_WRITER_DISPATCHER, swarm_clock_now (brain->clock), "", "", NULL));
    swarm_tx_update (tx, copy);
    swarm_tx_commit (tx, NULL, done, NULL);
    return;
  }
  g_assert_not_reached ();
}

/* ---- filters ---- */

/* A node is counted under the first filter that refuses it; the most frequent one is told first. */
static void
test_filter_order (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmNode *small = make_node (brain, "small"), *both = make_node (brain, "both");
  small->description->resources->nano_cpus = CPU / 2;
  g_hash_table_insert (small->spec->labels, g_strdup ("zone"), g_strdup ("a"));
  both->description->resources->nano_cpus = CPU / 2; /* too small, and in no zone */
  add_node (brain, small);
  add_node (brain, both);
  plain_node (brain, "outside");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  reservations (spec)->nano_cpus = CPU;
  constrain (spec, "node.labels.zone==a");
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND / 2);
  assert_waiting (brain, &web, 1,
                  "no suitable node (insufficient resources on 2 nodes; 1 node not available for new tasks; scheduling constraints "
                  "not satisfied on 1 node)");
}

/* What does not fit when others did is explained with fresh counts. */
static void
test_counters_restart (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmId a = plain_node (brain, "a"), b = plain_node (brain, "b");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 3);
  reservations (spec)->memory_bytes = 8 * GIB;
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND / 2);
  g_assert_cmpuint (count_on (brain, &web, &a), ==, 1);
  g_assert_cmpuint (count_on (brain, &web, &b), ==, 1);
  assert_waiting (brain, &web, 1, "no suitable node (insufficient resources on 2 nodes; 1 node not available for new tasks)");
  set_ready (brain, &a, FALSE);
  brain_run (brain, SECOND / 2);
  assert_waiting (brain, &web, 1, "no suitable node (2 nodes not available for new tasks; insufficient resources on 1 node)");
}

static void
add_plugin (SwarmNode *node, const char *type, const char *name)
{
  SwarmEnginePlugin *plugin = swarm_engine_plugin_new ();
  swarm_string_set (&plugin->type, type);
  swarm_string_set (&plugin->name, name);
  if (node->description->engine->plugins == NULL)
    node->description->engine->plugins = swarm_messages_new ();
  g_ptr_array_add (node->description->engine->plugins, plugin);
}

static gboolean
passes (SwarmNeeds *needs, SwarmNodeSet *set, const SwarmNode *node, guint refused)
{
  SwarmFilterCounts counts = { { 0 } };
  gboolean ok = swarm_filters_capacity (needs, set, swarm_node_set_get (set, &node->object.id), &counts) > 0;
  g_assert_cmpuint (counts.refused[refused], ==, ok ? 0 : 1);
  return ok;
}

static SwarmTask *
task_of (const SwarmServiceSpec *spec)
{
  SwarmTask *task = swarm_task_new ();
  task->spec = swarm_task_spec_ref (spec->task);
  task->status = swarm_task_status_new ();
  return task;
}

/* "name" is also found as "name:latest"; what a node tells of no plugin of a lenient sort is not held against it. */
static void
test_filter_plugins (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmNodeSet *set = swarm_node_set_new (brain->clock);
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  g_autoptr (SwarmTask) task = task_of (spec);
  g_autoptr (SwarmNode) none = make_node (brain, "none"), nfs = make_node (brain, "nfs"), latest = make_node (brain, "latest");
  g_autoptr (SwarmNode) logs = make_node (brain, "logs"), other = make_node (brain, "other");
  add_plugin (nfs, "Volume", "nfs");
  add_plugin (latest, "Volume", "nfs:latest");
  add_plugin (other, "Volume", "nfs:v2");
  add_plugin (other, "Network", "nfs");
  add_plugin (logs, "Log", "syslog");
  SwarmNode *const nodes[] = { none, nfs, latest, logs, other };
  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++)
    swarm_node_set_put (set, nodes[i]);
  g_auto (SwarmNeeds) volume = { 0 }, log = { 0 };
  swarm_needs_init (&volume, task);
  swarm_needs_init (&log, task);
  SwarmPluginNeed wants_volume = { "Volume", "nfs", FALSE }, wants_log = { "Log", "gelf", TRUE };
  g_array_append_val (volume.plugins, wants_volume);
  g_array_append_val (log.plugins, wants_log);
  g_assert_false (passes (&volume, set, none, SWARM_FILTER_PLUGINS));
  g_assert_true (passes (&volume, set, nfs, SWARM_FILTER_PLUGINS));
  g_assert_true (passes (&volume, set, latest, SWARM_FILTER_PLUGINS));
  g_assert_false (passes (&volume, set, other, SWARM_FILTER_PLUGINS));
  g_assert_true (passes (&log, set, none, SWARM_FILTER_PLUGINS));
  g_assert_false (passes (&log, set, logs, SWARM_FILTER_PLUGINS));
  /* A node that changes is judged anew. */
  g_autoptr (SwarmNode) better = swarm_node_copy (none);
  g_autoptr (SwarmNodeDescription) description = swarm_node_description_copy (none->description);
  g_autoptr (SwarmEngineDescription) engine = swarm_engine_description_copy (none->description->engine);
  swarm_message_set_pointer (&description->engine, engine);
  swarm_message_set_pointer (&better->description, description);
  add_plugin (better, "Volume", "nfs");
  swarm_node_set_put (set, better);
  g_assert_true (passes (&volume, set, better, SWARM_FILTER_PLUGINS));
  swarm_node_set_free (set);
}

static void
test_explain_words (void)
{
  static const struct {
    guint filter, n;
    const char *text;
  } rows[] = {
    { SWARM_FILTER_READY, 1, "no suitable node (1 node not available for new tasks)" },
    { SWARM_FILTER_READY, 2, "no suitable node (2 nodes not available for new tasks)" },
    { SWARM_FILTER_RESOURCES, 1, "no suitable node (insufficient resources on 1 node)" },
    { SWARM_FILTER_PLUGINS, 3, "no suitable node (missing plugin on 3 nodes)" },
    { SWARM_FILTER_CONSTRAINTS, 3, "no suitable node (scheduling constraints not satisfied on 3 nodes)" },
    { SWARM_FILTER_PLATFORM, 1, "no suitable node (unsupported platform on 1 node)" },
    { SWARM_FILTER_HOST_PORTS, 2, "no suitable node (host-mode port already in use on 2 nodes)" },
    { SWARM_FILTER_MAX_REPLICAS, 7, "no suitable node (max replicas per node limit exceed)" },
    { SWARM_FILTER_VOLUMES, 2, "no suitable node (cannot fulfill requested CSI volume mounts on 2 nodes)" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    SwarmFilterCounts counts = { { 0 } };
    counts.refused[rows[i].filter] = rows[i].n;
    g_autofree char *text = swarm_filters_explain (&counts);
    g_assert_cmpstr (text, ==, rows[i].text);
  }
  SwarmFilterCounts none = { { 0 } };
  g_autofree char *text = swarm_filters_explain (&none);
  g_assert_cmpstr (text, ==, "no suitable node");
}

/* ---- generic resources ---- */

static void
test_generic_discrete (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmNode *node = make_node (brain, "orchard");
  give (node, things ("apple", 7));
  SwarmId orchard = add_node (brain, node);
  plain_node (brain, "desert");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("pie", 4);
  ask_for (spec, "apple", 3);
  SwarmId pie = brain_create (brain, spec);
  brain_run (brain, SECOND / 2);
  g_assert_cmpuint (count_on (brain, &pie, &orchard), ==, 2);
  assert_waiting (brain, &pie, 2, "no suitable node (insufficient resources on 2 nodes; 1 node not available for new tasks)");
  const SwarmTask *task = newest_task (brain, &pie, 1);
  g_assert_cmpuint (task->generic->len, ==, 1);
  const SwarmGenericResource *got = g_ptr_array_index (task->generic, 0);
  g_assert_cmpstr (got->discrete->kind, ==, "apple");
  g_assert_cmpint (got->discrete->value, ==, 3);
  /* What ends gives back. */
  end_task_on (brain, &pie, &orchard, SWARM_TASK_COMPLETE);
  brain_run (brain, SECOND / 2);
  g_assert_cmpuint (count_on (brain, &pie, &orchard), ==, 2);
}

static void
collect_names (Brain *brain, const SwarmId *service, GHashTable *names)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, service);
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    for (guint k = 0; task->status->state == SWARM_TASK_ASSIGNED && task->generic != NULL && k < task->generic->len; k++) {
      const SwarmGenericResource *got = g_ptr_array_index (task->generic, k);
      g_assert_cmpstr (got->named->kind, ==, "gpu");
      g_assert_true (g_hash_table_add (names, got->named->value)); /* nothing is given twice */
    }
  }
}

/* Named things are claimed one by one. */
static void
test_generic_named (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmNode *node = make_node (brain, "farm");
  for (guint i = 1; i <= 5; i++) {
    g_autofree char *name = g_strdup_printf ("UUID%u", i);
    give (node, thing ("gpu", name));
  }
  SwarmId farm = add_node (brain, node);
  g_autoptr (SwarmServiceSpec) two = brain_spec ("two", 2), one = brain_spec ("one", 2);
  ask_for (two, "gpu", 2);
  ask_for (one, "gpu", 1);
  SwarmId first = brain_create (brain, two);
  brain_run (brain, SECOND / 2);
  SwarmId second = brain_create (brain, one);
  brain_run (brain, SECOND / 2);
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  collect_names (brain, &first, names);
  g_assert_cmpuint (g_hash_table_size (names), ==, 4);
  collect_names (brain, &second, names);
  g_assert_cmpuint (g_hash_table_size (names), ==, 5);
  assert_waiting (brain, &second, 1, "no suitable node (1 node not available for new tasks; insufficient resources on 1 node)");
  /* A new leader knows who has what. */
  brain_restart (brain);
  brain_run (brain, SECOND / 10);
  make_ready (brain, &farm);
  end_task_on (brain, &first, &farm, SWARM_TASK_FAILED);
  brain_run (brain, SECOND / 2);
  g_hash_table_remove_all (names);
  collect_names (brain, &first, names);
  collect_names (brain, &second, names);
  g_assert_cmpuint (g_hash_table_size (names), <=, 5);
  g_assert_cmpuint (g_hash_table_size (names), >=, 4);
}

/* The task's processes are told what they got. */
static void
test_generic_environment (void)
{
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  g_autoptr (SwarmTask) task = task_of (spec);
  SwarmId node = { { 1 } };
  task->generic = swarm_messages_new ();
  g_ptr_array_add (task->generic, thing ("gpu", "UUID1"));
  g_ptr_array_add (task->generic, things ("apple", 3));
  g_ptr_array_add (task->generic, thing ("gpu", "UUID2"));
  SwarmTaskView *view = swarm_task_view_new (task, &node, "n", NULL, NULL, FALSE);
  g_assert_cmpstr (view->task.env[0], ==, "DOCKER_RESOURCE_GPU=UUID1,UUID2");
  g_assert_cmpstr (view->task.env[1], ==, "DOCKER_RESOURCE_APPLE=3");
  g_assert_null (view->task.env[2]);
  swarm_task_view_free (view);
}

/* ---- preferences ---- */

/* Branches are evened, not nodes; nodes without the label are a branch of their own. */
static void
test_preference_zones (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmId a1 = node_in (brain, "a1", "a", NULL), a2 = node_in (brain, "a2", "a", NULL), a3 = node_in (brain, "a3", "a", NULL);
  SwarmId b = node_in (brain, "b", "b", NULL), none = node_in (brain, "none", NULL, NULL);
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 9);
  prefer (spec, "node.labels.zone");
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND / 2);
  g_assert_cmpuint (count_on (brain, &web, &a1), ==, 1);
  g_assert_cmpuint (count_on (brain, &web, &a2), ==, 1);
  g_assert_cmpuint (count_on (brain, &web, &a3), ==, 1);
  g_assert_cmpuint (count_on (brain, &web, &b), ==, 3);
  g_assert_cmpuint (count_on (brain, &web, &none), ==, 3);
  /* More tasks even out what is there already. */
  set_ready (brain, &b, FALSE);
  brain_run (brain, SECOND / 2);
  g_assert_true (brain_scale (brain, &web, 13, NULL));
  brain_run (brain, SECOND / 2);
  g_assert_cmpuint (count_on (brain, &web, &none), ==, 5);
  g_assert_cmpuint (count_on (brain, &web, &a1) + count_on (brain, &web, &a2) + count_on (brain, &web, &a3), ==, 5);
}

static void
test_preference_nested (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmId a1 = node_in (brain, "a1", "a", "1"), a1too = node_in (brain, "a1too", "a", "1"), a2 = node_in (brain, "a2", "a", "2");
  SwarmId b = node_in (brain, "b", "b", "1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 8);
  prefer (spec, "node.labels.zone");
  prefer (spec, "engine.labels.rack");
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND / 2);
  g_assert_cmpuint (count_on (brain, &web, &b), ==, 4);
  g_assert_cmpuint (count_on (brain, &web, &a2), ==, 2);
  g_assert_cmpuint (count_on (brain, &web, &a1), ==, 1);
  g_assert_cmpuint (count_on (brain, &web, &a1too), ==, 1);
}

/* What a full branch has no room for, the others share. */
static void
test_preference_full (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmNode *tiny = make_node (brain, "tiny");
  tiny->description->resources->nano_cpus = CPU;
  g_hash_table_insert (tiny->spec->labels, g_strdup ("zone"), g_strdup ("c"));
  SwarmId c = add_node (brain, tiny);
  SwarmId a = node_in (brain, "a", "a", NULL), b = node_in (brain, "b", "b", NULL);
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 10);
  prefer (spec, "node.labels.zone");
  reservations (spec)->nano_cpus = CPU;
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND / 2);
  g_assert_cmpuint (count_on (brain, &web, &c), ==, 1);
  g_assert_cmpuint (count_on (brain, &web, &a), ==, 4);
  g_assert_cmpuint (count_on (brain, &web, &b), ==, 4);
  assert_waiting (brain, &web, 1, "no suitable node (insufficient resources on 3 nodes; 1 node not available for new tasks)");
}

/* ---- ranking ---- */

/* Fewer tasks of the service, then fewer tasks at all: with more nodes than tasks each gets one, the idlest first. */
static void
test_idlest_first (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmId nodes[30];
  for (guint i = 0; i < 30; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    nodes[i] = plain_node (brain, name);
  }
  g_autoptr (SwarmServiceSpec) first = brain_spec ("first", 10), second = brain_spec ("second", 15), third = brain_spec ("third", 10);
  SwarmId a = brain_create (brain, first);
  brain_run (brain, SECOND / 4);
  SwarmId b = brain_create (brain, second);
  brain_run (brain, SECOND / 4);
  SwarmId c = brain_create (brain, third);
  brain_run (brain, SECOND / 4);
  g_assert_true (brain_scale (brain, &a, 12, NULL));
  brain_run (brain, SECOND / 4);
  guint twice = 0;
  for (guint i = 0; i < 30; i++) {
    guint on_a = count_on (brain, &a, &nodes[i]), on_b = count_on (brain, &b, &nodes[i]), on_c = count_on (brain, &c, &nodes[i]);
    g_assert_cmpuint (on_a, <=, 1);
    g_assert_cmpuint (on_b, <=, 1);
    g_assert_cmpuint (on_c, <=, 1);
    g_assert_cmpuint (on_a + on_b + on_c, >=, 1);
    g_assert_cmpuint (on_a + on_b + on_c, <=, 2);
    twice += on_a + on_b + on_c == 2;
  }
  g_assert_cmpuint (twice, ==, 7); /* 37 tasks on 30 nodes */
}

/* After five minutes, and for a new version of the service, failures are forgotten. */
static void
test_failures_pass (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmId bad = plain_node (brain, "bad");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  spec->task->restart_policy->backoff = 0;
  SwarmId web = brain_create (brain, spec);
  for (guint i = 0; i < 5; i++) {
    brain_run (brain, SECOND / 10);
    end_task_on (brain, &web, &bad, SWARM_TASK_FAILED);
  }
  brain_run (brain, SECOND / 10);
  SwarmId good = plain_node (brain, "good");
  g_assert_true (brain_scale (brain, &web, 3, NULL));
  brain_run (brain, SECOND / 10);
  g_assert_cmpuint (count_on (brain, &web, &bad), ==, 1);
  g_assert_cmpuint (count_on (brain, &web, &good), ==, 2);
  brain_run (brain, 301 * SECOND);
  g_assert_true (brain_scale (brain, &web, 4, NULL));
  brain_run (brain, SECOND / 10);
  g_assert_cmpuint (count_on (brain, &web, &bad), ==, 2);
}

/* ---- large groups ---- */

/* More tasks than one call of the strategy takes: as even as ever. */
static void
test_large_group (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmId nodes[7];
  for (guint i = 0; i < 7; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    nodes[i] = plain_node (brain, name);
  }
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 9100);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  for (guint i = 0; i < 7; i++)
    g_assert_cmpuint (count_on (brain, &web, &nodes[i]), ==, 1300);
}

/* Nodes close, open and go while thousands of tasks are being placed: nothing is assigned to what is closed or gone, nothing is left. */
static void
test_large_group_disturbed (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmId nodes[6];
  for (guint i = 0; i < 6; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    nodes[i] = plain_node (brain, name);
  }
  set_ready (brain, &nodes[5], FALSE);
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 6000);
  SwarmId web = brain_create (brain, spec);
  guint before = 0;
  while (before < 1000) {
    brain_run (brain, 5 * MS);
    before = count_on (brain, &web, &nodes[0]) + count_on (brain, &web, &nodes[1]);
  }
  set_ready (brain, &nodes[0], FALSE);
  set_ready (brain, &nodes[5], TRUE);
  brain_run (brain, 10 * MS); /* what was under way arrives */
  guint on_closed = count_on (brain, &web, &nodes[0]);
  SwarmTx *tx = swarm_store_tx (brain->store);
  SwarmId empty = plain_node (brain, "empty");
  swarm_tx_remove (tx, SWARM_KIND_NODE, &empty, 0);
  swarm_tx_commit (tx, NULL, done, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_on (brain, &web, &nodes[0]), ==, on_closed);
  guint all = on_closed;
  for (guint i = 1; i < 6; i++)
    all += count_on (brain, &web, &nodes[i]);
  g_assert_cmpuint (all, >=, 6000 - 50); /* some may be on the node that went: they are replaced by others */
  g_assert_cmpuint (count_on (brain, &web, &nodes[5]), >, 500);
  assert_waiting (brain, &web, 0, NULL);
}

/* A thousand that do not fit all say why, and go when there is room. */
static void
test_large_group_waits (void)
{
  g_autoptr (Brain) brain = brain_new ();
  plain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1000);
  reservations (spec)->nano_cpus = CPU;
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND / 2);
  assert_waiting (brain, &web, 996, "no suitable node (1 node not available for new tasks; insufficient resources on 1 node)");
  SwarmNode *large = make_node (brain, "large");
  large->description->resources->nano_cpus = 900 * CPU;
  SwarmId id = add_node (brain, large);
  brain_run (brain, SECOND / 2);
  g_assert_cmpuint (count_on (brain, &web, &id), ==, 900);
  assert_waiting (brain, &web, 96, "no suitable node (insufficient resources on 2 nodes; 1 node not available for new tasks)");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/placement/filter-order", test_filter_order);
  g_test_add_func ("/placement/counters-restart", test_counters_restart);
  g_test_add_func ("/placement/filter-plugins", test_filter_plugins);
  g_test_add_func ("/placement/explain-words", test_explain_words);
  g_test_add_func ("/placement/generic-discrete", test_generic_discrete);
  g_test_add_func ("/placement/generic-named", test_generic_named);
  g_test_add_func ("/placement/generic-environment", test_generic_environment);
  g_test_add_func ("/placement/preference-zones", test_preference_zones);
  g_test_add_func ("/placement/preference-nested", test_preference_nested);
  g_test_add_func ("/placement/preference-full", test_preference_full);
  g_test_add_func ("/placement/idlest-first", test_idlest_first);
  g_test_add_func ("/placement/failures-pass", test_failures_pass);
  g_test_add_func ("/placement/large-group", test_large_group);
  g_test_add_func ("/placement/large-group-disturbed", test_large_group_disturbed);
  g_test_add_func ("/placement/large-group-waits", test_large_group_waits);
  return g_test_run ();
}
