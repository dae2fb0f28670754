// SPDX-License-Identifier: LGPL-2.1-or-later
/* A state machine's encode() for tests and benchmarks of consensus: what snapshot() gave are its bytes already; they are handed over later. */
#pragma once
#include "base/clock.h"
#include "consensus/consensus.h"

typedef struct {
  GBytes *bytes;
  SwarmConsensusEncodedFunc done;
  gpointer data;
} LateEncoding;

static void
late_encoding_due (gpointer data)
{
  LateEncoding *encoding = data;

  encoding->done (encoding->bytes, encoding->data);
  g_bytes_unref (encoding->bytes);
  g_free (encoding);
}

/* @bytes: taken. @done is called @delay_us from now. */
static inline void
late_encode (SwarmClock *clock, gint64 delay_us, GBytes *bytes, SwarmConsensusEncodedFunc done, gpointer data)
{
  LateEncoding *encoding = g_new (LateEncoding, 1);

  *encoding = (LateEncoding){ bytes, done, data };
  swarm_clock_timer (clock, delay_us, SWARM_PRIORITY_NORMAL, late_encoding_due, encoding);
}
