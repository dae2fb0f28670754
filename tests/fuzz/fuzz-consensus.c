// SPDX-License-Identifier: LGPL-2.1-or-later
/* What consensus reads of others: messages, configurations, files. The first byte says as what. */
#include "consensus/log.h"
#include "consensus/members.h"
#include "consensus/message.h"
#include "consensus/snapshot.h"
#include "fuzz.h"
#include "sim/sim-crypto.h"
#include "sim/sim-disk.h"

typedef struct {
  SimClock *clock;
  SimRandom random;
  SimCrypto crypto;
  SimDisk *disk;
  SealContext seal;
} Files;

static void
files_init (Files *files)
{
  files->clock = sim_clock_new (1);
  sim_random_init (&files->random, 1);
  sim_crypto_init (&files->crypto, &files->random);
  files->disk = sim_disk_new (files->clock, &files->random, 1, 1);
  files->seal = (SealContext){ &files->crypto.iface, NULL, &files->random.iface, { { 1 } } };
}

static void
files_clear (Files *files)
{
  sim_disk_free (files->disk);
  sim_clock_free (files->clock);
}

static void
put_file (Files *files, const char *name, GBytes *content)
{
  GArray *ops = swarm_disk_ops_new ();

  swarm_disk_ops_write (ops, name, 0, content);
  sim_disk_iface (files->disk)->submit (sim_disk_iface (files->disk), ops, NULL, NULL);
  sim_clock_run (files->clock, 10);
}

/* A file whose checksums are right, with the input as its records. */
static GBytes *
wrap (Files *files, const char magic[8], const uint8_t *data, size_t size)
{
  GByteArray *out = g_byte_array_new ();
  FileHeader header = { 1 };

  file_header_append (&files->seal, magic, &header, out);
  while (size > 0) {
    size_t n = MIN (size, (size_t) 1 + data[0]);
    g_autoptr (GBytes) body = g_bytes_new (data, n);

    record_append (&files->seal, &header, 0, header.mark, body, out);
    data += n;
    size -= n;
  }
  return g_byte_array_free_to_bytes (out);
}

static void
load (Files *files)
{
  SwarmDisk *disk = sim_disk_iface (files->disk);
  g_auto (GStrv) names = disk->list (disk, NULL);
  g_autoptr (GArray) repair = swarm_disk_ops_new ();
  g_autoptr (GError) log_error = NULL, snapshot_error = NULL;
  RaftLog *log = raft_log_new (&files->seal, 1000);
  RaftSnapshot snapshot;

  if (!raft_log_load (log, disk, names, repair, &log_error))
    g_assert (log_error != NULL);
  raft_log_free (log);
  if (!raft_snapshot_load (&files->seal, disk, names, &snapshot, &snapshot_error))
    g_assert (snapshot_error != NULL);
  raft_snapshot_clear (&snapshot);
}

static void
try_file (const char *name, const char *magic, const uint8_t *data, size_t size)
{
  Files files;
  g_autoptr (GBytes) content = NULL;

  files_init (&files);
  content = magic != NULL ? wrap (&files, magic, data, size) : g_bytes_new (data, size);
  put_file (&files, name, content);
  load (&files);
  files_clear (&files);
}

static void
try_message (GBytes *bytes)
{
  g_auto (Message) message = { 0 };

  message_decode (bytes, &message);
}

static void
try_configuration (GBytes *bytes)
{
  struct raft_configuration conf;
  g_autoptr (GBytes) again = NULL;

  if (!conf_valid (bytes))
    return;
  conf_decode (bytes, &conf);
  again = conf_encode (&conf);
  g_assert (conf_valid (again));
  raft_configuration_close (&conf);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) rest = NULL;

  if (size == 0)
    return 0;
  rest = g_bytes_new (data + 1, size - 1);
  switch (data[0]) {
  case 'm':
    try_message (rest);
    break;
  case 'c':
    try_configuration (rest);
    break;
  case 'l':
    try_file ("log-0000000001", NULL, data + 1, size - 1);
    break;
  case 'r':
    try_file ("log-0000000001", "SWARMLOG", data + 1, size - 1);
    break;
  case 's':
    try_file ("snapshot-0000000000000001", NULL, data + 1, size - 1);
    break;
  case 't':
    try_file ("snapshot-0000000000000001", "SWARMSNP", data + 1, size - 1);
    break;
  }
  return 0;
}
