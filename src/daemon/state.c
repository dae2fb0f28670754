// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/state.h"
#include "base/error.h"
#include "base/secret.h"
#include "ca/cert.h"
#include <string.h>

#define FILE_CONF "node.conf"
#define FILE_ROOT "root.crt"
#define FILE_CERT "node.crt"
#define FILE_NEXT "next.crt" /* while the key changes */
#define FILE_KEY "node.key" /* of a worker */
#define FILE_KEYS "keys"    /* of a manager */
#define GROUP "Node"
#define KEY_BYTES 32
#define DEFAULT_EXPIRED_RENEWAL_S G_GINT64_CONSTANT (7776000) /* 90 days */

SwarmMembership *
swarm_membership_new (void)
{
  SwarmMembership *self = g_new0 (SwarmMembership, 1);
  self->expired_renewal_us = DEFAULT_EXPIRED_RENEWAL_S * G_USEC_PER_SEC;
  self->managers = g_ptr_array_new_with_free_func (g_free);
  self->members = g_ptr_array_new_with_free_func (g_free);
  return self;
}

void
swarm_membership_free (SwarmMembership *self)
{
  if (self == NULL)
    return;
  g_free (self->listen);
  g_free (self->advertise);
  g_ptr_array_unref (self->managers);
  g_ptr_array_unref (self->members);
  g_free (self->root_cert);
  g_free (self->cert);
  g_free (self->next_cert);
  g_clear_pointer (&self->key, g_bytes_unref);
  swarm_keys_free (self->keys);
  g_free (self);
}

/* ---- reading ---- */

static char *
bytes_to_string (GBytes *bytes)
{
  gsize len;
  const char *data = g_bytes_get_data (bytes, &len);
  return data != NULL ? g_strndup (data, len) : g_strdup (""); /* an empty file has no data at all */
}

static gboolean
read_text (SwarmDisk *disk, const char *name, char **ret, GError **error)
{
  g_autoptr (GBytes) bytes = disk->read (disk, name, error);
  if (bytes == NULL) {
    g_prefix_error (error, "node state file %s: ", name);
    return FALSE;
  }
  *ret = bytes_to_string (bytes);
  return TRUE;
}

static gboolean
read_id (GKeyFile *conf, const char *key, SwarmId *ret, GError **error)
{
  g_autofree char *text = g_key_file_get_string (conf, GROUP, key, error);
  if (text == NULL)
    return FALSE;
  if (swarm_id_parse (text, ret))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "%s=%s is not an id", key, text);
  return FALSE;
}

static void
read_strings (GKeyFile *conf, const char *key, GPtrArray *into)
{
  g_auto (GStrv) strings = g_key_file_get_string_list (conf, GROUP, key, NULL, NULL);
  for (guint i = 0; strings != NULL && strings[i] != NULL; i++)
    g_ptr_array_add (into, g_strdup (strings[i]));
}

static gboolean
parse_conf (SwarmMembership *self, const char *text, GError **error)
{
  g_autoptr (GKeyFile) conf = g_key_file_new ();
  if (!g_key_file_load_from_data (conf, text, strlen (text), G_KEY_FILE_NONE, error)
      || !read_id (conf, "Node", &self->node, error) || !read_id (conf, "Cluster", &self->cluster, error)) {
    g_prefix_error (error, "node state file " FILE_CONF ": ");
    return FALSE;
  }
  self->manager = g_key_file_get_boolean (conf, GROUP, "Manager", NULL);
  self->raft_id = g_key_file_get_uint64 (conf, GROUP, "RaftId", NULL);
  self->epoch = g_key_file_get_uint64 (conf, GROUP, "Epoch", NULL);
  self->own_address = g_key_file_get_boolean (conf, GROUP, "OwnAddress", NULL);
  if (g_key_file_has_key (conf, GROUP, "ExpiredRenewal", NULL))
    self->expired_renewal_us = CLAMP (g_key_file_get_int64 (conf, GROUP, "ExpiredRenewal", NULL), 0, G_MAXINT32) * G_USEC_PER_SEC;
  self->listen = g_key_file_get_string (conf, GROUP, "Listen", NULL);
  self->advertise = g_key_file_get_string (conf, GROUP, "Advertise", NULL);
  read_strings (conf, "Managers", self->managers);
  read_strings (conf, "Members", self->members);
  return TRUE;
}

/* Key and certificate are two files: which certificate was written last the key tells. */
static void
choose_cert (SwarmMembership *self)
{
  if (self->next_cert == NULL || swarm_cert_matches_key (self->cert, self->key, NULL) || !swarm_cert_matches_key (self->next_cert, self->key, NULL))
    return;
  g_free (self->cert);
  self->cert = g_steal_pointer (&self->next_cert);
}

gboolean
swarm_membership_is_open (const SwarmMembership *self)
{
  return self->key != NULL;
}

gboolean
swarm_membership_open (SwarmMembership *self, SwarmCrypto *crypto, GBytes *kek, GError **error)
{
  if (!swarm_keys_open (self->keys, crypto, kek, error))
    return FALSE;
  self->key = g_bytes_ref (self->keys->node_key);
  choose_cert (self);
  return TRUE;
}

static gboolean
read_keys (SwarmMembership *self, SwarmDisk *disk, SwarmCrypto *crypto, GError **error)
{
  g_autoptr (GBytes) file = disk->read (disk, FILE_KEYS, error);
  self->keys = file != NULL ? swarm_keys_parse (crypto, file, error) : NULL;
  if (self->keys == NULL) {
    g_prefix_error (error, "node state file " FILE_KEYS ": ");
    return FALSE;
  }
  if (!swarm_id_equal (&self->keys->cluster, &self->cluster) || !swarm_id_equal (&self->keys->node, &self->node)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "node state file " FILE_KEYS " belongs to another node (%s)",
                 swarm_id_string (&self->keys->node).str);
    return FALSE;
  }
  if (swarm_keys_is_open (self->keys))
    self->key = g_bytes_ref (self->keys->node_key);
  return TRUE;
}

static gboolean
read_key (SwarmMembership *self, SwarmDisk *disk, GError **error)
{
  g_autofree char *key = NULL;
  if (!read_text (disk, FILE_KEY, &key, error))
    return FALSE;
  self->key = swarm_secret_bytes (key, strlen (key));
  explicit_bzero (key, strlen (key));
  return TRUE;
}

SwarmMembership *
swarm_membership_load (SwarmDisk *disk, SwarmCrypto *crypto, GError **error)
{
  g_autoptr (SwarmMembership) self = swarm_membership_new ();
  g_autoptr (GError) local = NULL;
  g_autofree char *conf = NULL;
  if (!read_text (disk, FILE_CONF, &conf, &local)) {
    if (!g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
      g_propagate_error (error, g_steal_pointer (&local));
    return NULL;
  }
  if (!parse_conf (self, conf, error) || !read_text (disk, FILE_ROOT, &self->root_cert, error)
      || !read_text (disk, FILE_CERT, &self->cert, error)
      || !(self->manager ? read_keys (self, disk, crypto, error) : read_key (self, disk, error)))
    return NULL;
  read_text (disk, FILE_NEXT, &self->next_cert, NULL);
  if (self->key != NULL)
    choose_cert (self);
  return g_steal_pointer (&self);
}

/* ---- writing ---- */

GBytes *
swarm_membership_new_key (SwarmRandom *random)
{
  guint8 raw[KEY_BYTES];
  random->fill (random, raw, sizeof raw);
  GBytes *key = swarm_secret_bytes (raw, sizeof raw);
  explicit_bzero (raw, sizeof raw);
  return key;
}

void
swarm_membership_make_keys (SwarmMembership *self, SwarmRandom *random)
{
  if (self->keys != NULL)
    return;
  self->keys = swarm_keys_new ();
  self->keys->cluster = self->cluster;
  self->keys->node = self->node;
  self->keys->kek = swarm_membership_new_key (random);
  self->keys->data_key = swarm_membership_new_key (random);
  self->keys->data_number = 1;
}

gboolean
swarm_membership_new_data_key (SwarmMembership *self, guint32 log_number, SwarmRandom *random)
{
  SwarmKeys *keys = self->keys;
  if (log_number != keys->data_number)
    return FALSE;
  g_clear_pointer (&keys->old_data_key, g_bytes_unref);
  keys->old_data_key = g_steal_pointer (&keys->data_key);
  keys->old_data_number = keys->data_number;
  keys->data_key = swarm_membership_new_key (random);
  keys->data_number++;
  return TRUE;
}

static char *
format_conf (const SwarmMembership *self)
{
  g_autoptr (GKeyFile) conf = g_key_file_new ();
  g_key_file_set_string (conf, GROUP, "Node", swarm_id_string (&self->node).str);
  g_key_file_set_string (conf, GROUP, "Cluster", swarm_id_string (&self->cluster).str);
  g_key_file_set_boolean (conf, GROUP, "Manager", self->manager);
  g_key_file_set_uint64 (conf, GROUP, "RaftId", self->raft_id);
  g_key_file_set_uint64 (conf, GROUP, "Epoch", self->epoch);
  g_key_file_set_boolean (conf, GROUP, "OwnAddress", self->own_address);
  g_key_file_set_int64 (conf, GROUP, "ExpiredRenewal", self->expired_renewal_us / G_USEC_PER_SEC);
  g_key_file_set_string (conf, GROUP, "Listen", self->listen != NULL ? self->listen : "");
  g_key_file_set_string (conf, GROUP, "Advertise", self->advertise != NULL ? self->advertise : "");
  g_key_file_set_string_list (conf, GROUP, "Managers", (const char *const *) self->managers->pdata, self->managers->len);
  g_key_file_set_string_list (conf, GROUP, "Members", (const char *const *) self->members->pdata, self->members->len);
  return g_key_file_to_data (conf, NULL, NULL);
}

/* Each file is replaced as a whole; node.conf comes last, so that a torn change is seen as "no change". */
static void
replace (GArray *ops, const char *name, GBytes *content)
{
  g_autofree char *temporary = g_strconcat (name, ".new", NULL);
  swarm_disk_ops_unlink (ops, temporary);
  swarm_disk_ops_write (ops, temporary, 0, content);
  swarm_disk_ops_rename (ops, temporary, name);
}

static void
replace_text (GArray *ops, const char *name, const char *text)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  replace (ops, name, bytes);
}

void
swarm_membership_store (SwarmMembership *self, SwarmDisk *disk, SwarmCrypto *crypto, SwarmRandom *random, SwarmDiskDoneFunc done,
                        gpointer data)
{
  GArray *ops = swarm_disk_ops_new ();
  g_autofree char *conf = format_conf (self);
  replace_text (ops, FILE_ROOT, self->root_cert);
  if (self->new_key)
    replace_text (ops, FILE_NEXT, self->cert);
  else
    replace_text (ops, FILE_CERT, self->cert);
  if (self->manager) {
    swarm_membership_make_keys (self, random);
    if (self->keys->node_key != self->key) {
      g_clear_pointer (&self->keys->node_key, g_bytes_unref);
      self->keys->node_key = g_bytes_ref (self->key);
    }
    g_autoptr (GBytes) keys = swarm_keys_format (self->keys, crypto);
    replace (ops, FILE_KEYS, keys);
  } else {
    replace (ops, FILE_KEY, self->key);
  }
  if (self->new_key)
    replace_text (ops, FILE_CERT, self->cert);
  replace_text (ops, FILE_CONF, conf);
  swarm_disk_ops_unlink (ops, FILE_NEXT);
  /* Only now nobody needs the other form any more. */
  swarm_disk_ops_unlink (ops, self->manager ? FILE_KEY : FILE_KEYS);
  disk->submit (disk, ops, done, data);
}

void
swarm_membership_erase (SwarmDisk *disk, SwarmDiskDoneFunc done, gpointer data)
{
  static const char *const names[] = { FILE_CONF, FILE_KEY, FILE_KEYS, FILE_NEXT, FILE_CERT, FILE_ROOT }; /* see leftovers.h: without its key nothing is kept */
  GArray *ops = swarm_disk_ops_new ();
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    swarm_disk_ops_unlink (ops, names[i]);
  disk->submit (disk, ops, done, data);
}
