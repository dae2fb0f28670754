// SPDX-License-Identifier: LGPL-2.1-or-later
/* Unlock keys in swarm's format: SWMKEY-1-<32 bytes, base64 without padding>. With autolock this is the key-encryption key of all managers. */
#pragma once
#include <glib.h>

#define SWARM_UNLOCK_KEY_PREFIX "SWMKEY-1-"
#define SWARM_UNLOCK_KEY_BYTES 32

/* The text form of 32 bytes. Caller frees; it is a secret. */
char *swarm_unlock_key_format (GBytes *key);
/* NULL with SWARM_ERROR_INVALID_ARGUMENT "swarm could not be unlocked: invalid key provided" for anything that is not exactly a key. The text
 * never appears in the error. The bytes are wiped with the last reference. */
GBytes *swarm_unlock_key_parse (const char *text, GError **error);
