// SPDX-License-Identifier: LGPL-2.1-or-later
/* Interface three of six: one directory of files that must survive a power cut.
 * Real: a FIFO to one dedicated writer thread. Simulated: latency, torn writes, lost tails, flipped bits.
 * Reads happen at start only and are synchronous; all changes go through batches. */
#pragma once
#include <glib.h>

typedef struct _SwarmDisk SwarmDisk;

typedef enum {
  SWARM_DISK_WRITE,    /* @data at @offset of @name; the file is made if absent (mode 0600) */
  SWARM_DISK_TRUNCATE, /* @name to @offset bytes */
  SWARM_DISK_RENAME,   /* @name over @to, atomically */
  SWARM_DISK_UNLINK,   /* @name; fine if absent */
} SwarmDiskOpKind;

typedef struct {
  SwarmDiskOpKind kind;
  char *name; /* one path component, no slash */
  char *to;
  guint64 offset;
  GBytes *data;
} SwarmDiskOp;

/* @error is NULL when every op of the batch is on stable storage. */
typedef void (*SwarmDiskDoneFunc) (const GError *error, gpointer data);

struct _SwarmDisk {
  /* Names of all files, sorted; caller frees (g_strfreev). */
  char **(*list) (SwarmDisk *self, GError **error);
  /* Whole content of @name; G_FILE_ERROR_NOENT when absent. */
  GBytes *(*read) (SwarmDisk *self, const char *name, GError **error);
  /* Takes @ops (array of SwarmDiskOp with its element free function set); runs them in order after all earlier batches,
   * syncs every touched file and the directory (before a RENAME, the renamed file too), then calls @done from the loop.
   * Batches complete in order. Neighbouring batches may share one sync (group commit). A failed batch fails all later ones:
   * a disk that lost a write is not trusted again. */
  void (*submit) (SwarmDisk *self, GArray *ops, SwarmDiskDoneFunc done, gpointer data);
};

/* An empty array of ops that frees its members; then add with the helpers below. */
GArray *swarm_disk_ops_new (void);
void swarm_disk_ops_write (GArray *ops, const char *name, guint64 offset, GBytes *data);
void swarm_disk_ops_truncate (GArray *ops, const char *name, guint64 size);
void swarm_disk_ops_rename (GArray *ops, const char *name, const char *to);
void swarm_disk_ops_unlink (GArray *ops, const char *name);
