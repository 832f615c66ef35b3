#!/usr/bin/env bash
# execute.sh SLUICE-SIM SOURCE NAME: runs experiment NAME, then every cell of its notebook on the results. The notebook must
# say nothing of an error and write nothing into the tree.
set -euo pipefail
sim=$1 source=$2 name=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$sim" "$source/experiments/$name/$name.yaml" --results "$work/results" --quiet
# The kernel must be Debian's Python, whatever comes first on the PATH.
PATH=/usr/bin:/bin SLUICE_RESULTS="$work/results" JUPYTER_PLATFORM_DIRS=1 \
  /usr/bin/python3 -m nbconvert --to notebook --execute --output-dir "$work" "$source/notebooks/$name.ipynb"
/usr/bin/python3 - "$work/$name.ipynb" <<'END'
import json
import sys

cells = json.load(open(sys.argv[1]))["cells"]
code = [cell for cell in cells if cell["cell_type"] == "code"]
assert code and all(cell["execution_count"] for cell in code), "a cell was not executed"
pictures = sum("image/png" in output.get("data", {}) for cell in code for output in cell["outputs"])
assert pictures >= 2, f"{pictures} pictures; expected at least 2"
END
