// SPDX-License-Identifier: LGPL-2.1-or-later
/* The real SwarmCrypto, on OpenSSL 3. */
#pragma once
#include "base/crypto.h"

/* One for the whole process, never freed, without state: may be used from any thread. */
SwarmCrypto *swarm_crypto_openssl (void);
