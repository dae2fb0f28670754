// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is given out: numbers, subnets of the address pool, addresses of subnets. It mirrors the store, of which it can be made anew at any time,
 * and holds beside it what the transaction under way gives out. */
#pragma once
#include "model/objects.h"

typedef struct _SwarmLedger SwarmLedger;

/* Kinds of numbers. */
typedef enum { SWARM_LEDGER_VNI, SWARM_LEDGER_NODE, SWARM_LEDGER_TCP, SWARM_LEDGER_UDP, SWARM_LEDGER_SCTP, SWARM_LEDGER_N } SwarmLedgerNumber;

SwarmLedger *swarm_ledger_new (void);
void swarm_ledger_free (SwarmLedger *self);
/* Forgets everything. @pool: subnets as texts, NULL: docker's; @size: bits of the mask of each piece. */
void swarm_ledger_reset (SwarmLedger *self, GPtrArray *pool, guint size);

/* ---- as the store has it: no part of any transaction ---- */
void swarm_ledger_book_number (SwarmLedger *self, SwarmLedgerNumber kind, guint64 number, gboolean on);
/* The subnets of a network (its id), or of a node's tasks. Addresses that the config reserves are taken. */
void swarm_ledger_open (SwarmLedger *self, const SwarmId *owner, const SwarmIPAM *ipam);
void swarm_ledger_close (SwarmLedger *self, const SwarmId *owner);
/* "10.0.1.7/24" of an owner's subnets; one that is not there is passed over. */
void swarm_ledger_book_address (SwarmLedger *self, const SwarmId *owner, const char *address, gboolean on);

/* ---- taking: for the transaction under way ---- */
gboolean swarm_ledger_take_number (SwarmLedger *self, SwarmLedgerNumber kind, guint32 first, guint32 last, guint32 *ret);
/* A subnet of the pool. FALSE: none is left. */
gboolean swarm_ledger_take_subnet (SwarmLedger *self, SwarmSubnet *ret);
/* This one. FALSE: it overlaps what is given out. */
gboolean swarm_ledger_take_this_subnet (SwarmLedger *self, const SwarmSubnet *subnet);
/* An address of @owner's subnets with its mask; @ret6 (may be NULL): the one of IPv6, NULL where there is none. Caller frees. FALSE: none is left. */
gboolean swarm_ledger_take_address (SwarmLedger *self, const SwarmId *owner, char **ret, char **ret6);
/* The transaction ended. What it took is the store's now, or, with @given_back, free again. */
void swarm_ledger_settle (SwarmLedger *self, gboolean given_back);
/* Within the transaction: what was taken since swarm_ledger_mark() is free again. */
guint swarm_ledger_mark (SwarmLedger *self);
void swarm_ledger_back_to (SwarmLedger *self, guint mark);

/* @owner has an address to give. */
gboolean swarm_ledger_has_room (SwarmLedger *self, const SwarmId *owner);
gboolean swarm_ledger_has_number (SwarmLedger *self, SwarmLedgerNumber kind, guint64 number);
/* NULL: both say the same; else what one has and the other has not. Caller frees. */
char *swarm_ledger_difference (SwarmLedger *self, SwarmLedger *other);
