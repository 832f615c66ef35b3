#!/usr/bin/env bash
# Usage: install_and_build.sh BUILD-FOLDER CXX-COMPILER
#
# Installs a build to a temporary prefix, copies consumer/ to where no source of ours is above it, and
# builds and runs it against the installed package.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$1" --prefix "$work/prefix" >"$work/install.log" || {
  cat "$work/install.log"
  exit 1
}
cp -r "$here/consumer" "$work/consumer"
cmake -S "$work/consumer" -B "$work/build" -G Ninja -DCMAKE_CXX_COMPILER="$2" \
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix"
cmake --build "$work/build"
"$work/build/count-syn"

# The installed front finds the programs that it starts, wherever it was installed.
for verb in check plot sim; do
  [[ ! -x $1/bin/sluice-$verb ]] || "$work/prefix/bin/sluice" "$verb" --help >/dev/null
done

# Nothing installed may name the place that it was built in.
if grep -rIl "$(cd "$here/../.." && pwd)" "$work/prefix/include" "$work/prefix"/lib*/cmake 2>/dev/null |
  grep -q .; then
  echo "an installed file names the source folder" >&2
  exit 1
fi
