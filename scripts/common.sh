# Shared by ./run, ./test, ./sluice and .ci/run, which source it; bash. Talk goes to stderr, so that
# stdout stays for results. Exit codes as everywhere in Sluice: 1 failed, 2 usage, 3 environment.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=${SLUICE_BUILD_DIR:-$root/build}

say() { printf '%s\n' "$*" >&2; }

# die CODE TEXT...
die() {
  local code=$1
  shift
  say "$(basename "$0"): $*"
  exit "$code"
}

# Prints the packages of the named sections of scripts/packages.txt.
packages_of() {
  local wanted=" $* " section='' line
  while IFS= read -r line; do
    case $line in
      '' | '#'*) ;;
      '['*']')
        section=${line#'['}
        section=${section%']'}
        ;;
      *) [[ $wanted != *" $section "* ]] || printf '%s\n' "$line" ;;
    esac
  done <"$root/scripts/packages.txt"
}

# Prints those of the named packages that are not installed. "ii" also covers a package on hold.
packages_missing() {
  local package
  for package in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true) in
      ?i*) ;;
      *) printf '%s\n' "$package" ;;
    esac
  done
}

# ensure_packages SECTION...: installs what is missing. Needs no network when nothing is.
ensure_packages() {
  local packages missing as_root=()
  mapfile -t packages < <(packages_of "$@")
  if ! command -v dpkg-query >/dev/null; then
    say "No dpkg here, so the packages of Debian 12 are taken as given: ${packages[*]}"
    return
  fi
  mapfile -t missing < <(packages_missing "${packages[@]}")
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      die 3 "packages are missing and there is no sudo; as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends "${missing[@]}")
  # The package lists may be new enough; only if not, fetch them.
  if ! "${install[@]}" >&2 2>/dev/null; then
    say "Updating the package lists"
    "${as_root[@]}" apt-get update -qq >&2 || die 3 "apt-get update failed (no network?)"
    "${install[@]}" >&2 || die 3 "apt-get could not install: ${missing[*]}"
  fi
}

# ensure_idle SECTION...: as ensure_packages, for packages whose services (Open vSwitch, nginx) shall
# start neither now nor at the next boot: who needs one starts one of his own.
ensure_idle() {
  local packages missing policy=${SLUICE_POLICY_FILE:-/usr/sbin/policy-rc.d} as_root=()
  mapfile -t packages < <(packages_of "$@")
  mapfile -t missing < <(packages_missing "${packages[@]}")
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || as_root=(sudo)
  if [[ -e $policy ]]; then
    ensure_packages "$@"
  else
    # shellcheck disable=SC2064 # Its values now.
    trap "${as_root[*]} rm -f '$policy'" EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
    ensure_packages "$@"
    "${as_root[@]}" rm -f "$policy"
    trap - EXIT
  fi
  [[ -d /run/systemd/system ]] || return 0
  if [[ " ${missing[*]} " == *' openvswitch-'* ]]; then
    "${as_root[@]}" systemctl disable openvswitch-switch.service >&2
  fi
  if [[ " ${missing[*]} " == *' nginx-'* ]]; then
    "${as_root[@]}" systemctl disable nginx.service >&2
  fi
}

# How many compilers run at once: one a core, but no more than memory carries (an ns-3 file takes
# about 1 GB).
job_count() {
  local cores gigabytes
  cores=$(nproc)
  gigabytes=$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  ((gigabytes >= 1)) || gigabytes=1
  echo $((cores < gigabytes ? cores : gigabytes))
}

# configure DIR [-D...]: sets up a build folder; later calls only when an option differs, because
# ninja itself notices changed CMakeLists.txt.
configure() {
  local dir=$1 stamp
  shift
  stamp="$*"
  if [[ -f $dir/build.ninja && -f $dir/.sluice-options && $(<"$dir/.sluice-options") == "$stamp" ]]; then
    return
  fi
  say "Configuring ${dir#"$root"/}"
  mkdir -p "$dir"
  if ! cmake -S "$root" -B "$dir" -G Ninja "$@" >"$dir/configure.log" 2>&1; then
    cat "$dir/configure.log" >&2
    die 1 "cmake could not configure $dir"
  fi
  printf '%s' "$stamp" >"$dir/.sluice-options"
}

# Shows ninja's status in one line that changes (on a terminal), and nothing when nothing is done.
show_progress() {
  local line width=80 open=0
  [[ ! -t 2 ]] || width=$(tput cols 2>/dev/null || echo 80)
  while IFS= read -r line; do
    case $line in
      'ninja: '*'directory'* | 'ninja: no work'* | *'Re-checking globbed'*) ;;
      '['[0-9]*)
        if [[ -t 2 ]]; then
          printf '\r\033[K%s' "${line:0:width-1}" >&2
          open=1
        else
          say "$line"
        fi
        ;;
      *)
        ((open == 0)) || say ''
        open=0
        say "$line"
        ;;
    esac
  done
  ((open == 0)) || say ''
}

# build DIR [TARGET...]: builds what is out of date; silent when nothing is.
build() {
  local dir=$1
  shift
  # Not `ninja -n` first: it cannot tell, for it does not look at globbed folders.
  NINJA_STATUS='[%f/%t %p %es] ' ninja -C "$dir" -j "$(job_count)" "$@" 2>&1 | show_progress ||
    die 1 "the build of ${*:-everything} in ${dir#"$root"/} failed"
}

# build_programs [dpdk]: builds the programs; with dpdk, also what runs on real packets. A folder that
# ./test set up before keeps its tests configured: switching them off and on again would only cost two
# configurations.
build_programs() {
  ensure_packages build sim plot
  if [[ ! -f $build_dir/build.ninja ]]; then
    configure "$build_dir" -DCMAKE_BUILD_TYPE=Release -DSLUICE_TESTS=OFF -DSLUICE_DPDK=OFF \
      -DSLUICE_ZOOKEEPER=OFF
  fi
  if [[ ${1:-} == dpdk ]]; then
    ensure_packages dpdk
    ensure_idle testbed
    local options=(-DSLUICE_DPDK=ON)
    # The file has no newline at its end, where read itself would fail.
    [[ ! -f $build_dir/.sluice-options ]] || read -ra options <<<"$(<"$build_dir/.sluice-options")"
    configure "$build_dir" "${options[@]/-DSLUICE_DPDK=OFF/-DSLUICE_DPDK=ON}"
  fi
  build "$build_dir" programs
}
