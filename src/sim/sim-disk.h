// SPDX-License-Identifier: LGPL-2.1-or-later
/* One simulated directory: batches take time, a power cut loses, tears or reorders what was not synced, bits can be flipped. */
#pragma once
#include "base/disk.h"
#include "sim/sim-clock.h"

typedef struct _SimDisk SimDisk;

/* What a power cut did to writes that were not synced. */
typedef struct {
  guint torn, lost;
} SimDiskLosses;

/* @clock and @random must outlive it. A batch takes between @min_us and @max_us. */
SimDisk *sim_disk_new (SimClock *clock, SimRandom *random, gint64 min_us, gint64 max_us);
/* Batches under way fail. */
void sim_disk_free (SimDisk *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimDisk, sim_disk_free)
SwarmDisk *sim_disk_iface (SimDisk *self);
/* Batches take between @min_us and @max_us from now on. */
void sim_disk_set_delay (SimDisk *self, gint64 min_us, gint64 max_us);
/* Completions come by this clock instead (a view that can be frozen). */
void sim_disk_set_clock (SimDisk *self, SwarmClock *view);

/* The power goes: of the batches that are not done, some writes reach the platter whole, some torn (cut short at a sector, or with sectors of
 * zeros), some not at all; renames and removals as a prefix in their order, each after what it depends on. Their done functions get an error.
 * The files can be read again and new batches submitted at once. */
SimDiskLosses sim_disk_crash (SimDisk *self);
/* The process is killed but the kernel lives: a prefix of the operations under way is done, and can be read, but is not synced: a later power cut
 * treats it as above, unless a batch touched the same files meanwhile. */
void sim_disk_kill (SimDisk *self);
/* Everything is unlinked and synced; batches under way fail. */
void sim_disk_wipe (SimDisk *self);
/* The next batch that is submitted fails with @message, and all after it, until sim_disk_repair() or a crash; half of it is written. */
void sim_disk_fail (SimDisk *self, const char *message);
void sim_disk_repair (SimDisk *self);
/* Lies about sync: done batches of this many µs are still lost by a crash (0: honest). Shows that a test would notice. */
void sim_disk_lie (SimDisk *self, gint64 us);
/* Flips one bit of what is on the platter; FALSE when there is no such byte. */
gboolean sim_disk_flip (SimDisk *self, const char *name, guint64 offset, guint bit);
/* Cuts a file. */
void sim_disk_cut (SimDisk *self, const char *name, guint64 size);
/* Size of @name, -1: none. */
gint64 sim_disk_size (SimDisk *self, const char *name);
/* All bytes of all files; how many batches were done. */
guint64 sim_disk_used (SimDisk *self);
guint64 sim_disk_batches (SimDisk *self);
