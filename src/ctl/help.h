// SPDX-License-Identifier: LGPL-2.1-or-later
/* Usage, help, manual page and shell completion: all from the tables. */
#pragma once
#include "ctl/command.h"

/* "swarmctl service create [OPTIONS] IMAGE [COMMAND] [ARG...]". Caller frees. */
char *ctl_help_usage (const CtlCommand *command);
/* What --help prints. Caller frees. */
char *ctl_help_command (const CtlCommand *command, guint width);
char *ctl_help_group (const CtlGroup *group);
char *ctl_help_top (guint width);
/* swarmctl(1) in roff, and the bash completion. Caller frees. */
char *ctl_help_man (void);
char *ctl_help_bash_completion (void);
