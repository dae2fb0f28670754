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
  guint64 fields;  /* of an update: @object has only these (bit N: field number N), the others stay; 0: it is the whole object */
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
  guint64 level; /* feature level that one must have to apply it; 0: 1 */
} SwarmEntry;
SWARM_MESSAGE_DECLARE (SwarmEntry, swarm_entry)

/* One change on its way into the log, and of a decoded entry on its way into the tables. */
typedef struct {
  SwarmActionKind action;
  SwarmKind kind;
  SwarmId id;
  guint64 version;
  guint64 fields;
  gpointer object; /* a reference; NULL: removal */
  gsize start;     /* of its storage form among those of its transaction */
  gsize len;
  guint16 next; /* transaction's business */
  guint sum;    /* guard.h */
} SwarmChange;

typedef struct {
  SwarmId proposer;
  guint64 sequence;
  gint64 stamp;
  const char *request_id; /* may be NULL, as the next */
  GBytes *result;
  guint level; /* 0 or 1: any reader understands it */
} SwarmEntryHead;

/* The storage form of a SwarmEntry; @forms holds the objects' forms. */
GBytes *swarm_entry_encode (const SwarmEntryHead *head, const SwarmChange *changes, guint n_changes, const guint8 *forms);
/* Who made the entry; FALSE: it does not begin as swarm_entry_encode() begins one. */
gboolean swarm_entry_peek (GBytes *data, SwarmId *ret_proposer, guint64 *ret_sequence);
/* Strict, unlike objects: an entry with anything unknown in it must not be half-applied. */
SwarmEntry *swarm_entry_decode (GBytes *data, GError **error);

/* A transaction's result as bytes, the same on every machine; and back (NULL when damaged). */
GBytes *swarm_result_encode (GVariant *result);
GVariant *swarm_result_decode (GBytes *bytes);
