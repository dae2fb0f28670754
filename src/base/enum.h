// SPDX-License-Identifier: LGPL-2.1-or-later
/* String tables of enums: one table, both directions. */
#pragma once
#include <glib.h>

typedef struct {
  int value;
  const char *text;
} SwarmEnumRow;

typedef struct {
  const char *name; /* of the enum, for errors */
  const SwarmEnumRow *rows; /* text NULL ends */
} SwarmEnum;

/* NULL for a value that is not in the table. */
const char *swarm_enum_to_string (const SwarmEnum *self, int value);
gboolean swarm_enum_from_string (const SwarmEnum *self, const char *text, int *ret);

/* Declares/defines `lower_to_string` and `lower_from_string` over `lower_enum`. */
#define SWARM_ENUM_DECLARE(Type, lower) \
  extern const SwarmEnum lower##_enum; \
  static inline const char *lower##_to_string (Type v) { return swarm_enum_to_string (&lower##_enum, (int) v); } \
  static inline gboolean lower##_from_string (const char *s, Type *ret) \
  { \
    int v; \
    if (!swarm_enum_from_string (&lower##_enum, s, &v)) \
      return FALSE; \
    *ret = (Type) v; \
    return TRUE; \
  }
