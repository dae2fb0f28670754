// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include <glib.h>

/* libFuzzer's entry; without libFuzzer main.c calls it with each file of the corpus. */
int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);
