// SPDX-License-Identifier: LGPL-2.1-or-later
/* Keys from passphrases. */
#pragma once
#include <glib.h>

/* scrypt (RFC 7914): takes 128 · 2^@log_n · @r bytes of memory and correspondingly long: on a thread. 32 bytes that are wiped when the last reference
 * goes. NULL with SWARM_ERROR_INVALID_ARGUMENT for numbers that would take more than 1 GiB. */
GBytes *swarm_kdf_scrypt (GBytes *passphrase, const guint8 *salt, gsize salt_len, guint log_n, guint r, guint p, GError **error);
