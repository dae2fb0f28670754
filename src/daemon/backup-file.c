// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/backup-file.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keys.h"
#include "daemon/little-endian.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "SWARMBAK"
#define FORMAT 1
#define KIND_SCRYPT 1
#define HEADER_BYTES (8 + 4 + 4 + 16 + 8 + 8 + 4 + 4 + 4 + 4 + 16 + 4)
#define LAST (1u << 31)
#define OVERHEAD 28 /* nonce and tag */
#define PASSPHRASE_MAX 4096

static guint32
get_u32 (const guint8 *data)
{
  guint32 value;
  memcpy (&value, data, sizeof value);
  return GUINT32_FROM_LE (value);
}

static guint64
get_u64 (const guint8 *data)
{
  guint64 value;
  memcpy (&value, data, sizeof value);
  return GUINT64_FROM_LE (value);
}

static GBytes *
chunk_aad (SwarmCrypto *crypto, const guint8 *header, gsize len, guint64 number, gboolean last)
{
  guint8 digest[32];
  GByteArray *aad = g_byte_array_new ();
  crypto->sha256 (crypto, header, len, digest);
  g_byte_array_append (aad, digest, sizeof digest);
  swarm_put_u64 (aad, number);
  swarm_put_u32 (aad, last ? 1 : 0);
  return g_byte_array_free_to_bytes (aad);
}

/* ---- writing ---- */

static GByteArray *
format_header (const SwarmBackupHeader *header)
{
  GByteArray *out = g_byte_array_new ();
  g_byte_array_append (out, (const guint8 *) MAGIC, 8);
  swarm_put_u32 (out, FORMAT);
  swarm_put_u32 (out, HEADER_BYTES);
  g_byte_array_append (out, header->cluster.bytes, sizeof header->cluster.bytes);
  swarm_put_u64 (out, header->index);
  swarm_put_u64 (out, (guint64) header->as_of);
  swarm_put_u32 (out, KIND_SCRYPT);
  swarm_put_u32 (out, header->log_n);
  swarm_put_u32 (out, header->r);
  swarm_put_u32 (out, header->p);
  g_byte_array_append (out, header->salt, sizeof header->salt);
  swarm_put_u32 (out, header->level);
  return out;
}

gboolean
swarm_backup_write (SwarmCrypto *crypto, const SwarmBackupHeader *header, GBytes *key, GBytes *state, SwarmBackupWrite write, gpointer user,
                    GError **error)
{
  g_autoptr (GByteArray) head = format_header (header);
  gsize size = g_bytes_get_size (state), done = 0;
  if (!write (head->data, head->len, user, error))
    return FALSE;
  for (guint64 number = 0;; number++) {
    gsize n = MIN (size - done, SWARM_BACKUP_CHUNK);
    gboolean last = done + n == size;
    g_autoptr (GBytes) aad = chunk_aad (crypto, head->data, head->len, number, last);
    g_autoptr (GBytes) plain = g_bytes_new_from_bytes (state, done, n);
    g_autoptr (GBytes) sealed = crypto->seal (crypto, key, plain, aad);
    gsize len;
    const guint8 *data = g_bytes_get_data (sealed, &len);
    guint32 length = GUINT32_TO_LE ((guint32) len | (last ? LAST : 0));
    if (!write (&length, sizeof length, user, error) || !write (data, len, user, error))
      return FALSE;
    if (last)
      return TRUE;
    done += n;
  }
}

/* ---- reading ---- */

typedef struct {
  SwarmBackupRead read;
  gpointer user;
  guint64 offset;
} Source;

/* How many of @len bytes there were; -1: error. */
static gssize
read_full (Source *source, gpointer data, gsize len, GError **error)
{
  gsize done = 0;
  while (done < len) {
    gssize n = source->read ((guint8 *) data + done, len - done, source->user, error);
    if (n < 0)
      return -1;
    if (n == 0)
      break;
    done += (gsize) n;
  }
  source->offset += done;
  return (gssize) done;
}

G_GNUC_PRINTF (2, 3)
static gboolean
refuse (GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  if (error != NULL && *error == NULL)
    *error = g_error_new_valist (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, format, args);
  va_end (args);
  return FALSE;
}

static gboolean
read_header (Source *source, guint8 data[HEADER_BYTES], SwarmBackupHeader *ret, GError **error)
{
  gssize n = read_full (source, data, HEADER_BYTES, error);
  if (n < 0)
    return FALSE;
  if (n < 8 || memcmp (data, MAGIC, 8) != 0)
    return refuse (error, "this is no backup of a swarm");
  if (n < HEADER_BYTES)
    return refuse (error, "the backup is cut off at offset %" G_GUINT64_FORMAT, source->offset);
  if (get_u32 (data + 8) != FORMAT || get_u32 (data + 12) != HEADER_BYTES || get_u32 (data + 48) != KIND_SCRYPT) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "the backup has format %u.%u with %u bytes of header; this program knows %u.%u with %u",
                 get_u32 (data + 8), get_u32 (data + 48), get_u32 (data + 12), FORMAT, KIND_SCRYPT, (guint) HEADER_BYTES);
    return FALSE;
  }
  *ret = (SwarmBackupHeader){ .index = get_u64 (data + 32), .as_of = (gint64) get_u64 (data + 40), .log_n = get_u32 (data + 52),
                              .r = get_u32 (data + 56), .p = get_u32 (data + 60), .level = get_u32 (data + 80) };
  memcpy (ret->cluster.bytes, data + 16, sizeof ret->cluster.bytes);
  memcpy (ret->salt, data + 64, sizeof ret->salt);
  return TRUE;
}

typedef struct {
  SwarmCrypto *crypto;
  GBytes *key;
  const guint8 *header;
  guint64 number;
  gboolean last;
} Chunks;

static GBytes *
read_chunk (Chunks *self, Source *source, GError **error)
{
  guint64 start = source->offset;
  guint8 head[4];
  gssize n = read_full (source, head, sizeof head, error);
  guint32 length = n == sizeof head ? get_u32 (head) : 0, len = length & ~LAST;
  g_autofree guint8 *sealed_data = NULL;
  if (n >= 0 && n < (gssize) sizeof head)
    refuse (error, "the backup is cut off at offset %" G_GUINT64_FORMAT, source->offset);
  if (n < (gssize) sizeof head)
    return NULL;
  if (len < OVERHEAD || len > SWARM_BACKUP_CHUNK + OVERHEAD) {
    refuse (error, "the backup is damaged at offset %" G_GUINT64_FORMAT ": a chunk of %u bytes", start, len);
    return NULL;
  }
  sealed_data = g_malloc (len);
  n = read_full (source, sealed_data, len, error);
  if (n >= 0 && n < (gssize) len)
    refuse (error, "the backup is cut off at offset %" G_GUINT64_FORMAT, source->offset);
  if (n < (gssize) len)
    return NULL;
  self->last = (length & LAST) != 0;
  g_autoptr (GBytes) aad = chunk_aad (self->crypto, self->header, HEADER_BYTES, self->number, self->last);
  g_autoptr (GBytes) sealed = g_bytes_new_take (g_steal_pointer (&sealed_data), len);
  GBytes *plain = self->crypto->unseal (self->crypto, self->key, sealed, aad, NULL);
  if (plain == NULL && self->number == 0)
    refuse (error, "the backup cannot be opened: the passphrase is wrong, or its beginning is damaged");
  else if (plain == NULL)
    refuse (error, "the backup is damaged at offset %" G_GUINT64_FORMAT " (chunk %" G_GUINT64_FORMAT ")", start, self->number);
  self->number++;
  return plain;
}

static void
wipe_array (gpointer data)
{
  GByteArray *array = data;
  if (array->len > 0)
    explicit_bzero (array->data, array->len);
  g_byte_array_unref (array);
}
typedef GByteArray SecretArray;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SecretArray, wipe_array)

GBytes *
swarm_backup_read (SwarmCrypto *crypto, SwarmBackupRead read, SwarmBackupKey key, gpointer user, SwarmBackupHeader *ret_header, GError **error)
{
  guint8 header[HEADER_BYTES], more;
  Source source = { read, user, 0 };
  g_autoptr (SecretArray) state = g_byte_array_new ();
  if (!read_header (&source, header, ret_header, error))
    return NULL;
  g_autoptr (GBytes) opens = key (ret_header, user, error);
  if (opens == NULL)
    return NULL;
  Chunks chunks = { crypto, opens, header, 0, FALSE };
  while (!chunks.last) {
    g_autoptr (GBytes) plain = read_chunk (&chunks, &source, error);
    gsize len;
    if (plain == NULL)
      return NULL;
    const guint8 *data = g_bytes_get_data (plain, &len);
    if (state->len + len > SWARM_BACKUP_MAX) {
      refuse (error, "the backup is too large");
      return NULL;
    }
    g_byte_array_append (state, data, (guint) len);
  }
  gssize n = read_full (&source, &more, 1, error);
  if (n > 0)
    refuse (error, "the backup is damaged: there is something behind its end at offset %" G_GUINT64_FORMAT, source.offset - 1);
  if (n != 0)
    return NULL;
  GByteArray *whole = g_steal_pointer (&state);
  return g_bytes_new_with_free_func (whole->data, whole->len, wipe_array, whole);
}

/* ---- descriptors ---- */

/* 1: it can be gone on with; 0: not in time; -1: errno. */
static int
wait_ready (int fd, short events, const SwarmBackupPatience *patience)
{
  struct pollfd ready = { .fd = fd, .events = events };
  int found;
  do {
    gint64 left_ms = (patience->deadline - g_get_monotonic_time ()) / 1000;
    found = left_ms > 0 ? poll (&ready, 1, (int) MIN (patience->wait_ms, left_ms)) : 0;
  } while (found < 0 && errno == EINTR);
  return found;
}

/* So much of it as does not wait: a file takes all, a pipe that has room a page. (Its flags are not ours to change: others hold it, too.) */
static ssize_t
write_some (int fd, const struct stat *st, gconstpointer data, gsize len)
{
  if (S_ISSOCK (st->st_mode))
    return send (fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
  return write (fd, data, S_ISREG (st->st_mode) ? len : MIN (len, PIPE_BUF));
}

gboolean
swarm_backup_write_fd (int fd, gconstpointer data, gsize len, const SwarmBackupPatience *patience, GError **error)
{
  struct stat st;
  gboolean ok = fstat (fd, &st) == 0;
  for (gsize done = 0; ok && done < len;) {
    int ready = wait_ready (fd, POLLOUT, patience);
    ssize_t n = ready > 0 ? write_some (fd, &st, (const char *) data + done, len - done) : -1;
    if (ready == 0) {
      g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "cannot write the backup: the other end does not take it in time");
      return FALSE;
    }
    ok = n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
    done += n > 0 ? (gsize) n : 0;
  }
  if (!ok)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "cannot write the backup: %s", g_strerror (errno));
  return ok;
}

/* As swarm_backup_read_fd(), but silent; 0 with @ret_late: not in time. */
static gssize
read_some (int fd, gpointer data, gsize len, const SwarmBackupPatience *patience, gboolean *ret_late)
{
  int ready;
  ssize_t n = -1;
  do {
    ready = wait_ready (fd, POLLIN, patience);
    n = ready > 0 ? read (fd, data, len) : ready;
  } while (n < 0 && (errno == EINTR || errno == EAGAIN));
  *ret_late = ready == 0;
  return n;
}

gssize
swarm_backup_read_fd (int fd, gpointer data, gsize len, const SwarmBackupPatience *patience, GError **error)
{
  gboolean late;
  gssize n = read_some (fd, data, len, patience, &late);
  if (late)
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "cannot read the backup: the other end does not go on in time");
  else if (n < 0)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "cannot read the backup: %s", g_strerror (errno));
  return late ? -1 : n;
}

/* ---- the passphrase ---- */

/* How many bytes of @buffer; -1: error. */
static gssize
read_words (int fd, char *buffer, gsize len, const SwarmBackupPatience *patience, GError **error)
{
  gboolean late;
  gssize n = read_some (fd, buffer, len, patience, &late);
  if (late)
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "the passphrase did not come to its end in time");
  else if (n < 0)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "the passphrase cannot be read: %s", g_strerror (errno));
  return late ? -1 : n;
}

GBytes *
swarm_backup_read_passphrase (int fd, int wait_ms, GError **error)
{
  char buffer[PASSPHRASE_MAX];
  const SwarmBackupPatience patience = { wait_ms, g_get_monotonic_time () + (gint64) wait_ms * 1000 };
  gsize len = 0;
  gssize n = 1;
  const char *end = NULL;
  GBytes *bytes = NULL;
  while (len < sizeof buffer && end == NULL && (n = read_words (fd, buffer + len, sizeof buffer - len, &patience, error)) > 0) {
    end = memchr (buffer + len, '\n', (gsize) n);
    len += (gsize) n;
  }
  gsize used = end != NULL ? (gsize) (end - buffer) : len;
  if (n >= 0 && used > 0 && len < sizeof buffer)
    bytes = swarm_secret_bytes (buffer, used);
  else if (n >= 0)
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a passphrase is needed, of one line and less than 4096 bytes");
  explicit_bzero (buffer, sizeof buffer);
  return bytes;
}
