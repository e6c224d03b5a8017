#!/usr/bin/env bash
# Proves and measures the sessions on an NVIDIA GPU in one go, on a machine without a network.
#   bash tests/gpu/run_sessions.sh [FOLDER FOR THE RESULTS] [FOLDER OF WHEELS]      PYTHON=python3 by default
# Needs a python with torch and numpy. What else is missing (msgspec, platformdirs, psutil; for the folder of JPEGs pillow
# and imagecodecs; for TensorRT its wheels) is taken from the second folder; fill it on a machine with a network:
#   pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
#     --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d wheels msgspec platformdirs psutil
set -uo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3} out=${1:-tests/gpu/results} wheels=${2:-}
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME=$scratch/cache XDG_DATA_HOME=$scratch/data
if [ -n "$wheels" ]; then
  # Only what is missing: another numpy or torch than the machine's own would be a surprise.
  for wheel in "$wheels"/*.whl; do
    name=$(basename "$wheel" | cut -d- -f1)
    "$python" -m pip show -q "$name" >/dev/null 2>&1 && continue
    "$python" -m pip install -q --no-index --no-deps --no-compile --target "$scratch/site" "$wheel" || exit 1
  done
  export PYTHONPATH=$scratch/site${PYTHONPATH:+:$PYTHONPATH}
fi
"$python" - <<'P' || exit 1
import importlib.util as u, sys
missing = [n for n in ("torch", "numpy", "msgspec", "platformdirs", "psutil") if u.find_spec(n) is None]
optional = [n for n in ("PIL", "imagecodecs", "safetensors", "tifffile", "tensorrt_rtx_bindings") if u.find_spec(n) is None]
print("left out, for want of:", ", ".join(optional) or "nothing")
sys.exit(f"needed and missing: {', '.join(missing)}" if missing else 0)
P
shift $(($# > 2 ? 2 : $#))
timeout "${LIMIT:-540}" "$python" tests/gpu/report.py --out "$out" "$@"
