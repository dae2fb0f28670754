// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the forms of a message (core, storage, a{sv}, JSON) share. */
#pragma once
#include "base/error.h"
#include "base/field.h"

#define SWARM_MEMBER(T, message, field) (*(T *) ((guint8 *) (message) + (field)->offset))

/* Where in the nesting a value is, for errors: a chain of frames on the stack. */
typedef struct _SwarmPath SwarmPath;
struct _SwarmPath {
  const SwarmPath *parent; /* NULL at the top */
  const char *name;
  int index; /* of a list's element; -1: none */
};
/* "TaskTemplate.ContainerSpec.Mounts[0].Target". Caller frees. */
char *swarm_path_string (const SwarmPath *path);
/* Sets SWARM_ERROR_INVALID_ARGUMENT "PATH: text". Always FALSE, to be returned. */
gboolean swarm_path_error (const SwarmPath *path, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);
gboolean swarm_path_error_unknown (const SwarmPath *path, GError **error);
/* @got describes what was found instead of what @kind wants. */
gboolean swarm_path_error_type (const SwarmPath *path, SwarmFieldKind kind, const char *got, GError **error);
gboolean swarm_path_error_too_many (const SwarmPath *path, GError **error);

/* The kinds that are one integer in the struct: BOOL, INT, UINT (bit by bit), ENUM, TIME, DURATION. */
gboolean swarm_field_is_number (const SwarmField *field);
gint64 swarm_field_get_number (const SwarmField *field, gconstpointer message);
void swarm_field_set_number (const SwarmField *field, gpointer message, gint64 value);
gboolean swarm_field_is_default (const SwarmField *field, gconstpointer message);
gboolean swarm_field_is_equal (const SwarmField *field, gconstpointer a, gconstpointer b);
/* Shown towards people under @flags? */
gboolean swarm_field_is_shown (const SwarmField *field, gconstpointer message, SwarmFormFlags flags);

/* A row by name or by storage number; NULL: unknown. @name may be the first part of a dotted name: then @ret_rest is the second. */
const SwarmField *swarm_type_find (const SwarmType *type, const char *name, SwarmFormFlags flags, const char **ret_rest);
const SwarmField *swarm_type_find_number (const SwarmType *type, guint number);

/* Text of STRING, ENUM, ID and TIME fields. Caller frees. */
char *swarm_field_get_text (const SwarmField *field, gconstpointer message);
gboolean swarm_field_set_text (const SwarmField *field, gpointer message, const char *text, const SwarmPath *path, GError **error);
/* An integer from any source: sign and magnitude. */
gboolean swarm_field_set_integer (const SwarmField *field, gpointer message, gboolean negative, guint64 magnitude,
                                  const SwarmPath *path, GError **error);
gboolean swarm_field_set_double (const SwarmField *field, gpointer message, double value, const SwarmPath *path, GError **error);
/* Adds to a STRINGS or IDS list. */
gboolean swarm_field_add_text (const SwarmField *field, gpointer message, const char *text, const SwarmPath *path, GError **error);
/* Adds to a MESSAGES list; takes @element. */
void swarm_field_add_message (const SwarmField *field, gpointer message, gpointer element);
/* Adds to a MAP. */
void swarm_field_add_pair (const SwarmField *field, gpointer message, const char *key, const char *value);
/* The keys of a map (may be NULL), sorted; caller frees the array only. */
GPtrArray *swarm_map_sorted_keys (GHashTable *map);
