// SPDX-License-Identifier: LGPL-2.1-or-later
/* nftables through libnftables, in this process. A namespace's context keeps its socket there. */
#pragma once
#include <glib.h>

typedef struct _SwarmNetdNft SwarmNetdNft;

/* In the namespace of @netns; -1: where netd lives. */
SwarmNetdNft *swarm_netd_nft_new (int netns, GError **error);
void swarm_netd_nft_free (SwarmNetdNft *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdNft, swarm_netd_nft_free)
/* What the commands print; NULL: they failed. Caller frees. */
char *swarm_netd_nft_ask (SwarmNetdNft *self, const char *commands);
/* All of @commands in one transaction, or nothing. */
gboolean swarm_netd_nft_run (SwarmNetdNft *self, const char *commands, GError **error);
