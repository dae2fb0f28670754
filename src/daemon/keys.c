// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/keys.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/little-endian.h"
#include <string.h>

#define MAGIC "SWARMKEY"
#define FORMAT 1
#define KEY_BYTES 32
#define DIGEST_BYTES 32
#define MAX_ITEM (64 * 1024)
#define MAX_ITEMS 8

typedef enum { ITEM_NODE_KEY = 1, ITEM_DATA_KEY = 2 } ItemKind;

typedef struct {
  guint32 kind;
  guint32 number;
  GBytes *sealed;
} Item;

/* The crypto interface gives plain text in memory of its own. */
static GBytes *
take_secret (GBytes *plain)
{
  gsize len;
  gpointer data = g_bytes_unref_to_data (plain, &len);
  GBytes *secret = swarm_secret_bytes (data, len);
  if (len > 0)
    explicit_bzero (data, len);
  g_free (data);
  return secret;
}

static void
item_free (gpointer data)
{
  Item *item = data;
  g_bytes_unref (item->sealed);
  g_free (item);
}

SwarmKeys *
swarm_keys_new (void)
{
  SwarmKeys *self = g_new0 (SwarmKeys, 1);
  self->items = g_ptr_array_new_with_free_func (item_free);
  return self;
}

void
swarm_keys_free (SwarmKeys *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->kek, g_bytes_unref);
  g_clear_pointer (&self->sealed_kek, g_bytes_unref);
  g_clear_pointer (&self->node_key, g_bytes_unref);
  g_clear_pointer (&self->data_key, g_bytes_unref);
  g_clear_pointer (&self->old_data_key, g_bytes_unref);
  g_ptr_array_unref (self->items);
  g_free (self);
}

/* ---- reading ---- */

typedef struct {
  const guint8 *data;
  gsize left;
  gboolean bad;
} Cursor;

static const guint8 *
take (Cursor *in, gsize n)
{
  const guint8 *data = in->data;
  if (in->bad || n > in->left) {
    in->bad = TRUE;
    return NULL;
  }
  in->data += n;
  in->left -= n;
  return data;
}

static guint32
take_u32 (Cursor *in)
{
  guint32 value = 0;
  const guint8 *data = take (in, sizeof value);
  if (data != NULL)
    memcpy (&value, data, sizeof value);
  return GUINT32_FROM_LE (value);
}

static guint64
take_u64 (Cursor *in)
{
  guint64 value = 0;
  const guint8 *data = take (in, sizeof value);
  if (data != NULL)
    memcpy (&value, data, sizeof value);
  return GUINT64_FROM_LE (value);
}

static GBytes *
take_bytes (Cursor *in)
{
  guint32 len = take_u32 (in);
  const guint8 *data = len <= MAX_ITEM ? take (in, len) : NULL;
  if (data != NULL)
    return swarm_secret_bytes (data, len);
  in->bad = TRUE;
  return NULL;
}

static void
take_id (Cursor *in, SwarmId *ret)
{
  const guint8 *data = take (in, sizeof ret->bytes);
  if (data != NULL)
    memcpy (ret->bytes, data, sizeof ret->bytes);
}

static gboolean
refuse (GError **error, const char *text)
{
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, text);
  return FALSE;
}

static gboolean
check_frame (SwarmCrypto *crypto, Cursor *in, GError **error)
{
  guint8 digest[DIGEST_BYTES];
  if (in->left < DIGEST_BYTES + sizeof MAGIC + 3 || memcmp (in->data, MAGIC, 8) != 0)
    return refuse (error, "the keys file is damaged: it does not begin as one (let this manager leave with --force and join again)");
  in->left -= DIGEST_BYTES;
  crypto->sha256 (crypto, in->data, in->left, digest);
  if (memcmp (digest, in->data + in->left, DIGEST_BYTES) != 0)
    return refuse (error, "the keys file is damaged: its checksum is wrong (let this manager leave with --force and join again)");
  take (in, 8);
  guint32 format = take_u32 (in);
  if (format == FORMAT)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "the keys file has format %u; this program knows %u", format, FORMAT);
  return FALSE;
}

static gboolean
parse_items (SwarmKeys *self, Cursor *in)
{
  guint32 n = take_u32 (in);
  for (guint32 i = 0; i < n && n <= MAX_ITEMS && !in->bad; i++) {
    guint32 kind = take_u32 (in), number = take_u32 (in);
    GBytes *sealed = take_bytes (in);
    if (sealed == NULL)
      return FALSE;
    Item *item = g_new (Item, 1);
    *item = (Item){ kind, number, sealed };
    g_ptr_array_add (self->items, item);
  }
  return n > 0 && n <= MAX_ITEMS && !in->bad && in->left == 0;
}

SwarmKeys *
swarm_keys_parse (SwarmCrypto *crypto, GBytes *file, GError **error)
{
  g_autoptr (SwarmKeys) self = swarm_keys_new ();
  g_autoptr (GBytes) kek = NULL;
  Cursor in = { 0 };
  in.data = g_bytes_get_data (file, &in.left);
  if (!check_frame (crypto, &in, error))
    return NULL;
  guint32 mode = take_u32 (&in);
  take_id (&in, &self->cluster);
  take_id (&in, &self->node);
  self->version = take_u64 (&in);
  kek = take_bytes (&in);
  gsize len = kek != NULL ? g_bytes_get_size (kek) : 0;
  if (!parse_items (self, &in) || mode > SWARM_KEYS_SEALED || len != (mode == SWARM_KEYS_FILE ? KEY_BYTES : mode == SWARM_KEYS_LOCKED ? 0 : len)
      || (mode == SWARM_KEYS_SEALED && len == 0)) {
    refuse (error, "the keys file is damaged: its parts do not fit together (let this manager leave with --force and join again)");
    return NULL;
  }
  self->mode = mode;
  if (mode == SWARM_KEYS_SEALED)
    self->sealed_kek = g_steal_pointer (&kek);
  else if (mode == SWARM_KEYS_FILE && !swarm_keys_open (self, crypto, kek, error))
    return NULL;
  return g_steal_pointer (&self);
}

/* ---- opening ---- */

static void
put_bytes (GByteArray *out, GBytes *bytes)
{
  gsize len = 0;
  const guint8 *data = bytes != NULL ? g_bytes_get_data (bytes, &len) : NULL;
  swarm_put_u32 (out, (guint32) len);
  if (len > 0)
    g_byte_array_append (out, data, (guint) len);
}

static GBytes *
item_aad (const SwarmKeys *self, guint32 kind, guint32 number)
{
  GByteArray *aad = g_byte_array_new ();
  g_byte_array_append (aad, self->cluster.bytes, sizeof self->cluster.bytes);
  g_byte_array_append (aad, self->node.bytes, sizeof self->node.bytes);
  swarm_put_u64 (aad, self->version);
  swarm_put_u32 (aad, kind);
  swarm_put_u32 (aad, number);
  return g_byte_array_free_to_bytes (aad);
}

gboolean
swarm_keys_is_open (const SwarmKeys *self)
{
  return self->data_key != NULL;
}

/* Takes @plain. The newest data key is in use, the one before may be needed. */
static void
set_item (SwarmKeys *self, const Item *item, GBytes *plain)
{
  g_autoptr (GBytes) owned = plain;
  if (item->kind == ITEM_NODE_KEY) {
    g_clear_pointer (&self->node_key, g_bytes_unref);
    self->node_key = g_steal_pointer (&owned);
  } else if (item->kind == ITEM_DATA_KEY && (self->data_key == NULL || item->number > self->data_number)) {
    g_clear_pointer (&self->old_data_key, g_bytes_unref);
    self->old_data_key = g_steal_pointer (&self->data_key);
    self->old_data_number = self->data_number;
    self->data_key = g_steal_pointer (&owned);
    self->data_number = item->number;
  } else if (item->kind == ITEM_DATA_KEY) {
    g_clear_pointer (&self->old_data_key, g_bytes_unref);
    self->old_data_key = g_steal_pointer (&owned);
    self->old_data_number = item->number;
  }
}

gboolean
swarm_keys_open (SwarmKeys *self, SwarmCrypto *crypto, GBytes *kek, GError **error)
{
  g_autoptr (GPtrArray) plain = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  gboolean node = FALSE, data = FALSE;
  for (guint i = 0; i < self->items->len; i++) {
    const Item *item = self->items->pdata[i];
    g_autoptr (GBytes) aad = item_aad (self, item->kind, item->number);
    GBytes *opened = crypto->unseal (crypto, kek, item->sealed, aad, NULL);
    if (opened == NULL) {
      g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "swarm could not be unlocked: invalid key provided");
      return FALSE;
    }
    g_ptr_array_add (plain, take_secret (opened));
    node |= item->kind == ITEM_NODE_KEY;
    data |= item->kind == ITEM_DATA_KEY && g_bytes_get_size (plain->pdata[i]) == KEY_BYTES;
  }
  if (!node || !data)
    return refuse (error, "the keys file holds no node key or no data key (let this manager leave with --force and join again)");
  for (guint i = 0; i < self->items->len; i++)
    set_item (self, self->items->pdata[i], g_bytes_ref (plain->pdata[i]));
  self->kek = g_bytes_ref (kek);
  g_ptr_array_set_size (self->items, 0);
  return TRUE;
}

/* ---- writing ---- */

static void
put_item (const SwarmKeys *self, SwarmCrypto *crypto, GByteArray *out, ItemKind kind, guint32 number, GBytes *plain)
{
  g_autoptr (GBytes) aad = item_aad (self, kind, number);
  g_autoptr (GBytes) sealed = crypto->seal (crypto, self->kek, plain, aad);
  swarm_put_u32 (out, kind);
  swarm_put_u32 (out, number);
  put_bytes (out, sealed);
}

GBytes *
swarm_keys_format (const SwarmKeys *self, SwarmCrypto *crypto)
{
  /* Room enough that it never moves: a copy of the KEK would be left behind. */
  GByteArray *out = g_byte_array_sized_new (4 * MAX_ITEM);
  guint8 digest[DIGEST_BYTES];
  g_byte_array_append (out, (const guint8 *) MAGIC, 8);
  swarm_put_u32 (out, FORMAT);
  swarm_put_u32 (out, self->mode);
  g_byte_array_append (out, self->cluster.bytes, sizeof self->cluster.bytes);
  g_byte_array_append (out, self->node.bytes, sizeof self->node.bytes);
  swarm_put_u64 (out, self->version);
  put_bytes (out, self->mode == SWARM_KEYS_FILE ? self->kek : self->mode == SWARM_KEYS_SEALED ? self->sealed_kek : NULL);
  swarm_put_u32 (out, self->old_data_key != NULL ? 3 : 2);
  put_item (self, crypto, out, ITEM_NODE_KEY, 0, self->node_key);
  put_item (self, crypto, out, ITEM_DATA_KEY, self->data_number, self->data_key);
  if (self->old_data_key != NULL)
    put_item (self, crypto, out, ITEM_DATA_KEY, self->old_data_number, self->old_data_key);
  crypto->sha256 (crypto, out->data, out->len, digest);
  g_byte_array_append (out, digest, sizeof digest);
  GBytes *content = swarm_secret_bytes (out->data, out->len);
  explicit_bzero (out->data, out->len);
  g_byte_array_unref (out);
  return content;
}
