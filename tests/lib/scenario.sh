# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The head of every lab scenario. Run by tests/run with a booted lab, or by hand:
#   tests/lab/lab up 3 && tests/lab/scenarios/10-activation
# Any command that fails ends the scenario and is named. `skip REASON` ends it as skipped; `figure NAME VALUE` is for --long's report.
set -Eeuo pipefail
# shellcheck source=tests/lib/lab.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lab.sh"
trap 'echo "failed at $(basename "$0") line $LINENO: $BASH_COMMAND" >&2' ERR

check() { echo "-- $*"; }
skip() { echo "skip: $*"; exit 77; }
figure() { echo "figure: $*"; }
