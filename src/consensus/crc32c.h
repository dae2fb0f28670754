// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include <glib.h>

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4) of @data, going on from @crc (0 at first). */
guint32 swarm_crc32c (guint32 crc, const guint8 *data, gsize len);
