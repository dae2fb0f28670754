// SPDX-License-Identifier: LGPL-2.1-or-later
/* swarm-sim(1), from the parser's own tables: it cannot drift. A field or an event without a word about it fails the build. */
#include "sim/scenario.h"
#include "sim/sim-commands.h"
#include <stdio.h>
#include <string.h>

static const struct {
  SimDo what;
  const char *doc;
} events[] = {
  { SIM_DO_NODE_DOWN, "The host of Node loses its power." },
  { SIM_DO_NODE_SHUTDOWN, "The host of Node is shut down properly." },
  { SIM_DO_NODE_UP, "The host of Node is switched on and its agent starts; also the agent alone, when the host is on." },
  { SIM_DO_AGENT_KILL, "The agent of Node is killed; its containers run on." },
  { SIM_DO_AGENT_STOP, "The agent of Node is stopped properly (systemctl stop)." },
  { SIM_DO_AGENT_START, "The agent of Node starts." },
  { SIM_DO_NODE_CUT, "Node is cut off from all, or from Other, in both directions." },
  { SIM_DO_NODE_STALL, "Nothing that Node sends reaches the others, or Other; what they send reaches it." },
  { SIM_DO_NODE_RESET, "All connections of Node, or those with Other, break; new ones can be made at once." },
  { SIM_DO_NODE_NOISE, "Of what Node sends each message is late by up to Delay; Loss of 100 are lost. Between managers' logs that is one message, and as many "
                       "come twice; all other connections break there, before or after the message has come." },
  { SIM_DO_HEAL, "All cuts, stalls, noise and slow disks end." },
  { SIM_DO_DISK_DELAY, "Writes of Node's disks take up to Delay seconds." },
  { SIM_DO_NODE_ACTIVATE, "Availability of Node: active." },
  { SIM_DO_NODE_PAUSE, "Availability of Node: pause." },
  { SIM_DO_NODE_DRAIN, "Availability of Node: drain, with Order and Deadline." },
  { SIM_DO_NODE_LABELS, "Node labels: Labels are set, Remove taken away." },
  { SIM_DO_NODE_RESOURCES, "Node tells other Resources, EngineLabels, Platform or Plugins, as its agent does after a restart." },
  { SIM_DO_NODE_JOIN, "Node, which was Absent, joins, with the token of its Role." },
  { SIM_DO_NODE_LEAVE, "Node leaves the cluster, unless it is still a manager." },
  { SIM_DO_NODE_REMOVE, "Node is removed from the cluster; with Force though it is not down." },
  { SIM_DO_NODE_DEMOTE, "Node is demoted." },
  { SIM_DO_NODE_PROMOTE, "Node is promoted: it becomes a manager when it hears of it." },
  { SIM_DO_CLUSTER_UPDATE, "The cluster's Spec becomes Cluster." },
  { SIM_DO_NETWORK_CREATE, "NetworkSpec is created." },
  { SIM_DO_NETWORK_REMOVE, "Network is removed." },
  { SIM_DO_CLOCK_STEP, "The wall clock of Node jumps by Seconds." },
  { SIM_DO_LEADER_KILL, "As agent-kill, of whoever leads then." },
  { SIM_DO_LEADER_DOWN, "As node-down, of whoever leads then." },
  { SIM_DO_LEADER_CUT, "As node-cut, of whoever leads then." },
  { SIM_DO_TASK_EXIT, "A running container of Service (of Slot, on Node) ends with ExitCode." },
  { SIM_DO_SERVICE_CREATE, "Spec is created." },
  { SIM_DO_SERVICE_UPDATE, "Service gets Spec, or its own with Image, Env, Constraints, Labels, Force." },
  { SIM_DO_SERVICE_SCALE, "Service gets Replicas." },
  { SIM_DO_SERVICE_ROLLBACK, "Spec and previous spec of Service change places." },
  { SIM_DO_SERVICE_REBALANCE, "Tasks of Service move so that its nodes have equal numbers, MaxMoves at most." },
  { SIM_DO_SERVICE_REMOVE, "Service is removed." },
};

static guint missing;

static const char *
event_doc (int what)
{
  for (guint i = 0; i < G_N_ELEMENTS (events); i++) {
    if ((int) events[i].what == what)
      return events[i].doc;
  }
  return NULL;
}

/* Text as roff takes it. */
static void
print_escaped (const char *text)
{
  for (const char *p = text; *p != '\0'; p++) {
    if (*p == '\\')
      fputs ("\\e", stdout);
    else if (*p == '-')
      fputs ("\\-", stdout);
    else if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n'))
      printf ("\\&%c", *p);
    else
      putchar (*p);
  }
}

static const char *
kind_name (const SwarmField *field)
{
  switch (field->kind) {
  case SWARM_FIELD_BOOL:
    return "true or false";
  case SWARM_FIELD_INT:
  case SWARM_FIELD_UINT:
    return "number";
  case SWARM_FIELD_DOUBLE:
    return "seconds";
  case SWARM_FIELD_STRINGS:
    return "list of texts";
  case SWARM_FIELD_MAP:
    return "object of texts";
  case SWARM_FIELD_MESSAGE:
    return "object";
  case SWARM_FIELD_MESSAGES:
    return "list of objects";
  case SWARM_FIELD_ENUM:
    return "word";
  default:
    return "text";
  }
}

static void
print_type (const char *title, const SwarmType *type)
{
  printf (".SH %s\n", title);
  for (const SwarmField *field = type->fields; field->number != 0; field++) {
    if (field->doc == NULL) {
      fprintf (stderr, "swarm-sim: %s.%s is not described\n", type->name, field->name);
      missing++;
      continue;
    }
    printf (".TP\n.BR %s \" (%s", field->name, kind_name (field));
    if (field->fallback != 0)
      printf (", default %" G_GINT64_FORMAT, field->fallback);
    printf (")\"\n");
    print_escaped (field->doc);
    putchar ('\n');
  }
}

static void
print_events (void)
{
  printf (".SS What can happen\n");
  for (const SwarmEnumRow *row = sim_do_enum.rows; row->text != NULL; row++) {
    const char *doc = event_doc (row->value);
    if (doc == NULL) {
      fprintf (stderr, "swarm-sim: the event %s is not described\n", row->text);
      missing++;
      continue;
    }
    printf (".TP\n.B ");
    print_escaped (row->text);
    putchar ('\n');
    print_escaped (doc);
    putchar ('\n');
  }
}

static const char head[]
    = "\" \"User Commands\"\n"
      ".SH NAME\nswarm\\-sim \\- the brain of a cluster in virtual time\n"
      ".SH SYNOPSIS\n"
      ".B swarm\\-sim run\n.I SCENARIO.json\n\\&... [\\fB\\-\\-seed\\fR \\fIN\\fR] [\\fB\\-\\-until\\fR \\fISECONDS\\fR] "
      "[\\fB\\-\\-format text\\fR|\\fBjson\\fR|\\fBbrief\\fR]\n.br\n"
      ".B swarm\\-sim fuzz \\-\\-seeds\n.IR A .. B\n[\\fB\\-\\-count\\fR \\fIN\\fR] [\\fB\\-\\-nodes\\fR \\fIN\\fR] [\\fB\\-\\-seconds\\fR \\fIN\\fR] [\\fB\\-\\-faults\\fR \\fILIST\\fR] [\\fB\\-\\-hurry\\fR] "
      "[\\fB\\-\\-jobs\\fR \\fIN\\fR] [\\fB\\-\\-shrink\\fR \\fITRIES\\fR] [\\fB\\-\\-save\\fR \\fIDIR\\fR] [\\fB\\-\\-print\\fR] [\\fB\\-\\-verbose\\fR] [\\fB\\-\\-break disk\\fR|\\fBtwin\\fR|\\fBremoval\\fR]\n.br\n"
      ".B swarm\\-sim bench\n[\\fB\\-\\-quick\\fR]\n"
      ".SH DESCRIPTION\n"
      "Runs the real control, store, orchestrator, scheduler, dispatcher, worker and consensus of many simulated hosts, with virtual time, network,\n"
      "disks and containers. Nothing is decided by rules of its own: what it shows is what a cluster does.\n"
      ".SS run\n"
      "Runs scenarios and prints every transition with its virtual time, the tasks and services at the end, and how often each invariant was\n"
      "checked. The same scenario with the same seed gives the same run.\n"
      ".SS fuzz\n"
      "Makes a random story for every seed: managers, workers, services of every mode, users who create, update, scale, roll back, rebalance, remove,\n"
      "drain, pause, label, promote and demote, nodes that join and leave, and faults\n"
      "(\\fBcrash\\fR managers, \\fBpartition\\fR, message \\fBloss\\fR (one direction, single messages, late or double ones), slow \\fBdisk\\fR, nodes that \\fBflap\\fR, \\fBclock\\fR steps, \\fBtask\\fR failures;\n"
      "\\-\\-faults chooses some of them). The promises are checked after every event; at the end everything heals and the cluster must come to rest\n"
      "as it was declared, with nothing left over, and all managers' stores must be the same. The story of a seed that fails is made as short as can be (at most \\-\\-shrink runs) and saved for\n"
      ".BR run .\n"
      "A seed counts when there were at every moment 3 managers and 20 nodes, and on the whole 10 services, 300 seconds and 50 faults: the summary\n"
      "says how many did and what the least was; with \\-\\-count no more seeds are run than are needed for so many.\n"
      "With \\-\\-hurry the passes of the managers run out of time and are gone on with in later turns, and some services are big.\n"
      "\\-\\-print writes the stories instead of running them. \\-\\-break disk makes the managers' disks lie, \\-\\-break twin gives two nodes one\n"
      "identity, \\-\\-break removal takes what users remove for lost: then seeds must fail, or fuzz sees nothing. That is not part of the story: run\n"
      "does not break anything.\n"
      ".SS bench\n"
      "How fast store and scheduler are on this machine, as JSON.\n"
      ".SH EXIT STATUS\n0: all is as expected. 1: something is not. 2: wrong usage, or a file that is no scenario.\n";

static const char tail[]
    = ".SH EXAMPLE\n.nf\n{\n"
      "  \"Rule\": \"a down node's tasks move\",\n"
      "  \"Workers\": 3,\n"
      "  \"Services\": [\n"
      "    { \"Name\": \"web\", \"TaskTemplate\": { \"ContainerSpec\": { \"Image\": \"nginx\" } }, \"Mode\": { \"Replicated\": { \"Replicas\": 3 } } }\n"
      "  ],\n"
      "  \"Events\": [ { \"At\": 10, \"Do\": \"node\\-down\", \"Node\": \"w1\" } ],\n"
      "  \"Expect\": [ { \"At\": 30, \"Service\": \"web\", \"State\": \"running\", \"Desired\": \"running\", \"Count\": 3 } ]\n"
      "}\n.fi\n.SH SEE ALSO\n.BR swarmctl (1),\n.BR swarm\\-agent (8)\n";

int
sim_command_man (void)
{
  printf (".TH SWARM\\-SIM 1 \"\" \"swarm\\-agent %s", sim_version ());
  fputs (head, stdout);
  print_type ("SCENARIO", &sim_scenario_type);
  print_type ("NODES", &sim_node_spec_type);
  print_type ("BEHAVIOURS", &sim_behaviour_type);
  print_type ("EVENTS", &sim_action_type);
  print_events ();
  print_type ("EXPECTATIONS", &sim_expectation_type);
  fputs (tail, stdout);
  return missing > 0 ? SIM_EXIT_FAILED : SIM_EXIT_OK;
}
