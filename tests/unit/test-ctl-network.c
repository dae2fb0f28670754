// SPDX-License-Identifier: LGPL-2.1-or-later
/* Networks on the command line: what create asks for, docker's texts for what is wrong, and what ls and inspect show. */
#include "base/error.h"
#include "ctl/inspect.h"
#include "ctl/network-verbose.h"
#include "ctl/network.h"
#include "ctl/service-spec.h"
#include <string.h>

static CtlArgs *
parse (const char *command, const char *line, GError **error)
{
  g_auto (GStrv) words = g_strsplit (command, " ", -1);
  g_auto (GStrv) argv = NULL;
  int argc = 0;
  guint used;
  const CtlCommand *found = ctl_command_find ((const char *const *)words, &used);

  g_assert_nonnull (found);
  g_assert_true (g_shell_parse_argv (line, &argc, &argv, NULL));
  return ctl_args_parse (found, argc, argv, error);
}

static char *
json_of (gpointer message)
{
  g_autoptr (JsonNode) json = swarm_message_to_json (message, 0);

  return json_to_string (json, FALSE);
}

static char *
made (const char *line, GError **error)
{
  g_autoptr (CtlArgs) args = parse ("network create", line, error);
  g_autoptr (SwarmNetworkSpec) spec = args != NULL ? ctl_network_spec (args, error) : NULL;

  return spec != NULL ? json_of (spec) : NULL;
}

static void
test_create (void)
{
  static const char *const rows[][2] = {
    { "back", "{\"Name\":\"back\",\"Labels\":{},\"Driver\":\"overlay\",\"Internal\":false,\"Attachable\":false,\"Ingress\":false,"
              "\"EnableIPv6\":false}" },
    { "-d overlay --internal --attachable --label a=b -o encrypted --opt mtu=1400 back",
      "{\"Name\":\"back\",\"Labels\":{\"a\":\"b\"},\"Driver\":\"overlay\",\"Internal\":true,\"Attachable\":true,\"Ingress\":false,"
      "\"EnableIPv6\":false,\"Options\":{\"encrypted\":\"\",\"mtu\":\"1400\"}}" },
    { "--subnet 10.1.0.0/16 --subnet 10.2.0.0/16 --ip-range 10.2.3.0/24 --gateway 10.1.0.9 --gateway 10.2.0.9 back",
      "{\"Name\":\"back\",\"Labels\":{},\"Driver\":\"overlay\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.1.0.0/16\",\"Gateway\":\"10.1.0.9\"},"
      "{\"Subnet\":\"10.2.0.0/16\",\"IPRange\":\"10.2.3.0/24\",\"Gateway\":\"10.2.0.9\"}]},\"Internal\":false,\"Attachable\":false,"
      "\"Ingress\":false,\"EnableIPv6\":false}" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *text = made (rows[i][0], &error);

    g_assert_no_error (error);
    g_assert_cmpstr (text, ==, rows[i][1]);
  }
}

static void
test_create_texts (void)
{
  static const char *const rows[][2] = {
    { "--opt =x back", "invalid argument \"=x\" for \"-o, --opt\" flag: invalid option '=x': it is \"key=value\" or \"key\"" },
    { "--gateway 10.1.0.1 back", "every ip-range or gateway must have a corresponding subnet" },
    { "--subnet 10.1.0.0 back", "invalid CIDR address: 10.1.0.0" },
    { "--subnet 10.1.0.0/24 --ip-range 10.2.0.0/25 back", "no matching subnet for range 10.2.0.0/25" },
    { "--subnet 10.1.0.0/24 --gateway 10.2.0.1 back", "no matching subnet for gateway 10.2.0.1" },
    { "--subnet 10.1.0.0/24 --gateway 10.1.0.1 --gateway 10.1.0.2 back",
      "cannot configure multiple gateways (10.1.0.2, 10.1.0.1) for the same subnet (10.1.0.0/24)" },
    { "--subnet 10.1.0.0/24 --ip-range 10.1.0.0/25 --ip-range 10.1.0.128/25 back",
      "cannot configure multiple ranges (10.1.0.128/25, 10.1.0.0/25) on the same subnet (10.1.0.0/24)" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *text = made (rows[i][0], &error);

    g_assert_null (text);
    g_assert_cmpstr (error->message, ==, rows[i][1]);
  }
}

/* Two networks as the agent tells them. */
static JsonNode *
networks (void)
{
  return json_from_string ("[{'Name':'web10','Id':'zzzzzzzzzzzzzzzzzzzzzzzzz','Created':'2026-11-21T10:00:00Z','Scope':'swarm','Driver':'overlay',"
                           "'EnableIPv6':false,'Internal':true,'Attachable':false,'Ingress':false,'VNI':4097,'Message':'',"
                           "'IPAM':{'Driver':'default','Config':[{'Subnet':'10.0.1.0/24','Gateway':'10.0.1.1'}]},'Options':{'encrypted':''},'Labels':{}},"
                           "{'Name':'host','Id':'aaaaaaaaaaaaaaaaaaaaaaaaa','Created':'2026-11-21T10:00:00Z','Scope':'local','Driver':'host',"
                           "'EnableIPv6':false,'Internal':false,'Attachable':false,'Ingress':false,'VNI':0,'Message':'','IPAM':{},'Options':{},"
                           "'Labels':{'com.docker.swarm.predefined':'true'}}]",
                           NULL);
}

static void
test_ls (void)
{
  g_autoptr (JsonNode) list = networks ();
  g_autoptr (GPtrArray) objects = ctl_json_objects (json_node_get_array (list));
  g_autofree char *table = ctl_network_list_text (objects, FALSE, FALSE, FALSE);
  g_autofree char *quiet = ctl_network_list_text (objects, TRUE, FALSE, TRUE);
  g_autofree char *json = ctl_network_list_text (objects, FALSE, TRUE, FALSE);

  g_assert_cmpstr (table, ==,
                   "NETWORK ID     NAME      DRIVER    SCOPE\n"
                   "aaaaaaaaaaaa   host      host      local\n"
                   "zzzzzzzzzzzz   web10     overlay   swarm\n");
  g_assert_cmpstr (quiet, ==, "aaaaaaaaaaaaaaaaaaaaaaaaa\nzzzzzzzzzzzzzzzzzzzzzzzzz\n");
  g_assert_nonnull (strstr (json, "{\"CreatedAt\":\"2026-11-21T10:00:00Z\",\"ID\":\"zzzzzzzzzzzz\",\"Driver\":\"overlay\",\"Name\":\"web10\","
                                  "\"Scope\":\"swarm\",\"IPv6\":\"false\",\"Internal\":\"true\"}\n"));
}

static void
test_pretty (void)
{
  g_autoptr (JsonNode) list = networks ();
  g_autofree char *text = ctl_pretty_network (json_array_get_object_element (json_node_get_array (list), 0));

  g_assert_cmpstr (text, ==,
                   "ID:\t\tzzzzzzzzzzzzzzzzzzzzzzzzz\nName:\t\tweb10\nDriver:\t\toverlay\nScope:\t\tswarm\n"
                   "Created at:\t2026-11-21T10:00:00Z\nInternal:\ttrue\nVXLAN ID:\t4097\nSubnet:\t\t10.0.1.0/24\n Gateway:\t10.0.1.1\n"
                   "Options:\n encrypted\n");
}

static GPtrArray *
objects_of (JsonNode *list)
{
  g_assert_nonnull (list);
  return ctl_json_objects (json_node_get_array (list));
}

/* Who is in it: with docker's names, as far as it has any. */
static void
test_verbose (void)
{
  g_autoptr (JsonNode) list = networks ();
  JsonObject *network = json_array_get_object_element (json_node_get_array (list), 0);
  g_autoptr (JsonNode) services = json_from_string (
      "[{'ID':'s1','Spec':{'Name':'my-web','TaskTemplate':{'Networks':[{'Target':'zzzzzzzzzzzzzzzzzzzzzzzzz'}]}},"
      "'Endpoint':{'Ports':[{'TargetPort':80,'PublishedPort':8080}],'VirtualIPs':[{'NetworkID':'other','Addr':'10.0.2.2/24'},"
      "{'NetworkID':'zzzzzzzzzzzzzzzzzzzzzzzzz','Addr':'10.0.1.2/24'}]}},"
      "{'ID':'s2','Spec':{'Name':'db','TaskTemplate':{'Networks':[{'Target':'zzzzzzzzzzzzzzzzzzzzzzzzz'}]}}},"
      "{'ID':'s3','Spec':{'Name':'elsewhere','TaskTemplate':{'Networks':[{'Target':'other'}]}}}]", NULL);
  g_autoptr (JsonNode) tasks = json_from_string (
      "[{'ID':'t1','Name':'my-web.1.t1','ServiceID':'s1','NodeID':'n1','DesiredState':'running','Status':{'State':'running'},"
      "'NetworksAttachments':[{'NetworkID':'zzzzzzzzzzzzzzzzzzzzzzzzz','Addresses':['10.0.1.3/24']}]},"
      "{'ID':'t0','Name':'my-web.1.t0','ServiceID':'s1','NodeID':'n3','DesiredState':'shutdown','Status':{'State':'shutdown'},"
      "'NetworksAttachments':[{'NetworkID':'zzzzzzzzzzzzzzzzzzzzzzzzz','Addresses':['10.0.1.9/24']}]},"
      "{'ID':'a1','NodeID':'n2','DesiredState':'running','Status':{'State':'running'},'NetworkAttachmentSpec':{'ContainerID':'c0ffee','Name':'debug'},"
      "'NetworksAttachments':[{'NetworkID':'zzzzzzzzzzzzzzzzzzzzzzzzz','Addresses':['10.0.1.4/24','fd00::4/64']}]}]", NULL);
  g_autoptr (JsonNode) nodes = json_from_string ("[{'ID':'n1','Description':{'Hostname':'one'},'Status':{'Addr':'192.0.2.1'}},"
                                                "{'ID':'n2','Description':{'Hostname':'two'},'Status':{'Addr':'192.0.2.2'}},"
                                                "{'ID':'n3','Description':{'Hostname':'three'},'Status':{'Addr':'192.0.2.3'}}]", NULL);
  g_autoptr (GPtrArray) s = objects_of (services), t = objects_of (tasks), n = objects_of (nodes);

  ctl_network_add_verbose (network, s, t, n);
  g_autofree char *json = ctl_json_print_object (network);
  g_assert_nonnull (strstr (json,
                            "\"Services\":{\"my-web\":{\"VIP\":\"10.0.1.2\",\"Ports\":[\"Target: 80, Publish: 8080\"],\"Tasks\":[{\"Name\":\"my-web.1.t1\","
                            "\"EndpointID\":\"t1\",\"EndpointIP\":\"10.0.1.3\",\"Info\":{\"Host IP\":\"192.0.2.1\"}}]},"
                            "\"db\":{\"VIP\":\"\",\"Ports\":[],\"Tasks\":[]}},"
                            "\"Containers\":{\"c0ffee\":{\"Name\":\"debug\",\"EndpointID\":\"a1\",\"IPv4Address\":\"10.0.1.4/24\","
                            "\"IPv6Address\":\"fd00::4/64\",\"Node\":\"two\"}},"
                            "\"Peers\":[{\"Name\":\"one\",\"IP\":\"192.0.2.1\"},{\"Name\":\"two\",\"IP\":\"192.0.2.2\"}]"));
  g_autofree char *text = ctl_pretty_network (network);
  g_assert_true (g_str_has_suffix (text, "Options:\n encrypted\nServices:\n db\t\n my-web\t10.0.1.2\n  my-web.1.t1\t10.0.1.3 on 192.0.2.1\n"
                                         "Containers:\n debug\t10.0.1.4/24\nPeers:\n one\t192.0.2.1\n two\t192.0.2.2\n"));
}

/* Options of services that concern networks. */
static void
test_service (void)
{
  static const char *const rows[][2] = {
    { "--network back nginx", "\"Networks\":[{\"Target\":\"back\"}]" },
    { "--network back --network name=front,alias=web,alias=www nginx",
      "\"Networks\":[{\"Target\":\"back\"},{\"Target\":\"front\",\"Aliases\":[\"web\",\"www\"]}]" },
    { "--endpoint-mode dnsrr nginx", "\"EndpointSpec\":{\"Mode\":\"dnsrr\"}" },
    { "--session-affinity client -p 8080:80 nginx",
      "\"EndpointSpec\":{\"Ports\":[{\"Protocol\":\"tcp\",\"TargetPort\":80,\"PublishedPort\":8080,\"PublishMode\":\"ingress\"}],\"Affinity\":\"client\"}" },
    { "-p 80 nginx", "\"Ports\":[{\"Protocol\":\"tcp\",\"TargetPort\":80,\"PublishMode\":\"ingress\"}]" },
    { "-p 8080-8081:80-81/udp nginx", "\"Ports\":[{\"Protocol\":\"udp\",\"TargetPort\":80,\"PublishedPort\":8080,\"PublishMode\":\"ingress\"},"
                                      "{\"Protocol\":\"udp\",\"TargetPort\":81,\"PublishedPort\":8081,\"PublishMode\":\"ingress\"}]" },
    { "-p 8080-8081:80 nginx", "\"Ports\":[{\"Protocol\":\"tcp\",\"TargetPort\":80,\"PublishedPort\":8080,\"PublishMode\":\"ingress\"},"
                               "{\"Protocol\":\"tcp\",\"TargetPort\":80,\"PublishedPort\":8081,\"PublishMode\":\"ingress\"}]" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (CtlArgs) args = parse ("service create", rows[i][0], &error);
    g_autoptr (SwarmServiceSpec) spec = args != NULL ? ctl_service_spec_create (args, &error) : NULL;
    g_autofree char *text = spec != NULL ? json_of (spec) : NULL;

    g_assert_no_error (error);
    g_test_message ("%s", text);
    g_assert_nonnull (strstr (text, rows[i][1]));
  }
}

static void
test_service_texts (void)
{
  static const char *const rows[][2] = {
    { "--network alias=x nginx", "network name/id is not specified" },
    { "--network name=a,colour=red nginx", "invalid field key colour" },
    { "--network name=a,alias nginx", "invalid field alias: it is \"name=NETWORK\" or \"alias=NAME\"" },
    { "--network a,alias=b nginx", "invalid field a: it is \"name=NETWORK\" or \"alias=NAME\"" },
    { "--endpoint-mode lb nginx", "invalid endpoint mode lb: only vip and dnsrr are supported" },
    { "--session-affinity cookie nginx", "invalid session affinity cookie: only none and client are supported" },
    { "-p 8080-8082:80-81 nginx", "invalid ranges specified for container and host Ports: 80-81 and 8080-8082" },
    { "-p '' nginx", "invalid argument \"\" for \"-p, --publish\" flag: no port specified: <empty>" },
    { "-p /udp nginx", "no port specified: /udp<empty>" },
    { "-p 70000:80 nginx", "invalid hostPort: 70000" },
    { "-p 7000-70000:80 nginx", "invalid hostPort: 7000-70000" },
    { "-p 90-80 nginx", "invalid containerPort: 90-80" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (CtlArgs) args = parse ("service create", rows[i][0], &error);

    g_assert_null (args);
    g_assert_true (g_str_has_suffix (error->message, rows[i][1]));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ctl-network/create", test_create);
  g_test_add_func ("/ctl-network/create-texts", test_create_texts);
  g_test_add_func ("/ctl-network/ls", test_ls);
  g_test_add_func ("/ctl-network/pretty", test_pretty);
  g_test_add_func ("/ctl-network/verbose", test_verbose);
  g_test_add_func ("/ctl-network/service", test_service);
  g_test_add_func ("/ctl-network/service-texts", test_service_texts);
  return g_test_run ();
}
