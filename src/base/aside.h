// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory that takes long to give back: hundreds of megabytes are tens of milliseconds, in which the main loop would stand still. */
#pragma once
#include <glib.h>

/* The same bytes; with the last reference a thread of its own gives their memory back. Takes the only reference of @bytes. */
GBytes *swarm_bytes_free_aside (GBytes *bytes);
