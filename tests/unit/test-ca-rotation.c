// SPDX-License-Identifier: LGPL-2.1-or-later
/* Root rotations from the first word to the last, nodes that were away meanwhile, and clocks. */
#include "base/error.h"
#include "brain-fixture.h"
#include <string.h>

#define DAY (86400 * SECOND)
#define PAUSE (6 * SECOND) /* between two renewals of one node */

typedef struct {
  gboolean done;
  GError *error;
  char *cert, *root;
} Answer;

static void
answer_clear (Answer *answer)
{
  g_clear_error (&answer->error);
  g_clear_pointer (&answer->cert, g_free);
  g_clear_pointer (&answer->root, g_free);
  answer->done = FALSE;
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)

static void
updated (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  Answer *answer = data;
  answer->done = TRUE;
  answer->error = error != NULL ? g_error_copy (error) : NULL;
}

static void
issued (const SwarmCAReply *reply, const GError *error, gpointer data)
{
  Answer *answer = data;
  answer_clear (answer);
  answer->done = TRUE;
  answer->error = error != NULL ? g_error_copy (error) : NULL;
  if (reply != NULL) {
    answer->cert = g_strdup (reply->cert_pem);
    answer->root = g_strdup (reply->root_pem);
  }
}

static const SwarmRootCA *
root_of (Brain *brain)
{
  return swarm_store_cluster (brain->store)->root_ca;
}

/* NULL: it was taken. Caller frees. */
static char *
configure (Brain *brain, const SwarmCAConfig *config)
{
  const SwarmCluster *cluster = swarm_store_cluster (brain->store);
  g_autoptr (SwarmClusterSpec) spec = swarm_cluster_spec_copy (cluster->spec);
  g_auto (Answer) answer = { 0 };
  swarm_message_set_pointer (&spec->ca_config, config);
  swarm_control_update_cluster (swarm_manager_control (brain->manager), cluster->object.version, spec, NULL, updated, &answer);
  while (!answer.done)
    brain_run (brain, 10 * MS);
  char *text = answer.error != NULL ? g_strdup (answer.error->message) : NULL;
  answer_clear (&answer);
  return text;
}

static SwarmCAConfig *
present_config (Brain *brain)
{
  return swarm_ca_config_copy (swarm_store_cluster (brain->store)->spec->ca_config);
}

static void
begin_rotation (Brain *brain)
{
  g_autoptr (SwarmCAConfig) config = present_config (brain);
  config->force_rotate++;
  g_assert_null (configure (brain, config));
  g_assert_nonnull (root_of (brain)->rotation);
}

/* ---- a node's part ---- */

static SwarmPeer
peer_of (Brain *brain, Tame *node, SwarmPeerRole role)
{
  SwarmPeer peer = { .role = role, .node = node->id, .cluster = brain->cluster };
  const char *serial = tame_node (node)->cert_serial;
  g_strlcpy (peer.serial, serial != NULL ? serial : "", sizeof peer.serial);
  return peer;
}

static void
renew (Brain *brain, const SwarmPeer *peer, const char *csr, Answer *answer)
{
  answer_clear (answer);
  swarm_ca_server_renew (swarm_manager_ca_server (brain->manager), peer, csr, issued, answer);
  while (!answer->done)
    brain_run (brain, 5 * MS);
}

static void
described (GVariant *reply, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

/* The node says which certificate it uses and which root it trusts. */
static void
describe (Tame *node, const char *trust)
{
  g_autoptr (SwarmNodeDescription) description = swarm_node_description_copy (tame_node (node)->description);
  SwarmNodeTLS *tls = swarm_node_tls_new ();
  tls->cert_serial = g_strdup (tame_node (node)->cert_serial);
  tls->trust_digest = g_strdup (trust);
  swarm_node_tls_unref (description->tls);
  description->tls = tls;
  g_autoptr (GBytes) bytes = swarm_message_encode (description);
  swarm_link_call (node->near, "org.swarmagent1.Dispatcher", "Describe",
                   g_variant_new ("(@ay@ay)", g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, node->session, TRUE),
                                  g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE)),
                   SECOND, described, NULL);
}

/* Renews with @csr and uses the new certificate. */
static void
obey (Brain *brain, Tame *node, const char *csr, Answer *answer)
{
  SwarmPeer peer = peer_of (brain, node, SWARM_PEER_WORKER);
  renew (brain, &peer, csr, answer);
  g_assert_no_error (answer->error);
  describe (node, root_of (brain)->digest);
  brain_run (brain, 50 * MS);
}

/* ---- tests ---- */

static void
test_rotation (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *nodes[3] = { brain_node (brain, "n1"), brain_node (brain, "n2"), brain_offline_node (brain, "n3") };
  g_autofree char *csr = sim_crypto_csr (&brain->crypto), *old_cert = g_strdup (root_of (brain)->cert);
  g_autofree char *old_digest = g_strdup (root_of (brain)->digest), *token = g_strdup (root_of (brain)->tokens->worker);
  g_auto (Answer) answer = { 0 };
  brain_run (brain, 20 * SECOND); /* n3 is down */
  begin_rotation (brain);
  const SwarmRootRotation *rotation = root_of (brain)->rotation;
  g_autofree char *new_digest = g_strdup (rotation->digest), *new_cert = g_strdup (rotation->cert);
  g_assert_cmpstr (new_digest, !=, old_digest);
  g_assert_nonnull (strstr (rotation->cross_cert, "CROSS"));
  g_assert_cmpstr (root_of (brain)->digest, ==, old_digest);
  g_assert_cmpuint (root_of (brain)->last_forced, ==, 1);
  g_assert_cmpint (rotation->started_at, >, 0);
  brain_run (brain, SECOND);
  for (guint i = 0; i < 2; i++)
    g_assert_true (tame_node (nodes[i])->cert_due);
  g_assert_false (tame_node (nodes[2])->cert_due);

  obey (brain, nodes[0], csr, &answer);
  g_assert_false (tame_node (nodes[0])->cert_due);
  g_assert_cmpstr (tame_node (nodes[0])->cert_issuer, ==, new_digest);
  g_assert_nonnull (strstr (answer.cert, "CROSS")); /* it shows the way to the root that others still trust */
  g_assert_cmpstr (answer.root, ==, old_cert);
  brain_run (brain, 5 * SECOND);
  g_assert_nonnull (root_of (brain)->rotation); /* n2 has not done it yet */

  /* Renewed is not enough: it must say that it uses it. */
  SwarmPeer peer = peer_of (brain, nodes[1], SWARM_PEER_WORKER);
  renew (brain, &peer, csr, &answer);
  brain_run (brain, 5 * SECOND);
  g_assert_nonnull (root_of (brain)->rotation);
  g_assert_cmpstr (root_of (brain)->tokens->worker, ==, token);
  describe (nodes[1], old_digest);
  brain_run (brain, 5 * SECOND);

  const SwarmRootCA *root = root_of (brain);
  g_assert_null (root->rotation);
  g_assert_cmpstr (root->digest, ==, new_digest);
  g_assert_cmpstr (root->cert, ==, new_cert);
  g_assert_nonnull (root->key);
  g_assert_nonnull (root->issuer_subject);
  g_assert_nonnull (root->issuer_public_key);
  g_assert_cmpuint (root->last_forced, ==, 1);
  g_assert_cmpstr (root->tokens->worker, !=, token);
  g_assert_cmpstr (root->tokens->manager, !=, root->tokens->worker);
  g_assert_cmpuint (root->former->len, ==, 1);
  const SwarmFormerRoot *former = root->former->pdata[0];
  g_assert_cmpstr (former->cert, ==, old_cert);
  g_assert_nonnull (strstr (former->cross_cert, "CROSS"));
  g_assert_cmpint (former->until, >, swarm_clock_now (brain->clock) + 179 * DAY);
  g_assert_cmpint (former->until, <, swarm_clock_now (brain->clock) + 181 * DAY);
}

/* What certificates are checked against, from before a rotation until after it. */
static void
test_roots (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autofree char *csr = sim_crypto_csr (&brain->crypto), *old_cert = g_strdup (root_of (brain)->cert);
  g_autofree char *before_former = NULL, *during_former = NULL, *after_former = NULL, *later_former = NULL;
  gint64 now = swarm_clock_now (brain->clock);
  g_auto (Answer) answer = { 0 };
  g_autofree char *before = swarm_ca_roots (brain->store, now, &before_former);
  g_assert_cmpstr (before, ==, old_cert);
  g_assert_cmpstr (before_former, ==, "");
  begin_rotation (brain);
  g_autofree char *both = g_strconcat (old_cert, root_of (brain)->rotation->cert, NULL);
  g_autofree char *during = swarm_ca_roots (brain->store, now, &during_former);
  g_assert_cmpstr (during, ==, both);
  g_assert_cmpstr (during_former, ==, "");
  brain_run (brain, SECOND);
  obey (brain, node, csr, &answer);
  brain_run (brain, 5 * SECOND);
  g_assert_null (root_of (brain)->rotation);
  g_autofree char *after = swarm_ca_roots (brain->store, now, &after_former);
  g_assert_cmpstr (after, ==, root_of (brain)->cert);
  g_assert_cmpstr (after_former, ==, old_cert);
  g_autofree char *later = swarm_ca_roots (brain->store, now + 190 * DAY, &later_former);
  g_assert_cmpstr (later, ==, after);
  g_assert_cmpstr (later_former, ==, "");
}

/* A node that was down while the root changed, or whose certificate has expired, comes back by its own key, and by nothing else. */
static void
test_return (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autofree char *csr = sim_crypto_csr (&brain->crypto), *foreign = sim_crypto_csr (&brain->crypto);
  SwarmPeer peer = peer_of (brain, node, SWARM_PEER_WORKER), lapsed, nobody;
  gint64 now = swarm_clock_now (brain->clock);
  g_autoptr (GError) stale = NULL, late = NULL, unknown = NULL;
  g_auto (Answer) answer = { 0 };
  renew (brain, &peer, csr, &answer);
  g_assert_no_error (answer.error);
  gint64 end = tame_node (node)->cert_not_after;
  g_assert_cmpint (end, >, now + 89 * DAY);
  lapsed = peer_of (brain, node, SWARM_PEER_LAPSED);
  g_assert_true (swarm_ca_standing (brain->store, &lapsed, now, NULL));
  g_assert_cmpint (swarm_ca_effective_role (brain->store, &lapsed), ==, SWARM_PEER_LAPSED);
  g_assert_true (swarm_ca_standing (brain->store, &lapsed, end + 89 * DAY, NULL));
  g_assert_false (swarm_ca_standing (brain->store, &lapsed, end + 90 * DAY, &late));
  g_assert_error (late, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  g_assert_nonnull (strstr (late->message, "swarmctl leave --force"));
  nobody = lapsed;
  nobody.node.bytes[0] ^= 1;
  g_assert_false (swarm_ca_standing (brain->store, &nobody, now, &unknown));
  g_assert_error (unknown, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  /* Not with a key of one's own: the root's may have been stolen, and with it any certificate made. */
  brain_run (brain, PAUSE);
  renew (brain, &lapsed, foreign, &answer);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  g_assert_nonnull (strstr (answer.error->message, "not made with the node's own key"));
  brain_run (brain, PAUSE);
  renew (brain, &lapsed, csr, &answer);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (tame_node (node)->cert_serial_before, ==, lapsed.serial);
  /* The answer may be lost once; what came before renews nothing. */
  g_assert_true (swarm_ca_standing (brain->store, &lapsed, now, NULL));
  lapsed = peer;
  lapsed.role = SWARM_PEER_LAPSED;
  g_assert_false (swarm_ca_standing (brain->store, &lapsed, now, &stale));
  g_assert_nonnull (strstr (stale->message, "replaced by a newer one"));
  brain_run (brain, PAUSE);
  renew (brain, &lapsed, csr, &answer);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  /* Who has a good certificate may bring a new key. */
  brain_run (brain, PAUSE);
  peer = peer_of (brain, node, SWARM_PEER_WORKER);
  renew (brain, &peer, foreign, &answer);
  g_assert_no_error (answer.error);
  /* The answer is lost and time passes: it comes back by the key that it has, which is the one before. */
  brain_run (brain, PAUSE);
  lapsed = peer;
  lapsed.role = SWARM_PEER_LAPSED;
  renew (brain, &lapsed, foreign, &answer);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  brain_run (brain, PAUSE);
  renew (brain, &lapsed, csr, &answer);
  g_assert_no_error (answer.error);
}

/* Each renewal costs all managers a write: one at a time, and not one right after another. */
static void
test_renewal_limit (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1"), *other = brain_node (brain, "n2");
  g_autofree char *csr = sim_crypto_csr (&brain->crypto);
  SwarmCAServer *ca = swarm_manager_ca_server (brain->manager);
  SwarmPeer peer = peer_of (brain, node, SWARM_PEER_WORKER), another = peer_of (brain, other, SWARM_PEER_WORKER);
  Answer first = { 0 }, second = { 0 };
  swarm_ca_server_renew (ca, &peer, csr, issued, &first);
  swarm_ca_server_renew (ca, &peer, csr, issued, &second);
  brain_run (brain, 50 * MS);
  g_assert_no_error (first.error);
  g_assert_error (second.error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  g_assert_nonnull (strstr (second.error->message, "is being renewed already"));
  g_autofree char *serial = g_strdup (tame_node (node)->cert_serial);
  peer = peer_of (brain, node, SWARM_PEER_WORKER);
  renew (brain, &peer, csr, &second);
  g_assert_error (second.error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  g_assert_nonnull (strstr (second.error->message, "a moment ago"));
  g_assert_cmpstr (tame_node (node)->cert_serial, ==, serial);
  renew (brain, &another, csr, &second); /* each node by itself */
  g_assert_no_error (second.error);
  brain_run (brain, PAUSE);
  renew (brain, &peer, csr, &second);
  g_assert_no_error (second.error);
  /* What it was refused costs, too. */
  brain_run (brain, PAUSE);
  peer = peer_of (brain, node, SWARM_PEER_WORKER);
  renew (brain, &peer, "no request", &second);
  g_assert_nonnull (second.error);
  renew (brain, &peer, csr, &second);
  g_assert_error (second.error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  /* There is a reason: it is to be a manager; and then, the root changes. */
  brain_run (brain, PAUSE);
  renew (brain, &peer, csr, &second);
  g_assert_no_error (second.error);
  g_assert_true (brain_set_role (brain, node, SWARM_ROLE_MANAGER, NULL));
  peer = peer_of (brain, node, SWARM_PEER_WORKER);
  renew (brain, &peer, csr, &second);
  g_assert_no_error (second.error);
  begin_rotation (brain);
  peer = peer_of (brain, node, SWARM_PEER_MANAGER);
  renew (brain, &peer, csr, &second);
  g_assert_no_error (second.error);
  peer = peer_of (brain, node, SWARM_PEER_MANAGER);
  renew (brain, &peer, csr, &second);
  g_assert_error (second.error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  answer_clear (&first);
  answer_clear (&second);
}

static gboolean
stands (Brain *brain, const SwarmPeer *peer)
{
  g_autoptr (GError) error = NULL;
  gboolean ok = swarm_ca_standing (brain->store, peer, swarm_clock_now (brain->clock), &error);
  g_assert_true (ok || strstr (error->message, "replaced by a newer one") != NULL);
  return ok;
}

/* A certificate is good until its node says that it uses the next one: before, the answer may have been lost. */
static void
test_replaced (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autofree char *csr = sim_crypto_csr (&brain->crypto);
  g_auto (Answer) answer = { 0 };
  SwarmPeer peers[4] = { peer_of (brain, node, SWARM_PEER_WORKER) };
  for (guint i = 1; i < 3; i++) {
    renew (brain, &peers[0], csr, &answer); /* no answer arrived */
    g_assert_no_error (answer.error);
    peers[i] = peer_of (brain, node, SWARM_PEER_WORKER);
    peers[i].issued = tame_node (node)->cert_not_before;
    brain_run (brain, PAUSE);
  }
  g_assert_true (stands (brain, &peers[0]));
  g_assert_false (stands (brain, &peers[1])); /* nobody has ever had it */
  g_assert_true (stands (brain, &peers[2]));
  describe (node, root_of (brain)->digest);
  brain_run (brain, 50 * MS);
  g_assert_false (stands (brain, &peers[0]));
  g_assert_true (stands (brain, &peers[2]));
  peers[0].role = SWARM_PEER_LAPSED;
  g_assert_false (stands (brain, &peers[0]));
  peers[0].role = SWARM_PEER_WORKER;
  brain_run (brain, PAUSE);
  renew (brain, &peers[0], csr, &answer);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  /* A newer one than this manager has heard of: the word of it is on its way. */
  peers[3] = peers[2];
  g_strlcpy (peers[3].serial, "abcdef", sizeof peers[3].serial);
  g_assert_false (stands (brain, &peers[3]));
  peers[3].issued += G_USEC_PER_SEC;
  g_assert_true (stands (brain, &peers[3]));
}

/* A manager whose certificate has expired holds the consensus together, as long as it could have it renewed. */
static void
test_expired_manager (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autofree char *csr = sim_crypto_csr (&brain->crypto);
  gint64 now = swarm_clock_now (brain->clock);
  g_autoptr (GError) worker = NULL, late = NULL, replaced = NULL, unknown = NULL;
  g_auto (Answer) answer = { 0 };
  SwarmPeer peer = peer_of (brain, node, SWARM_PEER_WORKER);
  renew (brain, &peer, csr, &answer);
  peer = peer_of (brain, node, SWARM_PEER_MANAGER);
  peer.expired = TRUE;
  peer.expires = now - DAY;
  g_assert_false (swarm_ca_standing (brain->store, &peer, now, &worker));
  g_assert_nonnull (strstr (worker->message, "not a manager"));
  g_assert_true (brain_set_role (brain, node, SWARM_ROLE_MANAGER, NULL));
  g_assert_true (swarm_ca_standing (brain->store, &peer, now, NULL));
  g_assert_true (swarm_ca_standing (brain->store, &peer, now + 89 * DAY - 1, NULL));
  g_assert_false (swarm_ca_standing (brain->store, &peer, now + 89 * DAY, &late));
  g_assert_nonnull (strstr (late->message, "longer ago than this cluster allows"));
  SwarmPeer other = peer;
  g_strlcpy (other.serial, "abcdef", sizeof other.serial);
  g_assert_false (swarm_ca_standing (brain->store, &other, now, &replaced));
  g_assert_nonnull (strstr (replaced->message, "replaced by a newer one"));
  other.node.bytes[0] ^= 1;
  g_assert_false (swarm_ca_standing (brain->store, &other, now, &unknown));
  g_assert_nonnull (strstr (unknown->message, "not part of this cluster"));
}

/* The token decides what a node is to be, and while the root changes what its certificate is under. */
static void
test_join (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmCAServer *ca = swarm_manager_ca_server (brain->manager);
  g_autofree char *csr = sim_crypto_csr (&brain->crypto), *token = g_strdup (root_of (brain)->tokens->manager), *digest = NULL;
  g_auto (Answer) answer = { 0 };
  brain_node (brain, "n1"); /* who has not renewed holds up the end */
  begin_rotation (brain);
  swarm_ca_server_issue (ca, csr, token, "pause", "[fe80::1]:4711", issued, &answer);
  while (!answer.done)
    brain_run (brain, 5 * MS);
  g_assert_no_error (answer.error);
  g_assert_nonnull (strstr (answer.cert, "CROSS"));
  g_assert_cmpstr (answer.root, ==, root_of (brain)->cert);
  SwarmId id;
  const char *name = strstr (answer.cert, "CN=") + 3;
  g_autofree char *text = g_strndup (name, 25);
  g_assert_true (swarm_id_parse (text, &id));
  const SwarmNode *node = swarm_store_get (brain->store, SWARM_KIND_NODE, &id);
  g_assert_cmpint (node->spec->role, ==, SWARM_ROLE_MANAGER);
  g_assert_cmpint (node->role, ==, SWARM_ROLE_MANAGER);
  g_assert_cmpint (node->spec->availability, ==, SWARM_AVAILABILITY_PAUSE);
  g_assert_cmpint (node->status->state, ==, SWARM_NODE_UNKNOWN);
  g_assert_cmpstr (node->status->addr, ==, "[fe80::1]");
  g_assert_cmpstr (node->cert_issuer, ==, root_of (brain)->rotation->digest);
  g_assert_nonnull (node->cert_key);
  g_assert_null (node->cert_serial_before);
  g_assert_cmpint (node->cert_not_after, >, swarm_clock_now (brain->clock) + 89 * DAY);
}

static void
test_refused (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmCAConfig) config = present_config (brain), key_alone = present_config (brain), no_key = present_config (brain);
  g_autoptr (SwarmCAConfig) present = present_config (brain), mismatch = present_config (brain), again = present_config (brain);
  const SwarmRootCA *root = root_of (brain);
  g_autofree char *other_cert = NULL;
  g_autoptr (GBytes) other_key = NULL;
  brain->crypto.iface.create_root (&brain->crypto.iface, 0, &other_cert, &other_key, NULL);
  key_alone->signing_ca_key = g_strdup ("key");
  g_autofree char *text1 = configure (brain, key_alone);
  g_assert_cmpstr (text1, ==, "a signing key needs its root certificate");
  no_key->signing_ca_cert = g_strdup (other_cert);
  g_autofree char *text2 = configure (brain, no_key);
  g_assert_cmpstr (text2, ==, "the desired root certificate needs its signing key, or an external CA that signs under it");
  mismatch->signing_ca_cert = g_strdup (other_cert);
  mismatch->signing_ca_key = g_strdup ("12345678");
  g_autofree char *text3 = configure (brain, mismatch);
  g_assert_nonnull (strstr (text3, "the key does not belong to it"));
  g_assert_null (root_of (brain)->rotation);
  /* An external CA that signs under it has its key. */
  SwarmExternalCA *external = swarm_external_ca_new ();
  external->protocol = g_strdup ("cfssl");
  external->url = g_strdup ("https://ca.example/sign");
  external->ca_cert = g_strdup (root->cert);
  present->external_cas = swarm_messages_new ();
  g_ptr_array_add (present->external_cas, external);
  present->signing_ca_cert = g_strdup (root->cert);
  g_autofree char *text4 = configure (brain, present);
  g_assert_cmpstr (text4, ==, "the desired root certificate is the present one");
  swarm_string_set (&external->ca_cert, other_cert);
  swarm_string_set (&present->signing_ca_cert, other_cert);
  present->force_rotate = 5;
  g_assert_null (configure (brain, present));
  g_assert_null (root_of (brain)->rotation->key);
  g_assert_cmpuint (root_of (brain)->last_forced, ==, 5);
  again->force_rotate = 6;
  g_autofree char *text5 = configure (brain, again);
  g_assert_nonnull (strstr (text5, "a root rotation is under way"));
  /* Nobody is here who had to be waited for. Its key is not here: there is no way from there. */
  brain_run (brain, 5 * SECOND);
  g_assert_null (root_of (brain)->rotation);
  g_assert_null (root_of (brain)->key);
  g_autofree char *text6 = configure (brain, again);
  g_assert_nonnull (strstr (text6, "name the external CA that has it"));
  /* It can sign one that is here only; what else has to be done is in test_away(). */
  g_autoptr (SwarmCAConfig) third = present_config (brain);
  g_autofree char *third_cert = NULL;
  g_autoptr (GBytes) third_key = NULL;
  brain->crypto.iface.create_root (&brain->crypto.iface, 0, &third_cert, &third_key, NULL);
  SwarmExternalCA *outside = swarm_external_ca_new ();
  outside->protocol = g_strdup ("cfssl");
  outside->url = g_strdup ("https://other.example/sign");
  outside->ca_cert = g_strdup (third_cert);
  g_ptr_array_add (third->external_cas, outside);
  swarm_string_set (&third->signing_ca_cert, third_cert);
  g_autofree char *text7 = configure (brain, third);
  g_assert_cmpstr (text7, ==, "rotating from one external CA to a different external CA is not supported");
}

/* ---- signed elsewhere ---- */

typedef struct {
  guint n;
  SwarmPeer subject;
  char *csr, *root, *url;
  SwarmExternalSigned done;
  gpointer data;
} Signer;

static void
signer_clear (Signer *signer)
{
  g_free (signer->csr);
  g_free (signer->root);
  g_free (signer->url);
}

static void
fake_cross_sign (const SwarmExternalCA *ca, const char *root_cert_pem, const char *next_cert_pem, GBytes *next_key_pem, SwarmExternalSigned done,
                 gpointer done_data, gpointer data)
{
  Signer *signer = data;
  g_assert_nonnull (next_key_pem);
  signer->n++;
  g_free (signer->root);
  signer->root = g_strdup (root_cert_pem);
  g_free (signer->csr);
  signer->csr = g_strdup (next_cert_pem);
  g_free (signer->url);
  signer->url = g_strdup (ca->url);
  signer->done = done;
  signer->data = done_data;
}

static void
fake_sign (const SwarmExternalCA *ca, const char *root_cert_pem, const char *csr_pem, const SwarmPeer *subject, SwarmExternalSigned done,
           gpointer done_data, gpointer data)
{
  Signer *signer = data;
  signer->n++;
  signer->subject = *subject;
  g_free (signer->csr);
  signer->csr = g_strdup (csr_pem);
  g_free (signer->root);
  signer->root = g_strdup (root_cert_pem);
  g_free (signer->url);
  signer->url = g_strdup (ca->url);
  signer->done = done;
  signer->data = done_data;
}

/* While the root of an external CA is on its way in, that CA is asked; what it says is looked at. */
static void
test_external (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmCAServer *ca = swarm_manager_ca_server (brain->manager);
  g_autoptr (SwarmCAConfig) config = present_config (brain);
  g_autofree char *csr = sim_crypto_csr (&brain->crypto), *token = g_strdup (root_of (brain)->tokens->worker), *cert = NULL;
  g_autoptr (GBytes) key = NULL;
  g_autoptr (GError) closed = g_error_new (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "closed today");
  SwarmExternalCA *external = swarm_external_ca_new ();
  Signer signer = { 0 };
  g_auto (Answer) answer = { 0 };
  brain_node (brain, "n1");
  brain->crypto.iface.create_root (&brain->crypto.iface, 0, &cert, &key, NULL);
  external->protocol = g_strdup ("cfssl");
  external->url = g_strdup ("https://ca.example/sign");
  external->ca_cert = g_strdup (cert);
  config->external_cas = swarm_messages_new ();
  g_ptr_array_add (config->external_cas, external);
  config->signing_ca_cert = g_strdup (cert);
  g_assert_null (configure (brain, config));
  swarm_ca_server_issue (ca, csr, token, "", NULL, issued, &answer);
  brain_run (brain, 20 * MS);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  g_assert_nonnull (strstr (answer.error->message, "nobody can sign certificates"));

  SwarmExternalSigner hook = { fake_sign, NULL, &signer };
  swarm_ca_server_set_signer (ca, &hook);
  answer_clear (&answer);
  swarm_ca_server_issue (ca, csr, token, "", NULL, issued, &answer);
  brain_run (brain, 20 * MS);
  g_assert_cmpuint (signer.n, ==, 1);
  g_assert_cmpint (signer.subject.role, ==, SWARM_PEER_WORKER);
  g_assert_cmpstr (signer.csr, ==, csr);
  g_assert_cmpstr (signer.root, ==, cert);
  g_assert_cmpstr (signer.url, ==, "https://ca.example/sign");
  g_assert_false (answer.done);
  signer.done ("no certificate", NULL, signer.data);
  brain_run (brain, 20 * MS);
  g_assert_nonnull (strstr (answer.error->message, "what the external CA signed"));
  answer_clear (&answer);
  swarm_ca_server_issue (ca, csr, token, "", NULL, issued, &answer);
  brain_run (brain, 20 * MS);
  signer.done (NULL, closed, signer.data);
  brain_run (brain, 20 * MS);
  g_assert_cmpstr (answer.error->message, ==, "closed today");
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_NODE), ==, 2); /* the founder and n1 */
  answer_clear (&answer);
  signer_clear (&signer);
}

/* From an external CA to a root of our own: that CA has to sign the new root first, and until it has, nothing is under that. */
static void
test_away (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Signer signer = { 0 };
  SwarmExternalSigner hook = { fake_sign, fake_cross_sign, &signer };
  g_autoptr (GError) closed = g_error_new (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "closed today");
  g_autofree char *cert = NULL, *csr = sim_crypto_csr (&brain->crypto);
  g_autoptr (GBytes) key = NULL;
  g_autoptr (SwarmCAConfig) config = present_config (brain);
  g_auto (Answer) answer = { 0 };
  brain->signer = hook;
  brain_restart (brain);
  brain->crypto.iface.create_root (&brain->crypto.iface, 0, &cert, &key, NULL);
  SwarmExternalCA *external = swarm_external_ca_new ();
  external->protocol = g_strdup ("cfssl");
  external->url = g_strdup ("https://ca.example/sign");
  external->ca_cert = g_strdup (cert);
  config->external_cas = swarm_messages_new ();
  g_ptr_array_add (config->external_cas, external);
  config->signing_ca_cert = g_strdup (cert);
  g_assert_null (configure (brain, config));
  brain_run (brain, 5 * SECOND);
  g_assert_null (root_of (brain)->rotation);
  g_assert_null (root_of (brain)->key);

  Tame *node = brain_node (brain, "n1");
  begin_rotation (brain);
  g_assert_null (root_of (brain)->rotation->cross_cert);
  brain_run (brain, SECOND);
  g_assert_cmpuint (signer.n, ==, 1);
  g_assert_cmpstr (signer.root, ==, cert);
  g_assert_cmpstr (signer.csr, ==, root_of (brain)->rotation->cert);
  g_assert_false (tame_node (node)->cert_due);
  g_autofree char *former = NULL, *roots = swarm_ca_roots (brain->store, swarm_clock_now (brain->clock), &former);
  g_assert_cmpstr (roots, ==, cert);
  signer.done (NULL, closed, signer.data);
  brain_run (brain, SECOND);
  g_assert_cmpuint (signer.n, ==, 1); /* not again and again */
  brain_run (brain, 6 * SECOND);
  g_assert_cmpuint (signer.n, ==, 2);
  begin_rotation (brain); /* another one instead: nobody has seen the first */
  signer.done ("CROSS of the first\n", NULL, signer.data);
  brain_run (brain, 7 * SECOND);
  g_assert_null (root_of (brain)->rotation->cross_cert);
  g_assert_cmpuint (signer.n, ==, 3);
  g_assert_cmpstr (signer.csr, ==, root_of (brain)->rotation->cert);
  signer.done ("CROSS\n", NULL, signer.data);
  brain_run (brain, SECOND);
  g_assert_cmpstr (root_of (brain)->rotation->cross_cert, ==, "CROSS\n");
  g_assert_true (tame_node (node)->cert_due);
  obey (brain, node, csr, &answer);
  g_assert_nonnull (strstr (answer.cert, "CROSS"));
  brain_run (brain, 5 * SECOND);
  g_assert_null (root_of (brain)->rotation);
  g_assert_nonnull (root_of (brain)->key);
  /* Nobody hears of an answer that comes later. */
  answer_clear (&answer);
  signer_clear (&signer);
}

/* Who is to be a manager, and is none yet, gets a manager's certificate next time, too; one who asks while the manager stops is told. */
static void
test_roles (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autofree char *csr = sim_crypto_csr (&brain->crypto), *worker = NULL, *manager = NULL;
  g_auto (Answer) answer = { 0 };
  SwarmPeer peer = peer_of (brain, node, SWARM_PEER_WORKER);
  renew (brain, &peer, csr, &answer);
  g_assert_nonnull (strstr (answer.cert, "OU=swarm-worker"));
  g_assert_true (brain_set_role (brain, node, SWARM_ROLE_MANAGER, NULL));
  peer = peer_of (brain, node, SWARM_PEER_WORKER);
  renew (brain, &peer, csr, &answer);
  g_assert_nonnull (strstr (answer.cert, "OU=swarm-manager"));
  SwarmCAServer *stopping = swarm_ca_server_new (brain->store, brain->clock, &brain->random.iface, &brain->crypto.iface);
  peer = peer_of (brain, node, SWARM_PEER_MANAGER);
  answer_clear (&answer);
  swarm_ca_server_renew (stopping, &peer, csr, issued, &answer);
  swarm_ca_server_free (stopping);
  brain_run (brain, 50 * MS);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_CANCELLED);
}

/* A given key is kept with the rotation, not in the spec; the same spec again begins nothing. */
static void
test_own_key (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmCAConfig) config = present_config (brain);
  g_autofree char *cert = NULL;
  g_autoptr (GBytes) key = NULL;
  brain->crypto.iface.create_root (&brain->crypto.iface, 0, &cert, &key, NULL);
  while (memchr (g_bytes_get_data (key, NULL), 0, g_bytes_get_size (key)) != NULL) { /* the simulator's keys are no text */
    g_clear_pointer (&cert, g_free);
    g_clear_pointer (&key, g_bytes_unref);
    brain->crypto.iface.create_root (&brain->crypto.iface, 0, &cert, &key, NULL);
  }
  config->signing_ca_cert = g_strdup_printf ("  %s", cert);
  g_strstrip (config->signing_ca_cert);
  config->signing_ca_key = g_strndup (g_bytes_get_data (key, NULL), g_bytes_get_size (key));
  config->expired_renewal = 0;
  if (!g_utf8_validate (config->signing_ca_key, -1, NULL))
    g_test_message ("a key of bytes that are no text");
  g_assert_null (configure (brain, config));
  const SwarmCluster *cluster = swarm_store_cluster (brain->store);
  g_assert_null (cluster->spec->ca_config->signing_ca_key);
  g_assert_cmpstr (cluster->spec->ca_config->signing_ca_cert, ==, config->signing_ca_cert);
  g_assert_cmpstr (cluster->root_ca->rotation->cert, ==, cert);
  g_assert_true (g_bytes_equal (cluster->root_ca->rotation->key, key));
  brain_run (brain, 5 * SECOND);
  g_assert_cmpstr (root_of (brain)->cert, ==, cert);
  g_autoptr (SwarmCAConfig) same = present_config (brain);
  same->node_cert_expiry /= 2;
  g_assert_null (configure (brain, same));
  g_assert_null (root_of (brain)->rotation);
  /* A forced one makes a root of our own, whatever was given before. */
  g_autoptr (SwarmCAConfig) forced = present_config (brain);
  forced->force_rotate++;
  g_assert_null (configure (brain, forced));
  g_assert_cmpstr (root_of (brain)->rotation->cert, !=, cert);
  g_assert_null (swarm_store_cluster (brain->store)->spec->ca_config->signing_ca_cert);
}

/* Not all at once: twenty renew, the others wait for their turn; a node that goes down is waited for no more. */
static void
test_paced (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *nodes[25];
  g_autofree char *csr = sim_crypto_csr (&brain->crypto);
  guint due = 0;
  g_auto (Answer) answer = { 0 };
  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    nodes[i] = brain_node (brain, name);
  }
  begin_rotation (brain);
  brain_run (brain, 2 * SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++)
    due += tame_node (nodes[i])->cert_due;
  g_assert_cmpuint (due, ==, 20);
  for (guint round = 0; round < 3; round++)
    for (guint i = 0; i < G_N_ELEMENTS (nodes) - 1; i++)
      if (tame_node (nodes[i])->cert_due) {
        obey (brain, nodes[i], csr, &answer);
        brain_run (brain, SECOND);
      }
  g_assert_nonnull (root_of (brain)->rotation);
  tame_goodbye (nodes[G_N_ELEMENTS (nodes) - 1], TRUE);
  brain_run (brain, 5 * SECOND);
  g_assert_null (root_of (brain)->rotation);
}

/* A new leader goes on with it. */
static void
test_another_leader (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autofree char *csr = sim_crypto_csr (&brain->crypto);
  g_auto (Answer) answer = { 0 };
  begin_rotation (brain);
  brain_restart (brain);
  tame_connect (node);
  brain_run (brain, 5 * SECOND);
  g_assert_true (tame_node (node)->cert_due);
  SwarmPeer peer = peer_of (brain, node, SWARM_PEER_WORKER);
  renew (brain, &peer, csr, &answer);
  brain_restart (brain);
  tame_connect (node);
  brain_run (brain, 5 * SECOND);
  g_assert_nonnull (root_of (brain)->rotation);
  describe (node, root_of (brain)->digest);
  brain_run (brain, 5 * SECOND);
  g_assert_null (root_of (brain)->rotation);
}

/* ---- clocks ---- */

static void
beaten (GVariant *reply, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

static void
show_clock (Tame *node, gint64 ahead_us)
{
  swarm_link_call (node->near, "org.swarmagent1.Dispatcher", "Heartbeat",
                   g_variant_new ("(@ayx)", g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, node->session, TRUE),
                                  swarm_clock_now (node->brain->clock) + ahead_us),
                   SECOND, beaten, NULL);
  brain_run (node->brain, 10 * MS);
}

static void
take_error (GVariant *reply, const GError *error, gpointer data)
{
  GError **ret = data;
  g_clear_error (ret);
  if (error != NULL)
    *ret = g_error_copy (error);
}

/* What a node says of itself is written down by every manager: once a second at most. */
static void
test_describe_limit (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = swarm_message_encode (tame_node (node)->description);
  for (guint i = 0; i < 3; i++) {
    swarm_link_call (node->near, "org.swarmagent1.Dispatcher", "Describe",
                     g_variant_new ("(@ay@ay)", g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, node->session, TRUE),
                                    g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE)),
                     SECOND, take_error, &error);
    brain_run (brain, i == 1 ? SECOND : 50 * MS);
    if (i == 1)
      g_assert_error (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE);
    else
      g_assert_no_error (error);
  }
}

/* Two measurements; each counts with the beat after it. */
static void
keep_showing (Tame *node, gint64 ahead_us)
{
  for (guint i = 0; i < 3; i++)
    show_clock (node, ahead_us);
}

static void
test_clock (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  keep_showing (node, 900 * MS);
  g_assert_cmpint (tame_node (node)->clock_offset, ==, 0);
  show_clock (node, -3 * SECOND); /* once is nothing */
  g_assert_cmpint (tame_node (node)->clock_offset, ==, 0);
  show_clock (node, 0);
  show_clock (node, -3 * SECOND);
  show_clock (node, -3 * SECOND);
  g_assert_cmpint (tame_node (node)->clock_offset, ==, 0);
  show_clock (node, -3 * SECOND);
  g_assert_cmpint (tame_node (node)->clock_offset / 1000, <, -2900 * MS);
  g_assert_cmpint (tame_node (node)->clock_offset / 1000, >, -3100 * MS);
  gint64 stored = tame_node (node)->clock_offset;
  keep_showing (node, -3500 * MS);
  g_assert_cmpint (tame_node (node)->clock_offset, ==, stored); /* a little more of the same is no news */
  keep_showing (node, -5 * SECOND);
  g_assert_cmpint (tame_node (node)->clock_offset / 1000, <, -4900 * MS);
  keep_showing (node, 900 * MS);
  g_assert_cmpint (tame_node (node)->clock_offset, ==, 0);
  /* Near the limit it does not go back and forth: below four fifths of it the clock agrees again. */
  keep_showing (node, 1500 * MS);
  stored = tame_node (node)->clock_offset;
  g_assert_cmpint (stored / 1000, >, 1400 * MS);
  keep_showing (node, 850 * MS);
  g_assert_cmpint (tame_node (node)->clock_offset, ==, stored);
  keep_showing (node, 750 * MS);
  g_assert_cmpint (tame_node (node)->clock_offset, ==, 0);
  keep_showing (node, 90 * DAY + SECOND);
  g_autofree char *text = swarm_node_clock_text (tame_node (node), tame_node (node)->clock_offset);
  g_assert_cmpstr (text, ==, "its clock is 90 days 0 h ahead of the leader's, whether it follows a time server is not known");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ca-rotation/rotation", test_rotation);
  g_test_add_func ("/ca-rotation/roots", test_roots);
  g_test_add_func ("/ca-rotation/return", test_return);
  g_test_add_func ("/ca-rotation/renewal-limit", test_renewal_limit);
  g_test_add_func ("/ca-rotation/replaced", test_replaced);
  g_test_add_func ("/ca-rotation/expired-manager", test_expired_manager);
  g_test_add_func ("/ca-rotation/join", test_join);
  g_test_add_func ("/ca-rotation/refused", test_refused);
  g_test_add_func ("/ca-rotation/external", test_external);
  g_test_add_func ("/ca-rotation/away", test_away);
  g_test_add_func ("/ca-rotation/roles", test_roles);
  g_test_add_func ("/ca-rotation/own-key", test_own_key);
  g_test_add_func ("/ca-rotation/paced", test_paced);
  g_test_add_func ("/ca-rotation/another-leader", test_another_leader);
  g_test_add_func ("/ca-rotation/describe-limit", test_describe_limit);
  g_test_add_func ("/ca-rotation/clock", test_clock);
  return g_test_run ();
}
