// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tables against the text that swarm users know. */
#include "ctl/client.h"
#include "ctl/format.h"
#include "ctl/info.h"
#include "ctl/logs.h"
#include "ctl/node-list.h"
#include "ctl/service-list.h"
#include "ctl/task-list.h"

/* 2026-01-02T03:04:05Z */
#define NOW G_GINT64_CONSTANT (1767323045000000)

static JsonNode *
json (const char *text)
{
  g_autoptr (GError) error = NULL;
  JsonNode *node = json_from_string (text, &error);

  g_assert_no_error (error);
  return node;
}

static void
test_natural (void)
{
  static const struct {
    const char *a, *b;
    int order;
  } rows[] = {
    { "web.2", "web.10", -1 }, { "a", "a", 0 }, { "a", "b", -1 },     { "a1", "a01", -1 },
    { "1", "a", -1 },          { "", "a", -1 }, { "a10b", "a9c", 1 }, { "n1", "n1x", -1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_assert_cmpint (ctl_natural_compare (rows[i].a, rows[i].b), ==, rows[i].order);
    g_assert_cmpint (ctl_natural_compare (rows[i].b, rows[i].a), ==, -rows[i].order);
  }
}

/* What another machine says does not command the terminal it is shown on. */
static void
test_printable (void)
{
  static const struct {
    const char *text, *cell, *page;
  } rows[] = {
    { "plain, 한국어, µ", "plain, 한국어, µ", "plain, 한국어, µ" },
    { "\033]52;c;AAAA\a\177", "?]52;c;AAAA??", "?]52;c;AAAA??" },
    { "two\nlines\tand more\r", "two?lines?and more?", "two\nlines\tand more?" },
    { "C1: \302\233m", "C1: ?m", "C1: ?m" },
    { "not UTF-8: \377\302", "not UTF-8: ??", "not UTF-8: ??" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *cell = ctl_printable (g_strdup (rows[i].text), FALSE);
    g_autofree char *page = ctl_printable (g_strdup (rows[i].text), TRUE);
    g_assert_cmpstr (cell, ==, rows[i].cell);
    g_assert_cmpstr (page, ==, rows[i].page);
  }
}

static void
test_duration (void)
{
  static const struct {
    gint64 seconds;
    const char *text;
  } rows[] = {
    { 0, "Less than a second" }, { 1, "1 second" },         { 6, "6 seconds" },         { 59, "59 seconds" },
    { 60, "About a minute" },    { 119, "About a minute" }, { 120, "2 minutes" },       { 3599, "59 minutes" },
    { 3600, "About an hour" },   { 5399, "About an hour" }, { 5400, "2 hours" },        { 47 * 3600, "47 hours" },
    { 48 * 3600, "2 days" },     { 14 * 86400, "2 weeks" }, { 61 * 86400, "2 months" }, { 90 * 86400, "3 months" },
    { 800 * 86400, "2 years" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *text = ctl_human_duration (rows[i].seconds * G_USEC_PER_SEC);
    g_assert_cmpstr (text, ==, rows[i].text);
  }
}

static void
test_age (void)
{
  static const char *const rows[][2] = { { "2026-01-02T03:03:59Z", "6 seconds ago" },
                                         { "2026-01-02T03:04:05.5Z", "less than a second ago" },
                                         { "2026-01-02T01:04:05Z", "2 hours ago" },
                                         { "", "less than a second ago" } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *text = ctl_age (rows[i][0], NOW);
    g_assert_cmpstr (text, ==, rows[i][1]);
  }
}

static void
test_stale (void)
{
  gint64 now = G_GINT64_CONSTANT (1795309613) * G_USEC_PER_SEC;
  g_autofree char *current = ctl_stale_text (0, now), *old = ctl_stale_text (now - 90 * G_USEC_PER_SEC, now), *empty = ctl_stale_text (1, now);

  g_assert_null (current);
  g_assert_cmpstr (old, ==, "WARNING: The swarm does not have a leader: this is what this manager knew 1m30s ago.");
  g_assert_cmpstr (empty, ==, "WARNING: The swarm does not have a leader, and this manager knows nothing of it yet.");
}

static void
test_ellipsis (void)
{
  g_autofree char *cut = ctl_ellipsis ("No such image: redis@sha256:6123456", 30);
  g_autofree char *whole = ctl_ellipsis ("123456789012345678901234567890", 30);
  g_autofree char *wide = ctl_ellipsis ("이미지가 없습니다", 9);

  g_assert_cmpstr (cut, ==, "No such image: redis@sha256:6…");
  g_assert_cmpstr (whole, ==, "123456789012345678901234567890");
  g_assert_cmpstr (wide, ==, "이미지가…");
}

static void
test_bytes (void)
{
  g_autofree char *half = ctl_human_bytes (512 * 1024 * 1024);
  g_autofree char *some = ctl_human_bytes (G_GINT64_CONSTANT (8149192704));

  g_assert_cmpstr (half, ==, "512MiB");
  g_assert_cmpstr (some, ==, "7.59GiB");
}

static void
check_ports (const char *text, const char *ingress, const char *host)
{
  g_autoptr (JsonNode) node = json (text);
  g_autofree char *in = ctl_ingress_ports (json_node_get_array (node));
  g_autofree char *on = ctl_host_ports (json_node_get_array (node));

  g_assert_cmpstr (in, ==, ingress);
  g_assert_cmpstr (on, ==, host);
}

#define PORT(p, t) "{\"PublishedPort\":" #p ",\"TargetPort\":" #t "}"

static void
test_ports (void)
{
  check_ports ("[]", "", "");
  check_ports ("[" PORT (80, 8080) "]", "*:80->8080/tcp", "");
  check_ports ("[" PORT (80, 80) "," PORT (81, 80) "]", "*:80-81->80/tcp", "");
  check_ports ("[" PORT (81, 81) "," PORT (80, 80) "]", "*:80-81->80-81/tcp", "");
  check_ports ("[" PORT (80, 80) "," PORT (81, 81) "," PORT (82, 80) "]", "*:80-81->80-81/tcp, *:82->80/tcp", "");
  check_ports ("[" PORT (80, 80) "," PORT (90, 90) "]", "*:80->80/tcp, *:90->90/tcp", "");
  check_ports ("[" PORT (80, 80) ",{\"Protocol\":\"udp\",\"PublishedPort\":81,\"TargetPort\":81}]",
               "*:80->80/tcp, *:81->81/udp", "");
  check_ports ("[{\"PublishMode\":\"host\",\"PublishedPort\":8080,\"TargetPort\":80}]", "", "*:8080->80/tcp");
}

static void
test_node_ls (void)
{
  g_autoptr (JsonNode) node = json (
      "[{'ID':'2lm9w9kbepgvkzkkeyku40e65','Description':{'Hostname':'swarm-test-10','Engine':{'EngineVersion':'0.1.0'}}"
      ","
      "'Spec':{'Availability':'drain'},'Status':{'State':'down'}},"
      "{'ID':'yg550ettvsjn6g6t840iaiwgb','Description':{'Hostname':'swarm-test-2','Engine':{'EngineVersion':'0.1.0'}},"
      "'Spec':{},'Status':{'State':'ready'},'ManagerStatus':{'Leader':true,'Reachability':'reachable'}}]");
  g_autoptr (GPtrArray) nodes = ctl_json_objects (json_node_get_array (node));
  g_autofree char *text = ctl_node_list_text (nodes, "yg550ettvsjn6g6t840iaiwgb", FALSE, FALSE);
  g_autofree char *quiet = ctl_node_list_text (nodes, "", TRUE, FALSE);
  g_autofree char *lines = ctl_node_list_text (nodes, "yg550ettvsjn6g6t840iaiwgb", FALSE, TRUE);

  g_assert_cmpstr (
      text, ==,
      "ID                            HOSTNAME        STATUS    AVAILABILITY   MANAGER STATUS   ENGINE VERSION\n"
      "yg550ettvsjn6g6t840iaiwgb *   swarm-test-2    Ready     Active         Leader           0.1.0\n"
      "2lm9w9kbepgvkzkkeyku40e65     swarm-test-10   Down      Drain                           0.1.0\n");
  g_assert_cmpstr (quiet, ==, "yg550ettvsjn6g6t840iaiwgb\n2lm9w9kbepgvkzkkeyku40e65\n");
  g_assert_true (
      g_str_has_prefix (lines, "{\"Availability\":\"Active\",\"EngineVersion\":\"0.1.0\",\"Hostname\":\"swarm-test-2\","
                               "\"ID\":\"yg550ettvsjn6g6t840iaiwgb\",\"ManagerStatus\":\"Leader\",\"Self\":true,"
                               "\"Status\":\"Ready\",\"TLSStatus\":\"Ready\"}\n{"));
}

static void
test_service_ls (void)
{
  g_autoptr (JsonNode) node = json (
      "[{'ID':'iwe3278osahj0123456789012','Spec':{'Name':'work','Mode':{'Replicated':{'Replicas':2}},'TaskTemplate':"
      "{'Placement':{'MaxReplicas':1},'ContainerSpec':{'Image':'docker.io/library/mongo:3.3@sha256:"
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}}},'ServiceStatus':{'RunningTasks':1,'"
      "DesiredTasks':2}},"
      "{'ID':'c8wgl7q4ndfd0123456789012','Spec':{'Name':'frontend','Mode':{'Replicated':{'Replicas':5}},'TaskTemplate':"
      "{'ContainerSpec':{'Image':'docker.io/library/"
      "nginx:alpine'}},'EndpointSpec':{'Ports':[{'PublishedPort':80,'TargetPort':80}]}},"
      "'ServiceStatus':{'RunningTasks':5,'DesiredTasks':5}}]");
  g_autoptr (GPtrArray) services = ctl_json_objects (json_node_get_array (node));
  g_autofree char *text = ctl_service_list_text (services, FALSE, FALSE);
  g_autofree char *quiet = ctl_service_list_text (services, TRUE, FALSE);

  g_assert_cmpstr (text, ==,
                   "ID             NAME       MODE         REPLICAS               IMAGE          PORTS\n"
                   "c8wgl7q4ndfd   frontend   replicated   5/5                    nginx:alpine   *:80->80/tcp\n"
                   "iwe3278osahj   work       replicated   1/2 (max 1 per node)   mongo:3.3      \n");
  g_assert_cmpstr (quiet, ==, "c8wgl7q4ndfd\niwe3278osahj\n");
}

#define TASK_REST "'Spec':{'ContainerSpec':{'Image':'docker.io/library/redis:7.4.1'}}," \
                  "'Endpoint':{'Ports':[{'PublishMode':'host','PublishedPort':8080,'TargetPort':80}]}}"

/* clang-format off */
static const char tasks_text[] =
  "[{'ID':'nvjljf7rmor40123456789012','ServiceID':'s1','Slot':1,'NodeID':'n2','DesiredState':'shutdown',"
  "'CreatedAt':'2026-01-02T03:00:00Z','Status':{'State':'rejected','Timestamp':'2026-01-02T03:03:42Z',"
  "'Err':'No such image: redis@sha256:6123456'}," TASK_REST ","
  "{'ID':'lxvnr7tnv1cv0123456789012','ServiceID':'s1','Slot':10,'NodeID':'','DesiredState':'running',"
  "'CreatedAt':'2026-01-02T03:00:00Z','Status':{'State':'pending','Timestamp':'2026-01-02T03:04:05Z',"
  "'Err':'no suitable node'}," TASK_REST ","
  "{'ID':'50qe8lfnxaxk0123456789012','ServiceID':'s1','Slot':1,'NodeID':'n1','DesiredState':'running',"
  "'CreatedAt':'2026-01-02T03:03:50Z','Status':{'State':'running','Timestamp':'2026-01-02T03:03:59Z'}," TASK_REST ","
  "{'ID':'ky2re9oz86r90123456789012','ServiceID':'s1','Slot':2,'NodeID':'n3','DesiredState':'running',"
  "'CreatedAt':'2026-01-02T03:03:50Z','Status':{'State':'running','Timestamp':'2026-01-02T03:03:59Z'}," TASK_REST "]";

static const char tasks_table[] =
  "ID             NAME          IMAGE         NODE       DESIRED STATE   CURRENT STATE                    ERROR                              PORTS\n"
  "50qe8lfnxaxk   redis.1       redis:7.4.1   manager1   Running         Running 6 seconds ago                                               *:8080->80/tcp\n"
  "nvjljf7rmor4    \\_ redis.1   redis:7.4.1   worker2    Shutdown        Rejected 23 seconds ago          \"No such image: redis@sha256:6…\"   \n"
  "ky2re9oz86r9   redis.2       redis:7.4.1   n3         Running         Running 6 seconds ago                                               *:8080->80/tcp\n"
  "lxvnr7tnv1cv   redis.10      redis:7.4.1              Running         Pending less than a second ago   \"no suitable node\"                 \n";
/* clang-format on */

static void
test_ps (void)
{
  g_autoptr (JsonNode) node = json (tasks_text);
  g_autoptr (GPtrArray) tasks = ctl_json_objects (json_node_get_array (node));
  g_autoptr (GHashTable) nodes = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) services = g_hash_table_new (g_str_hash, g_str_equal);
  CtlNames names = { nodes, services };
  CtlTaskListOptions options = { .now_us = NOW };
  g_autofree char *text = NULL;
  g_autofree char *bare = NULL;

  g_hash_table_insert (nodes, (gpointer) "n1", (gpointer) "manager1");
  g_hash_table_insert (nodes, (gpointer) "n2", (gpointer) "worker2");
  g_hash_table_insert (services, (gpointer) "s1", (gpointer) "redis");
  text = ctl_task_list_text (tasks, &names, &options);
  g_assert_cmpstr (text, ==, tasks_table);
  options.no_trunc = options.quiet = TRUE;
  bare = ctl_task_list_text (tasks, &names, &options);
  g_assert_true (g_str_has_prefix (bare, "50qe8lfnxaxk0123456789012\nnvjljf7rmor40123456789012\n"));
}

static void
test_info (void)
{
  g_autoptr (JsonNode) inactive = json ("{'LocalNodeState':'inactive'}");
  g_autoptr (JsonNode) worker
      = json ("{'LocalNodeState':'active','NodeID':'abc','NodeAddr':'10.99.0.2','ControlAvailable':false,"
              "'RemoteManagers':[{'NodeID':'x','Addr':'10.99.0.1:2377'}]}");
  g_autoptr (JsonNode) manager
      = json ("{'LocalNodeState':'active','NodeID':'abc','NodeAddr':'10.99.0.1','ControlAvailable':true,"
              "'Nodes':3,'Managers':1,'Cluster':{'ID':'def','Spec':{'Orchestration':{'Strategy':'binpack'}}},"
              "'RemoteManagers':[{'Addr':'10.99.0.1:2377'}]}");
  g_autofree char *one = ctl_info_text (json_node_get_object (inactive));
  g_autofree char *two = ctl_info_text (json_node_get_object (worker));
  g_autofree char *three = ctl_info_text (json_node_get_object (manager));

  g_assert_cmpstr (one, ==, "Swarm: inactive\n");
  g_assert_cmpstr (two, ==,
                   "Swarm: active\n NodeID: abc\n Is Manager: false\n Node Address: 10.99.0.2\n Manager Addresses:\n  "
                   "10.99.0.1:2377\n");
  g_assert_cmpstr (three, ==,
                   "Swarm: active\n NodeID: abc\n Is Manager: true\n ClusterID: def\n Managers: 1\n Nodes: 3\n"
                   " Default Address Pool: 10.0.0.0/8  \n SubnetSize: 24\n Data Path Port: 4789\n Orchestration:\n"
                   "  Task History Retention Limit: 5\n  Strategy: binpack\n Raft:\n  Snapshot Interval: 10000\n"
                   "  Number of Old Snapshots to Retain: 0\n  Heartbeat Tick: 1\n  Election Tick: 10\n Dispatcher:\n"
                   "  Heartbeat Period: 1 second\n CA Configuration:\n  Expiry Duration: 3 months\n  Force Rotate: 0\n"
                   " Autolock Managers: false\n Root Rotation In Progress: false\n Node Address: 10.99.0.1\n"
                   " Manager Addresses:\n  10.99.0.1:2377\n");
}

static void
test_json (void)
{
  g_autoptr (GVariant) value = g_variant_ref_sink (
      g_variant_new_parsed ("{'ID': <'abc'>, 'N': <uint64 5>, 'Neg': <int32 -1>, 'B': <true>, 'L': <['x', 'é\"']>, "
                            "'E': <@as []>, 'M': <{'k': 'v'}>,"
                            " 'D': <{'Index': <uint16 7>}>, 'A': <[{'P': <1.5>}]>, 'Y': <b'hi'>, 'O': <@a{sv} {}>}"));
  g_autoptr (JsonNode) node = ctl_variant_to_json (value);
  g_autofree char *compact = ctl_json_print (node, FALSE);
  g_autofree char *pretty = ctl_json_print (node, TRUE);
  JsonObject *object = json_node_get_object (node);

  g_assert_cmpstr (compact, ==,
                   "{\"ID\":\"abc\",\"N\":5,\"Neg\":-1,\"B\":true,\"L\":[\"x\",\"é\\\"\"],\"E\":[],\"M\":{\"k\":\"v\"},"
                   "\"D\":{\"Index\":7},\"A\":[{\"P\":1.5}],\"Y\":\"aGkA\",\"O\":{}}");
  g_assert_true (g_str_has_prefix (pretty, "{\n    \"ID\": \"abc\",\n    \"N\": 5,"));
  g_assert_nonnull (strstr (pretty, "    \"L\": [\n        \"x\",\n"));
  g_assert_cmpint (ctl_json_int (object, "D.Index"), ==, 7);
  g_assert_cmpstr (ctl_json_string (object, "M.k"), ==, "v");
  g_assert_cmpstr (ctl_json_string (object, "N"), ==, "");
  g_assert_cmpstr (ctl_json_string (object, "M.k.x"), ==, "");
  g_assert_null (ctl_json_object (object, "Nothing.At.All"));
}

static void
test_logs (void)
{
  CtlLogRecord record;
  CtlLogOptions options = { .slot_width = 2 };
  g_autofree char *plain = NULL;
  g_autofree char *raw = NULL;
  g_autofree char *full = NULL;

  g_assert_false (ctl_log_record_parse ("warning: node n3 is not available", &record));
  g_assert_true (
      ctl_log_record_parse ("1767323045000000 50qe8lfnxaxk0123456789012 n2 2 my-web.1 GET  /\\\\x a\\nb", &record));
  g_assert_cmpuint (record.stream, ==, 2);
  plain = ctl_log_record_format (&record, &options);
  g_assert_cmpstr (plain, ==, "my-web.1.50qe8lfnxaxk@n2     | GET  /\\x a\nb");
  options = (CtlLogOptions){ .no_task_ids = TRUE, .timestamps = TRUE };
  full = ctl_log_record_format (&record, &options);
  g_assert_true (g_str_has_prefix (full, "2026-01-02T03:04:05"));
  g_assert_true (g_str_has_suffix (full, "Z my-web.1@n2    | GET  /\\x a\nb"));
  options = (CtlLogOptions){ .raw = TRUE };
  raw = ctl_log_record_format (&record, &options);
  g_assert_cmpstr (raw, ==, "GET  /\\x a\nb");
  ctl_log_record_clear (&record);
}

static void
test_wrap (void)
{
  g_autoptr (GString) out = g_string_new (NULL);

  ctl_wrap (out, "one two three four", 0, 2, 9);
  g_assert_cmpstr (out->str, ==, "one two\n  three\n  four");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ctl/format/natural", test_natural);
  g_test_add_func ("/ctl/format/printable", test_printable);
  g_test_add_func ("/ctl/format/duration", test_duration);
  g_test_add_func ("/ctl/format/stale", test_stale);
  g_test_add_func ("/ctl/format/age", test_age);
  g_test_add_func ("/ctl/format/ellipsis", test_ellipsis);
  g_test_add_func ("/ctl/format/bytes", test_bytes);
  g_test_add_func ("/ctl/format/ports", test_ports);
  g_test_add_func ("/ctl/format/node-ls", test_node_ls);
  g_test_add_func ("/ctl/format/service-ls", test_service_ls);
  g_test_add_func ("/ctl/format/ps", test_ps);
  g_test_add_func ("/ctl/format/info", test_info);
  g_test_add_func ("/ctl/format/json", test_json);
  g_test_add_func ("/ctl/format/logs", test_logs);
  g_test_add_func ("/ctl/format/wrap", test_wrap);
  return g_test_run ();
}
