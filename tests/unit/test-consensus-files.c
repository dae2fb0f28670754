// SPDX-License-Identifier: LGPL-2.1-or-later
/* The files of the replicated log, byte by byte: what is sound, torn, damaged or not ours; and which entries a log has that is loaded from them. */
#include "base/error.h"
#include "consensus/codec.h"
#include "consensus/crc32c.h"
#include "consensus/log.h"
#include "consensus/members.h"
#include "sim/sim-clock.h"
#include "sim/sim-crypto.h"
#include "sim/sim-disk.h"

#define TEXT_MAGIC "SWARMTST"

typedef struct {
  SimClock *clock;
  SimRandom random;
  SimCrypto crypto;
  SimDisk *disk;
  SealContext seal;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->clock = sim_clock_new (G_USEC_PER_SEC);
  sim_random_init (&f->random, 42);
  sim_crypto_init (&f->crypto, &f->random);
  f->disk = sim_disk_new (f->clock, &f->random, 100, 1000);
  f->seal = (SealContext){ .crypto = &f->crypto.iface, .random = &f->random.iface, .cluster = { { 9, 8, 7 } }, .key_number = 3,
                           .key = g_bytes_new_static ("0123456789abcdef0123456789abcdef", 32) };
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  sim_clock_run (f->clock, 10 * G_USEC_PER_SEC);
  sim_disk_free (f->disk);
  sim_clock_free (f->clock);
  g_bytes_unref (f->seal.key);
}

/* ---- headers ---- */

static ParseResult
parse_header (Fixture *f, const guint8 *data, gsize len, FileHeader *ret, GError **error)
{
  g_autoptr (GBytes) file = g_bytes_new (data, len);

  return file_header_parse (&f->seal, TEXT_MAGIC, "a-file", file, ret, error);
}

static void
test_header (Fixture *f, gconstpointer data)
{
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  FileHeader header = { .number = 77, .mark = { 5, 600 } }, back;

  file_header_append (&f->seal, TEXT_MAGIC, &header, out);
  g_assert_cmpuint (out->len, ==, FILE_HEADER_SIZE);
  g_assert_cmpint (parse_header (f, out->data, out->len, &back, &error), ==, PARSE_OK);
  g_assert_cmpuint (back.number, ==, 77);
  g_assert_cmpuint (back.nonce, ==, header.nonce);
  g_assert_cmpuint (back.nonce, !=, 0);
  g_assert_cmpuint (back.mark.segment, ==, 5);
  g_assert_cmpuint (back.mark.offset, ==, 600);
  g_assert_cmpuint (back.key_number, ==, 3);
  for (guint cut = 0; cut < FILE_HEADER_SIZE; cut++)
    g_assert_cmpint (parse_header (f, out->data, cut, &back, &error), ==, PARSE_TORN);
  for (guint bit = 0; bit < FILE_HEADER_SIZE * 8; bit++) {
    out->data[bit / 8] ^= 1u << (bit % 8);
    g_assert_cmpint (parse_header (f, out->data, out->len, &back, &error), ==, PARSE_BAD);
    out->data[bit / 8] ^= 1u << (bit % 8);
  }
  g_assert_no_error (error);
  f->seal.cluster.bytes[0]++;
  g_assert_cmpint (parse_header (f, out->data, out->len, &back, &error), ==, PARSE_ERROR);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  f->seal.cluster.bytes[0]--;
  g_clear_error (&error);
  /* Another version, soundly written. */
  out->data[8]++;
  guint32 crc = GUINT32_TO_LE (swarm_crc32c (0, out->data, FILE_HEADER_SIZE - 8));
  memcpy (out->data + FILE_HEADER_SIZE - 8, &crc, 4);
  g_assert_cmpint (parse_header (f, out->data, out->len, &back, &error), ==, PARSE_ERROR);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED);
  memset (out->data, 0, out->len);
  g_assert_cmpint (parse_header (f, out->data, out->len, &back, NULL), ==, PARSE_TORN);
}

/* ---- records ---- */

static GBytes *
body_of (gsize len)
{
  guint8 *data = g_malloc (len + 1);

  for (gsize i = 0; i < len; i++)
    data[i] = (guint8) (1 + i % 251);
  return g_bytes_new_take (data, len);
}

/* A header and records with these lengths; marks (i, 100 - i). */
static GByteArray *
file_of (Fixture *f, FileHeader *header, const gsize *lengths, guint n)
{
  GByteArray *out = g_byte_array_new ();

  *header = (FileHeader){ .number = 1 };
  file_header_append (&f->seal, TEXT_MAGIC, header, out);
  for (guint i = 0; i < n; i++) {
    g_autoptr (GBytes) body = body_of (lengths[i]);
    record_append (&f->seal, header, 0, (FileMark){ i + 1, 100 - i }, body, out);
    g_assert_cmpuint (out->len % 8, ==, 0);
  }
  return out;
}

static ParseResult
parse_at (Fixture *f, const FileHeader *header, const GByteArray *file, gsize len, guint64 *offset, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new (file->data, len);
  g_autoptr (GBytes) body = NULL;
  FileMark mark;

  return record_parse (&f->seal, header, "a-file", bytes, offset, &mark, &body, error);
}

static void
test_records (Fixture *f, gconstpointer data)
{
  gsize lengths[40];
  FileHeader header;
  guint64 offset = FILE_HEADER_SIZE;

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    lengths[i] = i < 20 ? i : i * 97;
  g_autoptr (GByteArray) file = file_of (f, &header, lengths, G_N_ELEMENTS (lengths));
  g_autoptr (GBytes) bytes = g_bytes_new (file->data, file->len);
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++) {
    g_autoptr (GBytes) body = NULL, expect = body_of (lengths[i]);
    g_autoptr (GError) error = NULL;
    FileMark mark;
    g_assert_cmpint (record_parse (&f->seal, &header, "a-file", bytes, &offset, &mark, &body, &error), ==, PARSE_OK);
    g_assert_no_error (error);
    g_assert_true (g_bytes_equal (body, expect));
    g_assert_cmpuint (mark.segment, ==, i + 1);
    g_assert_cmpuint (mark.offset, ==, 100 - i);
  }
  g_assert_cmpuint (offset, ==, file->len);
  g_assert_cmpint (parse_at (f, &header, file, file->len, &offset, NULL), ==, PARSE_END);
}

/* Cut off, or with a sector that the disk never wrote: torn. Anything else is damage. */
static void
test_torn_or_damaged (Fixture *f, gconstpointer data)
{
  gsize lengths[] = { 3000 };
  FileHeader header;
  g_autoptr (GByteArray) file = file_of (f, &header, lengths, 1);
  guint64 offset;

  for (gsize len = FILE_HEADER_SIZE + 1; len < file->len; len++) {
    offset = FILE_HEADER_SIZE;
    g_assert_cmpint (parse_at (f, &header, file, len, &offset, NULL), ==, PARSE_TORN);
    g_assert_cmpuint (offset, ==, FILE_HEADER_SIZE);
  }
  for (gsize sector = 0; sector * 512 < file->len; sector++) {
    gsize start = MAX (sector * 512, FILE_HEADER_SIZE), end = MIN (sector * 512 + 512, file->len);
    g_autofree guint8 *kept = g_memdup2 (file->data + start, end - start);
    memset (file->data + start, 0, end - start);
    offset = FILE_HEADER_SIZE;
    g_assert_cmpint (parse_at (f, &header, file, file->len, &offset, NULL), ==, PARSE_TORN);
    memcpy (file->data + start, kept, end - start);
    memset (file->data + start, 0, end - start - 1); /* all but one byte */
    if (sector > 0 && file->data[end - 1] != 0) { /* in the first the whole head is gone */
      offset = FILE_HEADER_SIZE;
      g_assert_cmpint (parse_at (f, &header, file, file->len, &offset, NULL), ==, PARSE_BAD);
    }
    memcpy (file->data + start, kept, end - start);
    memset (file->data + start + 1, 0, end - start - 1);
    if (file->data[start] != 0) {
      offset = FILE_HEADER_SIZE;
      g_assert_cmpint (parse_at (f, &header, file, file->len, &offset, NULL), ==, PARSE_BAD);
    }
    memcpy (file->data + start, kept, end - start);
  }
  for (gsize at = FILE_HEADER_SIZE; at < file->len; at++) {
    file->data[at] ^= 0x10;
    offset = FILE_HEADER_SIZE;
    g_assert_cmpint (parse_at (f, &header, file, file->len, &offset, NULL), !=, PARSE_OK);
    file->data[at] ^= 0x10;
  }
}

/* A record is good for one place in one file alone. */
static void
test_moved_record (Fixture *f, gconstpointer data)
{
  gsize lengths[] = { 40, 40 };
  FileHeader header, other;
  g_autoptr (GByteArray) file = file_of (f, &header, lengths, 2), foreign = file_of (f, &other, lengths, 2);
  gsize size = (file->len - FILE_HEADER_SIZE) / 2;
  guint64 offset = FILE_HEADER_SIZE;

  g_assert_cmpint (parse_at (f, &header, foreign, foreign->len, &offset, NULL), ==, PARSE_BAD);
  memcpy (file->data + FILE_HEADER_SIZE, file->data + FILE_HEADER_SIZE + size, size);
  offset = FILE_HEADER_SIZE;
  g_assert_cmpint (parse_at (f, &header, file, file->len, &offset, NULL), ==, PARSE_BAD);
}

static void
test_keys (Fixture *f, gconstpointer data)
{
  gsize lengths[] = { 40 };
  FileHeader header;
  g_autoptr (GByteArray) file = file_of (f, &header, lengths, 1);
  g_autoptr (GBytes) first = g_bytes_ref (f->seal.key), second = g_bytes_new_static ("another key  cdef0123456789abcdef", 32);
  g_autoptr (GError) error = NULL;
  guint64 offset = FILE_HEADER_SIZE;

  f->seal.key_number = 4;
  g_bytes_unref (f->seal.key);
  f->seal.key = g_bytes_ref (second);
  g_assert_cmpint (parse_at (f, &header, file, file->len, &offset, &error), ==, PARSE_ERROR);
  g_assert_nonnull (strstr (error->message, "data key 3"));
  g_clear_error (&error);
  f->seal.old_key = first;
  f->seal.old_key_number = 3;
  g_assert_cmpint (parse_at (f, &header, file, file->len, &offset, &error), ==, PARSE_OK);
  f->seal.old_key = second;
  offset = FILE_HEADER_SIZE;
  g_assert_cmpint (parse_at (f, &header, file, file->len, &offset, &error), ==, PARSE_ERROR);
  g_assert_nonnull (strstr (error->message, "cannot be unsealed"));
}

static void
test_highest_mark (Fixture *f, gconstpointer data)
{
  gsize lengths[] = { 10, 30, 20 };
  FileHeader header;
  g_autoptr (GByteArray) file = file_of (f, &header, lengths, 3);
  g_autoptr (GBytes) whole = g_bytes_new (file->data, file->len);
  guint64 ends[4] = { FILE_HEADER_SIZE };

  for (guint i = 0; i < 3; i++) {
    ends[i + 1] = ends[i];
    g_assert_cmpint (parse_at (f, &header, file, file->len, &ends[i + 1], NULL), ==, PARSE_OK);
  }
  for (guint64 from = FILE_HEADER_SIZE; from <= file->len; from++) {
    FileMark mark = records_highest_mark (&f->seal, &header, whole, from);
    g_assert_cmpuint (mark.segment, ==, from <= ends[2] ? 3 : 0);
  }
  for (guint n = 0; n <= 3; n++) { /* the last is not there whole: its head tells nonetheless */
    g_autoptr (GBytes) part = g_bytes_new (file->data, MIN (ends[n] + RECORD_HEADER_SIZE, file->len));
    g_assert_cmpuint (records_highest_mark (&f->seal, &header, part, FILE_HEADER_SIZE).segment, ==, MIN (n + 1, 3));
  }
}

/* ---- the log ---- */

static void
submit (Fixture *f, GArray *ops)
{
  sim_disk_iface (f->disk)->submit (sim_disk_iface (f->disk), ops, NULL, NULL);
  sim_clock_run (f->clock, 100000);
}

static void
append (Fixture *f, RaftLog *log, guint64 index, guint64 term, guint n)
{
  g_autoptr (GBytes) text = g_bytes_new_static ("some entry of the log", 21);
  LogEntry entries[16];
  GArray *ops = swarm_disk_ops_new ();

  for (guint i = 0; i < n; i++)
    entries[i] = (LogEntry){ term, RAFT_COMMAND, text };
  raft_log_synced (log, raft_log_append (log, index, entries, n, ops));
  submit (f, ops);
}

static RaftLog *
load (Fixture *f, GError **error)
{
  RaftLog *log = raft_log_new (&f->seal, 300);
  g_auto (GStrv) names = sim_disk_iface (f->disk)->list (sim_disk_iface (f->disk), NULL);
  GArray *repair = swarm_disk_ops_new ();

  if (raft_log_load (log, sim_disk_iface (f->disk), names, repair, error)) {
    submit (f, repair);
    return log;
  }
  g_array_unref (repair);
  raft_log_free (log);
  return NULL;
}

static void
assert_same (const RaftLog *a, const RaftLog *b)
{
  g_assert_cmpuint (a->first, ==, b->first);
  g_assert_cmpuint (raft_log_last (a), ==, raft_log_last (b));
  g_assert_cmpuint (a->bytes, ==, b->bytes);
  g_assert_cmpuint (a->segments->len, ==, b->segments->len);
  for (guint64 i = a->first; i <= raft_log_last (a); i++)
    g_assert_cmpuint (raft_log_get (a, i)->term, ==, raft_log_get (b, i)->term);
  g_assert_null (raft_log_get (a, a->first - 1));
  g_assert_null (raft_log_get (a, raft_log_last (a) + 1));
  for (guint i = 0; i < a->segments->len; i++) {
    const LogSegment *x = &g_array_index (a->segments, LogSegment, i), *y = &g_array_index (b->segments, LogSegment, i);
    g_assert_cmpuint (x->number, ==, y->number);
    g_assert_cmpuint (x->first, ==, y->first);
    g_assert_cmpuint (x->last, ==, y->last);
    g_assert_cmpuint (x->size, ==, y->size);
  }
  g_assert_cmpuint (a->next_segment, ==, b->next_segment);
  g_assert_cmpint (file_mark_compare (a->synced, b->synced), ==, 0);
}

/* A log that is loaded is the one that was written, whatever was replaced and pruned. */
static void
test_loaded (Fixture *f, gconstpointer data)
{
  RaftLog *log = raft_log_new (&f->seal, 300);
  g_autoptr (GError) error = NULL;

  for (guint round = 0; round < 60; round++) {
    guint64 last = raft_log_last (log), index = last + 1;
    if (round % 5 == 4) /* a new leader replaces what was not committed */
      index = MAX (log->first, last - (guint64) sim_random_range (&f->random, 0, 4));
    append (f, log, index, 1 + round / 5, (guint) sim_random_range (&f->random, 1, 9));
    if (round % 7 == 6) {
      GArray *ops = swarm_disk_ops_new ();
      raft_log_prune (log, raft_log_last (log) - 4, ops);
      submit (f, ops);
    }
    RaftLog *back = load (f, &error);
    g_assert_no_error (error);
    if (back->first < log->first) { /* whole files alone are removed */
      g_autoptr (GArray) ops = swarm_disk_ops_new ();
      raft_log_prune (back, log->first, ops);
      g_assert_cmpuint (ops->len, ==, 0);
    }
    assert_same (log, back);
    raft_log_free (back);
  }
  raft_log_free (log);
}

/* The end of one file did not reach the disk, though the next one did: nothing of it was acknowledged, and the log ends there. */
static void
test_lost_between_files (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 6; i++) {
    guint file = 1 + i / 2;
    RaftLog *log = raft_log_new (&f->seal, 300);
    g_autoptr (GBytes) text = g_bytes_new_static ("some entry of the log", 21);
    g_autoptr (GError) error = NULL;
    LogEntry entry = { 1, RAFT_COMMAND, text };
    GArray *ops = swarm_disk_ops_new ();
    g_autofree char *name = g_strdup_printf ("log-%010u", file);

    tear_down (f, NULL);
    set_up (f, NULL);
    for (guint64 at = 1; at <= 14; at++)
      raft_log_append (log, at, &entry, 1, ops); /* never told that any of it is synced */
    submit (f, ops);
    g_assert_cmpuint (log->segments->len, >=, 4);
    const LogSegment *segment = &g_array_index (log->segments, LogSegment, file - 1);
    guint64 last = segment->last, record = (segment->size - FILE_HEADER_SIZE) / (segment->last - segment->first + 1);
    raft_log_free (log);
    sim_disk_cut (f->disk, name, (guint64) sim_disk_size (f->disk, name) - (i % 2 == 0 ? 20 : record));
    log = load (f, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (raft_log_last (log), ==, last - 1);
    g_assert_cmpuint (log->segments->len, ==, file);
    append (f, log, last, 2, 3);
    RaftLog *back = load (f, &error);
    g_assert_no_error (error);
    assert_same (log, back);
    raft_log_free (log);
    raft_log_free (back);
  }
}

/* The same, but it had been synced: what is missing was acknowledged. */
static void
test_lost_acknowledged (Fixture *f, gconstpointer data)
{
  RaftLog *log = raft_log_new (&f->seal, 300);
  g_autoptr (GError) error = NULL;

  append (f, log, 1, 1, 1);
  for (guint64 i = 2; i <= 14; i++)
    append (f, log, i, 1, 1);
  raft_log_free (log);
  sim_disk_cut (f->disk, "log-0000000001", sim_disk_size (f->disk, "log-0000000001") - 20);
  g_assert_null (load (f, &error));
  g_assert_nonnull (strstr (error->message, "log-0000000001"));
}

static void
test_fit (Fixture *f, gconstpointer data)
{
  static const struct {
    guint64 snapshot, term;
    gboolean fits, kept;
  } cases[] = {
    { 0, 0, TRUE, TRUE },   /* no snapshot, all from the first on */
    { 5, 1, TRUE, TRUE },   /* inside */
    { 5, 2, TRUE, FALSE },  /* another history */
    { 12, 1, TRUE, TRUE },  /* at its end */
    { 13, 1, TRUE, FALSE }, /* behind its end */
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    RaftLog *log = raft_log_new (&f->seal, 300);
    g_autoptr (GArray) ops = swarm_disk_ops_new (), repair = swarm_disk_ops_new ();
    g_autoptr (GBytes) text = g_bytes_new_static ("text", 4);
    LogEntry entry = { 1, RAFT_COMMAND, text };
    for (guint64 at = 1; at <= 12; at++)
      raft_log_append (log, at, &entry, 1, ops);
    g_assert_cmpint (raft_log_fit (log, cases[i].snapshot, cases[i].term, repair, NULL), ==, cases[i].fits);
    g_assert_cmpuint (log->entries->len, ==, cases[i].kept ? 12 : 0);
    g_assert_cmpuint (log->first, ==, cases[i].kept ? 1 : cases[i].snapshot + 1);
    g_assert_cmpint (repair->len > 0, ==, !cases[i].kept);
    raft_log_free (log);
  }
}

/* A log that begins behind the snapshot: something is missing. */
static void
test_gap (Fixture *f, gconstpointer data)
{
  for (guint64 snapshot = 3; snapshot <= 5; snapshot++) {
    RaftLog *log = raft_log_new (&f->seal, 300);
    g_autoptr (GArray) ops = swarm_disk_ops_new (), repair = swarm_disk_ops_new ();
    g_autoptr (GBytes) text = g_bytes_new_static ("text", 4);
    g_autoptr (GError) error = NULL;
    LogEntry entry = { 1, RAFT_COMMAND, text };
    raft_log_reset (log, 4, ops);
    for (guint64 at = 5; at <= 8; at++)
      raft_log_append (log, at, &entry, 1, ops);
    g_assert_cmpint (raft_log_fit (log, snapshot, 1, repair, &error), ==, snapshot >= 4);
    g_assert_true ((error == NULL) == (snapshot >= 4));
    g_assert_cmpuint (log->first, ==, 5);
    raft_log_free (log);
  }
}

#define TEST(path, func) g_test_add (path, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  TEST ("/consensus-files/header", test_header);
  TEST ("/consensus-files/records", test_records);
  TEST ("/consensus-files/torn-or-damaged", test_torn_or_damaged);
  TEST ("/consensus-files/moved-record", test_moved_record);
  TEST ("/consensus-files/keys", test_keys);
  TEST ("/consensus-files/highest-mark", test_highest_mark);
  TEST ("/consensus-files/loaded", test_loaded);
  TEST ("/consensus-files/lost-between-files", test_lost_between_files);
  TEST ("/consensus-files/lost-acknowledged", test_lost_acknowledged);
  TEST ("/consensus-files/fit", test_fit);
  TEST ("/consensus-files/gap", test_gap);
  return g_test_run ();
}
