// SPDX-License-Identifier: LGPL-2.1-or-later
/* libraft's configurations and ours. libraft's server address holds "<node id> <HOST:PORT>", so that the log itself maps raft ids to nodes. */
#pragma once
#include "base/random.h"
#include <raft.h>

#define MAX_MEMBERS 32

/* A raft id is used once: it is made of the index of the entry that adds the member, and chance (that entry may be lost to another one). */
guint64 raft_id_new (SwarmRandom *random, guint64 index);
guint64 raft_id_index (guint64 raft_id);

/* "<node id> <HOST:PORT>"; caller frees. */
char *member_address (const SwarmId *node, const char *address);
/* Takes such a string apart; FALSE for anything else. */
gboolean member_parse (const char *text, SwarmId *ret_node, const char **ret_address);

/* May this be given to libraft's decoder (which trusts its input)? */
gboolean conf_valid (GBytes *conf);
GBytes *conf_encode (const struct raft_configuration *conf);
/* @conf must be valid. */
void conf_decode (GBytes *conf, struct raft_configuration *ret);
/* NULL when it is not there. */
const struct raft_server *conf_find (const struct raft_configuration *conf, raft_id id);
const struct raft_server *conf_find_node (const struct raft_configuration *conf, const SwarmId *node);
guint conf_voters (const struct raft_configuration *conf);
/* Is @id the only voter? */
gboolean conf_sole_voter (const struct raft_configuration *conf, raft_id id);
