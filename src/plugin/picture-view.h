// SPDX-License-Identifier: LGPL-2.1-or-later
/* A picture of the cluster's networks as the network plugin sees it. */
#pragma once
#include "model/picture.h"
#include "plugin/swarm-plugin.h"

typedef struct {
  SwarmPluginPicture picture; /* points into the copies below and into the rows */
  GPtrArray *keep;
} SwarmPictureView;

/* @change must outlive the view. */
SwarmPictureView *swarm_picture_view_new (const SwarmPictureChange *change, const SwarmId *node);
void swarm_picture_view_free (SwarmPictureView *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmPictureView, swarm_picture_view_free)
