#!/usr/bin/env bash
# Everything about the kernels that needs an NVIDIA GPU, in one go: builds both libraries for the GPU at hand, compares
# bytes with the CPU's, lets compute-sanitizer look, and measures. Needs nvcc, cmake, and a python with torch, numpy and
# msgspec.
#   bash tests/gpu/run_kernels.sh [FOLDER FOR THE FIGURES]      PYTHON=python3 by default
set -uo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3} out=${1:-/tmp} build=$(mktemp -d) failed=0
export PYTHONDONTWRITEBYTECODE=1
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv,noheader

cmake -S kernels -B "$build" -DPELLUCID_CUDA_ARCHITECTURES="${architecture:-90}-real" >"$build/log" 2>&1 &&
  cmake --build "$build" --parallel >>"$build/log" 2>&1 || { tail -30 "$build/log"; exit 1; }
# Where python finds them: beside kernels/*.py, taken away again at the end.
cp "$build"/libpellucid_*.so kernels/
trap 'rm -f kernels/libpellucid_cpu.so kernels/libpellucid_cuda.so; rm -rf "$build"' EXIT

echo "== bytes"
timeout 60 "$python" tests/gpu/check_kernels.py || failed=1
if "$python" -c 'import pytest, hypothesis' 2>/dev/null; then
  timeout 60 "$python" -m pytest tests/gpu/test_kernels_gpu.py -q 2>&1 | tail -5
fi
echo "== speed"
timeout 200 "$python" tests/gpu/bench_kernels.py --seconds "${SECONDS_EACH:-2}" \
  --json "$out/bench_kernels.json" || failed=1
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck initcheck synccheck; do
    echo "== compute-sanitizer $tool"
    timeout 90 "$sanitizer" --tool "$tool" --error-exitcode 9 \
      "$python" tests/gpu/check_kernels.py --small 2>&1 | tail -4
    [ "${PIPESTATUS[0]}" -eq 0 ] || { echo "$tool: not clean, or could not run here"; failed=1; }
  done
else
  echo "compute-sanitizer is not there"
fi
exit $failed
