// SPDX-License-Identifier: LGPL-2.1-or-later
/* Run while building: prints the journal's catalog (https://systemd.io/CATALOG) or the manual page of the table of MESSAGE_IDs. */
#include "base/log-ids.h"
#include <stdio.h>
#include <string.h>

static const struct {
  const char *name, *id, *subject, *text;
} rows[] = {
#define ROW(name, id, subject, text) { #name, id, subject, text },
  SWARM_LOG_IDS (ROW)
#undef ROW
};

static void
print_catalog (void)
{
  printf ("# SPDX-License-Identifier: LGPL-2.1-or-later\n# Made from src/base/log-ids.h.\n");
  for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
    printf ("\n-- %s\nSubject: %s\nDefined-By: swarm-agent\nSupport: man:swarm-agent(8)\nDocumentation: man:swarm-agent-journal(7)\n\n%s\n",
            rows[i].id, rows[i].subject, rows[i].text);
}

/* @FIELD@ becomes the field's name in italics. */
static void
print_roff (const char *text)
{
  for (const char *at = text; *at != '\0'; at++) {
    const char *end = *at == '@' ? strchr (at + 1, '@') : NULL;
    if (end != NULL) {
      printf ("\\fI%.*s\\fR", (int) (end - at - 1), at + 1);
      at = end;
    } else if (*at == '-')
      printf ("\\-");
    else
      putchar (*at);
  }
  putchar ('\n');
}

static void
print_man (void)
{
  printf (
    ".\\\" SPDX-License-Identifier: LGPL-2.1-or-later\n.TH SWARM-AGENT-JOURNAL 7 \"\" swarm-agent\n.SH NAME\n"
    "swarm-agent-journal \\- the agent's lines in the journal, and the audit trail\n.SH DESCRIPTION\n"
    "The agent writes to the journal. Lines that are worth looking for carry a MESSAGE_ID;\n.B journalctl \\-x\n"
    "explains them, and\n.B journalctl MESSAGE_ID=\\fIid\\fR\nfinds them. Each operation that changes something is told with its outcome on the node\n"
    "where it was asked for, and once more on the leader where it was done. Who only reads leaves no line, unless what is read is secret.\n"
    "Arguments are not told, for they may be secret. What strangers cause is bounded: ten lines in ten seconds for each user or address,\n"
    "the others are counted and the next line tells how many there were.\n.SH FIELDS\n"
    ".TP\n.B SWARM_RESULT\ndone, failed or refused\n"
    ".TP\n.B SWARM_UID\nthe caller's user id on the node where it called\n"
    ".TP\n.B SWARM_ACTION\nthe polkit action that was needed\n"
    ".TP\n.B SWARM_METHOD\nD\\-Bus interface and member\n"
    ".TP\n.B SWARM_OBJECT\nthe object's path\n"
    ".TP\n.B SWARM_DETAILS\nwhat polkit's rules are told of it: node=NAME, service=NAME\n"
    ".TP\n.B SWARM_RESULT_ID\nthe id of what was made\n"
    ".TP\n.B SWARM_ERROR\nthe error's name, or what was wrong with a connection\n"
    ".TP\n.B SWARM_REQUEST_ID\nthe same for a call and all its repetitions, and on the leader\n"
    ".TP\n.B SWARM_NODE_ID\nthe node that it is about, or that calls\n"
    ".TP\n.B SWARM_VIA\non the leader: the manager on which the user called\n"
    ".TP\n.B SWARM_PEER\naddress and port of the other end\n"
    ".TP\n.B SWARM_SUPPRESSED\nso many like it were not shown before\n"
    ".TP\n.B SWARM_SERVICE\\fR, \\fBSWARM_TASK_ID\\fR, \\fBSWARM_SLOT\\fR, \\fBSWARM_NODE\n"
    "on the lines of tasks\n.SH MESSAGES\n");
  for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
    printf (".TP\n.B %s\n", rows[i].id);
    print_roff (rows[i].subject);
    printf (".br\n");
    print_roff (rows[i].text);
  }
  printf (".SH EXAMPLES\n.nf\njournalctl \\-u swarm\\-agent SWARM_RESULT=refused\njournalctl \\-u swarm\\-agent SWARM_UID=1000 \\-o verbose\n.fi\n"
          ".SH SEE ALSO\n.BR swarm\\-agent (8),\n.BR journalctl (1),\n.BR polkit (8)\n");
}

int
main (int argc, char **argv)
{
  if (argc == 2 && strcmp (argv[1], "--catalog") == 0)
    print_catalog ();
  else if (argc == 2 && strcmp (argv[1], "--man") == 0)
    print_man ();
  else
    return 2;
  return 0;
}
