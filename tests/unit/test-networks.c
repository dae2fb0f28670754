// SPDX-License-Identifier: LGPL-2.1-or-later
/* Networks as users make and remove them: control's rules and texts (SWARM_BEHAVIOUR §9), subnets as values. */
#include "base/error.h"
#include "brain-fixture.h"

/* "{'Name': <'a'>, …}" */
static GError *
create (Brain *brain, const char *text, SwarmId *ret)
{
  BrainOutcome out = { 0 };
  g_autoptr (GVariant) dict = g_variant_ref_sink (g_variant_new_parsed (text));
  GError *error = NULL;
  g_autoptr (SwarmNetworkSpec) spec = swarm_message_from_variant (&swarm_network_spec_type, dict, SWARM_FORM_FROM_USER, &error);
  if (spec == NULL)
    return error;
  swarm_control_create_network (swarm_manager_control (brain->manager), spec, NULL, brain_outcome, &out);
  brain_run (brain, SECOND);
  g_assert_true (out.done);
  if (ret != NULL)
    *ret = out.id;
  return out.error;
}

static GError *
drop (Brain *brain, const SwarmId *id)
{
  BrainOutcome out = { 0 };
  swarm_control_remove_network (swarm_manager_control (brain->manager), id, NULL, brain_outcome, &out);
  brain_run (brain, SECOND);
  g_assert_true (out.done);
  return out.error;
}

static const SwarmNetwork *
named (Brain *brain, const char *name)
{
  return swarm_store_get_by_name (brain->store, SWARM_KIND_NETWORK, name);
}

static void
test_create_texts (void)
{
  static const struct {
    const char *spec;
    const char *text; /* may end with "…" */
  } rows[] = {
    { "{'Driver': <'overlay'>}", "meta: name must be provided" },
    { "{'Name': <'a b'>}", "name must be valid as a DNS name component" },
    { "{'Name': <'taken'>}", "network with name taken already exists" },
    { "{'Name': <'host'>}", "network with name host already exists" },
    { "{'Name': <'x'>, 'Driver': <'host'>}", "only one instance of \"host\" network is allowed" },
    { "{'Name': <'x'>, 'Driver': <'macvlan'>}", "network driver macvlan is not known, only overlay is" },
    { "{'Name': <'x'>, 'Ingress': <true>}", "ingress network (…" },
    { "{'Name': <'x'>, 'Ingress': <true>, 'Attachable': <true>}", "ingress network cannot be attachable" },
    { "{'Name': <'x'>, 'Labels': <{'com.docker.swarm.predefined': 'true'}>}", "label com.docker.swarm.predefined is for internally-created…" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.300.0.0/24'>}]>}>}", "ipam configuration: invalid subnet 10.300.0.0/24" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.3.0.0/30'>}]>}>}", "ipam configuration: invalid subnet 10.3.0.0/30: its mask…" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.3.0.0/24'>, 'IPRange': <'x'>}]>}>}", "ipam configuration: invalid range x" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.3.0.0/24'>, 'IPRange': <'10.4.0.0/25'>}]>}>}",
      "ipam configuration: subnet 10.3.0.0/24 does not contain range 10.4.0.0/25" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.3.0.0/24'>, 'IPRange': <'10.3.0.0/16'>}]>}>}",
      "ipam configuration: subnet 10.3.0.0/24 does not contain range 10.3.0.0/16" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.3.0.0/24'>, 'Gateway': <'g'>}]>}>}", "ipam configuration: invalid gateway g" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.3.0.0/24'>, 'Gateway': <'10.4.0.1'>}]>}>}",
      "ipam configuration: subnet 10.3.0.0/24 does not contain gateway 10.4.0.1" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'fd00::/64'>}]>}>}", "ipam configuration: an IPv6 subnet needs a network with IPv6 (--ipv6)" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.0.0.128/25'>}]>}>}",
      "invalid pool request: Pool overlaps with other one on this address space" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.0.0.0/8'>}]>}>}",
      "invalid pool request: Pool overlaps with other one on this address space" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.3.0.0/24'>}, {'Subnet': <'10.3.0.0/25'>}]>}>}",
      "ipam configuration: subnet 10.3.0.0/25 overlaps subnet 10.3.0.0/24" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'127.1.0.0/24'>}]>}>}", "ipam configuration: invalid subnet 127.1.0.0/24: no host can have its addresses" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'239.0.0.0/24'>}]>}>}", "ipam configuration: invalid subnet 239.0.0.0/24: no host…" },
    { "{'Name': <'x'>, 'EnableIPv6': <true>, 'IPAM': <{'Config': <[{'Subnet': <'::/0'>}]>}>}", "ipam configuration: invalid subnet ::/0: no host…" },
    { "{'Name': <'x'>, 'EnableIPv6': <true>, 'IPAM': <{'Config': <[{'Subnet': <'fe80:1::/64'>}]>}>}", "ipam configuration: invalid subnet fe80:1::/64: no host…" },
    { "{'Name': <'x'>, 'EnableIPv6': <true>, 'IPAM': <{'Config': <[{'Subnet': <'fd00::/97'>}]>}>}", "ipam configuration: invalid subnet fd00::/97: a mask of…" },
    { "{'Name': <'x'>, 'EnableIPv6': <true>, 'IPAM': <{'Config': <[{'Subnet': <'fd00::/64'>, 'IPRange': <'fd00::/80'>}]>}>}",
      "ipam configuration: invalid range fd00::/80: IPv6 addresses follow those of IPv4 and have no range of their own" },
    { "{'Name': <'x'>, 'EnableIPv6': <true>, 'IPAM': <{'Config': <[{'Subnet': <'fd00::/64'>, 'Gateway': <'fd00::'>}]>}>}",
      "ipam configuration: invalid gateway fd00::: no host can have the first or the last address of subnet fd00::/64" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.3.0.0/24'>, 'Gateway': <'10.3.0.0'>}]>}>}",
      "ipam configuration: invalid gateway 10.3.0.0: no host can have the first or the last address of subnet 10.3.0.0/24" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.3.0.0/22'>, 'Gateway': <'10.3.3.255'>}]>}>}",
      "ipam configuration: invalid gateway 10.3.3.255: no host can have the first or the last address of subnet 10.3.0.0/22" },
    { "{'Name': <'x'>, 'IPAM': <{'Config': <[{'Subnet': <'10.3.0.0/24'>, 'Gateway': <'fd00::1'>}]>}>}",
      "ipam configuration: subnet 10.3.0.0/24 does not contain gateway fd00::1" },
    { "{'Name': <'x'>, 'Options': <{'encrypted': 'perhaps'}>}", "invalid encrypted perhaps: it is \"true\" or \"false\"" },
    { "{'Name': <'x'>, 'EnableIPv6': <true>, 'Options': <{'mtu': '1000'}>}", "invalid mtu 1000: it is a number from 1280 to 65535" },
    { "{'Name': <'x'>, 'IPAM': <{'Driver': <'dhcp'>}>}", "ipam configuration: unknown driver dhcp, only default is supported" },
    { "{'Name': <'x'>, 'Options': <{'mtu': '10'}>}", "invalid mtu 10: it is a number from 68 to 65535" },
    { "{'Name': <'x'>, 'Ingress': <true>, 'Options': <{'encrypted': ''}>}", "ingress network cannot be encrypted" },
    { "{'Name': <'x'>, 'Options': <{'colour': 'red'}>}", "unknown option colour: networks have encrypted and mtu" },
  };
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (GError) first = create (brain, "{'Name': <'taken'>, 'Options': <{'encrypted': '', 'mtu': '1400'}>}", NULL);
  g_assert_no_error (first);
  g_assert_cmpuint (swarm_network_spec_mtu (named (brain, "taken")->spec), ==, 1400);
  g_assert_true (swarm_network_spec_is_encrypted (named (brain, "taken")->spec));
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = create (brain, rows[i].spec, NULL);
    g_assert_nonnull (error);
    gsize len = strlen (rows[i].text);
    if (g_str_has_suffix (rows[i].text, "…"))
      len -= strlen ("…");
    g_autofree char *begin = g_strndup (error->message, g_str_has_suffix (rows[i].text, "…") ? len : strlen (error->message));
    g_autofree char *wanted = g_strndup (rows[i].text, len);
    g_assert_cmpstr (begin, ==, wanted);
  }
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_NETWORK), ==, 4);
}

/* As docker has it: the option alone means yes, and one may say no. */
static void
test_encrypted (void)
{
  static const struct {
    const char *options;
    gboolean encrypted;
  } rows[] = { { "{'encrypted': ''}", TRUE }, { "{'encrypted': 'True'}", TRUE }, { "{'encrypted': 'false'}", FALSE }, { "{'encrypted': '0'}", FALSE } };
  g_autoptr (Brain) brain = brain_new ();
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i), *spec = g_strdup_printf ("{'Name': <'%s'>, 'Options': <%s>}", name, rows[i].options);
    g_autoptr (GError) error = create (brain, spec, NULL);
    g_assert_no_error (error);
    g_assert_cmpint (swarm_network_spec_is_encrypted (named (brain, name)->spec), ==, rows[i].encrypted);
  }
}

/* What a new cluster has. */
static void
test_predefined (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_run (brain, SECOND);
  const SwarmNetwork *ingress = named (brain, "ingress");
  g_assert_true (ingress->spec->ingress);
  g_assert_cmpuint (ingress->vni, ==, SWARM_VNI_FIRST);
  g_assert_cmpuint (ingress->ipam->config->len, ==, 1);
  const SwarmIPAMConfig *config = g_ptr_array_index (ingress->ipam->config, 0);
  g_assert_cmpstr (config->subnet, ==, "10.0.0.0/24");
  g_assert_cmpstr (config->gateway, ==, "10.0.0.1");
  g_assert_true (swarm_network_is_predefined (named (brain, "host")) && swarm_network_is_predefined (named (brain, "none")));
  g_assert_cmpuint (named (brain, "host")->vni, ==, 0);
  g_assert_true (swarm_store_cluster (brain->store)->networks_made);
  g_autoptr (GError) error = drop (brain, &named (brain, "host")->object.id);
  g_assert_cmpstr (error->message, ==, "host is a pre-defined network and cannot be removed");
}

/* A cluster of before there were networks gets them once; what is removed later stays away. */
static void
test_upgraded (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_run (brain, SECOND);
  g_autoptr (SwarmCluster) cluster = swarm_cluster_copy (swarm_store_cluster (brain->store));
  SwarmTx *tx = swarm_store_tx (brain->store);
  cluster->networks_made = FALSE;
  swarm_tx_update (tx, cluster);
  swarm_tx_remove (tx, SWARM_KIND_NETWORK, &named (brain, "ingress")->object.id, 0);
  swarm_tx_remove (tx, SWARM_KIND_NETWORK, &named (brain, "host")->object.id, 0);
  swarm_tx_remove (tx, SWARM_KIND_NETWORK, &named (brain, "none")->object.id, 0);
  swarm_tx_commit (tx, NULL, NULL, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_NETWORK), ==, 3);
  g_assert_cmpuint (named (brain, "ingress")->vni, !=, 0);
  g_autoptr (GError) removed = drop (brain, &named (brain, "ingress")->object.id);
  g_assert_no_error (removed);
  brain_restart (brain);
  brain_run (brain, SECOND);
  g_assert_null (named (brain, "ingress"));
  g_autoptr (GError) anew = create (brain, "{'Name': <'mesh'>, 'Ingress': <true>}", NULL);
  g_assert_no_error (anew);
  g_assert_cmpuint (named (brain, "mesh")->vni, !=, 0);
}

static void
put_in_network (SwarmServiceSpec *spec, const char *target)
{
  SwarmNetworkAttachmentConfig *config = swarm_network_attachment_config_new ();
  config->target = g_strdup (target);
  if (spec->task->networks == NULL)
    spec->task->networks = swarm_messages_new ();
  g_ptr_array_add (spec->task->networks, config);
}

static void
test_in_use (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmId net;
  g_autoptr (GError) made = create (brain, "{'Name': <'net'>}", &net);
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  put_in_network (spec, "net");
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &web);
  const SwarmNetworkAttachmentConfig *config = g_ptr_array_index (service->spec->task->networks, 0);
  g_assert_cmpstr (config->target, ==, swarm_id_string (&net).str); /* by id from then on */
  g_autofree char *by_service = g_strdup_printf ("network %s is in use by service %s", swarm_id_string (&net).str, swarm_id_string (&web).str);
  g_autoptr (GError) first = drop (brain, &net);
  g_assert_cmpstr (first->message, ==, by_service);
  g_autofree char *by_task = g_strdup_printf ("network %s is in use by task %s", swarm_id_string (&net).str,
                                              swarm_id_string (&newest_task (brain, &web, 1)->object.id).str);
  /* Its node does not stop it: it may still run there. */
  node->stubborn = TRUE;
  g_assert_true (brain_remove (brain, &web, NULL));
  brain_run (brain, SECOND);
  g_autoptr (GError) second = drop (brain, &net);
  g_assert_cmpstr (second->message, ==, by_task);
  g_assert_true (brain_availability (brain, node, "drain", NULL));
  tame_disconnect (node);
  node->stubborn = FALSE;
  tame_connect (node);
  brain_run (brain, 30 * SECOND);
  g_autoptr (GError) third = drop (brain, &net);
  g_assert_no_error (third);
  g_assert_null (named (brain, "net"));
}

static void
test_ingress_in_use (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  g_autoptr (GError) none = NULL;
  SwarmId web;
  spec_host_port (spec, 8080);
  ((SwarmPortConfig *) spec->endpoint->ports->pdata[0])->publish_mode = SWARM_PUBLISH_INGRESS;
  web = brain_create (brain, spec);
  g_autofree char *text = g_strdup_printf ("ingress network cannot be removed because service %s depends on it", swarm_id_string (&web).str);
  g_autoptr (GError) used = drop (brain, &named (brain, "ingress")->object.id);
  g_assert_cmpstr (used->message, ==, text);
  g_assert_true (brain_remove (brain, &web, NULL));
  g_autoptr (GError) fine = drop (brain, &named (brain, "ingress")->object.id);
  g_assert_no_error (fine);
  g_assert_false (brain_try_create (brain, spec, NULL, &web, &none));
  g_assert_cmpstr (none->message, ==, "service needs ingress network, but no ingress network is present");
}

static void
test_pool_texts (void)
{
  static const struct {
    const char *pool[3];
    guint size;
    const char *text; /* NULL: fine */
  } rows[] = {
    { { NULL }, 24, NULL },
    { { "10.20.0.0/16", "192.168.0.0/16" }, 24, NULL },
    { { NULL }, 0, "subnet size is out of range: 0" },
    { { NULL }, 30, "subnet size is out of range: 30" },
    { { NULL }, 7, "invalid CIDR: \"10.0.0.0/8\". Subnet size is too small for pool: 7" },
    { { "127.0.0.0/8" }, 24, "invalid CIDR: \"127.0.0.0/8\". No host can have addresses of it" },
    { { "10.20.0.0/26" }, 24, "invalid CIDR: \"10.20.0.0/26\". Subnet size is too small for pool: 24" },
    { { "here" }, 24, "invalid CIDR: \"here\". An address pool is a subnet of IPv4, such as 10.0.0.0/8" },
    { { "10.20.0.0/16", "10.20.4.0/22" }, 24, "address pools 10.20.0.0/16 and 10.20.4.0/22 overlap" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_cmpint (swarm_control_check_pool (rows[i].pool, rows[i].size, &error), ==, rows[i].text == NULL);
    g_assert_cmpstr (error != NULL ? error->message : NULL, ==, rows[i].text);
  }
}

static void
test_subnets (void)
{
  static const char *const bad[] = { "", "10.0.0.0", "10.0.0.0/33", "10.0.0/24", "10.0.0.0/", "10.0.0.0/x", "a/8", "10.0.0.0.0/8", "256.0.0.0/8", "fd00::/129", "fe80::1%eth0/64" };
  SwarmSubnet a, b;
  SwarmAddress address;
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (swarm_subnet_parse (bad[i], &a));
  g_assert_true (swarm_subnet_parse_host ("10.1.2.3/22", &address, &a));
  g_autofree char *text = swarm_subnet_to_string (&a), *host = swarm_address_in_subnet (&address, &a), *mac = swarm_address_mac (&address);
  g_assert_cmpstr (text, ==, "10.1.0.0/22");
  g_assert_cmpstr (host, ==, "10.1.2.3/22");
  g_assert_cmpstr (mac, ==, "02:42:0a:01:02:03");
  g_assert_cmpuint (swarm_subnet_size (&a), ==, 1024);
  g_assert_true (swarm_address_parse ("10.1.4.0", &address));
  g_assert_false (swarm_subnet_contains (&a, &address));
  g_assert_true (swarm_subnet_parse ("10.1.3.0/24", &b) && swarm_subnets_overlap (&a, &b) && swarm_subnets_overlap (&b, &a));
  g_assert_true (swarm_subnet_parse ("10.1.4.0/24", &b));
  g_assert_false (swarm_subnets_overlap (&a, &b) || swarm_subnets_overlap (&b, &a));
  g_assert_true (swarm_subnet_parse ("fd00:1::/64", &b));
  g_assert_false (swarm_subnets_overlap (&a, &b));
  address = swarm_subnet_embed (&b, &address);
  g_autofree char *six = swarm_address_in_subnet (&address, &b);
  g_assert_cmpstr (six, ==, "fd00:1::a01:400/64");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/networks/texts", test_create_texts);
  g_test_add_func ("/networks/encrypted", test_encrypted);
  g_test_add_func ("/networks/predefined", test_predefined);
  g_test_add_func ("/networks/upgraded", test_upgraded);
  g_test_add_func ("/networks/in-use", test_in_use);
  g_test_add_func ("/networks/ingress-in-use", test_ingress_in_use);
  g_test_add_func ("/networks/pool", test_pool_texts);
  g_test_add_func ("/networks/subnets", test_subnets);
  return g_test_run ();
}
