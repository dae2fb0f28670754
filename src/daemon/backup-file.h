// SPDX-License-Identifier: LGPL-2.1-or-later
/* Backup files. Form, little endian:
 *   header  "SWARMBAK", u32 format 1, u32 length of the header, cluster id, u64 log index, i64 time as of which its maker
 *          knew this state to be the cluster's (µs since 1970), u32 kind of the key (1: scrypt),
 *           u32 log2 N, u32 r, u32 p, salt 16, u32 feature level that is needed to read the state
 *   chunks  u32 length of what follows, bit 31 set in the last one; then the chunk sealed with AES-256-GCM under the key. Associated data: SHA-256 of
 *           the header, the chunk's number, whether it is the last. A chunk holds at most 64 KiB.
 * So nothing can be changed, exchanged, left out or added unnoticed, and a file that was cut off is told from a whole one. What the chunks hold,
 * one after the other, is the store's snapshot: services, secrets, tokens and the root with its key, but no node's private key.
 *
 * Writing and reading take two functions for the bytes and may be used on any thread; they hold a chunk at a time (the reader: what it has read). */
#pragma once
#include "base/crypto.h"
#include "base/id.h"

#define SWARM_BACKUP_CHUNK (64 * 1024)
/* As large as a snapshot may be. */
#define SWARM_BACKUP_MAX (512 * 1024 * 1024)

typedef struct {
  SwarmId cluster;
  guint64 index;
  gint64 as_of; /* µs since 1970 */
  guint32 log_n, r, p;
  guint8 salt[16];
  guint32 level;
} SwarmBackupHeader;

/* All of @data, or an error. */
typedef gboolean (*SwarmBackupWrite) (gconstpointer data, gsize len, gpointer user, GError **error);
/* Up to @len bytes; 0: the end; -1: error. */
typedef gssize (*SwarmBackupRead) (gpointer data, gsize len, gpointer user, GError **error);
/* The key for a file with that header. */
typedef GBytes *(*SwarmBackupKey) (const SwarmBackupHeader *header, gpointer user, GError **error);

gboolean swarm_backup_write (SwarmCrypto *crypto, const SwarmBackupHeader *header, GBytes *key, GBytes *state, SwarmBackupWrite write, gpointer user,
                             GError **error);
/* The state. SWARM_ERROR_INVALID_ARGUMENT says what is wrong with the file, and where; a wrong passphrase cannot be told from a damaged first chunk. */
GBytes *swarm_backup_read (SwarmCrypto *crypto, SwarmBackupRead read, SwarmBackupKey key, gpointer user, SwarmBackupHeader *ret_header, GError **error);

/* What others hold the other end of is waited for so long: @wait_ms without any progress, and not past @deadline (of g_get_monotonic_time()). */
typedef struct {
  int wait_ms;
  gint64 deadline;
} SwarmBackupPatience;

/* All of @data to @fd, and up to @len bytes from it (0: the end, -1: error), for a thread. TIMED_OUT: the other end stands still. */
gboolean swarm_backup_write_fd (int fd, gconstpointer data, gsize len, const SwarmBackupPatience *patience, GError **error);
gssize swarm_backup_read_fd (int fd, gpointer data, gsize len, const SwarmBackupPatience *patience, GError **error);

/* One line from @fd, or all that there is up to its end; within @wait_ms in all. For a thread: it waits. The bytes are wiped
 * when the last reference goes. INVALID_ARGUMENT: none, too long; TIMED_OUT: it was begun, but not ended; half a passphrase is none. */
GBytes *swarm_backup_read_passphrase (int fd, int wait_ms, GError **error);
