// SPDX-License-Identifier: LGPL-2.1-or-later
/* Numbers in the files of keys and of backups. */
#pragma once
#include <glib.h>

static inline void
swarm_put_u32 (GByteArray *out, guint32 value)
{
  value = GUINT32_TO_LE (value);
  g_byte_array_append (out, (const guint8 *) &value, sizeof value);
}

static inline void
swarm_put_u64 (GByteArray *out, guint64 value)
{
  value = GUINT64_TO_LE (value);
  g_byte_array_append (out, (const guint8 *) &value, sizeof value);
}
