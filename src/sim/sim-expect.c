// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a scenario expects, looked at after each change of the store; a little later where all that follows from a change must have been done. */
#include "base/error.h"
#include "runtime-sim.h"
#include "sim/sim-run-private.h"
#include <string.h>

/* An expectation that is looked at from time to time. */
typedef struct {
  const SimExpectation *expect;
  SimRun *run;
  gboolean open;  /* between its beginning and its end */
  gboolean done;
  gboolean later; /* it will be looked at what is settled */
} SimWatch;

/* What is settled is looked for so long after a change: hosts hear of it by then. */
#define SETTLE_US (100 * 1000)

void
sim_watch_free (gpointer data)
{
  g_free (data);
}

/* ---- one look: NULL when it is so, else what is ---- */

static gboolean
has_state (SwarmTaskState state, const char *words)
{
  if (words == NULL)
    return TRUE;
  g_auto (GStrv) list = g_strsplit (words, "|", -1);
  return g_strv_contains ((const char *const *) list, swarm_task_state_to_string (state));
}

static gboolean
text_is (const char *got, const char *want)
{
  if (want == NULL)
    return TRUE;
  if (g_str_equal (want, "-"))
    return got == NULL || *got == '\0';
  return g_pattern_match_simple (want, got != NULL ? got : "");
}

/* "gpu=A,ssd=2" */
static gboolean
generic_is (GPtrArray *resources, const char *want)
{
  g_autoptr (GString) got = g_string_new (NULL);
  for (guint i = 0; want != NULL && resources != NULL && i < resources->len; i++) {
    const SwarmGenericResource *resource = g_ptr_array_index (resources, i);
    if (i > 0)
      g_string_append_c (got, ',');
    if (resource->named != NULL)
      g_string_append_printf (got, "%s=%s", resource->named->kind, resource->named->value);
    else if (resource->discrete != NULL)
      g_string_append_printf (got, "%s=%" G_GINT64_FORMAT, resource->discrete->kind, resource->discrete->value);
  }
  return want == NULL || g_str_equal (want, got->str);
}

static gboolean
task_fits (SimRun *run, const SimExpectation *expect, const SwarmTask *task)
{
  const SwarmTaskStatus *status = task->status;
  return (expect->slot == 0 || task->slot == expect->slot) && (expect->node == NULL || g_str_equal (sim_node_name (run, &task->node_id), expect->node))
         && has_state (status->state, expect->state) && has_state (task->desired_state, expect->desired)
         && (expect->image == NULL || sim_image_is (task->spec->container->image, expect->image)) && text_is (status->text, expect->text)
         && text_is (status->err, expect->err) && generic_is (task->generic, expect->generic)
         && (expect->exit_code < 0 || (status->container != NULL && status->container->exit_code == expect->exit_code && status->has_exit));
}

static int
compare_numbers (gconstpointer a, gconstpointer b)
{
  return (int) GPOINTER_TO_UINT (*(gpointer *) b) - (int) GPOINTER_TO_UINT (*(gpointer *) a);
}

static char *
join_numbers (GPtrArray *numbers)
{
  g_autoptr (GString) text = g_string_new (NULL);
  for (guint i = 0; i < numbers->len; i++)
    g_string_append_printf (text, "%s%u", i > 0 ? "," : "", GPOINTER_TO_UINT (g_ptr_array_index (numbers, i)));
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static GHashTable *
count_per_node (SimRun *run, GPtrArray *tasks)
{
  GHashTable *counts = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < tasks->len; i++) {
    const char *node = sim_node_name (run, &((SwarmTask *) g_ptr_array_index (tasks, i))->node_id);
    g_hash_table_insert (counts, (gpointer) node, GUINT_TO_POINTER (GPOINTER_TO_UINT (g_hash_table_lookup (counts, node)) + 1));
  }
  return counts;
}

static char *
look_at_per_node (GHashTable *counts, const char *want)
{
  g_autoptr (GList) values = g_hash_table_get_values (counts);
  g_autoptr (GPtrArray) numbers = g_ptr_array_new ();
  for (GList *l = values; l != NULL; l = l->next)
    g_ptr_array_add (numbers, l->data);
  g_ptr_array_sort (numbers, compare_numbers);
  g_autofree char *got = join_numbers (numbers);
  return g_str_equal (got, want) ? NULL : g_strdup_printf ("per node there are %s", *got != '\0' ? got : "none");
}

static char *
look_at_placement (GHashTable *counts, GHashTable *want)
{
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init (&iter, counts);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    const char *number = g_hash_table_lookup (want, key);
    if (number == NULL || g_ascii_strtoull (number, NULL, 10) != GPOINTER_TO_UINT (value))
      return g_strdup_printf ("%s has %u", (char *) key, GPOINTER_TO_UINT (value));
  }
  g_hash_table_iter_init (&iter, want);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    if (!g_str_equal (value, "0") && !g_hash_table_contains (counts, key))
      return g_strdup_printf ("%s has none", (char *) key);
  }
  return NULL;
}

static char *
look_at_slots (GPtrArray *tasks, const char *want)
{
  g_autoptr (GPtrArray) numbers = g_ptr_array_new ();
  for (guint i = 0; i < tasks->len; i++)
    g_ptr_array_add (numbers, GUINT_TO_POINTER ((guint) ((SwarmTask *) g_ptr_array_index (tasks, i))->slot));
  g_autofree char *got = join_numbers (numbers);
  return g_str_equal (got, want) ? NULL : g_strdup_printf ("the slots are %s", *got != '\0' ? got : "none");
}

static char *
look_at_tasks (SimRun *run, const SimExpectation *expect, SwarmStore *store, const SwarmService *service)
{
  g_autoptr (GPtrArray) all = swarm_store_tasks_of_service (store, &service->object.id);
  g_autoptr (GPtrArray) tasks = g_ptr_array_new ();
  char *wrong = NULL;
  for (guint i = 0; i < all->len; i++) {
    if (task_fits (run, expect, g_ptr_array_index (all, i)))
      g_ptr_array_add (tasks, g_ptr_array_index (all, i));
  }
  g_autoptr (GHashTable) counts = count_per_node (run, tasks);
  gboolean said = expect->count >= 0 || expect->min >= 0 || expect->max >= 0;
  gint64 n = tasks->len;
  if ((expect->count >= 0 && n != expect->count) || (expect->min >= 0 && n < expect->min) || (expect->max >= 0 && n > expect->max))
    return g_strdup_printf ("there are %u such tasks", tasks->len);
  said = said || expect->placement != NULL || expect->per_node != NULL || expect->slots != NULL;
  if (expect->placement != NULL)
    wrong = look_at_placement (counts, expect->placement);
  if (wrong == NULL && expect->per_node != NULL)
    wrong = look_at_per_node (counts, expect->per_node);
  if (wrong == NULL && expect->slots != NULL)
    wrong = look_at_slots (tasks, expect->slots);
  if (wrong == NULL && !said && n == 0)
    wrong = g_strdup ("there is no such task");
  return wrong;
}

static gboolean
asks_for_tasks (const SimExpectation *expect)
{
  return expect->count >= 0 || expect->min >= 0 || expect->max >= 0 || expect->placement != NULL || expect->per_node != NULL
         || expect->slots != NULL || expect->state != NULL || expect->desired != NULL || expect->image != NULL || expect->text != NULL
         || expect->err != NULL || expect->exit_code >= 0 || expect->generic != NULL;
}

typedef struct {
  SimRun *run;
  const SimExpectation *expect;
  SwarmStore *store;
  gint64 n;
} Containers;

static void
count_container (const RuntimeSimTask *container, gpointer data)
{
  Containers *count = data;
  const SimMachine *machine = sim_cluster_find (count->run->cluster, container->host);
  SwarmId id;
  if (!container->running || machine == NULL || !machine->powered || g_strcmp0 (container->service, count->expect->service) != 0
      || (count->expect->node != NULL && g_strcmp0 (container->host, count->expect->node) != 0))
    return;
  const SwarmTask *task = swarm_id_parse (container->task_id, &id) ? swarm_store_get (count->store, SWARM_KIND_TASK, &id) : NULL;
  if (count->expect->slot == 0 || (task != NULL && task->slot == count->expect->slot))
    count->n++;
}

static char *
look_at_containers (SimRun *run, const SimExpectation *expect, SwarmStore *store)
{
  Containers count = { run, expect, store, 0 };
  runtime_sim_foreach (NULL, count_container, &count);
  return count.n == expect->containers ? NULL : g_strdup_printf ("%" G_GINT64_FORMAT " containers run", count.n);
}

/* As service ls counts. */
static char *
look_at_status (SimRun *run, const SimExpectation *expect, const SwarmService *service)
{
  SimMachine *leader = sim_cluster_leader (run->cluster);
  SwarmServiceStatus status = { 0 };
  if (expect->running < 0 && expect->wanted < 0 && expect->completed < 0)
    return NULL;
  if (leader == NULL)
    return g_strdup ("nobody leads");
  swarm_control_service_status (swarm_manager_control (leader->brain), service, &status);
  if ((expect->running < 0 || (guint64) expect->running == status.running) && (expect->wanted < 0 || (guint64) expect->wanted == status.desired)
      && (expect->completed < 0 || (guint64) expect->completed == status.completed))
    return NULL;
  return g_strdup_printf ("it is %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT " (%" G_GUINT64_FORMAT " completed)", status.running, status.desired,
                          status.completed);
}

static char *
look_at_update (const SimExpectation *expect, const SwarmService *service)
{
  const SwarmUpdateStatus *status = service->update_status;
  const char *state = status != NULL && status->state != SWARM_UPDATE_NONE ? swarm_update_state_to_string (status->state) : "none";
  const char *text = status != NULL && status->text != NULL ? status->text : "";
  if (expect->update_state != NULL && !g_str_equal (expect->update_state, state))
    return g_strdup_printf ("the update status is %s", state);
  if (expect->update_text != NULL && !g_pattern_match_simple (expect->update_text, text))
    return g_strdup_printf ("the update's message is \"%s\"", text);
  return NULL;
}

/* Each number or address of a list against "a,b"; "-": none. */
static char *
look_at_list (const char *what, const char *wanted, const GString *got)
{
  if (wanted == NULL || g_str_equal (g_str_equal (wanted, "-") ? "" : wanted, got->str))
    return NULL;
  return g_strdup_printf ("%s: %s", what, got->len > 0 ? got->str : "none");
}

static char *
look_at_endpoint (const SimExpectation *expect, const SwarmService *service)
{
  const SwarmEndpoint *endpoint = service->endpoint;
  g_autoptr (GString) ports = g_string_new (NULL), addresses = g_string_new (NULL);
  for (guint i = 0; endpoint != NULL && endpoint->ports != NULL && i < endpoint->ports->len; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (endpoint->ports, i);
    if (port->publish_mode == SWARM_PUBLISH_INGRESS)
      g_string_append_printf (ports, "%s%" G_GUINT64_FORMAT, ports->len > 0 ? "," : "", port->published_port);
  }
  for (guint i = 0; endpoint != NULL && endpoint->virtual_ips != NULL && i < endpoint->virtual_ips->len; i++)
    g_string_append_printf (addresses, "%s%s", i > 0 ? "," : "", ((SwarmVirtualIP *) g_ptr_array_index (endpoint->virtual_ips, i))->addr);
  char *wrong = look_at_list ("its published ports", expect->published, ports);
  return wrong != NULL ? wrong : look_at_list ("its virtual addresses", expect->virtual_ips, addresses);
}

/* Containers can be counted when their service is gone; all else needs it. */
static gboolean
asks_for_containers_only (const SimExpectation *expect)
{
  return expect->containers >= 0 && !asks_for_tasks (expect) && expect->update_state == NULL && expect->update_text == NULL && expect->replicas < 0
         && expect->running < 0 && expect->wanted < 0 && expect->completed < 0 && expect->published == NULL && expect->virtual_ips == NULL;
}

static char *
look_at_service (SimRun *run, const SimExpectation *expect, SwarmStore *store)
{
  const SwarmService *service = swarm_store_get_by_name (store, SWARM_KIND_SERVICE, expect->service);
  if (expect->absent)
    return service == NULL ? NULL : g_strdup ("it is there");
  char *too_many = expect->containers >= 0 ? look_at_containers (run, expect, store) : NULL;
  if (too_many != NULL || asks_for_containers_only (expect))
    return too_many;
  if (service == NULL)
    return g_strdup ("there is no such service");
  if (expect->replicas >= 0 && swarm_service_spec_replicas (service->spec) != (guint64) expect->replicas)
    return g_strdup_printf ("it declares %" G_GUINT64_FORMAT " replicas", swarm_service_spec_replicas (service->spec));
  char *wrong = look_at_update (expect, service);
  if (wrong == NULL)
    wrong = look_at_endpoint (expect, service);
  if (wrong == NULL)
    wrong = look_at_status (run, expect, service);
  return wrong == NULL && asks_for_tasks (expect) ? look_at_tasks (run, expect, store, service) : wrong;
}

static char *
look_at_node (SimRun *run, const SimExpectation *expect, SwarmStore *store)
{
  const SimMachine *machine = sim_cluster_find (run->cluster, expect->node);
  const SwarmNode *node = machine != NULL ? swarm_store_get (store, SWARM_KIND_NODE, &machine->id) : NULL;
  if (expect->absent)
    return node == NULL ? NULL : g_strdup ("it is there");
  if (node == NULL)
    return g_strdup ("there is no such node");
  const char *state = swarm_node_state_to_string (node->status->state), *availability = swarm_availability_to_string (node->spec->availability);
  if (expect->node_state != NULL && !g_str_equal (expect->node_state, state))
    return g_strdup_printf ("it is %s", state);
  if (expect->availability != NULL && !g_str_equal (expect->availability, availability))
    return g_strdup_printf ("it is %s", availability);
  if (!text_is (node->status->text, expect->node_text))
    return g_strdup_printf ("its message is \"%s\"", node->status->text != NULL ? node->status->text : "");
  return NULL;
}

static char *
look_at_leader (SimRun *run, const SimExpectation *expect)
{
  SimMachine *leader = sim_cluster_leader (run->cluster);
  const char *name = leader != NULL ? leader->name : "-";
  if (g_str_equal (expect->leader, name) || (leader != NULL && g_str_equal (expect->leader, "*")))
    return NULL;
  return g_strdup_printf ("the leader is %s", name);
}

static char *
look (SimRun *run, const SimExpectation *expect)
{
  SwarmStore *store = sim_cluster_truth (run->cluster);
  char *wrong = NULL;
  if (store == NULL)
    return g_strdup ("no manager runs");
  if (expect->leader != NULL)
    wrong = look_at_leader (run, expect);
  if (wrong == NULL && expect->settled)
    sim_cluster_is_settled (run->cluster, &wrong);
  if (wrong == NULL && expect->service != NULL)
    wrong = look_at_service (run, expect, store);
  else if (wrong == NULL && expect->node != NULL)
    wrong = look_at_node (run, expect, store);
  return wrong;
}

/* ---- when ---- */

static char *
describe (const SimExpectation *expect)
{
  g_autoptr (JsonNode) node = swarm_message_to_json (expect, 0);
  return json_to_string (node, FALSE);
}

static void
judge (SimWatch *watch, const char *wrong)
{
  g_autofree char *text = describe (watch->expect);
  if (wrong != NULL)
    sim_run_fail (watch->run, "%s%s%s: %s", watch->expect->why != NULL ? watch->expect->why : "", watch->expect->why != NULL ? ": " : "",
                  text, wrong);
  watch->open = FALSE;
  watch->done = TRUE;
}

static void
look_once (SimWatch *watch)
{
  g_autofree char *wrong = look (watch->run, watch->expect);
  if (watch->expect->until > 0 ? wrong != NULL : wrong == NULL)
    judge (watch, wrong);
}

static void
look_later (gpointer data)
{
  SimWatch *watch = data;
  watch->later = FALSE;
  if (watch->open && !watch->run->over)
    look_once (watch);
}

static void
watch_begins (gpointer data)
{
  SimWatch *watch = data;
  watch->open = TRUE;
  look_once (watch);
}

static void
watch_ends (gpointer data)
{
  SimWatch *watch = data;
  if (watch->done)
    return;
  g_autofree char *wrong = look (watch->run, watch->expect);
  judge (watch, wrong);
}

static void
at (SimRun *self, double seconds, void (*func) (gpointer data), gpointer data)
{
  /* After what happens at the same time. */
  swarm_clock_timer (self->cluster->world.clock, (gint64) (seconds * G_USEC_PER_SEC), SWARM_PRIORITY_IDLE, func, data);
}

void
sim_expect_begin (SimRun *self)
{
  for (guint i = 0; self->scenario->expect != NULL && i < self->scenario->expect->len; i++) {
    SimWatch *watch = g_new0 (SimWatch, 1);
    watch->expect = g_ptr_array_index (self->scenario->expect, i);
    watch->run = self;
    g_ptr_array_add (self->watches, watch);
    const SimExpectation *expect = watch->expect;
    if (expect->within > 0 || expect->until > 0) {
      at (self, expect->at, watch_begins, watch);
      at (self, expect->until > 0 ? expect->until : expect->at + expect->within, watch_ends, watch);
    } else if (expect->at > 0) {
      at (self, expect->at, watch_ends, watch);
    }
  }
}

void
sim_expect_look (SimRun *self)
{
  for (guint i = 0; i < self->watches->len; i++) {
    SimWatch *watch = g_ptr_array_index (self->watches, i);
    if (!watch->open || watch->later)
      continue;
    watch->later = watch->expect->settled;
    if (watch->later)
      swarm_clock_timer (self->cluster->world.clock, SETTLE_US, SWARM_PRIORITY_IDLE, look_later, watch);
    else
      look_once (watch);
  }
}

gboolean
sim_expect_is_done (SimRun *self)
{
  for (guint i = 0; i < self->watches->len; i++) {
    if (!((SimWatch *) g_ptr_array_index (self->watches, i))->done)
      return FALSE;
  }
  return TRUE;
}

void
sim_expect_end (SimRun *self)
{
  for (guint i = 0; i < self->watches->len; i++)
    watch_ends (g_ptr_array_index (self->watches, i));
}
