// SPDX-License-Identifier: LGPL-2.1-or-later
/* Backup files: what was written comes back, whatever else is refused with a text that says what is wrong. */
#include "base/error.h"
#include "base/random-system.h"
#include "ca/crypto.h"
#include "ca/kdf.h"
#include "daemon/backup-file.h"
#include "daemon/state.h"
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  GByteArray *file;
  gsize at, piece; /* bytes per read, 0: as many as wanted */
  gsize room;      /* for writing, 0: enough */
  GBytes *key;
  guint asked;
} World;

static gboolean
write_bytes (gconstpointer data, gsize len, gpointer user, GError **error)
{
  World *world = user;
  if (world->room > 0 && world->file->len + len > world->room) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, "the disk is full");
    return FALSE;
  }
  g_byte_array_append (world->file, data, len);
  return TRUE;
}

static gssize
read_bytes (gpointer data, gsize len, gpointer user, GError **error)
{
  World *world = user;
  gsize n = MIN (len, world->file->len - world->at);
  if (world->piece > 0)
    n = MIN (n, world->piece);
  memcpy (data, world->file->data + world->at, n);
  world->at += n;
  return (gssize) n;
}

static GBytes *
give_key (const SwarmBackupHeader *header, gpointer user, GError **error)
{
  World *world = user;
  world->asked++;
  return g_bytes_ref (world->key);
}

static GBytes *
random_state (gsize len)
{
  guint8 *data = g_malloc (len + 1);
  swarm_random_system ()->fill (swarm_random_system (), data, len);
  return g_bytes_new_take (data, len);
}

static void
world_init (World *world, gsize len, GBytes **ret_state)
{
  SwarmBackupHeader header = { { { 1, 2, 3 } }, 77, 1234567, 1, 8, 1, { 9 }, 3 };
  *world = (World){ .file = g_byte_array_new (), .key = swarm_membership_new_key (swarm_random_system ()) };
  *ret_state = random_state (len);
  g_assert_true (swarm_backup_write (swarm_crypto_openssl (), &header, world->key, *ret_state, write_bytes, world, NULL));
}

static void
world_clear (World *world)
{
  g_byte_array_unref (world->file);
  g_bytes_unref (world->key);
}

static GBytes *
read_back (World *world, GError **error)
{
  SwarmBackupHeader header;
  world->at = 0;
  return swarm_backup_read (swarm_crypto_openssl (), read_bytes, give_key, world, &header, error);
}

static void
test_round (void)
{
  static const gsize sizes[] = { 0, 1, SWARM_BACKUP_CHUNK - 1, SWARM_BACKUP_CHUNK, SWARM_BACKUP_CHUNK + 1, 5 * SWARM_BACKUP_CHUNK + 7 };
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GBytes) state = NULL;
    g_autoptr (GError) error = NULL;
    World world;
    world_init (&world, sizes[i], &state);
    world.piece = i % 2 == 0 ? 0 : 1000;
    SwarmBackupHeader header;
    g_autoptr (GBytes) back = swarm_backup_read (swarm_crypto_openssl (), read_bytes, give_key, &world, &header, &error);
    g_assert_no_error (error);
    g_assert_true (g_bytes_equal (back, state));
    g_assert_cmpuint (header.index, ==, 77);
    g_assert_cmpint (header.as_of, ==, 1234567);
    g_assert_cmpuint (header.cluster.bytes[2], ==, 3);
    g_assert_cmpuint (header.level, ==, 3);
    g_assert_cmpuint (header.r, ==, 8);
    world_clear (&world);
  }
}

static void
test_wrong_passphrase (void)
{
  g_autoptr (GBytes) state = NULL;
  g_autoptr (GError) error = NULL;
  World world;
  world_init (&world, 100, &state);
  g_bytes_unref (world.key);
  world.key = swarm_membership_new_key (swarm_random_system ());
  g_assert_null (read_back (&world, &error));
  g_assert_nonnull (strstr (error->message, "the passphrase is wrong"));
  world_clear (&world);
}

/* Each flipped bit and each cut is noticed; nothing of the state comes out. */
static void
test_damage (void)
{
  g_autoptr (GBytes) state = NULL;
  World world;
  world_init (&world, SWARM_BACKUP_CHUNK + 300, &state);
  for (gsize i = 0; i < world.file->len; i += i < 400 || i + 400 > world.file->len ? 1 : 997) {
    g_autoptr (GError) flipped = NULL, cut = NULL;
    guint len = world.file->len;
    world.file->data[i] ^= 1 << (i % 8);
    g_assert_null (read_back (&world, &flipped));
    g_assert_nonnull (flipped);
    world.file->data[i] ^= 1 << (i % 8);
    world.file->len = i;
    g_assert_null (read_back (&world, &cut));
    g_assert_nonnull (strstr (cut->message, i < 8 ? "no backup" : "cut off at offset"));
    world.file->len = len;
  }
  world_clear (&world);
}

/* Whole chunks left out, exchanged, cut off at their borders, or added. */
static void
test_chunks (void)
{
  g_autoptr (GBytes) state = NULL;
  World world;
  world_init (&world, 3 * SWARM_BACKUP_CHUNK, &state);
  const gsize head = 84, chunk = 4 + 28 + SWARM_BACKUP_CHUNK;
  g_autofree guint8 *copy = g_memdup2 (world.file->data, world.file->len);
  g_autoptr (GError) without = NULL, exchanged = NULL, cut = NULL, more = NULL;
  guint len = world.file->len;
  g_assert_cmpuint (len, ==, head + 3 * chunk);
  memmove (world.file->data + head, world.file->data + head + chunk, 2 * chunk);
  world.file->len = head + 2 * chunk;
  g_assert_null (read_back (&world, &without));
  memcpy (world.file->data, copy, len);
  world.file->len = len;
  memcpy (world.file->data + head + chunk, copy + head + 2 * chunk, chunk);
  g_assert_null (read_back (&world, &exchanged));
  g_assert_nonnull (strstr (exchanged->message, "damaged at offset"));
  memcpy (world.file->data, copy, len);
  world.file->len = head + 2 * chunk;
  g_assert_null (read_back (&world, &cut));
  g_assert_nonnull (strstr (cut->message, "cut off"));
  world.file->len = len;
  g_byte_array_append (world.file, (const guint8 *) "x", 1);
  g_assert_null (read_back (&world, &more));
  g_assert_nonnull (strstr (more->message, "behind its end"));
  world_clear (&world);
}

static void
test_full_disk (void)
{
  g_autoptr (GBytes) state = random_state (1000);
  g_autoptr (GError) error = NULL;
  SwarmBackupHeader header = { .log_n = 1, .r = 8, .p = 1 };
  World world = { .file = g_byte_array_new (), .key = swarm_membership_new_key (swarm_random_system ()), .room = 500 };
  g_assert_false (swarm_backup_write (swarm_crypto_openssl (), &header, world.key, state, write_bytes, &world, &error));
  g_assert_cmpstr (error->message, ==, "the disk is full");
  world_clear (&world);
}

/* RFC 7914, 12, shortened to 32 bytes; and numbers that a hostile file might have. */
static void
test_scrypt (void)
{
  static const guint8 expect[] = { 0xfd, 0xba, 0xbe, 0x1c, 0x9d, 0x34, 0x72, 0x00, 0x78, 0x56, 0xe7, 0x19, 0x0d, 0x01, 0xe9, 0xfe,
                                   0x7c, 0x6a, 0xd7, 0xcb, 0xc8, 0x23, 0x78, 0x30, 0xe7, 0x73, 0x76, 0x63, 0x4b, 0x37, 0x31, 0x62 };
  static const guint bad[][3] = { { 0, 8, 1 }, { 23, 1, 1 }, { 22, 64, 1 }, { 10, 0, 1 }, { 10, 8, 0 }, { 10, 8, 17 }, { 4000000000u, 8, 1 } };
  g_autoptr (GBytes) passphrase = g_bytes_new_static ("password", 8);
  g_autoptr (GBytes) key = swarm_kdf_scrypt (passphrase, (const guint8 *) "NaCl", 4, 10, 8, 16, NULL);
  g_assert_cmpmem (g_bytes_get_data (key, NULL), 32, expect, 32);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (swarm_kdf_scrypt (passphrase, (const guint8 *) "NaCl", 4, bad[i][0], bad[i][1], bad[i][2], &error));
    g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  }
}

/* What read_passphrase() makes of @text; @open: the other end holds the pipe open. */
static GBytes *
passphrase_of (const char *text, gboolean open, GError **error)
{
  int fds[2];
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  g_assert_cmpint (write (fds[1], text, strlen (text)), ==, strlen (text));
  if (!open)
    close (fds[1]);
  GBytes *bytes = swarm_backup_read_passphrase (fds[0], 20, error);
  close (fds[0]);
  if (open)
    close (fds[1]);
  return bytes;
}

static void
test_passphrase (void)
{
  static const char *const whole[] = { "secret\n", "secret", "secret\nand more\n" };
  g_autofree char *line = g_strnfill (4096, 'x');
  const char *none[] = { "", "\n", line };
  for (guint i = 0; i < G_N_ELEMENTS (whole); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) bytes = passphrase_of (whole[i], FALSE, &error);
    g_assert_no_error (error);
    g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "secret", 6);
  }
  for (guint i = 0; i < G_N_ELEMENTS (none); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (passphrase_of (none[i], FALSE, &error));
    g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  }
}

/* A backup under the half of a passphrase could be opened by nobody who has the whole. */
static void
test_half_passphrase (void)
{
  g_autoptr (GError) error = NULL, silent = NULL;
  g_autoptr (GBytes) ended = passphrase_of ("secret\n", TRUE, NULL);
  g_assert_nonnull (ended);
  g_assert_null (passphrase_of ("sec", TRUE, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  g_assert_null (passphrase_of ("", TRUE, &silent));
  g_assert_error (silent, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
}

/* A pipe that nobody reads, or writes to, or that goes on for ever drop by drop, holds nobody up. */
static void
test_patience (void)
{
  const SwarmBackupPatience short_wait = { 50, g_get_monotonic_time () + 3600 * (gint64) G_USEC_PER_SEC }, over = { 60000, g_get_monotonic_time () };
  g_autofree guint8 *much = g_malloc0 (1 << 20);
  g_autoptr (GError) full = NULL, empty = NULL, late = NULL, gone = NULL;
  char got[8];
  int fds[2];
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  g_assert_cmpint (swarm_backup_read_fd (fds[0], got, sizeof got, &short_wait, &empty), ==, -1);
  g_assert_error (empty, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  g_assert_true (swarm_backup_write_fd (fds[1], "some", 4, &short_wait, NULL));
  g_assert_cmpint (swarm_backup_read_fd (fds[0], got, sizeof got, &over, &late), ==, -1); /* though there is something */
  g_assert_error (late, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  g_assert_cmpint (swarm_backup_read_fd (fds[0], got, sizeof got, &short_wait, NULL), ==, 4);
  g_assert_false (swarm_backup_write_fd (fds[1], much, 1 << 20, &short_wait, &full));
  g_assert_error (full, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  close (fds[0]);
  g_assert_false (swarm_backup_write_fd (fds[1], much, 10, &short_wait, &gone));
  g_assert_error (gone, SWARM_ERROR, SWARM_ERROR_FAILED);
  close (fds[1]);
}

static gpointer
read_all (gpointer data)
{
  int fd = GPOINTER_TO_INT (data);
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 buffer[777];
  for (ssize_t n; (n = read (fd, buffer, sizeof buffer)) > 0;)
    g_checksum_update (sum, buffer, n);
  return g_strdup (g_checksum_get_string (sum));
}

/* Much more than a pipe or a socket holds, to somebody who reads. */
static void
test_write_through (void)
{
  const SwarmBackupPatience patience = { 60000, g_get_monotonic_time () + 3600 * (gint64) G_USEC_PER_SEC };
  g_autoptr (GBytes) much = random_state (3 << 20);
  g_autofree char *expected = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, much);
  for (guint i = 0; i < 2; i++) {
    int fds[2];
    if (i == 0)
      g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
    else
      g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    GThread *reader = g_thread_new ("reader", read_all, GINT_TO_POINTER (fds[0]));
    gsize len;
    const guint8 *data = g_bytes_get_data (much, &len);
    g_assert_true (swarm_backup_write_fd (fds[1], data, len, &patience, NULL));
    close (fds[1]);
    g_autofree char *got = g_thread_join (reader);
    g_assert_cmpstr (got, ==, expected);
    close (fds[0]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN); /* as the agent does */
  g_test_add_func ("/backup/round", test_round);
  g_test_add_func ("/backup/wrong-passphrase", test_wrong_passphrase);
  g_test_add_func ("/backup/damage", test_damage);
  g_test_add_func ("/backup/chunks", test_chunks);
  g_test_add_func ("/backup/full-disk", test_full_disk);
  g_test_add_func ("/backup/scrypt", test_scrypt);
  g_test_add_func ("/backup/passphrase", test_passphrase);
  g_test_add_func ("/backup/half-passphrase", test_half_passphrase);
  g_test_add_func ("/backup/patience", test_patience);
  g_test_add_func ("/backup/write-through", test_write_through);
  return g_test_run ();
}
