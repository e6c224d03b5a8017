#!/usr/bin/env bash
# Proves and measures the sessions on an NVIDIA GPU in one go, on a machine without a network.
#   bash tests/gpu/run_sessions.sh [FOLDER FOR THE RESULTS] [FOLDER OF WHEELS]      PYTHON=python3 by default
# Needs a python with torch and numpy. What else is missing (msgspec, platformdirs, psutil; for the folder of JPEGs pillow
# and imagecodecs; for TensorRT its wheels) is taken from the second folder (wheels.sh says how it is filled).
set -uo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3} out=${1:-tests/gpu/results} wheels=${2:-}
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME=$scratch/cache XDG_DATA_HOME=$scratch/data
. tests/gpu/wheels.sh
if [ -n "$wheels" ]; then use_wheels "$wheels" "$scratch/site" || exit 1; fi
"$python" - <<'P' || exit 1
import importlib.util as u, sys
missing = [n for n in ("torch", "numpy", "msgspec", "platformdirs", "psutil") if u.find_spec(n) is None]
optional = [n for n in ("PIL", "imagecodecs", "safetensors", "tifffile", "tensorrt_rtx_bindings") if u.find_spec(n) is None]
print("left out, for want of:", ", ".join(optional) or "nothing")
sys.exit(f"needed and missing: {', '.join(missing)}" if missing else 0)
P
shift $(($# > 2 ? 2 : $#))
timeout "${LIMIT:-540}" "$python" tests/gpu/report.py --out "$out" "$@"
