// SPDX-License-Identifier: LGPL-2.1-or-later
/* SwarmCrypto for the simulator: fast and repeatable, notices wrong keys and flipped bits, keeps nothing secret. */
#pragma once
#include "base/crypto.h"
#include "sim/sim-clock.h"

typedef struct {
  SwarmCrypto iface;
  SimRandom *random;
} SimCrypto;

/* @random must outlive it. */
void sim_crypto_init (SimCrypto *self, SimRandom *random);
/* A signing request as this crypto's issue() takes it; caller frees. */
char *sim_crypto_csr (SimCrypto *self);
