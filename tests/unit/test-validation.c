// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every text of SWARM_BEHAVIOUR §4.1, server side, with the input that gives it, at create and at update. What cannot be asked for yet is
 * listed too, with the key that is refused until then: the row must be filled when the key comes. */
#include "base/error.h"
#include "brain-fixture.h"
#include <string.h>

typedef enum {
  AT_CREATE = 1 << 0,
  AT_UPDATE = 1 << 1,
  BOTH = AT_CREATE | AT_UPDATE,
  LATER = 1 << 2, /* @input is refused as an unknown key: @message is that text's start */
} When;

typedef struct {
  const char *message; /* the whole text; "…" at its end: what follows is free */
  When when;
  const char *input; /* a{sv} in text form; %s: the service's name */
  int code;          /* 0: INVALID_ARGUMENT */
} Row;

#define NAMED(rest) "{'Name': <'%s'>, " rest "}"
#define TASK(rest) NAMED ("'TaskTemplate': <{'ContainerSpec': <{'Image': <'nginx'>}>" rest "}>")
#define CONTAINER(rest) NAMED ("'TaskTemplate': <{'ContainerSpec': <{'Image': <'nginx'>" rest "}>}>")
#define SERVICE(rest) NAMED ("'TaskTemplate': <{'ContainerSpec': <{'Image': <'nginx'>}>}>" rest)
#define PORTS(rest) SERVICE (", 'EndpointSpec': <{'Ports': <[" rest "]>}>")
#define RESERVED(rest) TASK (", 'Resources': <{'Reservations': <{'GenericResources': <[" rest "]>}>}>")

static const Row rows[] = {
  /* resources */
  { "invalid cpu value 4.2e-08: Must be at least 0.001", BOTH, TASK (", 'Resources': <{'Limits': <{'NanoCPUs': <42>}>}>") },
  { "invalid cpu value 4.2e-08: Must be at least 0.001", BOTH, TASK (", 'Resources': <{'Reservations': <{'NanoCPUs': <42>}>}>") },
  { "invalid memory value 1: Must be at least 4MiB", BOTH, TASK (", 'Resources': <{'Limits': <{'MemoryBytes': <1>}>}>") },
  { "invalid memory value 1: Must be at least 4MiB", BOTH, TASK (", 'Resources': <{'Reservations': <{'MemoryBytes': <1>}>}>") },
  /* swarm's API lets malformed generic resources pass, and the tasks wait for ever */
  { "invalid argument for resource gpu: a reservation is a number of them, not one by name", BOTH,
    RESERVED ("{'NamedResourceSpec': <{'Kind': <'gpu'>, 'Value': <'UUID1'>}>}") },
  { "invalid argument for resource gpu: a reservation is at least 1", BOTH,
    RESERVED ("{'DiscreteResourceSpec': <{'Kind': <'gpu'>, 'Value': <0>}>}") },
  { "invalid argument for resource gpu: it is reserved twice", BOTH,
    RESERVED ("{'DiscreteResourceSpec': <{'Kind': <'gpu'>, 'Value': <1>}>}, {'DiscreteResourceSpec': <{'Kind': <'gpu'>, 'Value': <1>}>}") },
  { "TaskTemplate.Resources.Reservations.GenericResources[0]: needs either NamedResourceSpec or DiscreteResourceSpec", BOTH,
    RESERVED ("@a{sv} {}") },
  { "TaskTemplate.Resources.Reservations.GenericResources[0]: a generic resource needs a Kind and a Value", BOTH,
    RESERVED ("{'DiscreteResourceSpec': <{'Value': <1>}>}") },
  { "TaskTemplate.Resources: generic resources can be reserved, not limited", BOTH,
    TASK (", 'Resources': <{'Limits': <{'GenericResources': <[{'DiscreteResourceSpec': <{'Kind': <'gpu'>, 'Value': <1>}>}]>}>}>") },
  /* restart, update, rollback */
  { "TaskSpec: restart-delay cannot be negative", BOTH, TASK (", 'RestartPolicy': <{'Delay': <-1>}>") },
  { "TaskSpec: restart-window cannot be negative", BOTH, TASK (", 'RestartPolicy': <{'Window': <-1>}>") },
  { "TaskSpec: update-delay cannot be negative", BOTH, SERVICE (", 'UpdateConfig': <{'Delay': <-1>}>") },
  { "TaskSpec: update-delay cannot be negative", BOTH, SERVICE (", 'RollbackConfig': <{'Delay': <-1>}>") },
  { "TaskSpec: update-monitor cannot be negative", BOTH, SERVICE (", 'UpdateConfig': <{'Monitor': <-1>}>") },
  { "TaskSpec: update-monitor cannot be negative", BOTH, SERVICE (", 'RollbackConfig': <{'Monitor': <-1>}>") },
  { "TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1", BOTH,
    SERVICE (", 'UpdateConfig': <{'MaxFailureRatio': <1.5>}>") },
  { "TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1", BOTH,
    SERVICE (", 'RollbackConfig': <{'MaxFailureRatio': <-0.1>}>") },
  /* containers */
  { "ContainerSpec: image reference must be provided", BOTH, NAMED ("'TaskTemplate': <{'ContainerSpec': <@a{sv} {}>}>") },
  { "ContainerSpec: image reference must be provided", BOTH, NAMED ("'TaskTemplate': <@a{sv} {}>") },
  { "ContainerSpec: image reference must be provided", BOTH, "{'Name': <'%s'>}" },
  { "ContainerSpec: \"x y\" is not a valid repository/tag", BOTH, NAMED ("'TaskTemplate': <{'ContainerSpec': <{'Image': <'x y'>}>}>") },
  { "ContainerSpec: duplicate mount point: /x", BOTH,
    CONTAINER (", 'Mounts': <[{'Type': <'tmpfs'>, 'Target': <'/x'>}, {'Type': <'tmpfs'>, 'Target': <'/x'>}]>") },
  { "ContainerSpec: Interval in HealthConfig cannot be less than 1ms", BOTH, CONTAINER (", 'Healthcheck': <{'Interval': <999999>}>") },
  { "ContainerSpec: Timeout in HealthConfig cannot be less than 1ms", BOTH, CONTAINER (", 'Healthcheck': <{'Timeout': <999999>}>") },
  { "ContainerSpec: StartPeriod in HealthConfig cannot be less than 1ms", BOTH, CONTAINER (", 'Healthcheck': <{'StartPeriod': <999999>}>") },
  { "ContainerSpec: StartInterval in HealthConfig cannot be less than 1ms", BOTH, CONTAINER (", 'Healthcheck': <{'StartInterval': <-1>}>") },
  { "ContainerSpec: Retries in HealthConfig cannot be negative", BOTH, CONTAINER (", 'Healthcheck': <{'Retries': <-1>}>") },
  /* ports */
  { "EndpointSpec: duplicate published ports provided", BOTH,
    PORTS ("{'TargetPort': <80>, 'PublishedPort': <8080>, 'PublishMode': <'host'>}, {'TargetPort': <81>, 'PublishedPort': <8080>, "
           "'PublishMode': <'host'>}") },
  { "port '9001' is already in use by service 'mesh' (…", BOTH, PORTS ("{'TargetPort': <80>, 'PublishedPort': <9001>, 'PublishMode': <'host'>}") },
  { "port '9001' is already in use by service 'mesh' (…", BOTH, PORTS ("{'TargetPort': <80>, 'PublishedPort': <9001>}") },
  { "port '9000' is already in use by service 'host' (…", BOTH, PORTS ("{'TargetPort': <80>, 'PublishedPort': <9000>}") },
  /* the mode */
  { "Number of replicas must be non-negative", BOTH, SERVICE (", 'Mode': <{'Replicated': <{'Replicas': <-1>}>}>") },
  { "Maximum concurrent jobs must not be negative", BOTH, SERVICE (", 'Mode': <{'ReplicatedJob': <{'MaxConcurrent': <-1>}>}>") },
  { "Total completed jobs must not be negative", BOTH, SERVICE (", 'Mode': <{'ReplicatedJob': <{'TotalCompletions': <-1>}>}>") },
  { "Unrecognized service mode", BOTH, SERVICE (", 'Mode': <@a{sv} {}>") },
  { "must specify only one service mode", BOTH, SERVICE (", 'Mode': <{'Global': <@a{sv} {}>, 'GlobalJob': <@a{sv} {}>}>") },
  { "Jobs may not have an update config", AT_CREATE, SERVICE (", 'Mode': <{'ReplicatedJob': <@a{sv} {}>}>, 'UpdateConfig': <@a{sv} {}>") },
  { "Jobs may not have an update config", AT_CREATE, SERVICE (", 'Mode': <{'GlobalJob': <@a{sv} {}>}>, 'UpdateConfig': <@a{sv} {}>") },
  { "Jobs may not have a rollback config", AT_CREATE, SERVICE (", 'Mode': <{'GlobalJob': <@a{sv} {}>}>, 'RollbackConfig': <@a{sv} {}>") },
  { "service mode change is not allowed", AT_UPDATE, SERVICE (", 'Mode': <{'Global': <@a{sv} {}>}>"), SWARM_ERROR_NOT_SUPPORTED },
  { "service mode change is not allowed", AT_UPDATE, SERVICE (", 'Mode': <{'ReplicatedJob': <@a{sv} {}>}>"), SWARM_ERROR_NOT_SUPPORTED },
  /* names */
  { "name conflicts with an existing object: service mesh already exists", AT_CREATE,
    "{'Name': <'mesh'>, 'TaskTemplate': <{'ContainerSpec': <{'Image': <'nginx'>}>}>}", SWARM_ERROR_ALREADY_EXISTS },
  { "meta: name must be provided", AT_UPDATE, "{'TaskTemplate': <{'ContainerSpec': <{'Image': <'nginx'>}>}>}" },
  { "renaming services is not supported", AT_UPDATE,
    "{'Name': <'mesh'>, 'TaskTemplate': <{'ContainerSpec': <{'Image': <'nginx'>}>}>}", SWARM_ERROR_NOT_SUPPORTED },
  { "name must be valid as a DNS name component", BOTH, "{'Name': <'my web'>, 'TaskTemplate': <{'ContainerSpec': <{'Image': <'nginx'>}>}>}" },
  { "name must be 63 characters or fewer", BOTH,
    "{'Name': <'a234567890123456789012345678901234567890123456789012345678901234'>, "
    "'TaskTemplate': <{'ContainerSpec': <{'Image': <'nginx'>}>}>}" },
  /* constraints */
  { "key 'no de' is invalid", BOTH, TASK (", 'Placement': <{'Constraints': <['no de==a']>}>") },
  { "value 'a,b' is invalid", BOTH, TASK (", 'Placement': <{'Constraints': <['node.labels.x==a,b']>}>") },
  { "constraint expected one operator from ==, !=", BOTH, TASK (", 'Placement': <{'Constraints': <['node.role=manager']>}>") },
  /* swarm accepts these two, and the tasks wait for ever */
  { "key 'node.hostnam' is invalid: use node.id, …", BOTH, TASK (", 'Placement': <{'Constraints': <['node.hostnam==n1']>}>") },
  { "value 'here' is invalid", BOTH, TASK (", 'Placement': <{'Constraints': <['node.ip!=here']>}>") },
  { "TaskTemplate.Placement.Preferences[0].Spread.SpreadDescriptor: must be a label, node.labels.NAME or engine.labels.NAME", BOTH,
    TASK (", 'Placement': <{'Preferences': <[{'Spread': <{'SpreadDescriptor': <'zone'>}>}]>}>") },
  { "EndpointSpec: port published with ingress mode can't be used with dnsrr mode", BOTH,
    SERVICE (", 'EndpointSpec': <{'Mode': <'dnsrr'>, 'Ports': <[{'TargetPort': <80>}]>}>") },
  { "TaskTemplate.Networks[0].Aliases: alias \"a b\": name must be valid as a DNS name component", BOTH,
    TASK (", 'Networks': <[{'Target': <'net'>, 'Aliases': <['a b']>}]>") },
  /* later: "secret references 'a' and 'b' have a conflicting target: 't'", "secret not found: x", "secrets not found: a, b" */
  { "unknown key \"TaskTemplate.ContainerSpec.Secrets\"", BOTH | LATER, CONTAINER (", 'Secrets': <@aa{sv} []>") },
  /* later: the same of configs */
  { "unknown key \"TaskTemplate.ContainerSpec.Configs\"", BOTH | LATER, CONTAINER (", 'Configs': <@aa{sv} []>") },
  { "Service cannot be explicitly attached to the ingress network \"ingress\"", BOTH, TASK (", 'Networks': <[{'Target': <'ingress'>}]>") },
  { "network nowhere not found", BOTH, TASK (", 'Networks': <[{'Target': <'nowhere'>}]>"), SWARM_ERROR_NOT_FOUND },
  { "network host cannot be combined with other networks", BOTH, TASK (", 'Networks': <[{'Target': <'host'>}, {'Target': <'none'>}]>") },
  /* later: "networks must be migrated to TaskSpec before being changed" */
  { "unknown key \"Networks\"", BOTH | LATER, SERVICE (", 'Networks': <@aa{sv} []>") },
};

static void
committed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

static SwarmServiceSpec *
parse (const char *input, const char *name, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (input, "%s", -1);
  g_autofree char *text = g_strjoinv (name, parts);
  g_autoptr (GError) bad = NULL;
  g_autoptr (GVariant) dict = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &bad);
  g_assert_no_error (bad);
  return swarm_message_from_variant (&swarm_service_spec_type, dict, SWARM_FORM_FROM_USER, error);
}

/* What creating (@web NULL) or updating with @input says; NULL: it was done. Caller frees. */
static GError *
ask (Brain *brain, const SwarmService *web, const char *input)
{
  BrainOutcome out = { 0 };
  SwarmControl *control = swarm_manager_control (brain->manager);
  g_autoptr (SwarmServiceSpec) spec = parse (input, web != NULL ? "web" : "probe", &out.error);
  if (spec == NULL)
    return out.error;
  if (web == NULL)
    swarm_control_create_service (control, spec, NULL, brain_outcome, &out);
  else
    swarm_control_update_service (control, &web->object.id, web->object.version, spec, NULL, brain_outcome, &out);
  brain_run (brain, SECOND);
  g_assert_true (out.done);
  return out.error;
}

static void
check (Brain *brain, const SwarmService *web, const Row *row)
{
  g_autoptr (GError) error = ask (brain, web, row->input);
  gsize len = strlen (row->message);
  int code = row->code != 0 ? row->code : SWARM_ERROR_INVALID_ARGUMENT;
  g_test_message ("%s: %s", web != NULL ? "update" : "create", row->message);
  g_assert_error (error, SWARM_ERROR, code);
  if (g_str_has_suffix (row->message, "…"))
    g_assert_cmpint (strncmp (error->message, row->message, len - strlen ("…")), ==, 0);
  else
    g_assert_cmpstr (error->message, ==, row->message);
}

/* As a later version stores it. */
static void
store_ingress_service (Brain *brain)
{
  g_autoptr (SwarmService) service = swarm_service_new ();
  SwarmTx *tx = swarm_store_tx (brain->store);
  service->object.id = swarm_random_id (&brain->random.iface);
  service->spec = brain_spec ("mesh", 0);
  spec_host_port (service->spec, 9001);
  ((SwarmPortConfig *) service->spec->endpoint->ports->pdata[0])->publish_mode = SWARM_PUBLISH_INGRESS;
  swarm_tx_create (tx, service);
  swarm_tx_commit (tx, NULL, committed, NULL);
  brain_run (brain, SECOND);
}

static Brain *
make_cluster (void)
{
  Brain *brain = brain_new ();
  g_autoptr (SwarmServiceSpec) web = brain_spec ("web", 0), host = brain_spec ("host", 0);
  brain_create (brain, web);
  spec_host_port (host, 9000);
  brain_create (brain, host);
  store_ingress_service (brain);
  return brain;
}

static void
test_texts (void)
{
  g_autoptr (Brain) brain = make_cluster ();
  guint services = swarm_store_count (brain->store, SWARM_KIND_SERVICE);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    const SwarmService *web = swarm_store_get_by_name (brain->store, SWARM_KIND_SERVICE, "web");
    if (rows[i].when & AT_CREATE)
      check (brain, NULL, &rows[i]);
    if (rows[i].when & AT_UPDATE)
      check (brain, web, &rows[i]);
    g_assert_true (swarm_store_get_by_name (brain->store, SWARM_KIND_SERVICE, "web") == web);
  }
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_SERVICE), ==, services);
}

/* The whole text names the service, its id and how it publishes. */
static void
test_port_texts (void)
{
  g_autoptr (Brain) brain = make_cluster ();
  const SwarmService *host = swarm_store_get_by_name (brain->store, SWARM_KIND_SERVICE, "host");
  const SwarmService *mesh = swarm_store_get_by_name (brain->store, SWARM_KIND_SERVICE, "mesh");
  g_autofree char *as_host = g_strdup_printf ("port '9000' is already in use by service 'host' (%s) as a host-published port",
                                              swarm_id_string (&host->object.id).str);
  g_autofree char *as_ingress = g_strdup_printf ("port '9001' is already in use by service 'mesh' (%s) as an ingress port",
                                                 swarm_id_string (&mesh->object.id).str);
  g_autoptr (GError) first = ask (brain, NULL, PORTS ("{'TargetPort': <80>, 'PublishedPort': <9000>}"));
  g_autoptr (GError) second = ask (brain, NULL, PORTS ("{'TargetPort': <80>, 'PublishedPort': <9001>, 'PublishMode': <'host'>}"));
  g_assert_cmpstr (first->message, ==, as_host);
  g_assert_cmpstr (second->message, ==, as_ingress);
}

/* Host-mode ports of several services may be the same, so may the same port of other protocols, and ports that are chosen. */
static void
test_ports_that_fit (void)
{
  static const char *const fine[] = {
    "{'TargetPort': <80>, 'PublishedPort': <9000>, 'PublishMode': <'host'>}",
    "{'TargetPort': <80>, 'PublishedPort': <9001>, 'PublishMode': <'host'>, 'Protocol': <'udp'>}",
    "{'TargetPort': <80>, 'PublishMode': <'host'>}, {'TargetPort': <81>, 'PublishMode': <'host'>}",
  };
  for (guint i = 0; i < G_N_ELEMENTS (fine); i++) {
    g_autoptr (Brain) brain = make_cluster ();
    g_auto (GStrv) parts = g_strsplit (PORTS ("PORT"), "PORT", 2);
    g_autofree char *input = g_strjoinv (fine[i], parts);
    g_autoptr (GError) created = ask (brain, NULL, input);
    g_autoptr (GError) updated = ask (brain, swarm_store_get_by_name (brain->store, SWARM_KIND_SERVICE, "web"), input);
    g_assert_no_error (created);
    g_assert_no_error (updated);
  }
}

static void
test_stale (void)
{
  g_autoptr (Brain) brain = make_cluster ();
  g_autoptr (SwarmService) web = swarm_service_ref (swarm_store_get_by_name (brain->store, SWARM_KIND_SERVICE, "web"));
  g_autoptr (GError) first = ask (brain, web, SERVICE (", 'Labels': <{'a': 'b'}>"));
  g_autoptr (GError) second = ask (brain, web, SERVICE (", 'Labels': <{'a': 'c'}>"));
  g_assert_no_error (first);
  g_assert_error (second, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE);
  g_assert_cmpstr (second->message, ==, "update out of sequence");
}

/* Each mode is taken as it is meant, and is kept at an update. */
static void
test_modes (void)
{
  static const struct {
    const char *mode;
    guint64 desired;
    gboolean scales;
  } modes[] = {
    { "{'Replicated': <{'Replicas': <3>}>}", 3, TRUE },
    { "{'Global': <@a{sv} {}>}", 0, FALSE },
    { "{'ReplicatedJob': <{'MaxConcurrent': <2>, 'TotalCompletions': <5>}>}", 2, TRUE },
    { "{'GlobalJob': <@a{sv} {}>}", 0, FALSE },
  };
  for (guint i = 0; i < G_N_ELEMENTS (modes); i++) {
    g_autoptr (Brain) brain = brain_new ();
    g_auto (GStrv) parts = g_strsplit (SERVICE (", 'Mode': <MODE>"), "MODE", 2);
    g_autofree char *input = g_strjoinv (modes[i].mode, parts);
    g_autoptr (GError) created = ask (brain, NULL, input), scaled = NULL;
    const SwarmService *service = swarm_store_get_by_name (brain->store, SWARM_KIND_SERVICE, "probe");
    g_assert_no_error (created);
    SwarmServiceStatus status;
    g_assert_cmpint (swarm_service_spec_kind (service->spec), ==, (int) i);
    swarm_control_service_status (swarm_manager_control (brain->manager), service, &status);
    g_assert_true ((service->spec->update != NULL && service->spec->rollback != NULL) == (i <= SWARM_SERVICE_GLOBAL));
    g_assert_true (!modes[i].scales || status.desired == modes[i].desired);
    g_assert_true (brain_scale (brain, &service->object.id, 7, &scaled) == modes[i].scales);
    if (!modes[i].scales)
      g_assert_cmpstr (scaled->message, ==, "scale can only be used with replicated or replicated-job mode");
    service = swarm_store_get_by_name (brain->store, SWARM_KIND_SERVICE, "probe");
    if (i == SWARM_SERVICE_REPLICATED_JOB) {
      g_autoptr (GError) none = NULL;
      g_assert_false (brain_scale (brain, &service->object.id, 0, &none));
      g_assert_cmpstr (none->message, ==, "a job has at least 1 completion");
      g_assert_cmpuint (service->spec->mode->replicated_job->total_completions, ==, 7);
      g_assert_cmpuint (service->spec->mode->replicated_job->max_concurrent, ==, 2);
    }
  }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/validation/texts", test_texts);
  g_test_add_func ("/validation/port-texts", test_port_texts);
  g_test_add_func ("/validation/ports-that-fit", test_ports_that_fit);
  g_test_add_func ("/validation/stale", test_stale);
  g_test_add_func ("/validation/modes", test_modes);
  return g_test_run ();
}
