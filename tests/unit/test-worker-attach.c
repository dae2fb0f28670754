// SPDX-License-Identifier: LGPL-2.1-or-later
/* Attachments on their node: the container is found and put into its network, and taken out before its address is free. */
#pragma GCC diagnostic ignored "-Wunused-function" /* the bed has more than is needed here */
#include "worker-bed.h"

#define ONE "1111111111111111111111111111111111111111111111111111111111111111"

/* ---- a network plugin that notes what it is asked ---- */

struct SwarmPluginInstance {
  SwarmPluginHost *host;
};

static SwarmPluginInstance plugin;
static GString *asked;         /* "attach one 4711 101, detach, …" */
static const char *mode;       /* that it answers with; NULL: none */
static const char *refusal;    /* NULL: it is fine */
static gboolean gone_at_once;  /* the process ends before the answer is there */
static SwarmPluginCall *held;  /* with @holds */
static gboolean holds;

static SwarmPluginInstance *
note_init (SwarmPluginHost *host, char *error, size_t error_length)
{
  plugin.host = host;
  return &plugin;
}

static void
note_fini (SwarmPluginInstance *self)
{
}

static void
note_attach (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  SwarmPluginResult result = { .code = refusal != NULL ? SWARM_PLUGIN_FAILED : SWARM_PLUGIN_OK, .error = refusal, .network_mode = mode };

  g_string_append_printf (asked, "attach %s %.2s %u %u, ", task->name, task->container_id, task->attach_pid, task->interface);
  g_assert_cmpuint (task->n_networks, ==, 1);
  g_assert_cmpuint (task->attach_started, ==, 10 * task->attach_pid);
  if (holds) {
    held = call;
    return;
  }
  self->host->finish (call, &result);
  if (gone_at_once)
    self->host->task_exited (self->host, &(SwarmPluginExit){ .task_id = task->id });
}

static void
note_detach (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call)
{
  g_string_append (asked, "detach, ");
  self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK });
}

static void
note_cancel (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  g_assert_true (call == held);
  held = NULL;
  g_string_append (asked, "cancel, ");
  self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_CANCELLED, .error = "given up" });
}

static const SwarmNetworkOps note_ops = { .init = note_init, .fini = note_fini, .attach = note_attach, .detach = note_detach, .cancel = note_cancel };
static const SwarmPluginDescriptor note_plugin = {
  SWARM_PLUGIN_MAGIC, sizeof (SwarmPluginDescriptor), SWARM_PLUGIN_NETWORK, SWARM_PLUGIN_ABI_NETWORK, sizeof (SwarmNetworkOps),
  sizeof (SwarmPluginHost), "network-note", "notes", "1", &note_ops,
};

/* ---- the bed ---- */

static Bed *
note_bed (guint64 seed)
{
  asked = g_string_new (NULL);
  mode = refusal = NULL;
  gone_at_once = holds = FALSE;
  Bed *bed = bed_new (seed);
  agent_kill (bed);
  swarm_plugin_unref (bed->network_plugin);
  bed->network_plugin = swarm_plugin_from_descriptor (&note_plugin, SWARM_PLUGIN_NETWORK, NULL);
  g_assert_nonnull (bed->network_plugin);
  agent_start (bed);
  sim_clock_run (bed->clock, SECOND);
  return bed;
}

static void
note_free (Bed *bed)
{
  bed_free (bed);
  g_string_free (asked, TRUE);
}

/* The leader has it as assigned to the worker. */
static SwarmId
make (Bed *bed)
{
  SwarmId id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  SwarmTask *task = g_hash_table_lookup (bed->tasks, &id);
  SwarmNetworkAttachment *attachment = swarm_network_attachment_new ();

  g_clear_pointer (&task->service_name, g_free);
  swarm_container_spec_unref (g_steal_pointer (&task->spec->container));
  task->attachment = swarm_container_attachment_new ();
  task->attachment->container_id = g_strdup (ONE);
  task->attachment->name = g_strdup ("one");
  attachment->network = (SwarmId){ { 7 } };
  attachment->addresses = swarm_strings_new ();
  g_ptr_array_add (attachment->addresses, g_strdup ("10.0.1.7/24"));
  task->networks = swarm_messages_new ();
  g_ptr_array_add (task->networks, attachment);
  return id;
}

/* And tells it. */
static SwarmId
attach (Bed *bed)
{
  SwarmId id = make (bed);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  return id;
}

static void
tell_desired (Bed *bed, const SwarmId *id, SwarmTaskState desired)
{
  want (bed, id, desired);
  sim_clock_run (bed->clock, 3 * SECOND);
}

static void
gone (const SwarmId *id)
{
  SwarmIdString text = swarm_id_string (id);
  plugin.host->task_exited (plugin.host, &(SwarmPluginExit){ .task_id = text.str });
}

static void
test_life (void)
{
  Bed *bed = note_bed (1);
  runtime_sim_put_plain (ONE, "one", 4711);
  SwarmId id = attach (bed);
  g_assert_cmpstr (bed->history->str, ==, "running ");
  g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, ");
  g_assert_cmpstr (status_of (bed, &id)->container->container_id, ==, ONE);
  tell_desired (bed, &id, SWARM_TASK_SHUTDOWN);
  g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, detach, ");
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_true (g_str_has_suffix (bed->history->str, "running shutdown "));
  note_free (bed);
}

/* Its address must not be anyone's again while it is there: first out, then over. */
static void
test_order (void)
{
  Bed *bed = note_bed (2);
  runtime_sim_put_plain (ONE, "one", 4711);
  SwarmId id = attach (bed);
  leader_of (bed)->refuses_status = TRUE; /* nothing is acknowledged any more */
  tell_desired (bed, &id, SWARM_TASK_SHUTDOWN);
  g_assert_true (g_str_has_suffix (asked->str, "detach, "));
  note_free (bed);
}

static void
test_refused (void)
{
  static const struct {
    guint32 pid; /* 0: does not run; 1: there is none */
    const char *mode, *refusal, *text;
    SwarmTaskState state;
    gboolean detached;
  } rows[] = {
    { 0, NULL, NULL, "container one is not running", SWARM_TASK_REJECTED, FALSE },
    { 1, NULL, NULL, "No such container", SWARM_TASK_REJECTED, FALSE },
    { 4711, NULL, "the cable is cut", "the cable is cut", SWARM_TASK_FAILED, TRUE },
    { 4711, "ns:/proc/1/fd/3", NULL, "this network plugin cannot attach containers", SWARM_TASK_FAILED, TRUE },
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    Bed *bed = note_bed (10 + i);
    if (rows[i].pid != 1)
      runtime_sim_put_plain (ONE, "one", rows[i].pid);
    mode = rows[i].mode;
    refusal = rows[i].refusal;
    SwarmId id = attach (bed);
    sim_clock_run (bed->clock, 5 * SECOND);
    g_assert_cmpint (status_of (bed, &id)->state, ==, rows[i].state);
    g_assert_nonnull (strstr (status_of (bed, &id)->err, rows[i].text));
    g_assert_cmpint (g_str_has_suffix (asked->str, "detach, "), ==, rows[i].detached);
    note_free (bed);
  }
}

/* The container ends, also before the answer is there. */
static void
test_ends (void)
{
  for (guint early = 0; early < 2; early++) {
    Bed *bed = note_bed (20 + early);
    runtime_sim_put_plain (ONE, "one", 4711);
    gone_at_once = early;
    SwarmId id = attach (bed);
    if (!early)
      gone (&id);
    sim_clock_run (bed->clock, 5 * SECOND);
    g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_COMPLETE);
    g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, detach, ");
    gone (&id); /* once more: no news */
    note_free (bed);
  }
}

static void
test_cancelled (void)
{
  Bed *bed = note_bed (30);
  runtime_sim_put_plain (ONE, "one", 4711);
  holds = TRUE;
  SwarmId id = attach (bed);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_STARTING);
  tell_desired (bed, &id, SWARM_TASK_SHUTDOWN);
  g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, cancel, detach, ");
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_SHUTDOWN);
  note_free (bed);
}

/* An agent that comes back finds the container where it was, or that it ended meanwhile. */
static void
test_agent_restart (void)
{
  Bed *bed = note_bed (40);
  runtime_sim_put_plain (ONE, "one", 4711);
  SwarmId id = attach (bed);
  g_string_truncate (asked, 0);
  agent_kill (bed);
  agent_start (bed);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, ");
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_RUNNING);
  gone (&id); /* is heard of still */
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_COMPLETE);

  id = attach (bed);
  agent_kill (bed);
  runtime_sim_put_plain (ONE, "one", 0);
  g_string_truncate (asked, 0);
  agent_start (bed);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_COMPLETE);
  g_assert_cmpstr (asked->str, ==, "detach, ");

  runtime_sim_put_plain (ONE, "one", 4711);
  id = attach (bed);
  agent_kill (bed);
  runtime_sim_put_plain (ONE, "one", 4712); /* the container was started again: it is another process's network */
  agent_start (bed);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_COMPLETE);
  g_assert_true (g_str_has_suffix (asked->str, "attach one 11 4711 101, detach, "));
  note_free (bed);
}

/* An agent that is killed before it was there does not take it for there: it goes on with it, or takes out what may have got there. */
static void
test_killed_on_the_way (void)
{
  for (guint i = 0; i < 3; i++) {
    Bed *bed = note_bed (80 + i);
    runtime_sim_put_plain (ONE, "one", 4711);
    holds = TRUE;
    SwarmId id = attach (bed);
    g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_STARTING);
    g_string_truncate (asked, 0);
    agent_kill (bed);
    holds = FALSE;
    refusal = i == 1 ? "the cable is cut" : NULL;
    if (i == 2) {
      leader_of (bed)->refuses_status = TRUE;
      want (bed, &id, SWARM_TASK_SHUTDOWN);
    }
    agent_start (bed);
    sim_clock_run (bed->clock, 5 * SECOND);
    g_assert_cmpstr (asked->str, ==, i == 0 ? "attach one 11 4711 101, " : "attach one 11 4711 101, detach, ");
    if (i < 2)
      g_assert_cmpint (status_of (bed, &id)->state, ==, i == 0 ? SWARM_TASK_RUNNING : SWARM_TASK_FAILED);
    if (i == 1)
      g_assert_cmpstr (status_of (bed, &id)->err, ==, "task: the cable is cut");
    note_free (bed);
  }
}

static void
test_host_restart (void)
{
  Bed *bed = note_bed (50);
  runtime_sim_put_plain (ONE, "one", 4711);
  SwarmId id = attach (bed);
  host_reboot (bed);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_FAILED);
  g_assert_true (g_str_has_suffix (asked->str, "detach, "));
  note_free (bed);
}

/* The node leaves. */
static void
drained (gpointer data)
{
  *(gboolean *) data = TRUE;
}

static void
test_leave (void)
{
  Bed *bed = note_bed (60);
  gboolean done = FALSE;
  runtime_sim_put_plain (ONE, "one", 4711);
  attach (bed);
  swarm_worker_drain (bed->worker, 60 * SECOND, drained, &done);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_true (done);
  g_assert_true (g_str_has_suffix (asked->str, "detach, "));
  note_free (bed);
}

/* ---- the calls that begin it ---- */

static SwarmId made;           /* by the leader for the last Attach */
static gboolean never_assigns; /* its allocator has no address */
static gboolean gets_there;    /* just when the leader takes it back */
static const char *denial;
static gboolean loses; /* the answer to the next Attach: it is made, and its caller hears an error */
static gboolean fails; /* the next one, and makes nothing */

static gboolean
answer_dispatcher (Manager *manager, SwarmCall *call)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) session = NULL;
  const char *id, *name, *network;
  if (strcmp (call->member, "Attach") == 0) {
    g_variant_get (call->args, "(@ay&s&s&s)", &session, &id, &name, &network);
    g_assert_cmpmem (g_variant_get_data (session), g_variant_get_size (session), manager->session, 16);
    g_assert_cmpstr (id, ==, ONE);
    g_assert_cmpstr (name, ==, "one");
    if (denial != NULL) {
      error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, denial);
      swarm_call_fail (call, error);
      return TRUE;
    }
    if (!fails)
      made = make (manager->bed);
    if (loses || fails) {
      error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "the leader is gone");
      swarm_call_fail (call, error);
      if (loses)
        tell (manager->bed, &made);
      loses = fails = FALSE;
      return TRUE;
    }
    swarm_call_return (call, g_variant_new ("(@ay)", ay (made.bytes, 16)));
    if (!never_assigns)
      tell (manager->bed, &made);
    return TRUE;
  }
  if (strcmp (call->member, "Detach") != 0)
    return FALSE;
  g_string_append (asked, "DETACH, ");
  if (gets_there)
    plugin.host->finish (g_steal_pointer (&held), &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK });
  swarm_call_return (call, g_variant_new ("(s)", never_assigns ? "no address" : ""));
  if (!never_assigns)
    want (manager->bed, &made, SWARM_TASK_SHUTDOWN);
  return TRUE;
}

static void
note_answer (const SwarmTask *task, const GError *error, gpointer data)
{
  g_assert_cmpstr (*(char **) data, ==, NULL); /* once */
  *(char **) data = g_strdup (error != NULL ? error->message : task != NULL ? "in" : "out");
}

static char *
do_attach (Bed *bed, const char *container, const char *network)
{
  char *answer = NULL;
  swarm_worker_attach (bed->worker, container, network, note_answer, &answer);
  sim_clock_run (bed->clock, 40 * SECOND);
  return answer;
}

static char *
do_detach (Bed *bed, const char *container, const char *network)
{
  char *answer = NULL;
  swarm_worker_detach (bed->worker, container, network, note_answer, &answer);
  sim_clock_run (bed->clock, 40 * SECOND);
  return answer;
}

#define ASSERT_ANSWER(call, text) \
  do { \
    g_autofree char *answer_ = call; \
    g_assert_cmpstr (answer_, ==, text); \
  } while (0)

static Bed *
calls_bed (guint64 seed)
{
  bed_dispatcher_call = answer_dispatcher;
  never_assigns = gets_there = loses = fails = FALSE;
  denial = NULL;
  return note_bed (seed);
}

static void
test_calls (void)
{
  Bed *bed = calls_bed (70);
  SwarmId net = { { 7 } };
  SwarmIdString net_id = swarm_id_string (&net);
  ASSERT_ANSWER (do_attach (bed, "one", "back"), "Could not attach to network back: No such container");
  runtime_sim_put_plain (ONE, "one", 0);
  ASSERT_ANSWER (do_attach (bed, "one", "back"), "Could not attach to network back: container one is not running");
  runtime_sim_put_plain (ONE, "one", 4711);
  denial = "network back not manually attachable";
  ASSERT_ANSWER (do_attach (bed, "one", "back"),
                 "Could not attach to network back: rpc error: code = PermissionDenied desc = network back not manually attachable");
  denial = NULL;
  ASSERT_ANSWER (do_attach (bed, "1111", "back"), "in");
  g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, ");
  ASSERT_ANSWER (do_detach (bed, "one", "front"), "container one is not connected to network front");
  ASSERT_ANSWER (do_detach (bed, "one", net_id.str), "out");
  g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, DETACH, detach, ");
  g_autofree char *again = do_detach (bed, "one", net_id.str);
  g_assert_true (g_str_has_prefix (again, "container one is not connected to network "));
  note_free (bed);
}

/* One whose name is the beginning of another's id is meant by it; a beginning of two means none. */
static void
test_which (void)
{
  static const struct {
    const char *id, *name;
    guint32 pid;
  } rows[] = { { ONE, "one", 4711 }, { "1112222222222222222222222222222222222222222222222222222222222222", "two", 4712 },
               { "3333333333333333333333333333333333333333333333333333333333333333", "1112", 4713 } };
  Bed *bed = calls_bed (74);
  SwarmId net = { { 7 } }, ids[3];
  SwarmIdString net_id = swarm_id_string (&net);
  for (guint i = 0; i < 3; i++) {
    runtime_sim_put_plain (rows[i].id, rows[i].name, rows[i].pid);
    ids[i] = make (bed);
    SwarmTask *task = g_hash_table_lookup (bed->tasks, &ids[i]);
    swarm_string_set (&task->attachment->container_id, rows[i].id);
    swarm_string_set (&task->attachment->name, rows[i].name);
    tell (bed, &ids[i]);
    sim_clock_run (bed->clock, SECOND);
    g_assert_cmpint (status_of (bed, &ids[i])->state, ==, SWARM_TASK_RUNNING);
  }
  g_autofree char *two = do_detach (bed, "111", net_id.str);
  g_assert_cmpstr (two, ==, "more than one container in that network is 111; give more of its id, or its name");
  made = ids[2];
  ASSERT_ANSWER (do_detach (bed, "1112", net_id.str), "out");
  made = ids[1];
  ASSERT_ANSWER (do_detach (bed, "1112", net_id.str), "out");
  g_assert_cmpint (status_of (bed, &ids[0])->state, ==, SWARM_TASK_RUNNING);
  note_free (bed);
}

/* What does not get there in time is taken back, and the leader says why. */
static void
test_late (void)
{
  Bed *bed = calls_bed (71);
  runtime_sim_put_plain (ONE, "one", 4711);
  never_assigns = TRUE;
  ASSERT_ANSWER (do_attach (bed, "one", "back"),
                 "Could not attach to network back: attaching to network failed, make sure your network options are correct and check manager logs: no address");
  g_assert_cmpstr (asked->str, ==, "DETACH, ");
  note_free (bed);
}

/* Nor does it count when it gets there while it is taken back. */
static void
test_too_late (void)
{
  Bed *bed = calls_bed (73);
  runtime_sim_put_plain (ONE, "one", 4711);
  holds = gets_there = TRUE;
  ASSERT_ANSWER (do_attach (bed, "one", "back"), "Could not attach to network back: attaching to network failed, make sure your network options are "
                                                 "correct and check manager logs: context deadline exceeded");
  g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, DETACH, detach, ");
  note_free (bed);
}

/* Nothing stays of what its caller was told has failed; but what another call was told is there does. */
static void
test_lost_answer (void)
{
  Bed *bed = calls_bed (75);
  SwarmId net = { { 7 } };
  SwarmIdString net_id = swarm_id_string (&net);
  g_autofree char *failed = g_strdup_printf ("Could not attach to network %s: the leader is gone", net_id.str);
  runtime_sim_put_plain (ONE, "one", 4711);
  loses = TRUE;
  ASSERT_ANSWER (do_attach (bed, "one", net_id.str), failed);
  g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, DETACH, detach, ");
  sim_clock_run (bed->clock, 60 * SECOND);
  g_string_truncate (asked, 0);
  ASSERT_ANSWER (do_attach (bed, "one", net_id.str), "in");
  sim_clock_run (bed->clock, 100 * SECOND);
  g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, ");
  /* So does what was there before, whatever a call for it hears. */
  fails = TRUE;
  ASSERT_ANSWER (do_attach (bed, "one", net_id.str), failed);
  sim_clock_run (bed->clock, 100 * SECOND);
  g_assert_cmpstr (asked->str, ==, "attach one 11 4711 101, ");
  note_free (bed);
}

/* Who waits is answered when the agent stops; without a session nothing begins. */
static void
test_no_leader (void)
{
  Bed *bed = calls_bed (72);
  char *answer = NULL;
  runtime_sim_put_plain (ONE, "one", 4711);
  never_assigns = TRUE;
  swarm_worker_attach (bed->worker, "one", "back", note_answer, &answer);
  sim_clock_run (bed->clock, SECOND);
  g_assert_null (answer);
  agent_kill (bed);
  ASSERT_ANSWER (answer, "Could not attach to network back: the agent stops");
  manager_crash (&bed->managers[0], TRUE);
  agent_start (bed);
  ASSERT_ANSWER (do_attach (bed, "one", "back"), "Could not attach to network back: this node has no session with the leader; try again later");
  note_free (bed);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/worker-attach/life", test_life);
  g_test_add_func ("/worker-attach/order", test_order);
  g_test_add_func ("/worker-attach/refused", test_refused);
  g_test_add_func ("/worker-attach/ends", test_ends);
  g_test_add_func ("/worker-attach/cancelled", test_cancelled);
  g_test_add_func ("/worker-attach/agent-restart", test_agent_restart);
  g_test_add_func ("/worker-attach/killed-on-the-way", test_killed_on_the_way);
  g_test_add_func ("/worker-attach/host-restart", test_host_restart);
  g_test_add_func ("/worker-attach/leave", test_leave);
  g_test_add_func ("/worker-attach/calls", test_calls);
  g_test_add_func ("/worker-attach/which", test_which);
  g_test_add_func ("/worker-attach/late", test_late);
  g_test_add_func ("/worker-attach/too-late", test_too_late);
  g_test_add_func ("/worker-attach/lost-answer", test_lost_answer);
  g_test_add_func ("/worker-attach/no-leader", test_no_leader);
  return g_test_run ();
}
