// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include <glib.h>

/* A copy that is wiped when its last reference goes. */
GBytes *swarm_secret_bytes (const void *data, gsize len);
