// SPDX-License-Identifier: LGPL-2.1-or-later
/* How the leader's loops take turns: a log that applies entries only when it is told to, and loops that write down when they are called. */
#include "base/clock-virtual.h"
#include "base/error.h"
#include "base/random-system.h"
#include "manager/runner.h"

#define MS G_TIME_SPAN_MILLISECOND

typedef struct _World World;

typedef struct {
  World *world;
  guint number; /* the runner's */
  char name;
  gboolean idle; /* its passes change nothing */
  guint again;   /* so many passes more are not finished */
  gint64 takes;  /* time that a pass uses up */
  gboolean ends_turn;
} Loop;

typedef struct {
  GBytes *entry;
  SwarmProposedFunc done;
  gpointer data;
} Proposal;

struct _World {
  SwarmVirtualClock *clock;
  SwarmVirtualClock *budget;
  SwarmStore *store;
  SwarmRunner *runner;
  GQueue log;
  SwarmId service;  /* what all loops write to: each pass adds one to its spec version */
  GString *story;   /* a pass: the loop's name, its outcome: + done, ! refused, 0 nothing to do, x failed */
  Loop loops[4];
  guint n_loops;
};

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  World *self = data;
  Proposal *proposal = g_new (Proposal, 1);
  *proposal = (Proposal){ g_bytes_ref (entry), done, done_data };
  g_queue_push_tail (&self->log, proposal);
}

/* The oldest proposal is applied, or comes to nothing with @error. */
static void
answer (World *self, const GError *error)
{
  g_autofree Proposal *proposal = g_queue_pop_head (&self->log);
  g_autoptr (GBytes) entry = proposal->entry;
  guint64 index = swarm_store_index (self->store) + 1;
  if (error == NULL)
    g_assert_true (swarm_store_apply (self->store, index, entry, NULL));
  proposal->done (error == NULL ? index : 0, error, proposal->data);
}

static gboolean
loop_pass (gpointer loop, SwarmTx *tx)
{
  Loop *self = loop;
  const SwarmService *service = swarm_store_get (self->world->store, SWARM_KIND_SERVICE, &self->world->service);
  g_string_append_c (self->world->story, self->name);
  swarm_virtual_clock_run (self->world->budget, self->takes);
  if (self->ends_turn)
    swarm_runner_end_turn (self->world->runner);
  if (!self->idle) {
    g_autoptr (SwarmService) copy = swarm_service_copy (service);
    copy->spec_version++;
    swarm_tx_update (tx, copy);
  }
  return self->again > 0 && self->again-- > 0;
}

static void
loop_settle (gpointer loop, guint64 index, const GError *error)
{
  Loop *self = loop;
  gboolean refused = g_error_matches (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE);
  g_string_append_printf (self->world->story, "%c%c", self->name, error == NULL ? (index == 0 ? '0' : '+') : refused ? '!' : 'x');
}

static const SwarmLoopOps together = { "together", loop_pass, loop_settle, .overlaps = TRUE };
static const SwarmLoopOps alone = { "alone", loop_pass, loop_settle };

/* @kinds: a loop each: t may have its transaction under way together with others, a is alone. They are called A, B, … */
static World *
world_new (const char *kinds)
{
  World *self = g_new0 (World, 1);
  g_autoptr (SwarmService) service = swarm_service_new ();
  SwarmTx *tx;
  self->clock = swarm_virtual_clock_new (1000000);
  self->budget = swarm_virtual_clock_new (1000000);
  self->store = swarm_store_new (swarm_virtual_clock_iface (self->clock), swarm_random_system (), propose, self);
  self->runner = swarm_runner_new (self->store, swarm_virtual_clock_iface (self->clock));
  swarm_runner_set_budget (self->runner, swarm_virtual_clock_iface (self->budget));
  self->story = g_string_new (NULL);
  service->spec = swarm_service_spec_new ();
  service->spec->name = g_strdup ("web");
  tx = swarm_store_tx (self->store);
  swarm_tx_create (tx, service);
  self->service = service->object.id;
  swarm_tx_commit (tx, NULL, NULL, NULL);
  answer (self, NULL);
  for (; *kinds != '\0'; kinds++) {
    Loop *loop = &self->loops[self->n_loops];
    *loop = (Loop){ .world = self, .name = (char) ('A' + self->n_loops++) };
    loop->number = swarm_runner_add (self->runner, *kinds == 't' ? &together : &alone, loop);
  }
  return self;
}

static void
world_free (World *self)
{
  g_clear_pointer (&self->runner, swarm_runner_free);
  swarm_store_free (self->store);
  while (!g_queue_is_empty (&self->log)) {
    g_autofree Proposal *proposal = g_queue_pop_head (&self->log);
    g_bytes_unref (proposal->entry);
    proposal->done (0, NULL, proposal->data);
  }
  swarm_virtual_clock_free (self->budget);
  swarm_virtual_clock_free (self->clock);
  g_string_free (self->story, TRUE);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)

static void
mark (World *self, const char *names)
{
  for (; *names != '\0'; names++)
    swarm_runner_mark (self->runner, self->loops[*names - 'A'].number);
}

/* What happened since the last look, after all turns that are due. */
#define assert_story(self, expected) \
  G_STMT_START { \
    swarm_virtual_clock_run ((self)->clock, 0); \
    g_assert_cmpstr ((self)->story->str, ==, expected); \
    g_string_truncate ((self)->story, 0); \
  } G_STMT_END

static guint64
version (World *self)
{
  return ((const SwarmService *) swarm_store_get (self->store, SWARM_KIND_SERVICE, &self->service))->spec_version;
}

/* Those that hand tasks on go into the log together; who was refused for it looks again at what the first one wrote. */
static void
test_together (void)
{
  g_autoptr (World) world = world_new ("ttt");
  mark (world, "CAB");
  assert_story (world, "ABC");
  g_assert_cmpuint (world->log.length, ==, 3);
  world->loops[2].idle = TRUE;
  answer (world, NULL);
  answer (world, NULL);
  answer (world, NULL);
  assert_story (world, "A+B!C!BCC0");
  answer (world, NULL);
  assert_story (world, "B+");
  g_assert_cmpuint (version (world), ==, 2);
  g_assert_true (g_queue_is_empty (&world->log));
}

/* A loop's next pass begins when its own transaction is over, whatever marks it meanwhile, and whatever ends before. */
static void
test_not_twice (void)
{
  g_autoptr (World) world = world_new ("tt");
  mark (world, "AB");
  assert_story (world, "AB");
  mark (world, "B");
  assert_story (world, "");
  world->loops[1].idle = TRUE;
  answer (world, NULL);
  mark (world, "B");
  assert_story (world, "A+");
  answer (world, NULL);
  assert_story (world, "B!BB0");
  mark (world, "B");
  assert_story (world, "BB0");
}

/* The others work against nothing in flight, and nothing is begun while their own is. */
static void
test_alone (void)
{
  g_autoptr (World) world = world_new ("tat");
  mark (world, "A");
  assert_story (world, "A");
  mark (world, "BC");
  assert_story (world, ""); /* B's turn is before C's */
  answer (world, NULL);
  assert_story (world, "A+B");
  mark (world, "AC");
  assert_story (world, "");
  g_assert_cmpuint (world->log.length, ==, 1);
  answer (world, NULL);
  assert_story (world, "B+CA");
  answer (world, NULL);
  answer (world, NULL);
  assert_story (world, "C+A!A");
  answer (world, NULL);
  assert_story (world, "A+");
  g_assert_cmpuint (version (world), ==, 4);
}

/* However busy the others are, one that wants to be alone gets its turn. */
static void
test_alone_is_not_starved (void)
{
  g_autoptr (World) world = world_new ("tta");
  world->loops[0].again = world->loops[1].again = 100;
  mark (world, "AB");
  assert_story (world, "AB");
  mark (world, "C");
  answer (world, NULL);
  assert_story (world, "A+");
  answer (world, NULL);
  assert_story (world, "B!C");
  answer (world, NULL);
  assert_story (world, "C+AB");
}

/* Two that are alone, and an empty pass between them. */
static void
test_turns (void)
{
  g_autoptr (World) world = world_new ("aata");
  world->loops[1].idle = TRUE;
  world->loops[1].again = 2;
  mark (world, "DBA");
  assert_story (world, "A");
  answer (world, NULL);
  assert_story (world, "A+BB0D");
  answer (world, NULL);
  assert_story (world, "D+BB0BB0");
  assert_story (world, "");
}

/* A log that takes nothing is not asked all the time. */
static void
test_failed (void)
{
  g_autoptr (World) world = world_new ("tt");
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, "this manager does not lead the cluster");
  mark (world, "AB");
  assert_story (world, "AB");
  answer (world, error);
  answer (world, error);
  assert_story (world, "AxBx");
  swarm_virtual_clock_run (world->clock, 49 * MS);
  assert_story (world, "");
  swarm_virtual_clock_run (world->clock, 1 * MS);
  assert_story (world, "AB");
  answer (world, NULL);
  answer (world, NULL);
  assert_story (world, "A+B!B");
}

/* What is under way when the leadership is over is nobody's any more. */
static void
test_freed (void)
{
  g_autoptr (World) world = world_new ("tt");
  mark (world, "AB");
  assert_story (world, "AB");
  answer (world, NULL);
  g_clear_pointer (&world->runner, swarm_runner_free);
  answer (world, NULL);
  assert_story (world, "A+");
}

/* The main loop gets its turn: after passes that took long, and after one that says so. */
static void
test_turn_ends (void)
{
  g_autoptr (World) world = world_new ("ttt");
  world->loops[0].takes = 5 * MS;
  world->loops[1].takes = 4 * MS;
  world->loops[2].ends_turn = TRUE;
  world->loops[0].idle = world->loops[1].idle = world->loops[2].idle = TRUE;
  mark (world, "ABC");
  g_assert_true (swarm_virtual_clock_step (world->clock));
  g_assert_cmpstr (world->story->str, ==, "AA0BB0");
  g_assert_true (swarm_virtual_clock_step (world->clock));
  g_assert_cmpstr (world->story->str, ==, "AA0BB0CC0");
  mark (world, "CA");
  g_string_truncate (world->story, 0);
  g_assert_true (swarm_virtual_clock_step (world->clock));
  g_assert_cmpstr (world->story->str, ==, "AA0CC0");
  g_assert_true (swarm_virtual_clock_step (world->clock));
  g_assert_false (swarm_virtual_clock_step (world->clock));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/runner/together", test_together);
  g_test_add_func ("/runner/not-twice", test_not_twice);
  g_test_add_func ("/runner/alone", test_alone);
  g_test_add_func ("/runner/alone-is-not-starved", test_alone_is_not_starved);
  g_test_add_func ("/runner/turns", test_turns);
  g_test_add_func ("/runner/failed", test_failed);
  g_test_add_func ("/runner/freed", test_freed);
  g_test_add_func ("/runner/turn-ends", test_turn_ends);
  return g_test_run ();
}
