// SPDX-License-Identifier: LGPL-2.1-or-later
/* Feature levels: what a reader must know to understand a message (DESIGN "Versions"). */
#include "base/field-private.h"

/* As deep as messages may be nested. */
#define MAX_DEPTH 16

static guint
type_level (const SwarmType *type, guint depth)
{
  guint level = 0;

  for (const SwarmField *field = type->fields; field->number != 0; field++) {
    level = MAX (level, field->since);
    if (field->type != NULL && depth < MAX_DEPTH)
      level = MAX (level, type_level (field->type, depth + 1));
  }
  return level;
}

guint
swarm_type_level (const SwarmType *type)
{
  return type_level (type, 0);
}

static guint
list_level (GPtrArray *list)
{
  guint level = 0;

  for (guint i = 0; list != NULL && i < list->len; i++)
    level = MAX (level, swarm_message_level (list->pdata[i], NULL));
  return level;
}

guint
swarm_message_level (gconstpointer message, gconstpointer base)
{
  guint level = 0;

  if (message == NULL || message == base)
    return 0;
  for (const SwarmField *field = ((const SwarmMessage *) message)->type->fields; field->number != 0; field++) {
    if (base != NULL ? swarm_field_is_equal (field, base, message) : swarm_field_is_default (field, message))
      continue;
    level = MAX (level, field->since);
    if (field->kind == SWARM_FIELD_MESSAGE)
      level = MAX (level, swarm_message_level (SWARM_MEMBER (gpointer, message, field), base != NULL ? SWARM_MEMBER (gpointer, base, field) : NULL));
    else if (field->kind == SWARM_FIELD_MESSAGES)
      level = MAX (level, list_level (SWARM_MEMBER (GPtrArray *, message, field)));
  }
  return level;
}
