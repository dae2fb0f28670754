// SPDX-License-Identifier: LGPL-2.1-or-later
/* What stands in a log entry. */
#pragma once
#include "model/object.h"

#define SWARM_ENTRY_FORMAT 1
#define SWARM_REQUEST_ID_MAX 128
#define SWARM_RESULT_MAX 4096

typedef enum { SWARM_ACTION_CREATE, SWARM_ACTION_UPDATE, SWARM_ACTION_REMOVE } SwarmActionKind;

/* One change. */
typedef struct {
  SwarmMessage message;
  SwarmActionKind action;
  SwarmKind kind;
  SwarmId id;
  guint64 version; /* expected; 0: any */
  GBytes *object;  /* storage form; NULL: removal */
} SwarmAction;
SWARM_MESSAGE_DECLARE (SwarmAction, swarm_action)

typedef struct {
  SwarmMessage message;
  guint64 format;
  SwarmId proposer; /* the store that made it, to tell its own entries */
  guint64 sequence; /* of the proposer */
  gint64 stamp;     /* the proposer's wall clock, µs */
  char *request_id;
  GBytes *result;
  GPtrArray *actions; /* SwarmAction */
} SwarmEntry;
SWARM_MESSAGE_DECLARE (SwarmEntry, swarm_entry)

/* Strict, unlike objects: an entry with anything unknown in it must not be half-applied. */
SwarmEntry *swarm_entry_decode (GBytes *data, GError **error);

/* A transaction's result as bytes, the same on every machine; and back (NULL when damaged). */
GBytes *swarm_result_encode (GVariant *result);
GVariant *swarm_result_decode (GBytes *bytes);
