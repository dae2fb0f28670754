// SPDX-License-Identifier: LGPL-2.1-or-later
/* The MESSAGE_IDs of the agent's journal, one row each: name, id, subject, what it means and what to do. From this table come the
 * constants swarm_log_id_<name>, the journal's catalog (journalctl --catalog) and the manual page swarm-agent-journal(7).
 *
 * A new row: an id from `systemd-id128 new`; it stays what it is for ever. @FIELD@ in a subject or text stands for a field of the line. */
#pragma once

#define SWARM_LOG_IDS(ROW)                                                                                                                 \
  ROW (operation_done, "64b805a0e75f4990bff1672c7a96c65f", "@SWARM_METHOD@ was done",                                                      \
       "The operation @SWARM_METHOD@ on @SWARM_OBJECT@ was asked for by user id @SWARM_UID@ and is done.\n"                                 \
       "SWARM_ACTION is the polkit action that allowed it, SWARM_RESULT_ID what it made; on the leader SWARM_VIA is the manager on which it was asked.")        \
  ROW (operation_failed, "ffdf84d160da479eb04197c504cbc415", "@SWARM_METHOD@ failed",                                                      \
       "The caller, user id @SWARM_UID@, was allowed to ask for @SWARM_METHOD@ on @SWARM_OBJECT@, but it could not be done: @SWARM_ERROR@.\n" \
       "Where the error is Unknown, the change may have been made: look before it is asked for again.")                                   \
  ROW (operation_refused, "c15e21002188480e926d31b523ed8782", "@SWARM_METHOD@ was refused",                                               \
       "User id @SWARM_UID@ asked for @SWARM_METHOD@ on @SWARM_OBJECT@ and was not authorised by polkit (action @SWARM_ACTION@).\n"        \
       "Should that user be allowed to, add a rule below /etc/polkit-1/rules.d. Many of these from one user may be an attack; "            \
       "only the first ones of each user are shown, the others are counted.")                                                              \
  ROW (node_admitted, "0cafc9f4c60c49df99fdbb0f89dd6e23", "A node was let into the cluster",                                              \
       "A certificate was issued to a host at @SWARM_PEER@ that showed a good join token. SWARM_RESULT_ID is the node's id.\n"             \
       "Was it not you, rotate the tokens (swarmctl join-token --rotate) and remove the node (swarmctl node rm --force).")                 \
  ROW (join_refused, "338f2f45a2e4445ab38e42517334a51b", "A host was not let into the cluster",                                           \
       "A host at @SWARM_PEER@ asked for a certificate and got none: @SWARM_ERROR@.\n"                                                     \
       "An old or mistyped join token is the usual reason; `swarmctl join-token worker` shows the present one.")                           \
  ROW (certificate_renewed, "772e4225be724ad6ab37faf3ca130935", "A node's certificate was renewed",                                       \
       "Node @SWARM_NODE_ID@ at @SWARM_PEER@ has a new certificate for the role that it is to have.")                                      \
  ROW (manager_added, "90a4ee381ce84e108a2874641118391a", "A manager was added",                                                          \
       "Node @SWARM_NODE_ID@ at @SWARM_PEER@ became a member of the managers' replicated log. It votes when it has caught up.")            \
  ROW (node_promoted, "f4998f44c2fc47acaef7bdc54abb042d", "A node is to be a manager",                                                    \
       "User id @SWARM_UID@ promoted the node of @SWARM_OBJECT@.")                                                                         \
  ROW (node_demoted, "775405939ee94d46af4d19ffaf30539e", "A node is to be a worker",                                                      \
       "User id @SWARM_UID@ demoted the node of @SWARM_OBJECT@. Its manager's certificate counts no more.")                                \
  ROW (secret_read, "38ace1680a4f4c67bf8af6bb0ff97537", "A secret of the cluster was read",                                               \
       "User id @SWARM_UID@ was given what @SWARM_METHOD@ answers (join tokens, an unlock key). The line does not hold it.")               \
  ROW (connection_refused, "07e5fa1996df4043aa35bc05b966fa98", "A connection was refused",                                                \
       "A host at @SWARM_PEER@ connected to this agent's port and was turned away: @SWARM_ERROR@.\n"                                       \
       "Only the first ones from each address are shown, the others are counted. Expected are expired certificates, other versions, "       \
       "other clusters; port 2377 should be reachable by the cluster's hosts only.")                                                       \
  ROW (call_refused, "508287cda97d4d96adadba701b94b15d", "A node's call was refused",                                                     \
       "Node @SWARM_NODE_ID@ at @SWARM_PEER@ called @SWARM_METHOD@, which it may not: @SWARM_ERROR@.\n"                                    \
       "A good agent does not do that, except shortly after its node was demoted: look at that host.")                                     \
  ROW (became_manager, "607155524ca04637bc3871470d36aea6", "This node is a manager now",                                                  \
       "This host holds the cluster's whole state from now on.")                                                                           \
  ROW (became_worker, "7e68c82cd8eb4154ad4bba4ca72fc876", "This node is a worker now",                                                    \
       "This host holds the cluster's state no more; tasks go on.")                                                                        \
  ROW (joined, "395ab8ed6a0b431580549e704fdf713c", "This node is part of a cluster",                                                      \
       "This host formed or joined cluster @SWARM_CLUSTER_ID@ as node @SWARM_NODE_ID@.")                                                   \
  ROW (left, "4a096b2a21f44affb73491ee7f60f815", "This node left its cluster",                                                            \
       "Its tasks are stopped, its certificate and state are removed.")                                                                    \
  ROW (not_in_place, "365a6d3b4cf14140946d12623a919201", "This node cannot take its place in the cluster",                                \
       "The node's state, key or certificate cannot be used. The agent stays up to say so.\n"                                              \
       "`swarmctl info` shows the reason; `swarmctl leave --force` removes the state.")                                                    \
  ROW (manager_stops, "de88ddca0ef244b8b625da3a2dddf708", "The manager stops",                                                            \
       "This manager can go on no more without risking what was acknowledged: a disk that fails or is full, a damaged log, an action of "  \
       "the log that this version does not know. The other managers go on while they are a majority.")                                     \
  ROW (keys_changed, "303923bbf55e4fdb9f120d22973f12fd", "This manager's keys are kept otherwise",                                                                       \
       "How this manager's keys are kept on its disk follows the cluster's settings (swarmctl update --autolock, --seal; "                  \
       "swarmctl unlock-key --rotate): in a file, locked by the unlock key, or sealed to this host by systemd-creds.")                     \
  ROW (manager_locked, "89f4449bfeab4cc999da237f92d84443", "This manager is locked",                                                                                     \
       "It was started while autolock is on, and takes no part in the cluster until somebody gives it the key: `swarmctl unlock`.\n"       \
       "`swarmctl unlock-key` on another manager shows it.")                                                                               \
  ROW (manager_unlocked, "81e07f08a1b1462abfeeb3e1fdbff174", "This manager was unlocked", "The right key was given; it takes its place in the cluster.")                  \
  ROW (leads, "768b1f72c9814e5da4afb167cb912740", "This manager leads",                                                                   \
       "It was elected in term @SWARM_TERM@.")                                                                                             \
  ROW (leads_no_more, "3379b82e03f84ca8b6bcd239ee31d34f", "This manager does not lead any more",                                          \
       "Another manager leads, or none does.")                                                                                             \
  ROW (root_rotation_begun, "82c9b3f2a2e54c70aeb6a63f4ae19c81", "A root rotation began",                                                          \
       "All nodes get certificates under a new root, @SWARM_DIGEST@, some at a time; `swarmctl ca --rotate` shows how far it is.")         \
  ROW (root_rotation_done, "54a4a4465d734e769e36747cc5d27201", "The root rotation is complete",                                                   \
       "The new root alone is trusted, and the join tokens are new. Nodes that were down come back by their old keys.")                    \
  ROW (root_taken_over, "32978fe28ae64e20b8208bcb5582ff5c", "This node trusts a new root certificate",                                            \
       "The cluster's root rotation is complete; its digest is @SWARM_DIGEST@.")                                                           \
  ROW (clock_off, "af544c18b2dc47978e56f2c176da5aeb", "A node's clock is wrong",                                                                  \
       "Node @SWARM_NODE_ID@ and the leader differ by more than a second. Set up time synchronisation on both (timedatectl set-ntp true): " \
       "certificates and the times in lists go by these clocks.")                                                                          \
  ROW (clock_agrees, "34b0d4ed4f6f4309adde60dce75e135e", "A node's clock is right again",                                                         \
       "Node @SWARM_NODE_ID@ and the leader differ by less than a second.")                                                                \
  ROW (node_trouble, "ec351f7ec52f47b680e9fc3aa6657703", "This node has no session, and something to be mended",                                  \
       "The line says what: a clock that is wrong, or a certificate that the managers do not renew any more. Tasks go on meanwhile.")      \
  ROW (manager_votes, "8378c33bd728499492676af634fa1455", "A manager votes",                                                              \
       "Manager @SWARM_NODE_ID@ has caught up and counts for the quorum.")                                                                 \
  ROW (node_down, "7c1595f7b6f444e09d222fb6095e5e0c", "A node is down",                                                                   \
       "Node @SWARM_NODE_ID@ was not heard of in time. Its tasks are replaced on other nodes.\n"                                           \
       "Look whether the host runs and reaches the managers on port 2377.")                                                                \
  ROW (task_changed, "d5f260bf87f740a3b61d84f17f47099a", "A task has another state",                                                      \
       "Task @SWARM_TASK_ID@ of this node. `swarmctl task inspect` tells the rest.")                                                       \
  ROW (health_failed, "eb073e2326c24855a02f0a875a4ac096", "A health command failed",                                                      \
       "The health command of task @SWARM_TASK_ID@ failed. After as many failures as the service allows the task is replaced.")            \
  ROW (lines_lost, "73a0788de2e24a719d7e7332480a955e", "Lines of the agent are missing",                                                  \
       "The journal did not take what the agent had to say for a while; the agent does not wait for it. Look at systemd-journald.")

#define SWARM_LOG_ID_CONSTANT(name, id, subject, text) extern const char swarm_log_id_##name[];
SWARM_LOG_IDS (SWARM_LOG_ID_CONSTANT)
#undef SWARM_LOG_ID_CONSTANT
