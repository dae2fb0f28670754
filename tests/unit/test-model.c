// SPDX-License-Identifier: LGPL-2.1-or-later
#include "field-random.h"
#include "model/constraint.h"
#include "model/image.h"
#include "model/objects.h"

/* Every table that can be reached from the objects, each once. */
static void
collect_types (const SwarmType *type, GPtrArray *types)
{
  if (g_ptr_array_find (types, type, NULL))
    return;
  g_ptr_array_add (types, (gpointer) type);
  for (const SwarmField *field = type->fields; field->number != 0; field++)
    if (field->type != NULL)
      collect_types (field->type, types);
}

static void
test_tables (void)
{
  g_autoptr (GPtrArray) types = g_ptr_array_new ();

  for (guint kind = 0; kind < _SWARM_KIND_MAX; kind++)
    if (swarm_kind_type (kind) != NULL)
      collect_types (swarm_kind_type (kind), types);
  g_assert_cmpuint (types->len, >, 25);
  for (guint i = 0; i < types->len; i++)
    field_check_type (types->pdata[i], 60);
}

static SwarmServiceSpec *
parse_spec (const char *text, GError **error)
{
  g_autoptr (GVariant) dict = g_variant_ref_sink (g_variant_new_parsed (text));

  return swarm_message_from_variant (&swarm_service_spec_type, dict, SWARM_FORM_FROM_USER, error);
}

static void
assert_spec_refused (const char *text, const char *why)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (parse_spec (text, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (error->message, ==, why);
}

#define TASK(rest) "'TaskTemplate': <{'ContainerSpec': <{'Image': <'nginx'>}>" rest "}>"
#define CONTAINER(rest) "{'TaskTemplate': <{'ContainerSpec': <{'Image': <'nginx'>" rest "}>}>}"

/* A mode that has nothing to say is still said, in every form. */
static void
test_modes (void)
{
  static const char *const texts[] = { "{'Replicated': <{'Replicas': <2>}>}", "{'Global': <@a{sv} {}>}",
                                       "{'ReplicatedJob': <{'TotalCompletions': <20>, 'MaxConcurrent': <4>}>}", "{'GlobalJob': <@a{sv} {}>}" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autofree char *text = g_strdup_printf ("{" TASK ("") ", 'Mode': <%s>}", texts[i]);
    g_autoptr (SwarmServiceSpec) spec = parse_spec (text, NULL), again = NULL, other = NULL;
    g_autoptr (GBytes) stored = swarm_message_encode (spec);
    JsonNode *json = swarm_message_to_json (spec, 0);

    g_assert_cmpint (swarm_service_spec_kind (spec), ==, (int) i);
    g_assert_cmpuint (swarm_service_spec_replicas (spec), ==, i == 0 ? 2 : 0);
    again = swarm_message_decode (&swarm_service_spec_type, stored, NULL);
    other = swarm_message_from_json (&swarm_service_spec_type, json, SWARM_FORM_FROM_USER, NULL);
    g_assert_true (swarm_message_equal (spec, again));
    g_assert_true (swarm_message_equal (spec, other));
    json_node_unref (json);
  }
}

static void
test_jobs (void)
{
  SwarmReplicatedJob job = { .max_concurrent = 0, .total_completions = 0 };

  g_assert_cmpuint (swarm_job_total (&job), ==, 1);
  g_assert_cmpuint (swarm_job_concurrent (&job), ==, 1);
  job.max_concurrent = 4;
  g_assert_cmpuint (swarm_job_total (&job), ==, 4);
  job.total_completions = 20;
  g_assert_cmpuint (swarm_job_total (&job), ==, 20);
  g_assert_cmpuint (swarm_job_concurrent (&job), ==, 4);
  job.max_concurrent = 0;
  g_assert_cmpuint (swarm_job_concurrent (&job), ==, 20);
}

static void
test_spec_texts (void)
{
  assert_spec_refused ("@a{sv} {}", "ContainerSpec: image reference must be provided");
  assert_spec_refused ("{'TaskTemplate': <{'ContainerSpec': <@a{sv} {}>}>}", "ContainerSpec: image reference must be provided");
  assert_spec_refused ("{'TaskTemplate': <{'ContainerSpec': <{'Image': <'Nginx'>}>}>}",
                       "ContainerSpec: \"Nginx\" is not a valid repository/tag");
  assert_spec_refused ("{'Name': <'my web'>, " TASK ("") "}", "name must be valid as a DNS name component");
  assert_spec_refused ("{" TASK (", 'Resources': <{'Limits': <{'NanoCPUs': <42>}>}>") "}",
                       "invalid cpu value 4.2e-08: Must be at least 0.001");
  assert_spec_refused ("{" TASK (", 'Resources': <{'Reservations': <{'MemoryBytes': <1>}>}>") "}",
                       "invalid memory value 1: Must be at least 4MiB");
  assert_spec_refused ("{" TASK (", 'RestartPolicy': <{'Delay': <-1>}>") "}", "TaskSpec: restart-delay cannot be negative");
  assert_spec_refused ("{" TASK (", 'RestartPolicy': <{'Window': <-1>}>") "}", "TaskSpec: restart-window cannot be negative");
  assert_spec_refused ("{" TASK (", 'RestartPolicy': <{'Condition': <'often'>}>") "}",
                       "TaskTemplate.RestartPolicy.Condition: \"often\" is not one of any, on-failure, none");
  assert_spec_refused ("{" TASK (", 'Placement': <{'Constraints': <['node.role=manager']>}>") "}",
                       "constraint expected one operator from ==, !=");
  assert_spec_refused ("{" TASK ("") ", 'Mode': <{'Replicated': <{'Replicas': <-3>}>}>}",
                       "Number of replicas must be non-negative");
  assert_spec_refused ("{" TASK ("") ", 'Mode': <{'Global': <@a{sv} {}>, 'GlobalJob': <@a{sv} {}>}>}", "must specify only one service mode");
  assert_spec_refused ("{" TASK ("") ", 'Mode': <{'Sometimes': <@a{sv} {}>}>}", "unknown key \"Mode.Sometimes\"");
  assert_spec_refused (CONTAINER (", 'Healthcheck': <{'Interval': <999>}>"), "ContainerSpec: Interval in HealthConfig cannot be less than 1ms");
  assert_spec_refused (CONTAINER (", 'Healthcheck': <{'Retries': <-1>}>"), "ContainerSpec: Retries in HealthConfig cannot be negative");
  assert_spec_refused (CONTAINER (", 'DNSConfig': <{'Nameservers': <['10.0.0']>}>"), "IP address is not correctly formatted: 10.0.0");
  assert_spec_refused (CONTAINER (", 'DNSConfig': <{'Nameservers': <['1.1.1.1', '::1', '1.1.1.1', '::1', '1.1.1.1', '::1', '1.1.1.1', '::1', "
                                  "'1.1.1.1', '::1', '1.1.1.1', '::1', '1.1.1.1', '::1', '1.1.1.1', '::1', '1.1.1.1']>}>"),
                       "TaskTemplate.ContainerSpec.DNSConfig.Nameservers: there are more than 16");
  assert_spec_refused (CONTAINER (", 'DNSConfig': <{'Search': <['a b']>}>"), "invalid domain: a b");
  assert_spec_refused (CONTAINER (", 'DNSConfig': <{'Options': <['ndots:1\\noptions evil']>}>"), "invalid DNS option: ndots:1\noptions evil");
  assert_spec_refused ("{" TASK ("") ", 'UpdateConfig': <{'Delay': <-1>}>}", "TaskSpec: update-delay cannot be negative");
  assert_spec_refused ("{" TASK ("") ", 'RollbackConfig': <{'Monitor': <-1>}>}", "TaskSpec: update-monitor cannot be negative");
  assert_spec_refused ("{" TASK ("") ", 'UpdateConfig': <{'MaxFailureRatio': <1.5>}>}",
                       "TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1");
  assert_spec_refused ("{" TASK (", 'Placement': <{'Preferences': <[{'Spread': <{'SpreadDescriptor': <'zone'>}>}]>}>") "}",
                       "TaskTemplate.Placement.Preferences[0].Spread.SpreadDescriptor: must be a label, node.labels.NAME or engine.labels.NAME");
  assert_spec_refused ("{" TASK ("") ", 'EndpointSpec': <{'Ports': <[{'TargetPort': <80>, 'PublishedPort': <8080>}, "
                       "{'TargetPort': <81>, 'PublishedPort': <8080>}]>}>}",
                       "EndpointSpec: duplicate published ports provided");
  assert_spec_refused ("{" TASK ("") ", 'EndpointSpec': <{'Ports': <[{'TargetPort': <70000>}]>}>}",
                       "EndpointSpec.Ports[0].TargetPort: must be between 1 and 65535");
  assert_spec_refused (CONTAINER (", 'Mounts': <[{'Type': <'tmpfs'>, 'Target': <'/x'>}, {'Type': <'tmpfs'>, 'Target': <'/x'>}]>"),
                       "ContainerSpec: duplicate mount point: /x");
  assert_spec_refused (CONTAINER (", 'Mounts': <[{'Source': <'rel'>, 'Target': <'/x'>}]>"),
                       "TaskTemplate.ContainerSpec.Mounts[0]: a bind mount needs an absolute path as Source");
  assert_spec_refused (CONTAINER (", 'Env': <['=x']>"),
                       "TaskTemplate.ContainerSpec.Env: an environment variable needs a name (NAME=VALUE)");
  assert_spec_refused (CONTAINER (", 'Env': <['A=1', 'HOST={{.Node.Hostname}}']>"),
                       "TaskTemplate.ContainerSpec.Env: templates ({{...}}) are not supported yet");
  assert_spec_refused (CONTAINER (", 'Hostname': <'{{.Service.Name}}-{{.Task.Slot}}'>"),
                       "TaskTemplate.ContainerSpec.Hostname: templates ({{...}}) are not supported yet");
  assert_spec_refused (CONTAINER (", 'Mounts': <[{'Source': <'/d/{{.Task.Slot}}'>, 'Target': <'/x'>}]>"),
                       "TaskTemplate.ContainerSpec.Mounts[0]: templates ({{...}}) are not supported yet");
  assert_spec_refused (CONTAINER (", 'PullOptions': <@a{sv} {}>"), "unknown key \"TaskTemplate.ContainerSpec.PullOptions\"");
}

static void
test_spec_good (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmServiceSpec) spec
    = parse_spec ("{'Name': <'my-web'>, 'Mode': <{'Replicated': <{'Replicas': <byte 3>}>}>, "
                  "'EndpointSpec': <{'Ports': <[{'TargetPort': <80>, 'PublishedPort': <uint16 8080>, 'PublishMode': <'host'>},"
                  " {'TargetPort': <80>, 'PublishedPort': <uint16 8080>, 'PublishMode': <'host'>, 'Protocol': <'udp'>}]>}>, " TASK ("") "}",
                  &error);
  const SwarmPortConfig *port;

  g_assert_no_error (error);
  g_assert_cmpuint (spec->mode->replicated->replicas, ==, 3);
  g_assert_cmpint (spec->task->container->stop_grace_period, ==, G_GINT64_CONSTANT (10000000000));
  port = spec->endpoint->ports->pdata[1];
  g_assert_cmpint (port->protocol, ==, SWARM_PROTOCOL_UDP);
}

/* What replaces tasks and what does not. */
static void
test_replaces (void)
{
  g_autoptr (SwarmServiceSpec) a = parse_spec ("{" TASK ("") "}", NULL);
  g_autoptr (SwarmServiceSpec) b = swarm_service_spec_copy (a);
  g_autoptr (SwarmTaskSpec) task = swarm_task_spec_copy (a->task);
  g_autoptr (SwarmContainerSpec) container = swarm_container_spec_copy (a->task->container);
  g_autofree char *path = NULL;

  swarm_string_set (&b->name, "other");
  b->labels = swarm_map_new ();
  g_hash_table_insert (b->labels, g_strdup ("a"), g_strdup ("b"));
  b->mode = swarm_service_mode_new ();
  container->pull_options = swarm_pull_options_new ();
  swarm_string_set (&container->pull_options->registry_auth, "secret");
  swarm_message_set_pointer (&task->container, container);
  swarm_message_set_pointer (&b->task, task);
  g_assert_false (swarm_message_equal (a, b));
  g_assert_false (swarm_message_differs (a, b, SWARM_FIELD_REPLACES_TASKS));
  path = swarm_message_first_difference (a, b, SWARM_FIELD_IMMUTABLE);
  g_assert_cmpstr (path, ==, "Name");
  task->force_update++;
  g_clear_pointer (&path, g_free);
  path = swarm_message_first_difference (a, b, SWARM_FIELD_REPLACES_TASKS);
  g_assert_cmpstr (path, ==, "TaskTemplate.ForceUpdate");
}

static void
test_secrets_hidden (void)
{
  g_autoptr (SwarmCluster) cluster = swarm_cluster_new ();
  g_autoptr (GVariant) shown = NULL;
  g_autofree char *text = NULL;
  g_autoptr (GBytes) stored = NULL;
  g_autoptr (SwarmCluster) back = NULL;

  cluster->root_ca = swarm_root_ca_new ();
  cluster->root_ca->key = g_bytes_new_static ("hush", 4);
  cluster->root_ca->tokens = swarm_join_tokens_new ();
  swarm_string_set (&cluster->root_ca->tokens->worker, "SWMTKN-hush");
  shown = g_variant_ref_sink (swarm_message_to_variant (cluster, SWARM_FORM_COMPLETE));
  text = g_variant_print (shown, TRUE);
  g_assert_null (strstr (text, "hush"));
  g_assert_null (strstr (text, "0x68, 0x75"));
  stored = swarm_message_encode (cluster);
  back = swarm_message_decode (&swarm_cluster_type, stored, NULL);
  g_assert_cmpstr (back->root_ca->tokens->worker, ==, "SWMTKN-hush");
}

static void
test_names (void)
{
  static const char *const good[] = { "a", "my-web", "a_b", "A9", "a--b",
                                      "a23456789012345678901234567890123456789012345678901234567890123" };
  static const struct {
    const char *name, *why;
  } bad[] = {
    { "", "meta: name must be provided" },
    { "-a", "name must be valid as a DNS name component" },
    { "a-", "name must be valid as a DNS name component" },
    { "a.b", "name must be valid as a DNS name component" },
    { "grüße", "name must be valid as a DNS name component" },
    { "a234567890123456789012345678901234567890123456789012345678901234", "name must be 63 characters or fewer" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (swarm_validate_service_name (good[i], NULL));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_false (swarm_validate_service_name (bad[i].name, &error));
    g_assert_cmpstr (error->message, ==, bad[i].why);
  }
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
test_images (void)
{
  static const char *const good[][3] = {
    { "nginx", "docker.io/library/nginx:latest", "nginx:latest" },
    { "nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25" },
    { "user/app", "docker.io/user/app:latest", "user/app:latest" },
    { "index.docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest" },
    { "localhost/app", "localhost/app:latest", "localhost/app:latest" },
    { "registry:5000/app", "registry:5000/app:latest", "registry:5000/app:latest" },
    { "10.99.0.1:5000/a/b/c:v1", "10.99.0.1:5000/a/b/c:v1", "10.99.0.1:5000/a/b/c:v1" },
    { "[fd00::1]:5000/app", "[fd00::1]:5000/app:latest", "[fd00::1]:5000/app:latest" },
    { "Reg/app", "Reg/app:latest", "Reg/app:latest" },
    { "nginx@sha256:" HEX64, "docker.io/library/nginx@sha256:" HEX64, "nginx" },
    { "nginx:1@sha256:" HEX64, "docker.io/library/nginx:1@sha256:" HEX64, "nginx:1" },
    { "a__b/c-d.e", "docker.io/a__b/c-d.e:latest", "a__b/c-d.e:latest" },
  };
  static const char *const bad[] = { "", "Nginx", "nginx:", "nginx:bad tag", "a//b", "/a", "a/", "nginx@", "nginx@sha256:123", ":tag",
                                     "a..b", "-a", "nginx\n", "nginx:1\n", HEX64, "nginx@md5:xyz", "a b", "한국", "reg_1.x:80/app" };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *normal = swarm_image_normalise (good[i][0], &error);
    g_autofree char *again = NULL;
    g_autofree char *familiar = NULL;

    g_assert_no_error (error);
    g_assert_cmpstr (normal, ==, good[i][1]);
    again = swarm_image_normalise (normal, NULL);
    g_assert_cmpstr (again, ==, normal);
    familiar = swarm_image_familiar (normal, TRUE);
    g_assert_cmpstr (familiar, ==, good[i][2]);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *expected = g_strdup_printf ("ContainerSpec: \"%s\" is not a valid repository/tag", bad[i]);

    g_assert_null (swarm_image_normalise (bad[i], &error));
    g_assert_cmpstr (error->message, ==, expected);
  }
}

static SwarmNode *
make_node (void)
{
  SwarmNode *node = swarm_node_new ();

  node->spec = swarm_node_spec_new ();
  node->spec->labels = swarm_map_new ();
  g_hash_table_insert (node->spec->labels, g_strdup ("zone"), g_strdup ("A"));
  node->description = swarm_node_description_new ();
  swarm_string_set (&node->description->hostname, "n1");
  node->description->platform = swarm_platform_new ();
  swarm_string_set (&node->description->platform->os, "linux");
  node->status = swarm_node_status_new ();
  swarm_string_set (&node->status->addr, "10.99.0.1");
  node->role = SWARM_ROLE_MANAGER;
  node->object.id.bytes[15] = 1;
  return node;
}

static void
test_constraints (void)
{
  static const struct {
    const char *expression;
    gboolean matches;
  } cases[] = {
    { "node.role==manager", TRUE },        { "node.role == MANAGER", TRUE },          { "node.role!=manager", FALSE },
    { "Node.Hostname==N1", TRUE },         { "node.hostname!=n2", TRUE },             { "node.labels.zone==a", TRUE },
    { "node.labels.Zone==a", FALSE },      { "node.labels.none!=x", TRUE },           { "node.labels.none==x", FALSE },
    { "engine.labels.x!=y", TRUE },        { "node.ip==10.99.0.0/24", TRUE },         { "node.ip!=10.99.0.1", FALSE },
    { "node.ip==10.98.0.0/16", FALSE },    { "node.platform.os==linux", TRUE },       { "node.platform.arch==x86_64", FALSE },
    { "node.id==0000000000000000000000001", TRUE },
  };
  g_autoptr (SwarmNode) node = make_node ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GPtrArray) list = swarm_strings_new ();
    g_autoptr (GPtrArray) parsed = NULL;
    g_autoptr (GError) error = NULL;

    g_ptr_array_add (list, g_strdup (cases[i].expression));
    parsed = swarm_constraints_parse (list, &error);
    g_assert_no_error (error);
    g_assert_cmpint (swarm_constraints_match (parsed, node), ==, cases[i].matches);
  }
}

static void
test_constraints_refused (void)
{
  static const char *const cases[][2] = {
    { "node.role", "constraint expected one operator from ==, !=" },
    { "1x==a", "key '1x' is invalid" },
    { "x==a", "key 'x' is invalid" },
    { "node.role==", "value '' is invalid" },
    { "node.role==a,b", "value 'a,b' is invalid" },
    { "node.ip==nowhere", "value 'nowhere' is invalid" },
    { "node.roel==manager", "key 'node.roel' is invalid: use node.id, node.hostname, node.role, node.ip, node.platform.os, "
                            "node.platform.arch, node.labels.NAME or engine.labels.NAME" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GPtrArray) list = swarm_strings_new ();
    g_autoptr (GError) error = NULL;

    g_ptr_array_add (list, g_strdup (cases[i][0]));
    g_assert_null (swarm_constraints_parse (list, &error));
    g_assert_cmpstr (error->message, ==, cases[i][1]);
  }
}

static gboolean
set_state (SwarmTask *task, SwarmTaskState state, SwarmWriter writer)
{
  g_autoptr (GError) error = NULL;
  gboolean ok = swarm_task_set_state (task, state, writer, 77, "text", NULL, &error);

  g_assert_true (ok == (error == NULL));
  if (error != NULL)
    g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  return ok;
}

static void
test_observed_state (void)
{
  g_autoptr (SwarmTask) task = swarm_task_new ();
  g_autoptr (SwarmTask) copy = NULL;

  g_assert_false (set_state (task, SWARM_TASK_ASSIGNED, SWARM_WRITER_ALLOCATOR));
  g_assert_false (set_state (task, SWARM_TASK_PENDING, SWARM_WRITER_SCHEDULER));
  g_assert_true (set_state (task, SWARM_TASK_PENDING, SWARM_WRITER_ALLOCATOR));
  g_assert_true (set_state (task, SWARM_TASK_PENDING, SWARM_WRITER_SCHEDULER));
  copy = swarm_task_copy (task);
  g_assert_true (set_state (copy, SWARM_TASK_SHUTDOWN, SWARM_WRITER_SCHEDULER));
  g_clear_pointer (&copy, swarm_task_unref);
  g_assert_true (set_state (task, SWARM_TASK_ASSIGNED, SWARM_WRITER_SCHEDULER));
  g_assert_false (set_state (task, SWARM_TASK_RUNNING, SWARM_WRITER_SCHEDULER));
  g_assert_false (set_state (task, SWARM_TASK_SHUTDOWN, SWARM_WRITER_SCHEDULER));
  g_assert_false (set_state (task, SWARM_TASK_REMOVE, SWARM_WRITER_DISPATCHER));
  copy = swarm_task_copy (task);
  g_assert_true (set_state (copy, SWARM_TASK_RUNNING, SWARM_WRITER_DISPATCHER));
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_ASSIGNED);
  g_assert_cmpint (copy->status->timestamp, ==, 77);
  g_assert_false (set_state (copy, SWARM_TASK_STARTING, SWARM_WRITER_DISPATCHER));
  g_assert_true (set_state (copy, SWARM_TASK_COMPLETE, SWARM_WRITER_DISPATCHER));
  g_assert_true (set_state (copy, SWARM_TASK_COMPLETE, SWARM_WRITER_DISPATCHER));
  g_assert_false (set_state (copy, SWARM_TASK_FAILED, SWARM_WRITER_DISPATCHER));
  g_assert_false (set_state (copy, SWARM_TASK_ORPHANED, SWARM_WRITER_NODE_REMOVAL));
  g_assert_true (set_state (task, SWARM_TASK_REJECTED, SWARM_WRITER_ENFORCER));
}

static void
test_desired_state (void)
{
  g_autoptr (SwarmTask) task = swarm_task_new ();

  task->desired_state = SWARM_TASK_READY;
  g_assert_true (swarm_task_is_active (task));
  g_assert_false (swarm_task_set_desired (task, SWARM_TASK_RUNNING, SWARM_WRITER_DISPATCHER, NULL));
  g_assert_true (swarm_task_set_desired (task, SWARM_TASK_RUNNING, SWARM_WRITER_ORCHESTRATOR, NULL));
  g_assert_false (swarm_task_set_desired (task, SWARM_TASK_FAILED, SWARM_WRITER_ORCHESTRATOR, NULL));
  g_assert_true (swarm_task_set_desired (task, SWARM_TASK_SHUTDOWN, SWARM_WRITER_ORCHESTRATOR, NULL));
  g_assert_false (swarm_task_set_desired (task, SWARM_TASK_RUNNING, SWARM_WRITER_ORCHESTRATOR, NULL));
  g_assert_false (swarm_task_is_active (task));
}

static void
test_objects (void)
{
  g_autoptr (SwarmNode) node = make_node ();
  g_autoptr (SwarmTask) task = swarm_task_new ();
  g_autofree char *name = NULL;
  SwarmNodeStatus *before = swarm_message_ref (node->status);

  g_assert_cmpint (swarm_object_kind (SWARM_OBJECT (node)), ==, SWARM_KIND_NODE);
  g_assert_cmpstr (swarm_object_name (SWARM_OBJECT (node)), ==, "n1");
  g_assert_cmpstr (swarm_object_name (SWARM_OBJECT (task)), ==, "");
  g_assert_cmpstr (swarm_kind_to_string (SWARM_KIND_SERVICE), ==, "service");
  swarm_node_set_state (node, SWARM_NODE_DOWN, "heartbeat failure");
  g_assert_cmpint (before->state, ==, SWARM_NODE_UNKNOWN);
  g_assert_cmpstr (node->status->addr, ==, "10.99.0.1");
  g_assert_cmpstr (node->status->text, ==, "heartbeat failure");
  swarm_string_set (&task->service_name, "my-web");
  task->slot = 3;
  name = swarm_task_name (task);
  g_assert_cmpstr (name, ==, "my-web.3.0000000000000000000000000");
  swarm_message_unref (before);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/tables", test_tables);
  g_test_add_func ("/model/spec/texts", test_spec_texts);
  g_test_add_func ("/model/spec/modes", test_modes);
  g_test_add_func ("/model/spec/jobs", test_jobs);
  g_test_add_func ("/model/spec/good", test_spec_good);
  g_test_add_func ("/model/spec/replaces", test_replaces);
  g_test_add_func ("/model/secrets-hidden", test_secrets_hidden);
  g_test_add_func ("/model/names", test_names);
  g_test_add_func ("/model/images", test_images);
  g_test_add_func ("/model/constraints", test_constraints);
  g_test_add_func ("/model/constraints-refused", test_constraints_refused);
  g_test_add_func ("/model/state/observed", test_observed_state);
  g_test_add_func ("/model/state/desired", test_desired_state);
  g_test_add_func ("/model/objects", test_objects);
  return g_test_run ();
}
