#!/usr/bin/env bash
# Everything about the kernels and the trainer that needs an NVIDIA GPU: builds both libraries for the GPU at hand,
# compares bytes with the CPU's, lets compute-sanitizer look, measures, and trains.
#   bash tests/gpu/run_kernels.sh [FOLDER FOR THE FIGURES] [FOLDER OF WHEELS] [PART...]      PYTHON=python3 by default
# Parts: bytes speed sanitizer training; without any, all. They take up to ten minutes together, the build apart: where
# a command may take no longer, make two of it. Needs nvcc, cmake, and a python with torch and numpy; msgspec (and for
# whole trainings psutil, pillow and safetensors) may come from the second folder (wheels.sh says how it is filled).
set -uo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3} out=${1:-/tmp} wheels=${2:-} failed=0
shift $(($# > 2 ? 2 : $#))
parts=${*:-bytes speed sanitizer training}
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
scratch=$(mktemp -d)
build=$scratch/build
trap 'rm -rf "$scratch"' EXIT
. tests/gpu/wheels.sh
if [ -n "$wheels" ]; then use_wheels "$wheels" "$scratch/site" || exit 1; fi
mkdir -p "$out" "$build"
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv,noheader

cmake -S kernels -B "$build" -DPELLUCID_CUDA_ARCHITECTURES="${architecture:-90}-real" >"$build/log" 2>&1 &&
  cmake --build "$build" --parallel >>"$build/log" 2>&1 || { tail -30 "$build/log"; exit 1; }
# Where python finds them: beside kernels/*.py, taken away again at the end.
cp "$build"/libpellucid_*.so kernels/
trap 'rm -f kernels/libpellucid_cpu.so kernels/libpellucid_cuda.so; rm -rf "$scratch"' EXIT

wanted() { case " $parts " in *" $1 "*) echo "== $1" ;; *) return 1 ;; esac; }

if wanted bytes; then
  timeout 60 "$python" tests/gpu/check_kernels.py || failed=1
  if "$python" -c 'import pytest, hypothesis' 2>/dev/null; then
    # The project's own settings name plugins that such a machine does not have.
    timeout 60 "$python" -m pytest -c /dev/null --rootdir=. --import-mode=importlib -p no:cacheprovider -q \
      tests/gpu/test_kernels_gpu.py 2>&1 | tail -5
    [ "${PIPESTATUS[0]}" -eq 0 ] || failed=1
  fi
fi
if wanted speed; then
  timeout 150 "$python" tests/gpu/bench_kernels.py --seconds "${SECONDS_EACH:-2}" \
    --json "$out/bench_kernels.json" || failed=1
fi
if wanted sanitizer; then
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
  [ -n "$sanitizer" ] || echo "compute-sanitizer is not there"
  for tool in ${sanitizer:+memcheck racecheck initcheck synccheck}; do
    echo "= $tool"
    # torch's own pool hides what lies between two of its blocks.
    PYTORCH_NO_CUDA_MEMORY_CACHING=1 timeout 45 "$sanitizer" --tool "$tool" --error-exitcode 9 \
      "$python" tests/gpu/check_kernels.py --small 2>&1 | tail -4
    [ "${PIPESTATUS[0]}" -eq 0 ] || { echo "$tool: not clean, or could not run here"; failed=1; }
  done
fi
if wanted training; then
  timeout 180 "$python" tests/gpu/check_training.py --json "$out/check_training.json" || failed=1
fi
exit $failed
