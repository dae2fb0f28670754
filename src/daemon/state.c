// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/state.h"
#include "base/error.h"
#include <string.h>

#define FILE_CONF "node.conf"
#define FILE_ROOT "root.crt"
#define FILE_CERT "node.crt"
#define FILE_KEY "node.key"
#define FILE_LOG_KEY "log.key" /* data key, sealed by the key-encryption key */
#define FILE_KEK "seal.key"    /* key-encryption key; autolock keeps it off the disk */
#define GROUP "Node"
#define KEY_BYTES 32

SwarmMembership *
swarm_membership_new (void)
{
  SwarmMembership *self = g_new0 (SwarmMembership, 1);
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
  g_clear_pointer (&self->key, g_bytes_unref);
  g_clear_pointer (&self->log_key, g_bytes_unref);
  g_clear_pointer (&self->seal_key, g_bytes_unref);
  g_free (self);
}

/* A key's bytes are overwritten when the last one lets go of them. */
typedef struct {
  gsize len;
  char data[];
} Secret;

static void
secret_free (gpointer data)
{
  Secret *secret = data;
  explicit_bzero (secret->data, secret->len);
  g_free (secret);
}

static GBytes *
secret_bytes (gconstpointer data, gsize len)
{
  Secret *secret = g_malloc (sizeof *secret + len);
  secret->len = len;
  memcpy (secret->data, data, len);
  return g_bytes_new_with_free_func (secret->data, len, secret_free, secret);
}

/* ---- reading ---- */

static char *
bytes_to_string (GBytes *bytes)
{
  gsize len;
  const char *data = g_bytes_get_data (bytes, &len);
  return g_strndup (data, len);
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
  self->listen = g_key_file_get_string (conf, GROUP, "Listen", NULL);
  self->advertise = g_key_file_get_string (conf, GROUP, "Advertise", NULL);
  read_strings (conf, "Managers", self->managers);
  read_strings (conf, "Members", self->members);
  return TRUE;
}

static gboolean
read_log_key (SwarmMembership *self, SwarmDisk *disk, SwarmCrypto *crypto, GError **error)
{
  self->seal_key = disk->read (disk, FILE_KEK, error);
  g_autoptr (GBytes) sealed = self->seal_key != NULL ? disk->read (disk, FILE_LOG_KEY, error) : NULL;
  if (sealed != NULL)
    self->log_key = crypto->unseal (crypto, self->seal_key, sealed, NULL, error);
  if (self->log_key == NULL)
    g_prefix_error (error, "node state files " FILE_KEK " and " FILE_LOG_KEY ": ");
  return self->log_key != NULL;
}

SwarmMembership *
swarm_membership_load (SwarmDisk *disk, SwarmCrypto *crypto, GError **error)
{
  g_autoptr (SwarmMembership) self = swarm_membership_new ();
  g_autoptr (GError) local = NULL;
  g_autofree char *conf = NULL, *key = NULL;
  if (!read_text (disk, FILE_CONF, &conf, &local)) {
    if (!g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
      g_propagate_error (error, g_steal_pointer (&local));
    return NULL;
  }
  if (!parse_conf (self, conf, error) || !read_text (disk, FILE_ROOT, &self->root_cert, error)
      || !read_text (disk, FILE_CERT, &self->cert, error) || !read_text (disk, FILE_KEY, &key, error))
    return NULL;
  self->key = secret_bytes (key, strlen (key));
  explicit_bzero (key, strlen (key));
  if (self->manager && !read_log_key (self, disk, crypto, error))
    return NULL;
  return g_steal_pointer (&self);
}

/* ---- writing ---- */

GBytes *
swarm_membership_new_key (SwarmRandom *random)
{
  guint8 raw[KEY_BYTES];
  random->fill (random, raw, sizeof raw);
  GBytes *key = secret_bytes (raw, sizeof raw);
  explicit_bzero (raw, sizeof raw);
  return key;
}

static char *
format_conf (const SwarmMembership *self)
{
  g_autoptr (GKeyFile) conf = g_key_file_new ();
  g_key_file_set_string (conf, GROUP, "Node", swarm_id_string (&self->node).str);
  g_key_file_set_string (conf, GROUP, "Cluster", swarm_id_string (&self->cluster).str);
  g_key_file_set_boolean (conf, GROUP, "Manager", self->manager);
  g_key_file_set_uint64 (conf, GROUP, "RaftId", self->raft_id);
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
  replace_text (ops, FILE_CERT, self->cert);
  replace (ops, FILE_KEY, self->key);
  if (self->log_key != NULL) {
    if (self->seal_key == NULL)
      self->seal_key = swarm_membership_new_key (random);
    g_autoptr (GBytes) sealed = crypto->seal (crypto, self->seal_key, self->log_key, NULL);
    replace (ops, FILE_KEK, self->seal_key);
    replace (ops, FILE_LOG_KEY, sealed);
  }
  replace_text (ops, FILE_CONF, conf);
  disk->submit (disk, ops, done, data);
}

void
swarm_membership_erase (SwarmDisk *disk, SwarmDiskDoneFunc done, gpointer data)
{
  static const char *const names[] = { FILE_CONF, FILE_KEY, FILE_KEK, FILE_LOG_KEY, FILE_CERT, FILE_ROOT }; /* see leftovers.h: without its key nothing is kept */
  GArray *ops = swarm_disk_ops_new ();
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    swarm_disk_ops_unlink (ops, names[i]);
  disk->submit (disk, ops, done, data);
}
