// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/nft.h"
#include "base/error.h"
#include "netd/netns.h"
#include <nftables/libnftables.h>
#include <fcntl.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

struct _SwarmNetdNft {
  struct nft_ctx *context;
};

/* Its socket takes the lowest number that is free. */
static gboolean
has_room (GError **error)
{
  int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd >= 0)
    close (fd);
  if (fd >= 0 && fd < FD_SETSIZE - 1)
    return TRUE;
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "this host has as many tasks in networks as libnftables can have sockets");
  return FALSE;
}

SwarmNetdNft *
swarm_netd_nft_new (int netns, GError **error)
{
  if (!has_room (error))
    return NULL;
  if (netns >= 0 && !swarm_netd_netns_enter (netns, error))
    return NULL;
  SwarmNetdNft *self = g_new0 (SwarmNetdNft, 1);
  self->context = nft_ctx_new (NFT_CTX_DEFAULT);
  if (netns >= 0)
    swarm_netd_netns_leave ();
  nft_ctx_buffer_output (self->context);
  nft_ctx_buffer_error (self->context);
  return self;
}

void
swarm_netd_nft_free (SwarmNetdNft *self)
{
  nft_ctx_free (self->context);
  g_free (self);
}

/* Between commands libnftables keeps what it has read of the kernel's tables, half a MiB in each context, and throws it away at the next one for it is out of
 * date. A command that it does not understand makes it let go at once; the kernel does not hear of it. */
static void
let_go (SwarmNetdNft *self)
{
  nft_run_cmd_from_buffer (self->context, "!");
  nft_ctx_get_output_buffer (self->context); /* empties them */
  nft_ctx_get_error_buffer (self->context);
}

char *
swarm_netd_nft_ask (SwarmNetdNft *self, const char *commands)
{
  int code = nft_run_cmd_from_buffer (self->context, commands);
  g_autofree char *output = g_strdup (nft_ctx_get_output_buffer (self->context));
  let_go (self);
  return code == 0 ? g_steal_pointer (&output) : NULL;
}

gboolean
swarm_netd_nft_run (SwarmNetdNft *self, const char *commands, GError **error)
{
  int code = nft_run_cmd_from_buffer (self->context, commands);
  g_autofree char *words = g_strdup (nft_ctx_get_error_buffer (self->context));
  let_go (self);
  if (code == 0)
    return TRUE;
  /* "Error: Could not process rule: …", then the line and where in it: the first line says enough. */
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "nftables: %.*s", (int) strcspn (words, "\n"), words);
  return FALSE;
}
