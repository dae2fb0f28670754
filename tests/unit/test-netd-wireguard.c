// SPDX-License-Identifier: LGPL-2.1-or-later
/* WireGuard's devices without any: keys, what changes, the text protocol. */
#include "netd-rows.h"
#include "netd/wireguard-device.h"
#include "netd/wireguard-key.h"
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <unistd.h>

static SwarmNetdKey
key (guint8 first)
{
  return (SwarmNetdKey){ { first, 0xab } };
}

static void
add_peer (SwarmNetdWireguardConfig *config, guint8 first, const char *endpoint, const char *allowed, const char *allowed2)
{
  SwarmNetdWireguardPeer peer = { .key = key (first), .endpoint = addr (endpoint), .port = 7946 };
  peer.allowed[peer.n_allowed++] = addr (allowed);
  if (allowed2 != NULL)
    peer.allowed[peer.n_allowed++] = addr (allowed2);
  g_array_append_val (config->peers, peer);
  swarm_netd_wireguard_config_sort (config);
}

static SwarmNetdWireguardConfig *
config_new (void)
{
  SwarmNetdWireguardConfig *config = swarm_netd_wireguard_config_new ();
  config->private_key = key (1);
  config->port = 7946;
  return config;
}

/* RFC 7748 section 6.1: Alice's and Bob's. */
static void
test_public_key (void)
{
  static const SwarmNetdKey private_keys[] = {
    { { 0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45,
        0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a } },
    { { 0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f, 0x8b, 0x83, 0x80, 0x0e, 0xe6,
        0x6f, 0x3b, 0xb1, 0x29, 0x26, 0x18, 0xb6, 0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb } } };
  static const SwarmNetdKey public_keys[] = {
    { { 0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e, 0xf7, 0x5a,
        0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38, 0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a } },
    { { 0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61, 0xc2, 0xec, 0xe4, 0x35, 0x37,
        0x3f, 0x83, 0x43, 0xc8, 0x5b, 0x78, 0x67, 0x4d, 0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f } } };
  for (guint i = 0; i < G_N_ELEMENTS (private_keys); i++) {
    SwarmNetdKey made;
    g_assert_true (swarm_netd_key_public (&private_keys[i], &made, NULL));
    g_assert_cmpmem (&made, sizeof made, &public_keys[i], sizeof made);
  }
}

static void
test_key_kept (void)
{
  SwarmNetdKeyPair pair, other, again;
  g_assert_true (swarm_netd_key_make (&pair, 1, NULL));
  g_assert_true (swarm_netd_key_make (&other, 0, NULL));
  g_assert_cmpint (memcmp (&pair.private_key, &other.private_key, sizeof pair.private_key), !=, 0);
  int fd = swarm_netd_key_store (&pair, NULL);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (pwrite (fd, "x", 1, 20), <, 0); /* sealed */
  g_assert_true (swarm_netd_key_load (fd, &again));
  g_assert_cmpmem (&pair, sizeof pair, &again, sizeof again);
  close (fd);
  fd = open ("/dev/zero", O_RDONLY);
  g_assert_false (swarm_netd_key_load (fd, &again));
  close (fd);
}

static void
test_diff (void)
{
  g_autoptr (SwarmNetdWireguardConfig) is = config_new (), wanted = config_new ();
  g_assert_null (swarm_netd_wireguard_diff (is, wanted));
  add_peer (is, 1, "10.88.0.1", "10.84.0.1", "10.83.0.1");
  add_peer (is, 2, "10.88.0.2", "10.84.0.2", NULL);
  add_peer (wanted, 1, "10.88.0.1", "10.83.0.1", "10.84.0.1"); /* in another order: the same */
  add_peer (wanted, 2, "10.88.0.2", "10.84.0.2", NULL);
  g_assert_null (swarm_netd_wireguard_diff (is, wanted));

  /* A host's new key takes its address over: it comes first, then the old key loses it; a third peer goes; the rest is not touched. */
  add_peer (is, 9, "10.88.0.9", "10.84.0.9", NULL);
  g_array_index (wanted->peers, SwarmNetdWireguardPeer, 0).n_allowed = 1;
  add_peer (wanted, 3, "10.88.0.1", "10.85.0.1", "10.83.0.1");
  g_autoptr (SwarmNetdWireguardChange) change = swarm_netd_wireguard_diff (is, wanted);
  g_assert_nonnull (change);
  g_assert_false (change->key || change->port);
  g_assert_cmpuint (change->removed->len, ==, 1);
  g_assert_cmpuint (g_array_index (change->removed, SwarmNetdKey, 0).bytes[0], ==, 9);
  g_assert_cmpuint (change->put->len, ==, 2);
  g_assert_cmpuint (g_array_index (change->put, SwarmNetdWireguardPeer, 0).key.bytes[0], ==, 3);
  g_assert_cmpuint (g_array_index (change->put, SwarmNetdWireguardPeer, 1).key.bytes[0], ==, 1);

  g_array_index (is->peers, SwarmNetdWireguardPeer, 1).others = TRUE; /* somebody gave it more than it may have */
  g_autoptr (SwarmNetdWireguardChange) mended = swarm_netd_wireguard_diff (is, wanted);
  g_assert_cmpuint (mended->put->len, ==, 3);
}

static void
test_one_key_twice (void)
{
  g_autoptr (SwarmNetdWireguardConfig) config = config_new ();
  SwarmNetdWireguardPeer first = { .key = key (5), .port = 1 }, second = { .key = key (5), .port = 2 }, other = { .key = key (4) };
  g_array_append_val (config->peers, first);
  g_array_append_val (config->peers, second);
  g_array_append_val (config->peers, other);
  g_assert_cmpuint (swarm_netd_wireguard_config_sort (config), ==, 1);
  SwarmNetdKey five = key (5);
  g_assert_cmpuint (swarm_netd_wireguard_config_find (config, &five)->port, ==, 1);
}

#define ZEROS "000000000000000000000000000000000000000000000000000000000000"

static void
test_text (void)
{
  g_autoptr (SwarmNetdWireguardConfig) is = swarm_netd_wireguard_config_new (), wanted = config_new ();
  add_peer (is, 9, "10.88.0.9", "10.84.0.9", NULL);
  add_peer (wanted, 2, "fd88::2", "10.84.0.2", "10.83.0.2");
  g_autoptr (SwarmNetdWireguardChange) change = swarm_netd_wireguard_diff (is, wanted);
  GString *text = swarm_netd_wireguard_text (change);
  g_assert_cmpstr (text->str, ==,
                   "set=1\nprivate_key=01ab" ZEROS "\nlisten_port=7946\npublic_key=09ab" ZEROS "\nremove=true\npublic_key=02ab" ZEROS
                   "\nendpoint=[fd88::2]:7946\npersistent_keepalive_interval=0\nreplace_allowed_ips=true\nallowed_ip=10.84.0.2/32\nallowed_ip=10.83.0.2/32\n\n");
  g_string_free (text, TRUE);
}

static SwarmNetdWireguardConfig *
parse (const char *text, GError **error)
{
  return swarm_netd_wireguard_parse (text, strlen (text), error);
}

static void
test_parse (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmNetdWireguardConfig) config =
    parse ("private_key=01ab" ZEROS "\nlisten_port=7946\nfwmark=0\npublic_key=03ab" ZEROS "\npreshared_key=" ZEROS "0000\nprotocol_version=1\n"
           "endpoint=10.88.0.3:7947\nlast_handshake_time_sec=1700000000\nlast_handshake_time_nsec=5\ntx_bytes=1\nrx_bytes=2\n"
           "persistent_keepalive_interval=3\nallowed_ip=10.84.0.3/32\nallowed_ip=10.0.0.0/8\npublic_key=02ab" ZEROS "\nendpoint=[fe80::1%eth0]:1\n"
           "endpoint=[fd88::2]:7946\nallowed_ip=fd00::1/128\nerrno=0\n\n",
           &error);
  g_assert_no_error (error);
  g_assert_cmpuint (config->private_key.bytes[1], ==, 0xab);
  g_assert_cmpuint (config->port, ==, 7946);
  g_assert_cmpuint (config->peers->len, ==, 2);
  const SwarmNetdWireguardPeer *two = &g_array_index (config->peers, SwarmNetdWireguardPeer, 0), *three = two + 1;
  g_assert_cmpstr (swarm_netd_address_text (&two->endpoint).str, ==, "fd88::2");
  g_assert_cmpint (two->handshake, ==, 0);
  g_assert_false (two->others);
  g_assert_cmpuint (three->port, ==, 7947);
  g_assert_cmpuint (three->keepalive, ==, 3);
  g_assert_cmpint (three->handshake, ==, 1700000000);
  g_assert_cmpuint (three->n_allowed, ==, 1);
  g_assert_true (three->others);
}

static void
test_parse_bad (void)
{
  static const struct {
    const char *text, *words;
  } cases[] = {
    { "", "has a line that cannot be read" },
    { "errno=0\n", "has a line that cannot be read" }, /* no end */
    { "errno=-22\n\n", "WireGuard refuses: error -22" },
    { "nonsense\n\n", "has a line that cannot be read" },
    { "public_key=03ab\n\n", "\"public_key…\"" },
    { "public_key=zz" ZEROS "00\n\n", "\"public_key…\"" },
    { "listen_port=65536\n\n", "\"listen_port…\"" },
    { "public_key=03ab" ZEROS "\nendpoint=[]:1\n\n", "\"endpoint…\"" },
    { "public_key=03ab" ZEROS "\nendpoint=1\n\n", "\"endpoint…\"" },
    { "public_key=03ab" ZEROS "\nallowed_ip=10.0.0.1\n\n", "\"allowed_ip…\"" },
    { "public_key=03ab" ZEROS "\nallowed_ip=10.0.0.1/129\n\n", "\"allowed_ip…\"" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (parse (cases[i].text, &error));
    if (error == NULL || strstr (error->message, cases[i].words) == NULL)
      g_error ("case %u says \"%s\"", i, error != NULL ? error->message : "nothing");
  }
}

/* What the kernel is told has the form of what it tells: read again it is the same, however many messages it takes. */
static void
test_kernel (void)
{
  g_autoptr (SwarmNetdWireguardConfig) none = swarm_netd_wireguard_config_new (), wanted = config_new (), read = swarm_netd_wireguard_config_new ();
  g_autofree guint8 *room = g_malloc0 (65536);
  struct nlmsghdr *message = (void *) room;
  for (guint i = 1; i <= 200; i++) {
    g_autofree char *endpoint = g_strdup_printf (i % 2 == 0 ? "fd88::%x" : "10.88.0.%u", i), *source = g_strdup_printf ("10.84.0.%u", i);
    add_peer (wanted, i, endpoint, source, i % 3 == 0 ? "10.83.0.1" : NULL);
    g_array_index (wanted->peers, SwarmNetdWireguardPeer, i - 1).keepalive = i % 5;
  }
  g_autoptr (SwarmNetdWireguardChange) change = swarm_netd_wireguard_diff (none, wanted);
  guint messages = 0;
  for (guint at = 0; at < 200; messages++) {
    mnl_nlmsg_put_header (room);
    mnl_nlmsg_put_extra_header (message, sizeof (struct genlmsghdr));
    at = swarm_netd_wireguard_kernel_write (message, "swg0", change, at);
    g_assert_cmpuint (message->nlmsg_len, <, 32768);
    swarm_netd_wireguard_kernel_read (message, read);
  }
  g_assert_cmpuint (messages, >, 1);
  swarm_netd_wireguard_config_sort (read);
  g_assert_cmpuint (read->peers->len, ==, 200);
  g_assert_true (swarm_netd_wireguard_config_equal (read, wanted));
  g_assert_true (swarm_netd_wireguard_config_equal (wanted, read));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/netd/wireguard/public-key", test_public_key);
  g_test_add_func ("/netd/wireguard/key-kept", test_key_kept);
  g_test_add_func ("/netd/wireguard/diff", test_diff);
  g_test_add_func ("/netd/wireguard/one-key-twice", test_one_key_twice);
  g_test_add_func ("/netd/wireguard/text", test_text);
  g_test_add_func ("/netd/wireguard/kernel", test_kernel);
  g_test_add_func ("/netd/wireguard/parse", test_parse);
  g_test_add_func ("/netd/wireguard/parse-bad", test_parse_bad);
  return g_test_run ();
}
