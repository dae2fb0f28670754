// SPDX-License-Identifier: LGPL-2.1-or-later
/* The real swarmctl against an agent of this test on a bus of its own: what it calls, what it prints, how it ends. */
#include "bus-fixture.h"
#include <pty.h>
#include <sys/ptrace.h>
#include <termios.h>

#define NODE_ID "yg550ettvsjn6g6t840iaiwgb"
#define SERVICE_ID "c8wgl7q4ndfd0123456789012"
#define TASK_ID "50qe8lfnxaxk0123456789012"

/* ---- the agent ---- */

static GString *calls;     /* "Member(args)\n" of what changes something */
static guint lost_replies; /* so many next calls of CreateService end as if nobody knew how */
static guint refusals;     /* and then so many find no leader */
static guint version;      /* of every object */
static guint stale;        /* before so many next calls of Update somebody else writes the object */
static const char *role;   /* Spec.Role of the node */
static const char *state;  /* LocalNodeState */
static const char *waits;  /* Error: what a pending node waits for */
static guint looks;        /* so many looks at it before a join is answered */
static SwarmInvocation *joining;

#define VERSION "'Version': <{'Index': <uint64 7>}>"
#define NODE_TEXT(role_text)                                                                                           \
  "{'ID': <'" NODE_ID "'>, " VERSION ", 'Spec': <{'Role': <'" role_text                                                \
  "'>, 'Availability': <'active'>, 'Labels': <{'zone': 'a'}>}>, "                                                      \
  "'Description': <{'Hostname': <'n1'>, 'Engine': <{'EngineVersion': <'0.1.0'>}>}>, 'Status': <{'State': <'ready'>, "  \
  "'Addr': <'10.99.0.1'>}>, "                                                                                          \
  "'ManagerStatus': <{'Leader': <true>, 'Reachability': <'reachable'>, 'Addr': <'10.99.0.1:2377'>}>}"
#define SERVICE_TEXT                                                                                                   \
  "{'ID': <'" SERVICE_ID "'>, " VERSION                                                                                \
  ", 'Spec': <{'Name': <'my-web'>, 'Labels': <{'a': 'b'}>, 'Mode': <{'Replicated': <{'Replicas': <uint64 1>}>}>, "     \
  "'TaskTemplate': <{'ContainerSpec': <{'Image': <'docker.io/library/nginx:latest'>, 'Env': <['A=1']>}>}>}>, "         \
  "'ServiceStatus': <{'RunningTasks': <uint64 1>, 'DesiredTasks': <uint64 1>}>}"
#define TASK_TEXT                                                                                                      \
  "{'ID': <'" TASK_ID "'>, " VERSION ", 'CreatedAt': <'2026-01-02T03:04:05Z'>, 'Name': <'my-web.1." TASK_ID            \
  "'>, 'ServiceID': <'" SERVICE_ID "'>, "                                                                              \
  "'Slot': <uint64 1>, 'NodeID': <'" NODE_ID                                                                           \
  "'>, 'DesiredState': <'running'>, 'Spec': <{'ContainerSpec': <{'Image': <'docker.io/library/nginx:latest'>}>}>, "    \
  "'Status': <{'State': <'running'>, 'Timestamp': <'2999-01-02T03:04:05Z'>}>}"
#define CLUSTER_TEXT                                                                                                   \
  "{'ID': <'thecluster'>, " VERSION ", 'Spec': <{'Name': <'default'>, 'CAConfig': <{'ForceRotate': <uint64 4>}>}>}"

static const struct {
  const char *member, *answer;
} answers[] = {
  { "Init", "('" NODE_ID "',)" },
  { "Join", "('" NODE_ID "', 'worker')" },
  { "Info", "({'LocalNodeState': <'active'>, 'NodeID': <'" NODE_ID
            "'>, 'NodeAddr': <'10.99.0.1'>, 'ControlAvailable': <true>, 'Nodes': <uint64 1>,"
            " 'Managers': <uint64 1>, 'Cluster': <{'ID': <'thecluster'>}>, 'UnitEnabled': <false>},)" },
  { "ListNodes", "([" NODE_TEXT ("manager") "], '')" },
  { "ListServices", "([" SERVICE_TEXT "], '')" },
  { "ListTasks", "([" TASK_TEXT "], '')" },
  { "GetJoinTokens", "('SWMTKN-1-worker', 'SWMTKN-1-manager')" },
  { "RotateJoinToken", "('SWMTKN-1-new',)" },
  { "CreateService", "('" SERVICE_ID "', ['image nginx could not be accessed'])" },
  { "Update", "(@as [],)" },
  { "ReadLogs",
    "([{'Time': <uint64 1767323045000000>, 'TaskID': <'" TASK_ID "'>, 'Node': <'n1'>, 'Stream': <uint32 1>, "
    "'Text': <'hello\\\\nworld'>}], '1767323045000000 1')" },
};

static void
answer_object (SwarmInvocation *invocation, const char *text)
{
  g_autoptr (GVariant) parsed = g_variant_ref_sink (g_variant_new_parsed (text));
  g_autoptr (GVariant) object = NULL;
  GVariantDict dict, index;

  g_variant_dict_init (&dict, parsed);
  g_variant_dict_init (&index, NULL);
  g_variant_dict_insert (&index, "Index", "t", (guint64)version);
  g_variant_dict_insert_value (&dict, "Version", g_variant_dict_end (&index));
  object = g_variant_ref_sink (g_variant_dict_end (&dict));
  swarm_invocation_return (invocation, g_variant_new ("(@a{sv})", object));
}

static void
resolve (SwarmInvocation *invocation, GVariant *args)
{
  const char *kind, *reference, *id;
  g_autofree char *path = NULL;

  g_variant_get (args, "(&s&s)", &kind, &reference);
  id = g_str_equal (kind, "node") ? NODE_ID : g_str_equal (kind, "service") ? SERVICE_ID : TASK_ID;
  if (g_str_equal (reference, "nope") || (g_str_equal (kind, "service") && g_str_equal (reference, "task"))) {
    g_autofree char *text = g_strdup_printf ("%s %s not found", kind, reference);
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_NOT_FOUND, text);
    return;
  }
  path = g_strdup_printf (ROOT "/%s/%s", kind, id);
  swarm_invocation_return (invocation, g_variant_new ("(so)", id, path));
}

static void
open_logs (SwarmInvocation *invocation)
{
  const char *text
      = "1767323045000000 " TASK_ID " n1 1 my-web.1 hello\\nworld\n1767323045000000 " TASK_ID " n1 2 my-web.1 oops\n";
  int fds[2];
  g_autoptr (GUnixFDList) list = g_unix_fd_list_new ();

  g_assert_cmpint (pipe (fds), ==, 0);
  g_assert_cmpint (write (fds[1], text, strlen (text)), ==, (int)strlen (text));
  close (fds[1]);
  g_unix_fd_list_append (list, fds[0], NULL);
  close (fds[0]);
  swarm_invocation_return_fds (invocation, g_variant_new ("(h)", 0), list);
}

static void
note_call (const char *member, GVariant *args)
{
  g_autofree char *text = g_variant_print (args, FALSE);

  g_string_append_printf (calls, "%s%s\n", member, text);
}

static void
handle (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  const char *member = swarm_invocation_method (invocation)->name;
  const char *path = swarm_invocation_path (invocation);

  if (g_str_equal (member, "Resolve")) {
    resolve (invocation, args);
    return;
  }
  if (g_str_equal (member, "Inspect")) {
    gboolean manager = g_str_equal (role, "manager");
    answer_object (invocation, strstr (path, "/node/") != NULL
                                   ? (manager ? NODE_TEXT ("manager") : NODE_TEXT ("worker"))
                               : strstr (path, "/service/") != NULL  ? SERVICE_TEXT
                               : g_str_has_suffix (path, "/cluster") ? CLUSTER_TEXT
                                                                     : TASK_TEXT);
    return;
  }
  if (g_str_equal (member, "OpenLogs")) {
    note_call (member, args);
    open_logs (invocation);
    return;
  }
  if (strstr ("Info ListNodes ListServices", member) == NULL)
    note_call (member, args);
  if (g_str_equal (member, "CreateService") && lost_replies > 0) {
    lost_replies--;
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_UNKNOWN, "the reply was lost");
    return;
  }
  if (g_str_equal (member, "CreateService") && refusals > 0) {
    refusals--;
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_NO_QUORUM, "nobody leads");
    return;
  }
  if (g_str_equal (member, "Info") && g_str_equal (state, "locked")) {
    swarm_invocation_return (invocation, g_variant_new_parsed ("({'LocalNodeState': <'locked'>},)"));
    return;
  }
  if (g_str_equal (member, "Join") && looks > 0) {
    joining = invocation;
    return;
  }
  if (g_str_equal (member, "Update") && stale > 0) {
    stale--;
    version++;
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_OUT_OF_SEQUENCE, "update out of sequence");
    return;
  }
  if (g_str_equal (member, "Update") && strstr (path, "/service/") == NULL) {
    swarm_invocation_return (invocation, NULL);
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    if (g_str_equal (answers[i].member, member)) {
      swarm_invocation_return (invocation, g_variant_new_parsed (answers[i].answer));
      return;
    }
  swarm_invocation_return (invocation, NULL);
}

#define METHOD(name, in, out)                                                                                          \
  {                                                                                                                    \
    name, in, out, handle, SWARM_ACTION_PUBLIC, SWARM_ROLES_BUS_ONLY, 0, NULL, "A method."                             \
  }

static const SwarmBusMethod manager_methods[] = {
  METHOD ("Init", "a{sv}:o", "s:id"),
  METHOD ("Join", "a{sv}:o", "s:id s:role"),
  METHOD ("Leave", "b:force", NULL),
  METHOD ("Info", NULL, "a{sv}:info"),
  METHOD ("CreateService", "a{sv}:spec a{sv}:options", "s:id as:warnings"),
  METHOD ("ListNodes", "a{sv}:filters s:cursor u:limit", "aa{sv}:nodes s:next"),
  METHOD ("ListServices", "a{sv}:filters s:cursor u:limit", "aa{sv}:services s:next"),
  METHOD ("ListTasks", "a{sv}:filters s:cursor u:limit", "aa{sv}:tasks s:next"),
  METHOD ("Resolve", "s:kind s:reference", "s:id o:path"),
  { NULL },
};
static const SwarmBusMethod cluster_methods[] = {
  METHOD ("Inspect", NULL, "a{sv}:cluster"),
  METHOD ("Update", "t:version a{sv}:spec", NULL),
  METHOD ("GetJoinTokens", NULL, "s:worker s:manager"),
  METHOD ("RotateJoinToken", "s:role", "s:token"),
  { NULL },
};
static const SwarmBusMethod node_methods[] = {
  METHOD ("Inspect", NULL, "a{sv}:node"),
  METHOD ("Promote", NULL, NULL),
  METHOD ("Demote", NULL, NULL),
  METHOD ("Update", "s:availability a{ss}:set as:remove", NULL),
  METHOD ("Remove", "b:force", NULL),
  { NULL },
};
static const SwarmBusMethod service_methods[] = {
  METHOD ("Inspect", NULL, "a{sv}:service"),
  METHOD ("Update", "t:version a{sv}:spec a{sv}:options", "as:warnings"),
  METHOD ("Scale", "t:replicas", NULL),
  METHOD ("Remove", NULL, NULL),
  METHOD ("OpenLogs", "a{sv}:options", "h:stream"),
  METHOD ("ReadLogs", "s:cursor u:max", "aa{sv}:lines s:next"),
  { NULL },
};
static const SwarmBusMethod task_methods[] = { METHOD ("Inspect", NULL, "a{sv}:task"), { NULL } };

static GVariant *
get_state (gpointer object, gpointer data)
{
  return g_variant_new_string (state);
}

static gboolean
answer_join (gpointer data)
{
  swarm_invocation_return (g_steal_pointer (&joining), g_variant_new ("(ss)", NODE_ID, "worker"));
  return G_SOURCE_REMOVE;
}

/* Who waits looks at it from time to time. */
static GVariant *
get_error (gpointer object, gpointer data)
{
  if (joining != NULL && --looks == 0)
    g_idle_add (answer_join, NULL);
  return g_variant_new_string (waits);
}

static const SwarmBusProperty manager_properties[] = {
  { "LocalNodeState", "s", get_state, FALSE, "A property." },
  { "Error", "s", get_error, FALSE, "A property." },
  { NULL },
};

static const SwarmBusInterface interfaces[] = {
  { "org.swarmagent1.Manager", manager_methods, manager_properties, NULL, "A test." },
  { "org.swarmagent1.Cluster", cluster_methods, NULL, NULL, "A test." },
  { "org.swarmagent1.Node", node_methods, NULL, NULL, "A test." },
  { "org.swarmagent1.Service", service_methods, NULL, NULL, "A test." },
  { "org.swarmagent1.Task", task_methods, NULL, NULL, "A test." },
};
static const SwarmBusInterface *const lists[][2] = {
  { &interfaces[0] }, { &interfaces[1] }, { &interfaces[2] }, { &interfaces[3] }, { &interfaces[4] },
};

static gpointer
find (const char *tail, gpointer data)
{
  return data;
}

static const SwarmBusKind kinds[] = {
  { ROOT, lists[0], find },          { ROOT "/cluster", lists[1], find },
  { ROOT "/node/", lists[2], find }, { ROOT "/service/", lists[3], find },
  { ROOT "/task/", lists[4], find },
};
static const SwarmBusKind *const all_kinds[] = { &kinds[0], &kinds[1], &kinds[2], &kinds[3], &kinds[4], NULL };

/* ---- the fixture ---- */

typedef struct {
  TestBus *daemon;
  SwarmBus *bus;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  calls = g_string_new (NULL);
  lost_replies = refusals = stale = looks = 0;
  version = 7;
  role = "manager";
  state = waits = "";
  fixture->daemon = test_bus_start ();
  fixture->bus = swarm_bus_new (fixture->daemon->address, &error);
  g_assert_no_error (error);
  g_assert_true (swarm_bus_export (fixture->bus, ROOT, all_kinds, fixture, &error));
  g_assert_no_error (error);
  g_assert_true (swarm_bus_own_name (fixture->bus, NAME, &error));
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  swarm_bus_free (fixture->bus);
  test_bus_stop (fixture->daemon);
  g_string_free (calls, TRUE);
}

typedef struct {
  gboolean done;
  int code;
  char *out, *err;
} Result;

static void
finished (GObject *source, GAsyncResult *result, gpointer data)
{
  Result *ret = data;
  g_autoptr (GError) error = NULL;

  g_subprocess_communicate_utf8_finish (G_SUBPROCESS (source), result, &ret->out, &ret->err, &error);
  g_assert_no_error (error);
  ret->code = g_subprocess_get_exit_status (G_SUBPROCESS (source));
  ret->done = TRUE;
}

static void
result_clear (Result *result)
{
  g_free (result->out);
  g_free (result->err);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Result, result_clear)

/* Runs `swarmctl @line` with @input; the agent answers meanwhile. */
static void
run_with (Fixture *fixture, const char *line, const char *input, Result *ret)
{
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (
      G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autofree char *program = g_test_build_filename (G_TEST_BUILT, "../../src/ctl/swarmctl", NULL);
  g_autofree char *full = g_strdup_printf ("%s %s", program, line);
  g_auto (GStrv) argv = NULL;
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GError) error = NULL;

  *ret = (Result){ 0 };
  g_assert_true (g_shell_parse_argv (full, NULL, &argv, NULL));
  g_subprocess_launcher_setenv (launcher, "DBUS_SYSTEM_BUS_ADDRESS", fixture->daemon->address, TRUE);
  g_subprocess_launcher_setenv (launcher, "LC_ALL", "C.UTF-8", TRUE);
  process = g_subprocess_launcher_spawnv (launcher, (const char *const *)argv, &error);
  g_assert_no_error (error);
  g_subprocess_communicate_utf8_async (process, input, NULL, finished, ret);
  while (!ret->done)
    g_main_context_iteration (NULL, TRUE);
  g_test_message ("%s: %d\n%s%s", line, ret->code, ret->out, ret->err);
}

static void
check (Fixture *fixture, const char *line, int code, const char *out, const char *err)
{
  g_auto (Result) result;

  run_with (fixture, line, NULL, &result);
  g_assert_cmpstr (result.out, ==, out);
  g_assert_cmpstr (result.err, ==, err);
  g_assert_cmpint (result.code, ==, code);
}

static void
expect_call (const char *text)
{
  g_assert_cmpstr (calls->str, ==, text);
  g_string_truncate (calls, 0);
}

/* ---- tests ---- */

#define NOT_ENABLED                                                                                                    \
  "WARNING: swarm-agent.service is not enabled: after a reboot this node will not come back to the swarm by itself.\n" \
  "         Run 'systemctl enable swarm-agent'.\n"

static void
test_cluster (Fixture *fixture, gconstpointer data)
{
  check (fixture, "init --advertise-addr 10.99.0.1 --availability Drain", 0,
         "Swarm initialized: current node (" NODE_ID ") is now a manager.\n\n"
         "To add a worker to this swarm, run the following command:\n\n    swarmctl join --token SWMTKN-1-worker "
         "10.99.0.1:2377\n\n"
         "To add a manager to this swarm, run 'swarmctl join-token manager' and follow the instructions.\n",
         NOT_ENABLED);
  g_assert_nonnull (strstr (calls->str, "'AdvertiseAddr': <'10.99.0.1'>"));
  g_assert_nonnull (strstr (calls->str, "'Availability': <'drain'>"));
  g_string_truncate (calls, 0);
  check (fixture, "init --default-addr-pool-mask-length 4294967320", 2, "", "subnet size is out of range: 4294967320\n");
  expect_call ("");
  {
    g_auto (Result) pools;

    run_with (fixture, "init --default-addr-pool '10.1.0.0/16, 10.2.0.0/16' --default-addr-pool '' --default-addr-pool-mask-length 0", NULL, &pools);
    g_assert_nonnull (strstr (calls->str, "'DefaultAddrPool': <['10.1.0.0/16', '10.2.0.0/16', '']>"));
    g_assert_nonnull (strstr (calls->str, "'SubnetSize': <uint32 0>"));
    g_string_truncate (calls, 0);
  }
  check (fixture, "join --token SWMTKN-1-abc 10.99.0.1:2377", 0, "This node joined a swarm as a worker.\n",
         NOT_ENABLED);
  g_assert_nonnull (strstr (calls->str, "'JoinToken': <'SWMTKN-1-abc'>"));
  g_assert_nonnull (strstr (calls->str, "'RemoteAddrs': <['10.99.0.1:2377']>"));
  g_string_truncate (calls, 0);
  check (fixture, "leave -f", 0, "Node left the swarm.\n", "");
  expect_call ("Leave(true,)\n");
  check (fixture, "join-token -q manager", 0, "SWMTKN-1-manager\n", "");
  check (fixture, "join-token manager", 0,
         "To add a manager to this swarm, run the following command:\n\n    swarmctl join --token SWMTKN-1-manager "
         "10.99.0.1:2377\n\n",
         "");
  check (fixture, "join-token --rotate -q worker", 0, "SWMTKN-1-new\n", "");
  check (fixture, "join-token queen", 2, "", "unknown role queen\n");
}

static void
test_token_file (Fixture *fixture, gconstpointer data)
{
  g_auto (Result) good, empty;

  run_with (fixture, "join --token-file - 10.99.0.1:2377", "  SWMTKN-1-piped\n", &good);
  g_assert_cmpint (good.code, ==, 0);
  g_assert_nonnull (strstr (calls->str, "'JoinToken': <'SWMTKN-1-piped'>"));
  run_with (fixture, "join --token-file - 10.99.0.1:2377", "\n", &empty);
  g_assert_cmpint (empty.code, ==, 2);
  g_assert_cmpstr (empty.err, ==, "there is no join token in -\n");
}

/* What takes longer than a second says, once, for what it waits; whoever has to type a password first is left alone. */
static void
test_join_waits (Fixture *fixture, gconstpointer data)
{
  state = "pending";
  looks = 1;
  check (fixture, "join --token SWMTKN-1-abc 10.99.0.1:2377", 0, "This node joined a swarm as a worker.\n",
         "Waiting for 10.99.0.1:2377 to let this node in …\n" NOT_ENABLED);
  waits = "waiting to be let in: the external CA did not sign: nobody is there";
  looks = 2;
  check (fixture, "join --token SWMTKN-1-abc 10.99.0.1:2377", 0, "This node joined a swarm as a worker.\n",
         "This node is waiting to be let in: the external CA did not sign: nobody is there\n" NOT_ENABLED);
  state = "inactive";
  waits = "";
  looks = 1;
  check (fixture, "join --token SWMTKN-1-abc 10.99.0.1:2377", 0, "This node joined a swarm as a worker.\n", NOT_ENABLED);
}

/* Whoever runs these where nobody can type is told what is missing, and how it is given. */
static void
test_nothing_typed (Fixture *fixture, gconstpointer data)
{
  static const char *const rows[][2] = {
    { "unlock", "no unlock key: type it on a terminal, or give it on standard input: nothing was given, or what was given is not one line of text\n" },
    { "backup /nowhere/file",
      "no passphrase: type it on a terminal, give --passphrase-file, or the systemd credential \"swarm-backup\": nothing was given, or what was given is "
      "not one line of text\n" },
  };

  state = "locked";
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_auto (Result) result;

    run_with (fixture, rows[i][0], "\n", &result);
    g_assert_cmpint (result.code, ==, 2);
    g_assert_cmpstr (result.err, ==, rows[i][1]);
  }
  expect_call ("");
}

/* Files are foreign: neither their size nor what is in them ends swarmctl otherwise than with an error. */
static void
test_plan_file (Fixture *fixture, gconstpointer data)
{
  g_autofree char *deep = g_strnfill (1000000, '[');
  g_auto (Result) brackets, empty;

  run_with (fixture, "service plan -", deep, &brackets);
  g_assert_cmpstr (brackets.err, ==, "- is not the specification of one service as JSON: more than 64 brackets in one another\n");
  g_assert_cmpint (brackets.code, ==, 2);
  run_with (fixture, "service plan -", "", &empty);
  g_assert_true (g_str_has_prefix (empty.err, "- is not the specification of one service as JSON"));
  g_assert_cmpint (empty.code, ==, 2);
  check (fixture, "service plan /dev/zero", 2, "", "/dev/zero is larger than 4 MiB\n");
  check (fixture, "service plan /nowhere", 2, "", "open /nowhere: No such file or directory\n");
  check (fixture, "service plan /", 2, "", "read /: Is a directory\n");
  check (fixture, "service create --env-file /dev/zero nginx", 2, "", "/dev/zero is larger than 4 MiB\n");
  expect_call ("");
}

#define NOT_TRACED 77

/* Lets @pid, which is traced, go on to the system call after which @master echoes no more. FALSE: it cannot be traced. */
static gboolean
step_until_silent (pid_t pid, int master)
{
  struct termios terminal;
  int status;

  while (waitpid (pid, &status, 0) == pid && WIFSTOPPED (status)) {
    if (tcgetattr (master, &terminal) == 0 && !(terminal.c_lflag & ECHO))
      return TRUE;
    ptrace (PTRACE_SYSCALL, pid, NULL, GINT_TO_POINTER (WSTOPSIG (status) == SIGTRAP ? 0 : WSTOPSIG (status)));
  }
  g_assert_true (WIFEXITED (status) && WEXITSTATUS (status) == NOT_TRACED);
  return FALSE;
}

/* The signal comes as soon as nothing is echoed, before swarmctl waits for what is typed: it is not overslept. */
static void
test_interrupted_soon (Fixture *fixture, gconstpointer data)
{
  g_autofree char *program = g_test_build_filename (G_TEST_BUILT, "../../src/ctl/swarmctl", NULL);
  int master, status = 0;
  pid_t pid = forkpty (&master, NULL, NULL, NULL);

  if (pid == 0) {
    if (ptrace (PTRACE_TRACEME, 0, NULL, NULL) < 0)
      _exit (NOT_TRACED);
    execl (program, "swarmctl", "backup", "/tmp/swarm-no-such-backup", NULL);
    _exit (99);
  }
  if (!step_until_silent (pid, master)) {
    g_test_skip ("nobody may be traced here");
    close (master);
    return;
  }
  kill (pid, SIGINT);
  ptrace (PTRACE_DETACH, pid, NULL, NULL);
  for (guint i = 0; i < 6000 && waitpid (pid, &status, WNOHANG) == 0; i++)
    g_usleep (10000);
  g_assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGINT);
  close (master);
}

/* On a terminal what is typed is not seen; whoever interrupts has a terminal that shows again. */
static void
test_interrupted_secret (Fixture *fixture, gconstpointer data)
{
  g_autofree char *program = g_test_build_filename (G_TEST_BUILT, "../../src/ctl/swarmctl", NULL);
  g_autoptr (GString) screen = g_string_new (NULL);
  struct termios terminal;
  int master, status = 0;
  pid_t pid = forkpty (&master, NULL, NULL, NULL);

  if (pid == 0) {
    execl (program, "swarmctl", "backup", "/tmp/swarm-no-such-backup", NULL);
    _exit (99);
  }
  while (strstr (screen->str, "Passphrase") == NULL) {
    char buffer[256];
    ssize_t n = read (master, buffer, sizeof buffer);
    g_assert_cmpint (n, >, 0);
    g_string_append_len (screen, buffer, n);
  }
  while (tcgetattr (master, &terminal) == 0 && (terminal.c_lflag & ECHO))
    g_usleep (1000);
  g_assert_cmpint (write (master, "half\003", 5), ==, 5);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGINT);
  tcgetattr (master, &terminal);
  g_assert_true (terminal.c_lflag & ECHO);
  close (master);
}

static void
test_nodes (Fixture *fixture, gconstpointer data)
{
  check (fixture, "node ls", 0,
         "ID                            HOSTNAME   STATUS    AVAILABILITY   MANAGER STATUS   ENGINE VERSION\n" NODE_ID
         " *   n1         Ready     Active         Leader           0.1.0\n",
         "");
  check (fixture, "node ls -q", 0, NODE_ID "\n", "");
  check (fixture, "node promote n1", 0, "Node " NODE_ID " is already a manager.\n", "");
  expect_call ("");
  check (fixture, "node demote n1", 0, "Manager n1 demoted in the swarm.\n", "");
  expect_call ("Demote()\n");
  role = "worker";
  check (fixture, "node promote n1", 0, "Node n1 promoted to a manager in the swarm.\n", "");
  expect_call ("Promote()\n");
  check (fixture, "node update --availability drain --label-add x=1 --label-rm zone n1", 0, "n1\n", "");
  expect_call ("Update('drain', {'x': '1'}, ['zone'])\n");
  /* What is refused leaves all as it was. */
  check (fixture, "node update --availability drain --label-rm other n1", 1, "", "key other doesn't exist in node's labels\n");
  expect_call ("");
  check (fixture, "node update --label-rm other n1", 1, "", "key other doesn't exist in node's labels\n");
  check (fixture, "node rm --force n1 nope", 1, "n1\n", "node nope not found\n");
  expect_call ("Remove(true,)\n");
  check (fixture, "node inspect nope", 1, "[]\n", "node nope not found\n");
}

static void
test_services (Fixture *fixture, gconstpointer data)
{
  check (fixture, "service ls", 0,
         "ID             NAME      MODE         REPLICAS   IMAGE          PORTS\nc8wgl7q4ndfd   my-web    replicated   "
         "1/1        nginx:latest   \n",
         "");
  check (fixture, "service ps -q my-web nope", 1, TASK_ID "\n", "no such service: nope\n");
  expect_call ("ListTasks({'service': <['" SERVICE_ID "']>}, '', 200)\n");
  check (fixture, "service ps --filter desired-state=running --no-resolve --format json my-web", 0,
         "{\"CurrentState\":\"Running less than a second "
         "ago\",\"DesiredState\":\"Running\",\"Error\":\"\",\"ID\":\"50qe8lfnxaxk\",\"Image\":\"nginx:latest\","
         "\"Name\":\"" SERVICE_ID ".1\",\"Node\":\"" NODE_ID "\",\"Ports\":\"\"}\n",
         "");
  g_assert_nonnull (strstr (calls->str, "'desired-state': <['running']>"));
  g_string_truncate (calls, 0);
  check (fixture, "service inspect nope", 1, "[]\n", "no such service: nope\n");
  check (fixture, "service scale --detach my-web=6 nope=1 my-web=x", 1, "my-web scaled to 6\n",
         "nope: service nope not found\nmy-web: invalid replicas value x: it must be a whole number, 0 or more\n");
  expect_call ("Scale(6,)\n");
  check (fixture, "service rm nope my-web", 1, "my-web\n", "service nope not found\n");
  expect_call ("Remove()\n");
  check (fixture, "task inspect nope", 1, "[]\n", "no such task: nope\n");
}

static void
test_create (Fixture *fixture, gconstpointer data)
{
  lost_replies = 2;
  check (fixture, "service create --detach --name my-web --no-resolve-image nginx", 0, SERVICE_ID "\n",
         "image nginx could not be accessed\n");
  /* three times the same request, the id included */
  {
    g_auto (GStrv) lines = g_strsplit (calls->str, "\n", -1);

    g_assert_cmpuint (g_strv_length (lines), ==, 4);
    g_assert_cmpstr (lines[0], ==, lines[1]);
    g_assert_cmpstr (lines[0], ==, lines[2]);
    g_assert_nonnull (strstr (lines[0], "'Image': <'nginx'>"));
    g_assert_nonnull (strstr (lines[0], "'NoResolveImage': <true>"));
    g_assert_nonnull (strstr (lines[0], "'RequestId': <'"));
  }
  g_string_truncate (calls, 0);
  check (fixture, "service update --detach --env-add B=2 --force my-web", 0, "my-web\n", "");
  g_assert_true (g_str_has_prefix (calls->str, "Update(7, {"));
  g_assert_nonnull (strstr (calls->str, "'Env': <['A=1', 'B=2']>"));
  g_assert_nonnull (strstr (calls->str, "'ForceUpdate': <uint64 1>"));
}

/* Three calls of Update, each with the version that there is then, and all with @text. */
static void
expect_updates (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (calls->str, "\n", -1);

  g_assert_cmpuint (g_strv_length (lines), ==, 4);
  for (guint i = 0; i < 3; i++) {
    g_autofree char *call = g_strdup_printf ("Update(%u, ", version - 2 + i);

    g_assert_true (g_str_has_prefix (lines[i], call));
    g_assert_nonnull (strstr (lines[i], text));
  }
  g_string_truncate (calls, 0);
}

/* The allocator and the updater write services, and managers write the cluster: swarmctl reads anew and applies its options to that. It does
 * not do so for ever. */
static void
test_update_meanwhile (Fixture *fixture, gconstpointer data)
{
  g_auto (Result) rotated;

  stale = 2;
  check (fixture, "service update --detach --env-add B=2 my-web", 0, "my-web\n", "");
  expect_updates ("'Env': <['A=1', 'B=2']>");
  stale = 2;
  check (fixture, "update --task-history-limit 3", 0, "Swarm updated.\n", "");
  expect_updates ("'TaskHistoryRetentionLimit': <int64 3>");
  stale = 2;
  run_with (fixture, "ca --rotate --detach --ca-cert - --ca-key /dev/null", "a certificate", &rotated);
  g_assert_cmpstr (rotated.err, ==, "");
  expect_updates ("'SigningCACert': <'a certificate'>, 'ForceRotate': <uint64 5>");
  stale = 1000;
  check (fixture, "service update --detach --env-add B=2 my-web", 1, "", "update out of sequence\n");
}

/* The first call may have been carried out: that the next one is refused must not be told as if nothing had happened. */
static void
test_lost_then_refused (Fixture *fixture, gconstpointer data)
{
  const char *create = "service create --detach --name my-web --no-resolve-image nginx";
  refusals = 1;
  check (fixture, create, 1, "", "nobody leads\n");
  lost_replies = 1;
  refusals = 2;
  check (fixture, create, 0, SERVICE_ID "\n", "image nginx could not be accessed\n");
  lost_replies = 1;
  refusals = 100;
  check (fixture, create, 1, "", "the reply was lost\n");
}

/* Five seconds, as docker waits. */
static void
test_converge (Fixture *fixture, gconstpointer data)
{
  check (fixture, "service create --name my-web nginx", 0,
         SERVICE_ID "\noverall progress: 0 out of 1 tasks\noverall progress: 1 out of 1 tasks\n"
                    "verify: Waiting 5 seconds to verify that tasks are stable...\nverify: Service " SERVICE_ID
                    " converged\n",
         "image nginx could not be accessed\n");
}

static void
test_logs (Fixture *fixture, gconstpointer data)
{
  check (fixture, "service logs --tail 5 my-web", 0, "my-web.1.50qe8lfnxaxk@n1    | hello\nworld\n",
         "my-web.1.50qe8lfnxaxk@n1    | oops\n");
  expect_call ("OpenLogs({'tail': <uint32 5>},)\n");
  check (fixture, "service logs --raw task", 0, "hello\nworld\n", "oops\n");
  expect_call ("OpenLogs({'task': <'" TASK_ID "'>},)\n");
  check (fixture, "service logs nope", 1, "", "no such task or service: nope\n");
}

/* -H: the bus over a program named ssh, here one that finds the test's bus; logs without descriptors. */
static void
test_remote (Fixture *fixture, gconstpointer data)
{
  g_autofree char *bridge = g_find_program_in_path ("systemd-stdio-bridge");
  g_autofree char *ssh = g_build_filename (fixture->daemon->dir, "ssh", NULL);
  g_autofree char *path = g_strdup_printf ("%s:%s", fixture->daemon->dir, g_getenv ("PATH"));
  g_autofree char *before = g_strdup (g_getenv ("PATH"));
  g_autofree char *script = NULL;

  if (bridge == NULL) {
    g_test_skip ("systemd-stdio-bridge is not installed");
    return;
  }
  script = g_strdup_printf (
      "#!/bin/sh\n[ \"$*\" = '-xT -- root@n9 systemd-stdio-bridge' ] || exit 9\nexec %s --bus-path='%s'\n", bridge,
      fixture->daemon->address);
  g_assert_true (g_file_set_contents_full (ssh, script, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
  g_setenv ("PATH", path, TRUE);
  check (fixture, "-H root@n9 node ls -q", 0, NODE_ID "\n", "");
  check (fixture, "service logs my-web -H root@n9", 0, "my-web.1.50qe8lfnxaxk@n1    | hello\nworld\n", "");
  check (fixture, "-H -oProxyCommand=x info", 2, "", "\"-oProxyCommand=x\" is not a host: give -H [USER@]HOST\n");
  g_setenv ("PATH", before, TRUE);
  g_unlink (ssh);
}

/* No agent: one clear text and exit code 1. */
static void
test_no_agent (Fixture *fixture, gconstpointer data)
{
  g_auto (Result) result;

  swarm_bus_release_name (fixture->bus);
  run_with (fixture, "info", NULL, &result);
  g_assert_cmpint (result.code, ==, 1);
  g_assert_true (g_str_has_prefix (result.err, "Cannot connect to the swarm agent: "));
  g_assert_true (g_str_has_suffix (result.err, "See 'systemctl status swarm-agent'.\n"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add ("/ctl/run/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("cluster", test_cluster);
  ADD ("join-waits", test_join_waits);
  ADD ("nothing-typed", test_nothing_typed);
  ADD ("token-file", test_token_file);
  ADD ("nodes", test_nodes);
  ADD ("plan-file", test_plan_file);
  ADD ("interrupted-secret", test_interrupted_secret);
  ADD ("interrupted-soon", test_interrupted_soon);
  ADD ("services", test_services);
  ADD ("create", test_create);
  ADD ("update-meanwhile", test_update_meanwhile);
  ADD ("lost-then-refused", test_lost_then_refused);
  ADD ("converge", test_converge);
  ADD ("logs", test_logs);
  ADD ("remote", test_remote);
  ADD ("no-agent", test_no_agent);
  return g_test_run ();
}
