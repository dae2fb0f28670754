// SPDX-License-Identifier: LGPL-2.1-or-later
#include "consensus/members.h"
#include "consensus/codec.h"

#define CHANCE_BITS 20

guint64
raft_id_new (SwarmRandom *random, guint64 index)
{
  return index << CHANCE_BITS | swarm_random_below (random, 1u << CHANCE_BITS);
}

guint64
raft_id_index (guint64 raft_id)
{
  return raft_id >> CHANCE_BITS;
}

char *
member_address (const SwarmId *node, const char *address)
{
  return g_strdup_printf ("%s %s", swarm_id_string (node).str, address);
}

gboolean
member_parse (const char *text, SwarmId *ret_node, const char **ret_address)
{
  SwarmIdString id = { { 0 } };

  if (text == NULL || strlen (text) < SWARM_ID_STRING_LEN + 1 || text[SWARM_ID_STRING_LEN] != ' ')
    return FALSE;
  memcpy (id.str, text, SWARM_ID_STRING_LEN);
  if (!swarm_id_parse (id.str, ret_node))
    return FALSE;
  *ret_address = text + SWARM_ID_STRING_LEN + 1;
  return TRUE;
}

/* Format of libraft 0.22: version 1, count (8 bytes), then id (8), address (text with NUL), role (1) each; padded. */
gboolean
conf_valid (GBytes *conf)
{
  Reader in;
  guint64 count, ids[MAX_MEMBERS];
  const char *texts[MAX_MEMBERS];

  if (conf == NULL)
    return FALSE;
  in = reader_for (conf);
  if (get_u8 (&in) != 1)
    return FALSE;
  count = get_u64 (&in);
  if (count == 0 || count > MAX_MEMBERS)
    return FALSE;
  for (guint64 i = 0; i < count; i++) {
    guint64 id = get_u64 (&in);
    const guint8 *end = in.left > 0 ? memchr (in.data, '\0', in.left) : NULL;
    SwarmId node;
    const char *address;

    if (id == 0 || end == NULL || !member_parse ((const char *) in.data, &node, &address))
      return FALSE;
    for (guint64 j = 0; j < i; j++)
      if (ids[j] == id || strcmp (texts[j], (const char *) in.data) == 0)
        return FALSE;
    ids[i] = id;
    texts[i] = (const char *) in.data;
    get_raw (&in, (gsize) (end - in.data) + 1);
    if (get_u8 (&in) > RAFT_SPARE || in.bad)
      return FALSE;
  }
  return TRUE;
}

GBytes *
conf_encode (const struct raft_configuration *conf)
{
  struct raft_buffer buffer;

  if (raft_configuration_encode (conf, &buffer) != 0)
    g_error ("out of memory");
  return g_bytes_new_with_free_func (buffer.base, buffer.len, raft_free, buffer.base);
}

void
conf_decode (GBytes *conf, struct raft_configuration *ret)
{
  struct raft_buffer buffer;

  buffer.base = (void *) g_bytes_get_data (conf, &buffer.len);
  raft_configuration_init (ret);
  if (raft_configuration_decode (&buffer, ret) != 0)
    g_error ("a configuration that was valid cannot be decoded");
}

const struct raft_server *
conf_find (const struct raft_configuration *conf, raft_id id)
{
  for (guint i = 0; i < conf->n; i++)
    if (conf->servers[i].id == id)
      return &conf->servers[i];
  return NULL;
}

const struct raft_server *
conf_find_node (const struct raft_configuration *conf, const SwarmId *node)
{
  for (guint i = 0; i < conf->n; i++) {
    SwarmId id;
    const char *address;

    if (member_parse (conf->servers[i].address, &id, &address) && swarm_id_equal (&id, node))
      return &conf->servers[i];
  }
  return NULL;
}

guint
conf_voters (const struct raft_configuration *conf)
{
  guint voters = 0;

  for (guint i = 0; i < conf->n; i++)
    voters += conf->servers[i].role == RAFT_VOTER;
  return voters;
}

gboolean
conf_sole_voter (const struct raft_configuration *conf, raft_id id)
{
  const struct raft_server *self = conf_find (conf, id);

  return self != NULL && self->role == RAFT_VOTER && conf_voters (conf) == 1;
}
