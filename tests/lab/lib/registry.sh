# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The registry that runs at the switch. (Changes to lib/base.sh and lib/images.sh build the cached root anew; these do not.)

start_registry() {
  [ -d "$D/registry" ] || cp -a "$IMAGES/registry" "$D/registry"
  mkdir -p "$D/registry.run/registry"
  registry_config /mnt/registry "$REGISTRY" > "$D/registry.run/registry.yml"
  (
    exec 8>&- 9>&- < /dev/null > "$D/registry.log" 2>&1
    in_new_cgroups switch setsid nsenter --net="/run/netns/$SW" unshare --mount --propagation private bash -c '
      mount --bind "$1/registry" "$1/registry.run/registry" && . "$3/lib/common.sh" && in_root "$2" "$1/registry.run" docker-registry serve /mnt/registry.yml' \
      registry "$D" "$BASE" "$LABHOME"
  ) &
}

registry_answers() { nsenter --net="/run/netns/$SW" curl -sf -m 1 "http://$REGISTRY:5000/v2/" -o /dev/null; }
