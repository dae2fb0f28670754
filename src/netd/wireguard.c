// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/wireguard.h"
#include "base/error.h"
#include <string.h>

#define PEERS_MAX 16384

static int
compare_keys (const SwarmNetdKey *a, const SwarmNetdKey *b)
{
  return memcmp (a->bytes, b->bytes, sizeof a->bytes);
}

static int
compare_peers (gconstpointer a, gconstpointer b)
{
  return compare_keys (&((const SwarmNetdWireguardPeer *) a)->key, &((const SwarmNetdWireguardPeer *) b)->key);
}

SwarmNetdWireguardConfig *
swarm_netd_wireguard_config_new (void)
{
  SwarmNetdWireguardConfig *self = g_new0 (SwarmNetdWireguardConfig, 1);
  self->peers = g_array_new (FALSE, FALSE, sizeof (SwarmNetdWireguardPeer));
  return self;
}

SwarmNetdWireguardConfig *
swarm_netd_wireguard_config_copy (const SwarmNetdWireguardConfig *self)
{
  SwarmNetdWireguardConfig *copy = swarm_netd_wireguard_config_new ();
  copy->private_key = self->private_key;
  copy->port = self->port;
  if (self->peers->len > 0)
    g_array_append_vals (copy->peers, self->peers->data, self->peers->len);
  return copy;
}

void
swarm_netd_wireguard_config_free (SwarmNetdWireguardConfig *self)
{
  g_array_unref (self->peers);
  explicit_bzero (&self->private_key, sizeof self->private_key);
  g_free (self);
}

guint
swarm_netd_wireguard_config_sort (SwarmNetdWireguardConfig *self)
{
  guint had = self->peers->len, n = 0;
  SwarmNetdWireguardPeer *peers = (void *) self->peers->data;
  g_array_sort (self->peers, compare_peers); /* stable */
  for (guint i = 0; i < had; i++)
    if (n == 0 || compare_peers (&peers[n - 1], &peers[i]) != 0)
      peers[n++] = peers[i];
  g_array_set_size (self->peers, n);
  return had - n;
}

const SwarmNetdWireguardPeer *
swarm_netd_wireguard_config_find (const SwarmNetdWireguardConfig *self, const SwarmNetdKey *key)
{
  SwarmNetdWireguardPeer probe = { .key = *key };
  guint at;
  return g_array_binary_search (self->peers, &probe, compare_peers, &at) ? &g_array_index (self->peers, SwarmNetdWireguardPeer, at) : NULL;
}

/* ---- differences ---- */

static gboolean
has_allowed (const SwarmNetdWireguardPeer *peer, const SwarmNetdAddress *address)
{
  for (guint i = 0; i < peer->n_allowed; i++)
    if (swarm_netd_address_equal (&peer->allowed[i], address))
      return TRUE;
  return FALSE;
}

static gboolean
is_as_wanted (const SwarmNetdWireguardPeer *is, const SwarmNetdWireguardPeer *wanted)
{
  if (is->others || is->n_allowed != wanted->n_allowed || is->keepalive != wanted->keepalive || is->port != wanted->port ||
      !swarm_netd_address_equal (&is->endpoint, &wanted->endpoint))
    return FALSE;
  for (guint i = 0; i < wanted->n_allowed; i++)
    if (!has_allowed (is, &wanted->allowed[i]))
      return FALSE;
  return TRUE;
}

static int
most_addresses_first (gconstpointer a, gconstpointer b)
{
  return (int) ((const SwarmNetdWireguardPeer *) b)->n_allowed - (int) ((const SwarmNetdWireguardPeer *) a)->n_allowed;
}

SwarmNetdWireguardChange *
swarm_netd_wireguard_diff (const SwarmNetdWireguardConfig *is, const SwarmNetdWireguardConfig *wanted)
{
  g_autoptr (SwarmNetdWireguardChange) change = g_new0 (SwarmNetdWireguardChange, 1);
  change->wanted = wanted;
  change->key = compare_keys (&is->private_key, &wanted->private_key) != 0;
  change->port = is->port != wanted->port;
  change->removed = g_array_new (FALSE, FALSE, sizeof (SwarmNetdKey));
  change->put = g_array_new (FALSE, FALSE, sizeof (SwarmNetdWireguardPeer));
  for (guint i = 0; i < is->peers->len; i++) {
    const SwarmNetdWireguardPeer *peer = &g_array_index (is->peers, SwarmNetdWireguardPeer, i);
    if (swarm_netd_wireguard_config_find (wanted, &peer->key) == NULL)
      g_array_append_val (change->removed, peer->key);
  }
  for (guint i = 0; i < wanted->peers->len; i++) {
    const SwarmNetdWireguardPeer *peer = &g_array_index (wanted->peers, SwarmNetdWireguardPeer, i);
    const SwarmNetdWireguardPeer *there = swarm_netd_wireguard_config_find (is, &peer->key);
    if (there == NULL || !is_as_wanted (there, peer))
      g_array_append_vals (change->put, peer, 1);
  }
  g_array_sort (change->put, most_addresses_first);
  return change->key || change->port || change->removed->len > 0 || change->put->len > 0 ? g_steal_pointer (&change) : NULL;
}

void
swarm_netd_wireguard_change_free (SwarmNetdWireguardChange *self)
{
  g_array_unref (self->removed);
  g_array_unref (self->put);
  g_free (self);
}

gboolean
swarm_netd_wireguard_config_equal (const SwarmNetdWireguardConfig *a, const SwarmNetdWireguardConfig *b)
{
  g_autoptr (SwarmNetdWireguardChange) change = swarm_netd_wireguard_diff (a, b);
  return change == NULL;
}

/* ---- text out ---- */

static void
append_key (GString *out, const char *name, const SwarmNetdKey *key)
{
  g_string_append_printf (out, "%s=", name);
  for (guint i = 0; i < sizeof key->bytes; i++)
    g_string_append_printf (out, "%02x", key->bytes[i]);
  g_string_append_c (out, '\n');
}

static void
append_peer (GString *out, const SwarmNetdWireguardPeer *peer)
{
  append_key (out, "public_key", &peer->key);
  if (!swarm_netd_address_is_none (&peer->endpoint))
    g_string_append_printf (out, swarm_netd_address_is_v4 (&peer->endpoint) ? "endpoint=%s:%u\n" : "endpoint=[%s]:%u\n",
                            swarm_netd_address_text (&peer->endpoint).str, peer->port);
  g_string_append_printf (out, "persistent_keepalive_interval=%u\nreplace_allowed_ips=true\n", peer->keepalive);
  for (guint i = 0; i < peer->n_allowed; i++)
    g_string_append_printf (out, "allowed_ip=%s/%u\n", swarm_netd_address_text (&peer->allowed[i]).str,
                            swarm_netd_address_is_v4 (&peer->allowed[i]) ? 32 : 128);
}

GString *
swarm_netd_wireguard_text (const SwarmNetdWireguardChange *change)
{
  /* Room for all, so that no copy of the key is left behind in memory. */
  GString *out = g_string_sized_new (256 + change->removed->len * 128 + change->put->len * 512);
  g_string_append (out, "set=1\n");
  if (change->key)
    append_key (out, "private_key", &change->wanted->private_key);
  if (change->port)
    g_string_append_printf (out, "listen_port=%u\n", change->wanted->port);
  for (guint i = 0; i < change->removed->len; i++) {
    append_key (out, "public_key", &g_array_index (change->removed, SwarmNetdKey, i));
    g_string_append (out, "remove=true\n");
  }
  for (guint i = 0; i < change->put->len; i++)
    append_peer (out, &g_array_index (change->put, SwarmNetdWireguardPeer, i));
  g_string_append_c (out, '\n');
  return out;
}

/* ---- text in ---- */

static gboolean
bad (GError **error, const char *line)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "WireGuard's answer has a line that cannot be read: \"%.12s…\"", line);
  return FALSE;
}

static gboolean
read_key (const char *value, SwarmNetdKey *key)
{
  for (guint i = 0; i < 64; i++) {
    int digit = g_ascii_xdigit_value (value[i]);
    if (digit < 0)
      return FALSE;
    key->bytes[i / 2] = (guint8) (key->bytes[i / 2] << 4 | digit);
  }
  return value[64] == '\0';
}

static gboolean
read_number (const char *value, guint64 most, guint64 *number)
{
  return g_ascii_string_to_unsigned (value, 10, 0, most, number, NULL);
}

/* "10.0.0.1:7946", "[fd00::1]:7946". One that we would not set (a zone) stays unknown. */
static gboolean
read_endpoint (const char *value, SwarmNetdWireguardPeer *peer)
{
  const char *colon = strrchr (value, ':');
  guint64 port;
  gboolean brackets = value[0] == '[';
  if (colon == NULL || !read_number (colon + 1, G_MAXUINT16, &port) || colon == value || (brackets && (colon[-1] != ']' || colon - value < 3)))
    return FALSE;
  g_autofree char *text = brackets ? g_strndup (value + 1, colon - value - 2) : g_strndup (value, colon - value);
  if (!swarm_netd_address_parse (text, &peer->endpoint))
    memset (&peer->endpoint, 0, sizeof peer->endpoint);
  peer->port = port;
  return TRUE;
}

static gboolean
read_allowed (const char *value, SwarmNetdWireguardPeer *peer)
{
  const char *slash = strchr (value, '/');
  SwarmNetdAddress address;
  guint64 prefix;
  if (slash == NULL || !read_number (slash + 1, 128, &prefix))
    return FALSE;
  g_autofree char *text = g_strndup (value, slash - value);
  if (!swarm_netd_address_parse (text, &address))
    return FALSE;
  if (peer->n_allowed == SWARM_NETD_WIREGUARD_ALLOWED || prefix != (swarm_netd_address_is_v4 (&address) ? 32 : 128))
    peer->others = TRUE;
  else
    peer->allowed[peer->n_allowed++] = address;
  return TRUE;
}

/* FALSE with @error NULL: the line cannot be read. */
static gboolean
read_line (SwarmNetdWireguardConfig *config, const char *name, const char *value, GError **error)
{
  guint64 number;
  SwarmNetdWireguardPeer *peer = config->peers->len > 0 ? &g_array_index (config->peers, SwarmNetdWireguardPeer, config->peers->len - 1) : NULL;
  if (strcmp (name, "public_key") == 0) {
    SwarmNetdWireguardPeer next = { 0 };
    if (config->peers->len >= PEERS_MAX || !read_key (value, &next.key))
      return FALSE;
    g_array_append_val (config->peers, next);
    return TRUE;
  }
  if (strcmp (name, "private_key") == 0)
    return read_key (value, &config->private_key);
  if (strcmp (name, "listen_port") == 0) {
    gboolean ok = read_number (value, G_MAXUINT16, &number);
    config->port = ok ? number : 0;
    return ok;
  }
  if (strcmp (name, "errno") == 0) {
    if (strcmp (value, "0") != 0)
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "WireGuard refuses: error %.20s", value);
    return strcmp (value, "0") == 0;
  }
  if (peer == NULL)
    return TRUE;
  if (strcmp (name, "endpoint") == 0)
    return read_endpoint (value, peer);
  if (strcmp (name, "allowed_ip") == 0)
    return read_allowed (value, peer);
  if (strcmp (name, "persistent_keepalive_interval") == 0 && read_number (value, G_MAXUINT16, &number))
    peer->keepalive = number;
  else if (strcmp (name, "last_handshake_time_sec") == 0 && read_number (value, G_MAXINT64, &number))
    peer->handshake = number;
  return TRUE;
}

SwarmNetdWireguardConfig *
swarm_netd_wireguard_parse (const char *text, gsize length, GError **error)
{
  g_autoptr (SwarmNetdWireguardConfig) config = swarm_netd_wireguard_config_new ();
  gboolean ended = FALSE;
  char line[160];
  for (gsize at = 0; at < length && !ended;) {
    const char *end = memchr (text + at, '\n', length - at);
    gsize n = end != NULL ? (gsize) (end - text) - at : sizeof line;
    if (n >= sizeof line || memchr (text + at, '\0', n) != NULL)
      return bad (error, ""), NULL;
    memcpy (line, text + at, n);
    line[n] = '\0';
    at += n + 1;
    char *equals = strchr (line, '=');
    if ((ended = n == 0))
      break;
    GError *refused = NULL;
    gboolean ok = equals != NULL;
    if (ok) {
      *equals = '\0';
      ok = read_line (config, line, equals + 1, &refused);
    }
    if (refused != NULL)
      g_propagate_error (error, refused);
    else if (!ok)
      bad (error, equals != NULL ? line : "");
    if (!ok)
      return NULL;
  }
  explicit_bzero (line, sizeof line);
  if (!ended)
    return bad (error, "its end"), NULL;
  swarm_netd_wireguard_config_sort (config);
  return g_steal_pointer (&config);
}
