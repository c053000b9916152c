# Sourced by bin/deploy and bin/test: installs what they need, each thing once.
# Sets `root` (the checkout) and `venv` (the virtual environment in use).
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sortie-platform

say() { printf '==> %s\n' "$*"; }

# die WHAT NEXT: what is wrong, and the command to run next.
die() {
  printf 'ERROR: %s\n       Nothing was changed by this step. Next: %s\n' "$1" "$2" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi
}

require_root() {
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -v; } ||
    die "this needs root: node containers are privileged, and packages may have to be installed" \
      "run it as root, or as a user who may use sudo"
}

# install_packages PACKAGE...: with apt, only those that are missing.
install_packages() {
  command -v apt-get >/dev/null ||
    die "this is not a Debian system (no apt-get)" "install these by hand, then run again: $*"
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "Installing ${#missing[@]} system packages: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    die "apt could not install: ${missing[*]}" "mend what apt says above, then run this again"
  fi
  rm -f "$log"
}

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      # Not that of a virtual environment, which may be gone tomorrow.
      "$candidate" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)'
      return
    fi
  done
  die "Python 3.11 or newer was not found" "apt-get install python3"
}

# use_requirements NAME: the virtual environment of requirements/NAME.txt, made once for each content and Python.
use_requirements() {
  local file=$root/requirements/$1.txt python key log
  python=$(find_python)
  [ "$python" != /usr/bin/python3 ] || install_packages python3-venv
  key=$({ cat "$file"; "$python" -VV; } | sha256sum | cut -c1-16)
  venv=$cache/venv/$1-$key
  mkdir -p "$cache/venv"
  # One at a time: two runs may want the same.
  exec 9>"$cache/venv/.lock"
  flock 9
  # A marker written last tells a finished environment from an interrupted one; the import tells a broken one.
  if ! { [ -e "$venv/.complete" ] && "$venv/bin/python" -c 'import ansible.release, yaml' 2>/dev/null; }; then
    say "Making the virtual environment for requirements/$1.txt (once; 1-3 minutes)"
    rm -rf "$venv"
    log=$(mktemp)
    if ! "$python" -m venv "$venv" >"$log" 2>&1 || ! "$venv/bin/python" -m pip install -q --no-compile --disable-pip-version-check --require-hashes -r "$file" >"$log" 2>&1; then
      tail -n 15 "$log" >&2
      rm -rf "$log" "$venv"
      die "pip could not install requirements/$1.txt" "mend what pip says above, then run this again"
    fi
    rm -f "$log"
    # Byte code for what runs here; the many collections of the ansible package that nothing uses stay as they are.
    "$venv/bin/python" -m compileall -q -j 0 \
      -x 'ansible_collections/(?!(ansible|containers|kubernetes)/|community/(crypto|library_inventory_filtering))' "$venv/lib" >/dev/null || true
    touch "$venv/.complete"
  fi
  exec 9>&-
  mkdir -p "$root/.local"
  ln -sfn "$venv" "$root/.local/venv"
  export PATH=$venv/bin:$PATH
}

# Makes sortie.platform resolvable from this checkout, whatever its directory is called.
link_collection() {
  mkdir -p "$root/.local/collections/ansible_collections/sortie"
  ln -sfn ../../../.. "$root/.local/collections/ansible_collections/sortie/platform"
}

# What the embedded cluster, the image build and the backups need; Go is asked for only where binaries are built.
install_cluster_packages() {
  install_packages aardvark-dns buildah ca-certificates catatonit iproute2 iptables mmdebstrap netavark podman restic runc skopeo
}
