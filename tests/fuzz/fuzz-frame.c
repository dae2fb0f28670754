// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a peer sends: frames, and what is in them. The first byte cuts the rest into pieces: however it is cut, the same frames
 * must come out. */
#include "fuzz.h"
#include "rpc/frame.h"
#include "rpc/wire.h"

static void
look_into (const SwarmFrame *frame)
{
  g_auto (SwarmWireMessage) message = { 0 };
  g_autoptr (GError) error = NULL;
  SwarmHello hello;
  guint protocol;

  if (frame->header.kind == SWARM_FRAME_HELLO) {
    if (swarm_hello_parse (frame->payload, &hello, NULL))
      swarm_hello_check (&hello, &hello, &protocol, NULL);
    return;
  }
  if (!swarm_wire_decode (frame->payload, &message, &error)) {
    g_assert (error != NULL);
  } else if (message.kind == SWARM_WIRE_CALL) {
    /* What was taken can be passed on. */
    g_autoptr (GBytes) again = swarm_wire_encode_call (message.path, message.iface, message.member, message.args, 1,
                                                       2 * SWARM_FRAME_MESSAGE_MAX, NULL);
    g_assert (again != NULL);
  }
}

/* A digest of all frames that come out, and how it ended. */
static guint64
run (const guint8 *data, gsize len, gsize step, gboolean look)
{
  g_autoptr (SwarmFrameReader) reader = swarm_frame_reader_new (SWARM_FRAME_JOINING_MAX);
  guint64 sum = 0;

  for (gsize at = 0; at < len; at += step) {
    const guint8 *p = data + at;
    gsize left = MIN (step, len - at);
    while (left > 0) {
      g_auto (SwarmFrame) frame = { 0 };
      g_autoptr (GError) error = NULL;
      gboolean have;
      if (!swarm_frame_reader_feed (reader, &p, &left, &frame, &have, &error)) {
        g_assert (error != NULL);
        return sum * 31 + 1;
      }
      if (!have)
        continue;
      sum = sum * 31 + frame.header.kind + frame.header.serial + g_bytes_hash (frame.payload);
      if (look)
        look_into (&frame);
    }
  }
  return sum * 31 + 2 + swarm_frame_reader_is_partial (reader);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  if (size < 2)
    return 0;
  g_assert (run (data + 1, size - 1, size, TRUE) == run (data + 1, size - 1, 1 + data[0] % 40, FALSE));
  return 0;
}
