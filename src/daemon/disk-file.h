// SPDX-License-Identifier: LGPL-2.1-or-later
/* The real SwarmDisk: one directory, one dedicated writer thread. Batches that wait share one sync (group commit). */
#pragma once
#include "base/disk.h"

/* Bytes of batches that may wait; more fail (and with them the disk), for it has stood still for very long. */
#define SWARM_DISK_FILE_MAX_QUEUE (128 * 1024 * 1024)

/* Opens (or makes, mode 0700) @directory, which belongs to this object alone: FAILED_PRECONDITION when another process holds it.
 * Completions come on the default main context at SWARM_PRIORITY_URGENT. */
SwarmDisk *swarm_disk_file_new (const char *directory, GError **error);
/* Writes what waits, calls the done functions that are left, ends the thread: blocks as long as that takes. */
void swarm_disk_file_free (SwarmDisk *disk);
