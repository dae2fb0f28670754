// SPDX-License-Identifier: LGPL-2.1-or-later
/* What people see of modes, updates, drains and plans: lines of progress, tables, inspect --pretty. */
#include "base/error.h"
#include "base/field.h"
#include "ctl/format.h"
#include "ctl/inspect.h"
#include "ctl/plan.h"
#include "ctl/progress.h"
#include "ctl/service-list.h"
#include "ctl/task-list.h"
#include <string.h>

/* Lenient JSON ('…'). */
static JsonNode *
json (const char *text)
{
  g_autoptr (GError) error = NULL;
  JsonNode *node = json_from_string (text, &error);

  g_assert_no_error (error);
  return node;
}

/* ---- progress ---- */

typedef struct {
  CtlProgress *progress;
  GString *lines;
} View;

static void
collect_line (const char *key, const char *text, gboolean lasting, gpointer data)
{
  g_string_append_printf (data, "%s%s: %s\n", lasting ? "" : "~", key, text);
}

static void
view_init (View *view)
{
  view->lines = g_string_new (NULL);
  view->progress = ctl_progress_new (0, collect_line, view->lines);
}

static void
view_clear (View *view)
{
  ctl_progress_free (view->progress);
  g_string_free (view->lines, TRUE);
}

static gboolean
look (View *view, const char *service_text, const char *tasks_text)
{
  g_autoptr (JsonNode) service = json (service_text);
  g_autoptr (JsonNode) list = json (tasks_text);
  g_autoptr (GPtrArray) tasks = ctl_json_objects (json_node_get_array (list));
  g_autoptr (GHashTable) nodes = g_hash_table_new (g_str_hash, g_str_equal);

  g_hash_table_add (nodes, (gpointer) "n1");
  g_hash_table_add (nodes, (gpointer) "n2");
  g_string_truncate (view->lines, 0);
  return ctl_progress_update (view->progress, json_node_get_object (service), tasks, nodes);
}

#define TASK(slot, node, desired, state) \
  "{'Slot':" slot ",'NodeID':'" node "','DesiredState':'" desired "','Status':{'State':'" state "'}}"

static void
test_global (void)
{
  static const char service[] = "{'Spec':{'Mode':{'Global':{}}}}";
  View view;

  view_init (&view);
  g_assert_false (look (&view, service, "[]"));
  g_assert_cmpstr (view.lines->str, ==, "overall progress: waiting for new tasks\n");
  g_assert_false (look (&view, service, "[" TASK ("0", "n1", "running", "running") "," TASK ("0", "n2", "running", "preparing") "]"));
  g_assert_cmpstr (view.lines->str, ==,
                   "overall progress: 0 out of 2 tasks\n~n1: running  \n~n2: preparing\noverall progress: 1 out of 2 tasks\n");
  /* of two tasks on a node the one that is wanted counts */
  g_assert_true (look (&view, service, "[" TASK ("0", "n1", "running", "running") "," TASK ("0", "n2", "shutdown", "failed") ","
                                       TASK ("0", "n2", "running", "running") "]"));
  g_assert_false (look (&view, service, "[" TASK ("0", "n1", "running", "running") "," TASK ("0", "n2", "running", "starting") "]"));
  /* a node that is down is not counted as running */
  g_assert_false (look (&view, service, "[" TASK ("0", "n1", "running", "running") "," TASK ("0", "dead", "running", "running") "]"));
  view_clear (&view);
}

#define JOB(iteration, slot, node, state) \
  "{'JobIteration':{'Index':" iteration "},'Slot':" slot ",'NodeID':'" node "','DesiredState':'complete','Status':{'State':'" state "'}}"

static void
test_replicated_job (void)
{
  static const char service[]
      = "{'Spec':{'Mode':{'ReplicatedJob':{'MaxConcurrent':2,'TotalCompletions':3}}},'JobStatus':{'JobIteration':{'Index':1}}}";
  View view;

  view_init (&view);
  /* tasks of the run before do not count */
  g_assert_false (look (&view, service, "[" JOB ("0", "0", "n1", "complete") "," JOB ("0", "1", "n1", "complete") "]"));
  g_assert_cmpstr (view.lines->str, ==,
                   "job progress: 0 out of 3 complete\n~active tasks: 0 out of 2 tasks\n~1/3: \n~2/3: \n~3/3: \n"
                   "job progress: 0 out of 3 complete\n~active tasks: 0 out of 2 tasks\n");
  g_assert_false (look (&view, service, "[" JOB ("1", "0", "n1", "complete") "," JOB ("1", "1", "n2", "running") ","
                                        JOB ("1", "2", "n1", "starting") "]"));
  g_assert_cmpstr (view.lines->str, ==,
                   "~1/3: complete \n~2/3: running  \n~3/3: starting \njob progress: 1 out of 3 complete\n"
                   "~active tasks: 2 out of 2 tasks\n");
  g_assert_false (look (&view, service, "[" JOB ("1", "0", "n1", "complete") "," JOB ("1", "1", "n2", "complete") ","
                                        JOB ("1", "2", "n1", "running") "]"));
  g_assert_nonnull (strstr (view.lines->str, "~active tasks: 1 out of 1 tasks\n"));
  g_assert_true (look (&view, service, "[" JOB ("1", "0", "n1", "complete") "," JOB ("1", "1", "n2", "complete") ","
                                       JOB ("1", "2", "n1", "complete") "]"));
  view_clear (&view);
}

static void
test_global_job (void)
{
  static const char service[] = "{'Spec':{'Mode':{'GlobalJob':{}}},'JobStatus':{'JobIteration':{'Index':0}}}";
  View view;

  view_init (&view);
  g_assert_false (look (&view, service, "[]"));
  g_assert_cmpstr (view.lines->str, ==, "job progress: waiting for tasks\n");
  g_assert_false (look (&view, service, "[" JOB ("0", "0", "n1", "running") "," JOB ("0", "0", "n2", "complete") "]"));
  g_assert_cmpstr (view.lines->str, ==, "~n1: running  \n~n2: complete \njob progress: 1 out of 2 complete\n");
  /* a node that came meanwhile is not waited for */
  g_assert_true (look (&view, service, "[" JOB ("0", "0", "n1", "complete") "," JOB ("0", "0", "n2", "complete") ","
                                       JOB ("0", "0", "n3", "running") "]"));
  view_clear (&view);
}

static void
test_rollback_lines (void)
{
  static const char updating[] = "{'Spec':{'Mode':{'Replicated':{'Replicas':1}}},'UpdateStatus':{'State':'updating'}}";
  static const char rolling[] = "{'Spec':{'Mode':{'Replicated':{'Replicas':1}}},'UpdateStatus':{'State':'rollback_started'}}";
  View view;

  view_init (&view);
  look (&view, updating, "[]");
  g_assert_nonnull (strstr (view.lines->str, "overall progress: 0 out of 1 tasks\n"));
  look (&view, rolling, "[]");
  g_assert_nonnull (strstr (view.lines->str, "overall progress: rolling back update: 0 out of 1 tasks\n"));
  view_clear (&view);
}

/* ---- how it ends ---- */

static CtlProgressEnd
judge (CtlProgressJudge *self, const char *state, const char *message, gboolean converged, GError **error)
{
  g_autofree char *text = g_strdup_printf ("{'UpdateStatus':{'State':'%s','Message':'%s'}}", state, message);
  g_autoptr (JsonNode) service = json (text);

  return ctl_progress_judge (self, json_node_get_object (service), converged, error);
}

static void
test_judge_update (void)
{
  CtlProgressJudge self = { 0 };
  g_autoptr (GError) paused = NULL, rollback_paused = NULL;

  g_assert_cmpint (judge (&self, "", "", FALSE, NULL), ==, CTL_PROGRESS_GOES_ON);
  g_assert_cmpint (judge (&self, "", "", TRUE, NULL), ==, CTL_PROGRESS_CONVERGED);
  g_assert_cmpint (judge (&self, "updating", "update in progress", FALSE, NULL), ==, CTL_PROGRESS_GOES_ON);
  g_assert_cmpint (judge (&self, "completed", "update completed", TRUE, NULL), ==, CTL_PROGRESS_CONVERGED);
  g_assert_cmpint (judge (&self, "completed", "update completed", FALSE, NULL), ==, CTL_PROGRESS_ENDED);
  g_assert_cmpint (judge (&self, "paused", "update paused due to failure or early termination of task x", FALSE, &paused), ==,
                   CTL_PROGRESS_FAILED);
  g_assert_error (paused, CTL_ERROR, CTL_ERROR_FAILED);
  g_assert_cmpstr (paused->message, ==, "service update paused: update paused due to failure or early termination of task x");
  g_assert_cmpint (judge (&self, "rollback_paused", "rollback paused", TRUE, &rollback_paused), ==, CTL_PROGRESS_FAILED);
  g_assert_cmpstr (rollback_paused->message, ==, "service rollback paused: rollback paused");
}

static void
test_judge_rollback (void)
{
  CtlProgressJudge forced = { 0 }, wanted = { .wanted = TRUE }, late = { 0 };
  g_autoptr (GError) error = NULL;

  /* an update that failed is one, whatever runs afterwards */
  judge (&forced, "updating", "update in progress", FALSE, NULL);
  g_assert_cmpint (judge (&forced, "rollback_started", "update rolled back due to failure or early termination of task x", TRUE, NULL), ==,
                   CTL_PROGRESS_GOES_ON);
  g_assert_cmpint (judge (&forced, "rollback_completed", "rollback completed", TRUE, &error), ==, CTL_PROGRESS_FAILED);
  g_assert_cmpstr (error->message, ==, "service rolled back: update rolled back due to failure or early termination of task x");
  /* what was asked for is none */
  g_assert_cmpint (judge (&wanted, "rollback_started", "manually requested rollback", FALSE, NULL), ==, CTL_PROGRESS_GOES_ON);
  g_assert_cmpint (judge (&wanted, "rollback_started", "manually requested rollback", TRUE, NULL), ==, CTL_PROGRESS_CONVERGED);
  g_assert_cmpint (judge (&wanted, "rollback_completed", "rollback completed", TRUE, NULL), ==, CTL_PROGRESS_CONVERGED);
  /* nor what was over before */
  g_assert_cmpint (judge (&late, "rollback_completed", "rollback completed", TRUE, NULL), ==, CTL_PROGRESS_CONVERGED);
  g_free (forced.rollback);
  g_free (wanted.rollback);
}

/* ---- tables ---- */

#define SERVICE(name, mode, running, desired, completed)                                                                 \
  "{'ID':'" name "0123456789012345678901','Spec':{'Name':'" name "','Mode':" mode                                         \
  ",'TaskTemplate':{'ContainerSpec':{'Image':'docker.io/library/nginx:latest'}}},'ServiceStatus':{'RunningTasks':" running \
  ",'DesiredTasks':" desired ",'CompletedTasks':" completed "}}"

static void
test_service_ls (void)
{
  g_autoptr (JsonNode) node
      = json ("[" SERVICE ("all", "{'Global':{}}", "7", "7", "0") ","
              SERVICE ("job", "{'ReplicatedJob':{'MaxConcurrent':1,'TotalCompletions':5}}", "1", "1", "3") ","
              SERVICE ("jub", "{'ReplicatedJob':{'MaxConcurrent':4}}", "4", "4", "0") ","
              SERVICE ("one", "{'GlobalJob':{}}", "2", "2", "1") "]");
  g_autoptr (GPtrArray) services = ctl_json_objects (json_node_get_array (node));
  g_autofree char *text = ctl_service_list_text (services, FALSE, FALSE);

  g_assert_cmpstr (text, ==,
                   "ID             NAME      MODE             REPLICAS              IMAGE          PORTS\n"
                   "all012345678   all       global           7/7                   nginx:latest   \n"
                   "job012345678   job       replicated job   1/1 (3/5 completed)   nginx:latest   \n"
                   "jub012345678   jub       replicated job   4/4 (0/4 completed)   nginx:latest   \n"
                   "one012345678   one       global job       2/2 (1/3 completed)   nginx:latest   \n");
}

static char *
ps_text (const char *task_text, GHashTable *jobs)
{
  g_autoptr (JsonNode) node = json (task_text);
  g_autoptr (GPtrArray) tasks = ctl_json_objects (json_node_get_array (node));
  CtlNames names = { NULL, NULL, jobs };
  CtlTaskListOptions options = { .no_resolve = FALSE };

  swarm_time_from_string ("2026-01-02T03:04:05Z", &options.now_us);
  return ctl_task_list_text (tasks, &names, &options);
}

#define PS_TASK(slot, desired, rest)                                                                                    \
  "[{'ID':'a','Name':'w.1.a','ServiceID':'s','NodeID':'n','Slot':" slot ",'DesiredState':'" desired                        \
  "','Status':{'State':'ready','Timestamp':'2026-01-02T03:04:00Z'}," rest "}]"

static void
test_ps (void)
{
  g_autoptr (GHashTable) jobs = g_hash_table_new (g_str_hash, g_str_equal);
  g_autofree char *waits
      = ps_text (PS_TASK ("1", "ready", "'RestartFailures':5,'NotBefore':'2026-01-02T03:04:44.2Z'"), NULL);
  g_autofree char *rejected
      = ps_text ("[{'ID':'a','Name':'w.1.a','Slot':1,'DesiredState':'ready','Status':{'State':'rejected','Err':'No such image'},"
                 "'RestartFailures':5,'NotBefore':'2026-01-02T03:04:44.2Z'}]", NULL);
  g_autofree char *soon = ps_text (PS_TASK ("1", "ready", "'RestartFailures':2,'NotBefore':'2026-01-02T03:04:44Z'"), NULL);
  g_autofree char *over = ps_text (PS_TASK ("1", "running", "'RestartFailures':5,'NotBefore':'2026-01-02T03:04:44Z'"), NULL);
  g_autofree char *node = ps_text (PS_TASK ("0", "running", "'X':0"), NULL);
  g_autofree char *container = ps_text ("[{'ID':'a','Name':'my.probe','Slot':1,'NodeID':'n','NetworkAttachmentSpec':{'Name':'my.probe'},"
                                        "'DesiredState':'running','Status':{'State':'running','Timestamp':'2026-01-02T03:04:00Z'}}]", NULL);
  g_autofree char *job = NULL;

  g_assert_nonnull (strstr (waits, "\"restarting in 40s after 5 failures\""));
  g_assert_nonnull (strstr (rejected, "\"No such image\", again in 40s"));
  g_assert_nonnull (strstr (container, "my.probe "));
  g_assert_null (strstr (soon, "restarting"));
  g_assert_null (strstr (over, "restarting"));
  /* the first task of a job has slot 0, a task of a global service has none */
  g_assert_nonnull (strstr (node, "w.n "));
  g_hash_table_add (jobs, (gpointer) "s");
  job = ps_text (PS_TASK ("0", "complete", "'X':0"), jobs);
  g_assert_nonnull (strstr (job, "w.0 "));
}

static void
test_plan (void)
{
  g_autoptr (JsonNode) none = json ("[]");
  g_autoptr (JsonNode) node
      = json ("[{'Action':'stop','Name':'web.1','Node':'n1','NodeID':'x','Reason':'node is drained'},"
              "{'Action':'start','Name':'web.1','Node':'n2','NodeID':'y','Reason':'replaces it'},"
              "{'Action':'pending','Name':'web.2','Node':'','NodeID':'','Reason':'no suitable node (1 node not available for new tasks)'}]");
  g_autofree char *text = ctl_plan_text (json_node_get_array (node), FALSE);
  g_autofree char *nothing = ctl_plan_text (json_node_get_array (none), FALSE);

  g_assert_cmpstr (text, ==,
                   "ACTION    TASK      NODE      REASON\n"
                   "stop      web.1     n1        node is drained\n"
                   "start     web.1     n2        replaces it\n"
                   "pending   web.2     -         no suitable node (1 node not available for new tasks)\n");
  g_assert_cmpstr (nothing, ==, "Nothing would be started or stopped.\n");
}

/* ---- inspect --pretty ---- */

static void
test_pretty_service (void)
{
  g_autoptr (JsonNode) node = json (
      "{'ID':'abc','Spec':{'Name':'web','Mode':{'Replicated':{'Replicas':3}},'TaskTemplate':{'ContainerSpec':{'Image':'nginx',"
      "'Healthcheck':{'Test':['CMD-SHELL','true'],'Interval':90000000000,'Retries':3}},"
      "'RestartPolicy':{'Condition':'any','Delay':5000000000,'MaxAttempts':0,'Backoff':300000000000},"
      "'Resources':{'Reservations':{'GenericResources':[{'DiscreteResourceSpec':{'Kind':'gpu','Value':2}}]}},"
      "'Placement':{'Constraints':['node.role==worker'],'Preferences':[{'Spread':{'SpreadDescriptor':'node.labels.zone'}}],"
      "'MaxReplicas':2,'Strategy':'binpack'}},"
      "'UpdateConfig':{'Parallelism':2,'Delay':10000000000,'FailureAction':'rollback','Monitor':5000000000,'MaxFailureRatio':0.25,"
      "'Order':'start-first'},'RollbackConfig':{'Parallelism':1,'FailureAction':'pause','Monitor':5000000000,'MaxFailureRatio':0.0,"
      "'Order':'stop-first'}},'UpdateStatus':{'State':'paused','Message':'update paused due to failure'}}");
  g_autofree char *text = ctl_pretty_service (json_node_get_object (node));

  g_assert_cmpstr (text, ==,
                   "ID:\t\tabc\nName:\t\tweb\nService Mode:\tReplicated\n Replicas:\t3\n"
                   "UpdateStatus:\n State:\t\tpaused\n Message:\tupdate paused due to failure\n"
                   "Placement:\n Constraints:\tnode.role==worker\n Preferences:   spread=node.labels.zone\n"
                   " Max Replicas Per Node:   2\n Strategy:\tbinpack\n"
                   "UpdateConfig:\n Parallelism:\t2\n Delay:\t\t10s\n On failure:\trollback\n Monitoring Period: 5s\n"
                   " Max failure ratio: 0.25\n Update order:      start-first\n"
                   "RollbackConfig:\n Parallelism:\t1\n On failure:\tpause\n Monitoring Period: 5s\n Max failure ratio: 0\n"
                   " Rollback order:    stop-first\n"
                   "RestartPolicy:\n Condition:\tany\n Delay:\t\t5s\n Back-off to:\t5m0s\n"
                   "ContainerSpec:\n Image:\t\tnginx\n Init:\t\tfalse\n"
                   "Resources:\n Reservations:\n  Generic:\tgpu=2\n"
                   " Healthcheck:\n  Interval = 1m30s\n  Retries = 3\n  Tests:\n   Test = CMD-SHELL\n   Test = true\n");
}

static void
test_pretty_modes (void)
{
  static const char *const rows[][2] = {
    { "{'Global':{}}", "Service Mode:\tGlobal\nPlacement" },
    { "{'GlobalJob':{}}", "Service Mode:\tGlobal Job\nPlacement" },
    { "{'ReplicatedJob':{'MaxConcurrent':4,'TotalCompletions':20}}",
      "Service Mode:\tReplicated Job\n Max Concurrent:\t4\n Total Completions:\t20\nPlacement" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *given = g_strdup_printf ("{'Spec':{'Mode':%s,'TaskTemplate':{'ContainerSpec':{}}}}", rows[i][0]);
    g_autoptr (JsonNode) node = json (given);
    g_autofree char *text = ctl_pretty_service (json_node_get_object (node));

    g_assert_nonnull (strstr (text, rows[i][1]));
  }
}

static void
test_pretty_node (void)
{
  g_autoptr (JsonNode) node = json (
      "{'ID':'abc','Spec':{'Labels':{'zone':'a'},'Availability':'drain','DrainOrder':'start-first','DrainDeadline':'2026-01-02T03:04:05Z'},'Description':{'Hostname':'n1','NetworkProblems':['network back: its subnet overlaps','no sctp'],'Resources':{'NanoCPUs':2000000000,"
      "'GenericResources':[{'NamedResourceSpec':{'Kind':'gpu','Value':'UUID1'}},{'DiscreteResourceSpec':{'Kind':'ssd','Value':3}}]},"
      "'Engine':{'EngineVersion':'1','Labels':{'rack':'r1'},'Plugins':[{'Type':'Volume','Name':'local'},{'Type':'Network','Name':'host'},"
      "{'Type':'Network','Name':'overlay'}]}}}");
  g_autofree char *text = ctl_pretty_node (json_node_get_object (node));

  g_assert_nonnull (strstr (text, "Labels:\n - zone=a\n"));
  g_assert_nonnull (strstr (text, "Network Problems:\n - network back: its subnet overlaps\n - no sctp\nPlatform:\n"));
  g_assert_nonnull (strstr (text, " Availability:         \tDrain\n Drain Order:          \tstart-first\n"
                                  " Drain Deadline:       \t2026-01-02T03:04:05Z\n"));
  g_assert_nonnull (strstr (text, "Resources:\n CPUs:\t\t\t2\n Generic Resources:\tgpu=UUID1, ssd=3\nPlugins:\n Network:\t\thost, overlay\n"
                                  " Volume:\t\tlocal\nEngine Version:\t\t1\nEngine Labels:\n - rack=r1\n"));
}

static void
test_durations (void)
{
  static const struct {
    gint64 ns;
    const char *text;
  } rows[] = {
    { 0, "0s" },         { 5000000000, "5s" },       { 90000000000, "1m30s" },     { 300000000000, "5m0s" },
    { 3600000000000, "1h0m0s" }, { 500000000, "500ms" }, { 1500000000, "1.5s" }, { 1500, "1.5µs" },
    { 7, "7ns" },        { -5000000000, "-5s" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *text = ctl_go_duration (rows[i].ns);
    g_assert_cmpstr (text, ==, rows[i].text);
  }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ctl-output/progress/global", test_global);
  g_test_add_func ("/ctl-output/progress/replicated-job", test_replicated_job);
  g_test_add_func ("/ctl-output/progress/global-job", test_global_job);
  g_test_add_func ("/ctl-output/progress/rollback", test_rollback_lines);
  g_test_add_func ("/ctl-output/judge/update", test_judge_update);
  g_test_add_func ("/ctl-output/judge/rollback", test_judge_rollback);
  g_test_add_func ("/ctl-output/service-ls", test_service_ls);
  g_test_add_func ("/ctl-output/ps", test_ps);
  g_test_add_func ("/ctl-output/plan", test_plan);
  g_test_add_func ("/ctl-output/pretty/service", test_pretty_service);
  g_test_add_func ("/ctl-output/pretty/modes", test_pretty_modes);
  g_test_add_func ("/ctl-output/pretty/node", test_pretty_node);
  g_test_add_func ("/ctl-output/durations", test_durations);
  return g_test_run ();
}
