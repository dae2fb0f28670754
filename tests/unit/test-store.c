// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/error.h"
#include "base/random-system.h"
#include "store/entry.h"
#include "store/store.h"
#include <string.h>

/* ---- a clock that stands still until it is told, and a log that is shared by some stores ---- */

struct _SwarmTimer {
  SwarmTimerFunc func;
  gpointer data;
};

typedef struct {
  SwarmClock clock;
  gint64 now;
  GQueue timers;
} Clock;

static gint64
clock_time (SwarmClock *clock)
{
  return ((Clock *) clock)->now;
}

static SwarmTimer *
clock_timer (SwarmClock *clock, gint64 delay, SwarmPriority priority, SwarmTimerFunc func, gpointer data)
{
  SwarmTimer *timer = g_new0 (SwarmTimer, 1);

  timer->func = func;
  timer->data = data;
  g_queue_push_tail (&((Clock *) clock)->timers, timer);
  return timer;
}

static void
clock_cancel (SwarmClock *clock, SwarmTimer *timer)
{
  g_queue_remove (&((Clock *) clock)->timers, timer);
  g_free (timer);
}

static void
clock_run (Clock *clock)
{
  SwarmTimer *timer;

  while ((timer = g_queue_pop_head (&clock->timers)) != NULL) {
    timer->func (timer->data);
    g_free (timer);
  }
}

typedef struct {
  GBytes *entry;
  SwarmProposedFunc done;
  gpointer data;
} Proposal;

#define N_STORES 3

typedef struct {
  Clock clock;
  SwarmStore *store[N_STORES];
  GQueue proposals;
  GPtrArray *log; /* GBytes */
  guint64 index;
} World;

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  World *world = data;
  Proposal *proposal = g_new0 (Proposal, 1);

  proposal->entry = g_bytes_ref (entry);
  proposal->done = done;
  proposal->data = done_data;
  g_queue_push_tail (&world->proposals, proposal);
}

static const SwarmClockOps clock_ops = { clock_time, clock_time, clock_timer, clock_cancel };

static void
world_open (World *world)
{
  memset (world, 0, sizeof *world);
  world->clock.clock.ops = &clock_ops;
  world->clock.now = G_GINT64_CONSTANT (1700000000000000);
  world->log = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  for (guint i = 0; i < N_STORES; i++)
    world->store[i] = swarm_store_new (&world->clock.clock, swarm_random_system (), propose, world);
}

/* Commits one proposal on every store. */
static void
step (World *world)
{
  Proposal *proposal = g_queue_pop_head (&world->proposals);
  g_autoptr (GError) error = NULL;

  world->index += 2; /* the log holds others' entries, too */
  for (guint i = 0; i < N_STORES; i++) {
    g_assert_true (swarm_store_apply (world->store[i], world->index, proposal->entry, &error));
    g_assert_no_error (error);
  }
  g_ptr_array_add (world->log, proposal->entry);
  proposal->done (world->index, NULL, proposal->data);
  g_free (proposal);
}

static void
settle (World *world)
{
  clock_run (&world->clock);
  while (!g_queue_is_empty (&world->proposals))
    step (world);
}

static void
assert_same (World *world)
{
  g_autoptr (GBytes) first = swarm_store_encode (world->store[0]);

  for (guint i = 1; i < N_STORES; i++) {
    g_autoptr (GBytes) other = swarm_store_encode (world->store[i]);
    g_assert_true (g_bytes_equal (first, other));
  }
}

static void
world_close (World *world)
{
  settle (world);
  assert_same (world);
  for (guint i = 0; i < N_STORES; i++)
    swarm_store_free (world->store[i]);
  g_ptr_array_unref (world->log);
}

/* ---- commits ---- */

typedef struct {
  guint calls;
  guint64 index;
  int code; /* -1: none */
  char *text;
  char *result;
} Outcome;

static void
on_done (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  Outcome *outcome = data;

  g_free (outcome->text);
  g_free (outcome->result);
  outcome->calls++;
  outcome->index = index;
  outcome->code = error != NULL ? error->code : -1;
  outcome->text = error != NULL ? g_strdup (error->message) : NULL;
  outcome->result = result != NULL ? g_variant_print (result, FALSE) : NULL;
}

static void
outcome_clear (Outcome *outcome)
{
  g_free (outcome->text);
  g_free (outcome->result);
  memset (outcome, 0, sizeof *outcome);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Outcome, outcome_clear)

static void
commit (World *world, SwarmTx *tx, const char *request, Outcome *outcome)
{
  guint before = outcome->calls;

  swarm_tx_commit (tx, request, on_done, outcome);
  g_assert_cmpuint (outcome->calls, ==, before);
  settle (world);
  g_assert_cmpuint (outcome->calls, ==, before + 1);
}

static SwarmService *
make_service (const char *name)
{
  SwarmService *service = swarm_service_new ();

  service->spec = swarm_service_spec_new ();
  swarm_string_set (&service->spec->name, name);
  service->spec->task = swarm_task_spec_new ();
  service->spec->task->container = swarm_container_spec_new ();
  swarm_string_set (&service->spec->task->container->image, "nginx");
  return service;
}

static SwarmId
create_service (World *world, const char *name)
{
  g_autoptr (SwarmService) service = make_service (name);
  SwarmTx *tx = swarm_store_tx (world->store[0]);
  g_auto (Outcome) outcome = { 0 };

  swarm_tx_create (tx, service);
  commit (world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, -1);
  return service->object.id;
}

static SwarmTask *
make_task (const SwarmService *service, guint64 slot)
{
  SwarmTask *task = swarm_task_new ();

  task->service_id = service->object.id;
  task->slot = slot;
  task->spec = swarm_task_spec_copy (service->spec->task);
  return task;
}

static void
test_create (void)
{
  World world;
  SwarmId id;

  world_open (&world);
  id = create_service (&world, "web");
  for (guint i = 0; i < N_STORES; i++) {
    SwarmService *service = swarm_store_get (world.store[i], SWARM_KIND_SERVICE, &id);

    g_assert_nonnull (service);
    g_assert_true (swarm_store_get_by_name (world.store[i], SWARM_KIND_SERVICE, "web") == service);
    g_assert_cmpuint (service->object.version, ==, 2);
    g_assert_cmpint (service->object.created_at, ==, world.clock.now);
    g_assert_cmpuint (swarm_store_index (world.store[i]), ==, 2);
    g_assert_cmpuint (swarm_store_count (world.store[i], SWARM_KIND_SERVICE), ==, 1);
  }
  world_close (&world);
}

static void
test_versions (void)
{
  World world;
  g_auto (Outcome) first = { 0 }, second = { 0 };
  SwarmId id;
  SwarmTx *tx;

  world_open (&world);
  id = create_service (&world, "web");
  /* Two writers that read the same version: the second one loses. */
  for (guint i = 0; i < 2; i++) {
    g_autoptr (SwarmService) copy = swarm_service_copy (swarm_store_get (world.store[i], SWARM_KIND_SERVICE, &id));

    copy->spec_version = 10 + i;
    tx = swarm_store_tx (world.store[i]);
    swarm_tx_update (tx, copy);
    swarm_tx_commit (tx, NULL, on_done, i == 0 ? &first : &second);
  }
  settle (&world);
  g_assert_cmpint (first.code, ==, -1);
  g_assert_cmpint (second.code, ==, SWARM_ERROR_OUT_OF_SEQUENCE);
  g_assert_cmpstr (second.text, ==, "update out of sequence");
  g_assert_cmpuint (((SwarmService *) swarm_store_get (world.store[2], SWARM_KIND_SERVICE, &id))->spec_version, ==, 10);
  /* A removal of a stale version, and of any. */
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_remove (tx, SWARM_KIND_SERVICE, &id, 2);
  commit (&world, tx, NULL, &first);
  g_assert_cmpint (first.code, ==, SWARM_ERROR_OUT_OF_SEQUENCE);
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_remove (tx, SWARM_KIND_SERVICE, &id, 0);
  commit (&world, tx, NULL, &first);
  g_assert_cmpint (first.code, ==, -1);
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_remove (tx, SWARM_KIND_SERVICE, &id, 0);
  commit (&world, tx, NULL, &first);
  g_assert_cmpint (first.code, ==, SWARM_ERROR_NOT_FOUND);
  world_close (&world);
}

static void
test_names (void)
{
  World world;
  g_autoptr (SwarmService) again = make_service ("web");
  g_autoptr (SwarmService) other = make_service ("other");
  g_autoptr (SwarmService) renamed = NULL;
  g_auto (Outcome) outcome = { 0 };
  SwarmId id;
  SwarmTx *tx;

  world_open (&world);
  id = create_service (&world, "web");
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_create (tx, again);
  commit (&world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, SWARM_ERROR_ALREADY_EXISTS);
  g_assert_cmpstr (outcome.text, ==, "name conflicts with an existing object: service web already exists");
  /* A new name frees the old one, in the same transaction even. */
  renamed = swarm_service_copy (swarm_store_get (world.store[0], SWARM_KIND_SERVICE, &id));
  swarm_message_set_pointer (&renamed->spec, other->spec);
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_update (tx, renamed);
  swarm_tx_create (tx, again);
  commit (&world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, -1);
  g_assert_true (swarm_store_get_by_name (world.store[1], SWARM_KIND_SERVICE, "other")
                 == swarm_store_get (world.store[1], SWARM_KIND_SERVICE, &id));
  g_assert_cmpuint (swarm_store_count (world.store[0], SWARM_KIND_SERVICE), ==, 2);
  world_close (&world);
}

static void
count_event (const SwarmEvent *event, gpointer data)
{
  static const char marks[] = { 'c', 'u', 'r', 'R', '.' };

  g_string_append_c (data, marks[event->event]);
}

/* Nothing of a transaction with one bad change is seen, by nobody. */
static void
test_all_or_nothing (void)
{
  World world;
  g_autoptr (GString) events = g_string_new (NULL);
  g_auto (Outcome) outcome = { 0 };
  g_autoptr (GBytes) before = NULL;
  g_autoptr (GPtrArray) tasks = NULL;
  SwarmService *service;
  SwarmId id, missing = { { 1 } };
  SwarmTx *tx;

  world_open (&world);
  id = create_service (&world, "web");
  service = swarm_store_get (world.store[0], SWARM_KIND_SERVICE, &id);
  swarm_store_watch (world.store[1], 0, count_event, events);
  before = swarm_store_encode (world.store[0]);
  tx = swarm_store_tx (world.store[0]);
  for (guint slot = 1; slot <= 3; slot++) {
    g_autoptr (SwarmTask) task = make_task (service, slot);
    swarm_tx_create (tx, task);
  }
  swarm_tx_remove (tx, SWARM_KIND_SERVICE, &id, 0);
  swarm_tx_remove (tx, SWARM_KIND_TASK, &missing, 0);
  commit (&world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, SWARM_ERROR_NOT_FOUND);
  g_assert_cmpstr (events->str, ==, ".");
  tasks = swarm_store_tasks_of_service (world.store[0], &id);
  g_assert_cmpuint (tasks->len, ==, 0);
  g_assert_true (swarm_store_get (world.store[0], SWARM_KIND_SERVICE, &id) == service);
  world_close (&world);
}

/* Several changes of one object in one transaction are one. */
static void
test_same_object_twice (void)
{
  World world;
  g_auto (Outcome) outcome = { 0 };
  g_autoptr (SwarmService) a = NULL, b = NULL, fresh = make_service ("fresh");
  SwarmId id;
  SwarmTx *tx;

  world_open (&world);
  id = create_service (&world, "web");
  a = swarm_service_copy (swarm_store_get (world.store[0], SWARM_KIND_SERVICE, &id));
  a->spec_version = 1;
  b = swarm_service_copy (a);
  b->spec_version = 2;
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_update (tx, a);
  swarm_tx_update (tx, b);
  swarm_tx_create (tx, fresh);
  fresh->spec_version = 3;
  swarm_tx_update (tx, fresh);
  g_assert_cmpuint (swarm_tx_n_changes (tx), ==, 2);
  commit (&world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, -1);
  g_assert_cmpuint (((SwarmService *) swarm_store_get (world.store[1], SWARM_KIND_SERVICE, &id))->spec_version, ==, 2);
  g_assert_cmpuint (((SwarmService *) swarm_store_get (world.store[1], SWARM_KIND_SERVICE, &fresh->object.id))->spec_version, ==, 3);
  g_clear_pointer (&a, swarm_service_unref);
  a = swarm_service_copy (swarm_store_get (world.store[0], SWARM_KIND_SERVICE, &id));
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_update (tx, a);
  swarm_tx_remove (tx, SWARM_KIND_SERVICE, &id, 0);
  commit (&world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, -1);
  g_assert_null (swarm_store_get (world.store[2], SWARM_KIND_SERVICE, &id));
  world_close (&world);
}

static void
test_limits (void)
{
  World world;
  g_auto (Outcome) outcome = { 0 };
  g_autofree char *big = g_strnfill (SWARM_TX_MAX_BYTES, 'x');
  g_autofree char *id = g_strnfill (129, 'x');
  g_autoptr (SwarmService) service = make_service ("web");
  SwarmTx *tx;

  world_open (&world);
  tx = swarm_store_tx (world.store[0]);
  g_assert_true (swarm_tx_has_room (tx, 200));
  g_assert_false (swarm_tx_has_room (tx, 201));
  for (guint i = 0; i < 201; i++) {
    g_autoptr (SwarmTask) task = make_task (service, i);
    swarm_tx_create (tx, task);
  }
  g_assert_false (swarm_tx_has_room (tx, 1));
  commit (&world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, SWARM_ERROR_LIMIT_EXCEEDED);
  tx = swarm_store_tx (world.store[0]);
  swarm_string_set (&service->spec->task->container->user, big);
  swarm_tx_create (tx, service);
  g_assert_false (swarm_tx_has_room (tx, 1));
  commit (&world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, SWARM_ERROR_LIMIT_EXCEEDED);
  tx = swarm_store_tx (world.store[0]);
  commit (&world, tx, id, &outcome);
  g_assert_cmpint (outcome.code, ==, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (world.log->len, ==, 0);
  world_close (&world);
}

static void
test_empty (void)
{
  World world;
  g_auto (Outcome) outcome = { 0 };
  SwarmTx *tx;

  world_open (&world);
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_set_result (tx, g_variant_new ("(s)", "nothing"));
  commit (&world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, -1);
  g_assert_cmpstr (outcome.result, ==, "('nothing',)");
  g_assert_cmpuint (world.log->len, ==, 0);
  world_close (&world);
}

/* ---- request ids ---- */

static void
create_with_request (World *world, guint store, const char *name, const char *request, Outcome *outcome)
{
  g_autoptr (SwarmService) service = make_service (name);
  SwarmTx *tx = swarm_store_tx (world->store[store]);

  swarm_tx_create (tx, service);
  swarm_tx_set_result (tx, g_variant_new ("(s)", name));
  commit (world, tx, request, outcome);
}

static void
test_requests (void)
{
  World world;
  g_auto (Outcome) outcome = { 0 };
  guint entries;

  world_open (&world);
  create_with_request (&world, 0, "one", "r1", &outcome);
  g_assert_cmpstr (outcome.result, ==, "('one',)");
  entries = world.log->len;
  /* Again, on another manager, with something else even: the first one's result, nothing is done. */
  create_with_request (&world, 1, "two", "r1", &outcome);
  g_assert_cmpstr (outcome.result, ==, "('one',)");
  g_assert_cmpuint (outcome.index, ==, 2);
  g_assert_null (swarm_store_get_by_name (world.store[0], SWARM_KIND_SERVICE, "two"));
  g_assert_cmpuint (world.log->len, ==, entries);
  /* A refused one is not remembered. */
  create_with_request (&world, 0, "one", "r2", &outcome);
  g_assert_cmpint (outcome.code, ==, SWARM_ERROR_ALREADY_EXISTS);
  create_with_request (&world, 0, "three", "r2", &outcome);
  g_assert_cmpint (outcome.code, ==, -1);
  /* Ten minutes later it is forgotten, when the next entry comes. */
  world.clock.now += 601 * G_USEC_PER_SEC;
  create_with_request (&world, 0, "four", "r4", &outcome);
  create_with_request (&world, 0, "five", "r1", &outcome);
  g_assert_cmpstr (outcome.result, ==, "('five',)");
  world_close (&world);
}

/* Both are on their way before either is applied. */
static void
test_requests_racing (void)
{
  World world;
  g_auto (Outcome) first = { 0 }, second = { 0 };

  world_open (&world);
  for (guint i = 0; i < 2; i++) {
    g_autofree char *name = g_strdup_printf ("s%u", i);
    g_autoptr (SwarmService) service = make_service (name);
    SwarmTx *tx = swarm_store_tx (world.store[i]);

    swarm_tx_create (tx, service);
    swarm_tx_set_result (tx, g_variant_new ("(s)", name));
    swarm_tx_commit (tx, "same", on_done, i == 0 ? &first : &second);
  }
  settle (&world);
  g_assert_cmpstr (first.result, ==, "('s0',)");
  g_assert_cmpstr (second.result, ==, "('s0',)");
  g_assert_cmpuint (swarm_store_count (world.store[0], SWARM_KIND_SERVICE), ==, 1);
  world_close (&world);
}

/* ---- outcomes of the log ---- */

static void
test_proposal_fails (void)
{
  World world;
  g_auto (Outcome) outcome = { 0 };
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, "no leader");
  g_autoptr (SwarmService) service = make_service ("web");
  SwarmTx *tx;
  Proposal *proposal;

  world_open (&world);
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_create (tx, service);
  swarm_tx_commit (tx, NULL, on_done, &outcome);
  proposal = g_queue_pop_head (&world.proposals);
  proposal->done (0, error, proposal->data);
  g_assert_cmpint (outcome.code, ==, SWARM_ERROR_NO_QUORUM);
  g_bytes_unref (proposal->entry);
  g_free (proposal);
  g_assert_cmpuint (swarm_store_count (world.store[0], SWARM_KIND_SERVICE), ==, 0);
  world_close (&world);
}

/* The store goes while a commit is out there: it is cancelled once, and the late answer touches nothing. */
static void
test_freed_under_way (void)
{
  World world;
  g_auto (Outcome) outcome = { 0 }, empty = { 0 };
  g_autoptr (SwarmService) service = make_service ("web");
  SwarmTx *tx;
  Proposal *proposal;

  world_open (&world);
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_create (tx, service);
  swarm_tx_commit (tx, NULL, on_done, &outcome);
  swarm_tx_commit (swarm_store_tx (world.store[0]), NULL, on_done, &empty);
  proposal = g_queue_pop_head (&world.proposals);
  swarm_store_free (world.store[0]);
  g_assert_cmpint (outcome.code, ==, SWARM_ERROR_CANCELLED);
  g_assert_cmpint (empty.code, ==, SWARM_ERROR_CANCELLED);
  proposal->done (7, NULL, proposal->data);
  clock_run (&world.clock);
  g_assert_cmpuint (outcome.calls, ==, 1);
  g_assert_cmpuint (empty.calls, ==, 1);
  g_bytes_unref (proposal->entry);
  g_free (proposal);
  world.store[0] = swarm_store_new (&world.clock.clock, swarm_random_system (), propose, &world);
  world_close (&world);
}

static void
test_bad_entries (void)
{
  static const char *const bad[] = { "", "x", "\x08\x02", "\x08\x01\x78\x01" };
  World world;

  world_open (&world);
  create_service (&world, "web");
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GBytes) entry = g_bytes_new_static (bad[i], strlen (bad[i]));
    g_autoptr (GError) error = NULL;

    g_assert_false (swarm_store_apply (world.store[0], 100, entry, &error));
    g_assert_nonnull (error);
    g_assert_nonnull (strstr (error->message, "log entry 100: the log has an entry"));
  }
  g_assert_cmpuint (swarm_store_index (world.store[0]), ==, 2);
  /* The same entry twice is a broken log. */
  g_assert_false (swarm_store_apply (world.store[0], 2, world.log->pdata[0], NULL));
  world_close (&world);
}

/* A change of a field that only a newer version has must not be half-applied. */
static void
test_foreign_field (void)
{
  World world;
  SwarmEntryHead head = { .proposer = { { 7 } }, .sequence = 1, .stamp = 1 };

  world_open (&world);
  SwarmId id = create_service (&world, "web");
  for (guint bit = 7; bit <= 60; bit += 53) {
    SwarmChange change = { SWARM_ACTION_UPDATE, SWARM_KIND_SERVICE, id, 2, (guint64) 1 << bit, &world, 0, 0, 0 };
    g_autoptr (GBytes) entry = swarm_entry_encode (&head, &change, 1, (const guint8 *) "");
    g_autoptr (GError) error = NULL;

    for (guint i = 0; i < N_STORES; i++) {
      g_assert_cmpint (swarm_store_apply (world.store[i], 100 + bit, entry, &error), ==, bit == 7);
      g_assert_true ((bit == 7) == (error == NULL));
      g_clear_error (&error);
    }
  }
  world_close (&world);
}

/* ---- indexes ---- */

static void
test_task_indexes (void)
{
  World world;
  g_auto (Outcome) outcome = { 0 };
  g_autoptr (GPtrArray) of_service = NULL, of_slot = NULL, of_node = NULL;
  SwarmId id, node = { { 9 } };
  SwarmService *service;
  SwarmTx *tx;

  world_open (&world);
  id = create_service (&world, "web");
  service = swarm_store_get (world.store[0], SWARM_KIND_SERVICE, &id);
  for (guint i = 0; i < 6; i++) {
    g_autoptr (SwarmTask) task = make_task (service, 3 - i % 3);

    world.clock.now++;
    tx = swarm_store_tx (world.store[0]);
    swarm_tx_create (tx, task);
    commit (&world, tx, NULL, &outcome);
  }
  of_service = swarm_store_tasks_of_service (world.store[1], &id);
  g_assert_cmpuint (of_service->len, ==, 6);
  for (guint i = 0; i < 6; i++) {
    SwarmTask *task = of_service->pdata[i];

    g_assert_cmpuint (task->slot, ==, 1 + i / 2);
    if (i % 2 == 1)
      g_assert_cmpint (task->object.created_at, >, ((SwarmTask *) of_service->pdata[i - 1])->object.created_at);
    /* One spec in memory for all. */
    g_assert_true (task->spec == ((SwarmService *) swarm_store_get (world.store[1], SWARM_KIND_SERVICE, &id))->spec->task);
  }
  tx = swarm_store_tx (world.store[0]);
  for (guint i = 0; i < 4; i++) {
    g_autoptr (SwarmTask) copy = swarm_task_copy (of_service->pdata[i]);
    copy->node_id = node;
    swarm_tx_update (tx, copy);
  }
  swarm_tx_remove (tx, SWARM_KIND_TASK, &SWARM_OBJECT (of_service->pdata[5])->id, 0);
  commit (&world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, -1);
  of_node = swarm_store_tasks_of_node (world.store[1], &node);
  g_assert_cmpuint (of_node->len, ==, 4);
  of_slot = swarm_store_tasks_of_slot (world.store[1], &id, 3);
  g_assert_cmpuint (of_slot->len, ==, 1);
  world_close (&world);
}

/* ---- resolving ---- */

static SwarmId
create_node (World *world, const char *id_text, const char *hostname)
{
  g_autoptr (SwarmNode) node = swarm_node_new ();
  SwarmTx *tx = swarm_store_tx (world->store[0]);
  g_auto (Outcome) outcome = { 0 };

  g_assert_true (swarm_id_parse (id_text, &node->object.id));
  node->description = swarm_node_description_new ();
  swarm_string_set (&node->description->hostname, hostname);
  swarm_tx_create (tx, node);
  commit (world, tx, NULL, &outcome);
  g_assert_cmpint (outcome.code, ==, -1);
  return node->object.id;
}

static void
assert_resolves (World *world, const char *reference, const SwarmId *id)
{
  SwarmNode *node = swarm_store_resolve (world->store[0], SWARM_KIND_NODE, reference, NULL);

  g_assert_nonnull (node);
  g_assert_true (swarm_id_equal (&node->object.id, id));
}

static void
assert_unresolved (World *world, SwarmKind kind, const char *reference, const char *why)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (swarm_store_resolve (world->store[0], kind, reference, &error));
  g_assert_cmpstr (error->message, ==, why);
}

static void
test_resolve (void)
{
  World world;
  SwarmId a, b, c;

  world_open (&world);
  a = create_node (&world, "aaa0000000000000000000001", "n1");
  b = create_node (&world, "aab0000000000000000000001", "n2");
  c = create_node (&world, "aac0000000000000000000001", "aab");
  create_node (&world, "f00000000000000000000000y", "twin");
  create_node (&world, "f00000000000000000000000z", "twin");
  assert_resolves (&world, "aaa0000000000000000000001", &a);
  assert_resolves (&world, "n2", &b);
  assert_resolves (&world, "aaa", &a);
  assert_resolves (&world, "aab", &c); /* a name comes before a prefix */
  assert_resolves (&world, "aab0", &b);
  assert_unresolved (&world, SWARM_KIND_NODE, "aa", "node aa is ambiguous (3 matches found)");
  assert_unresolved (&world, SWARM_KIND_NODE, "twin", "node twin is ambiguous (2 matches found)");
  assert_unresolved (&world, SWARM_KIND_NODE, "f0", "node f0 is ambiguous (2 matches found)");
  assert_unresolved (&world, SWARM_KIND_NODE, "", "node  not found");
  assert_unresolved (&world, SWARM_KIND_NODE, "zz", "node zz not found");
  assert_unresolved (&world, SWARM_KIND_NODE, "A", "node A not found");
  assert_unresolved (&world, SWARM_KIND_SERVICE, "x", "no such service: x");
  world_close (&world);
}

/* ---- watching ---- */

typedef struct {
  SwarmStore *store;
  guint id;
  guint calls;
} Leaver;

static void
leave (const SwarmEvent *event, gpointer data)
{
  Leaver *leaver = data;

  leaver->calls++;
  swarm_store_unwatch (leaver->store, leaver->id);
}

static void
test_watches (void)
{
  World world;
  g_autoptr (GString) all = g_string_new (NULL), nodes = g_string_new (NULL);
  g_auto (Outcome) outcome = { 0 };
  g_autoptr (SwarmService) copy = NULL;
  Leaver leaver = { 0 };
  SwarmId id;
  SwarmTx *tx;
  guint watch;

  world_open (&world);
  leaver.store = world.store[0];
  leaver.id = swarm_store_watch (world.store[0], 0, leave, &leaver);
  watch = swarm_store_watch (world.store[0], 0, count_event, all);
  swarm_store_watch (world.store[0], 1 << SWARM_KIND_NODE, count_event, nodes);
  id = create_service (&world, "web");
  copy = swarm_service_copy (swarm_store_get (world.store[0], SWARM_KIND_SERVICE, &id));
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_update (tx, copy);
  commit (&world, tx, NULL, &outcome);
  create_node (&world, "aaa0000000000000000000001", "n1");
  tx = swarm_store_tx (world.store[0]);
  swarm_tx_remove (tx, SWARM_KIND_SERVICE, &id, 0);
  commit (&world, tx, NULL, &outcome);
  g_assert_cmpstr (all->str, ==, "c.u.c.r.");
  g_assert_cmpstr (nodes->str, ==, "..c..");
  g_assert_cmpuint (leaver.calls, ==, 1);
  swarm_store_unwatch (world.store[0], watch);
  create_service (&world, "more");
  g_assert_cmpstr (all->str, ==, "c.u.c.r.");
  world_close (&world);
}

/* ---- many random changes: every manager ends the same, also one that starts from a snapshot in the middle ---- */

static gpointer
pick (SwarmStore *store, SwarmKind kind)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new ();
  guint n = swarm_store_count (store, kind);
  g_autofree char *text = g_strdup_printf ("%c", "0123456789abcdef"[g_test_rand_int_range (0, 16)]);
  gpointer found = swarm_store_resolve (store, kind, text, NULL);

  if (found != NULL || n == 0 || kind == SWARM_KIND_TASK)
    return found;
  text[0] = (char) ('a' + g_test_rand_int_range (0, 26));
  return swarm_store_get_by_name (store, kind, text);
}

static void
random_change (World *world, SwarmTx *tx)
{
  SwarmStore *store = world->store[0];
  char name[2] = { (char) ('a' + g_test_rand_int_range (0, 26)), 0 };
  g_autoptr (SwarmService) service = make_service (name);
  SwarmService *known = pick (store, SWARM_KIND_SERVICE);
  SwarmTask *task = pick (store, SWARM_KIND_TASK);
  gpointer copy = NULL;

  switch (g_test_rand_int_range (0, 6)) {
  case 0:
    swarm_tx_create (tx, service);
    break;
  case 1:
    if (known != NULL)
      swarm_tx_remove (tx, SWARM_KIND_SERVICE, &known->object.id, known->object.version);
    break;
  case 2:
    if (known != NULL)
      swarm_tx_update (tx, copy = swarm_service_copy (known));
    break;
  case 3:
    if (known != NULL)
      swarm_tx_create (tx, copy = make_task (known, (guint64) g_test_rand_int_range (1, 5)));
    break;
  case 4:
    if (task != NULL) {
      copy = swarm_task_copy (task);
      ((SwarmTask *) copy)->node_id.bytes[0] = (guint8) g_test_rand_int_range (0, 4);
      ((SwarmTask *) copy)->slot = (guint64) g_test_rand_int_range (1, 5);
      swarm_tx_update (tx, copy);
    }
    break;
  default:
    if (task != NULL)
      swarm_tx_remove (tx, SWARM_KIND_TASK, &task->object.id, 0);
  }
  swarm_message_unref (copy);
}

/* Every index says what the tables say. */
static gboolean
check_indexed (gpointer object, gpointer data)
{
  SwarmTask *task = object;
  g_autoptr (GPtrArray) of_slot = swarm_store_tasks_of_slot (data, &task->service_id, task->slot);
  g_autoptr (GPtrArray) of_node = swarm_store_tasks_of_node (data, &task->node_id);

  g_assert_true (g_ptr_array_find (of_slot, task, NULL));
  g_assert_true (g_ptr_array_find (of_node, task, NULL) || swarm_id_is_nil (&task->node_id));
  return TRUE;
}

static void
test_random (void)
{
  World world;
  g_auto (Outcome) outcome = { 0 };
  g_autoptr (GBytes) snapshot = NULL, end = NULL, late_end = NULL;
  g_autoptr (GError) error = NULL;
  SwarmStore *late;
  guint from = 0;

  world_open (&world);
  for (guint i = 0; i < 2000; i++) {
    SwarmTx *tx = swarm_store_tx (world.store[0]);
    g_autofree char *request = g_strdup_printf ("r%d", g_test_rand_int_range (0, 1500));

    for (int n = g_test_rand_int_range (1, 4); n > 0; n--)
      random_change (&world, tx);
    swarm_tx_commit (tx, i % 3 == 0 ? request : NULL, on_done, &outcome);
    if (i % 5 != 0)
      settle (&world);
    if (i == 1000) {
      settle (&world);
      snapshot = swarm_store_encode (world.store[1]);
      from = world.log->len;
    }
  }
  settle (&world);
  late = swarm_store_new (&world.clock.clock, swarm_random_system (), propose, &world);
  g_assert_true (swarm_store_restore (late, 2 * from, snapshot, &error));
  for (guint i = from; i < world.log->len; i++)
    g_assert_true (swarm_store_apply (late, 2 * (i + 1), world.log->pdata[i], &error));
  g_assert_no_error (error);
  end = swarm_store_encode (world.store[0]);
  late_end = swarm_store_encode (late);
  g_assert_true (g_bytes_equal (end, late_end));
  g_assert_cmpuint (swarm_store_count (late, SWARM_KIND_TASK), >, 10);
  swarm_store_foreach (late, SWARM_KIND_TASK, check_indexed, late);
  swarm_store_foreach (world.store[0], SWARM_KIND_TASK, check_indexed, world.store[0]);
  swarm_store_free (late);
  world_close (&world);
}

static void
test_restore (void)
{
  World world;
  g_autoptr (GString) events = g_string_new (NULL);
  g_autoptr (GBytes) good = NULL, same = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Outcome) outcome = { 0 };
  SwarmId id;
  SwarmStore *fresh;

  world_open (&world);
  id = create_service (&world, "web");
  create_with_request (&world, 0, "two", "r1", &outcome);
  good = swarm_store_encode (world.store[0]);
  fresh = swarm_store_new (&world.clock.clock, swarm_random_system (), propose, &world);
  swarm_store_watch (fresh, 1 << SWARM_KIND_NODE, count_event, events);
  g_assert_true (swarm_store_restore (fresh, 4, good, &error));
  g_assert_cmpstr (events->str, ==, "R");
  g_assert_nonnull (swarm_store_get (fresh, SWARM_KIND_SERVICE, &id));
  g_assert_cmpuint (swarm_store_index (fresh), ==, 4);
  same = swarm_store_encode (fresh);
  g_assert_true (g_bytes_equal (good, same));
  /* The request is known there, too. */
  swarm_tx_commit (swarm_store_tx (fresh), "r1", on_done, &outcome);
  settle (&world);
  g_assert_cmpstr (outcome.result, ==, "('two',)");
  swarm_store_free (fresh);
  world_close (&world);
}

/* Whatever is wrong with a snapshot: it is refused and the store stays as it was, or (a flipped bit in a text) it loads. Never a crash. */
static void
test_restore_damaged (void)
{
  World world;
  g_autoptr (GBytes) good = NULL;
  g_auto (Outcome) outcome = { 0 };
  SwarmId id;
  gsize len;

  world_open (&world);
  id = create_service (&world, "web");
  create_with_request (&world, 0, "two", "r1", &outcome);
  good = swarm_store_encode (world.store[0]);
  len = g_bytes_get_size (good);
  for (gsize cut = 0; cut < len; cut++) {
    g_autoptr (GBytes) bad = g_bytes_new_from_bytes (good, 0, cut);
    g_autoptr (GError) error = NULL;

    g_assert_false (swarm_store_restore (world.store[0], 9, bad, &error));
    g_assert_nonnull (error);
    g_assert_nonnull (swarm_store_get (world.store[0], SWARM_KIND_SERVICE, &id));
    g_assert_cmpuint (swarm_store_index (world.store[0]), ==, 4);
  }
  for (guint i = 0; i < 2000; i++) {
    g_autofree guint8 *data = g_memdup2 (g_bytes_get_data (good, NULL), len);
    g_autoptr (GBytes) bad = NULL;
    SwarmStore *store = swarm_store_new (&world.clock.clock, swarm_random_system (), propose, &world);

    data[g_test_rand_int_range (0, (gint32) len)] ^= (guint8) (1 << g_test_rand_int_range (0, 8));
    bad = g_bytes_new (data, len);
    swarm_store_restore (store, 9, bad, NULL);
    swarm_store_free (store);
  }
  world_close (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/store/create", test_create);
  g_test_add_func ("/store/versions", test_versions);
  g_test_add_func ("/store/names", test_names);
  g_test_add_func ("/store/all-or-nothing", test_all_or_nothing);
  g_test_add_func ("/store/same-object-twice", test_same_object_twice);
  g_test_add_func ("/store/limits", test_limits);
  g_test_add_func ("/store/empty", test_empty);
  g_test_add_func ("/store/requests", test_requests);
  g_test_add_func ("/store/requests-racing", test_requests_racing);
  g_test_add_func ("/store/proposal-fails", test_proposal_fails);
  g_test_add_func ("/store/freed-under-way", test_freed_under_way);
  g_test_add_func ("/store/bad-entries", test_bad_entries);
  g_test_add_func ("/store/foreign-field", test_foreign_field);
  g_test_add_func ("/store/task-indexes", test_task_indexes);
  g_test_add_func ("/store/resolve", test_resolve);
  g_test_add_func ("/store/watches", test_watches);
  g_test_add_func ("/store/random", test_random);
  g_test_add_func ("/store/restore", test_restore);
  g_test_add_func ("/store/restore-damaged", test_restore_damaged);
  return g_test_run ();
}
