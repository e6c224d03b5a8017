# Sourced by the run_*.sh beside it: what a machine without a network lacks comes from a folder of wheels.
#   pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
#     --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d wheels msgspec platformdirs psutil
# fills one on a machine with a network.

# use_wheels FOLDER PLACE: install into PLACE, and let $python find it there, what the machine has not itself. Another
# numpy or torch than its own would be a surprise.
use_wheels() {
  local wheel name
  for wheel in "$1"/*.whl; do
    name=$(basename "$wheel" | cut -d- -f1)
    "$python" -m pip show -q "$name" >/dev/null 2>&1 && continue
    "$python" -m pip install -q --no-index --no-deps --no-compile --target "$2" "$wheel" || return 1
  done
  export PYTHONPATH=$2${PYTHONPATH:+:$PYTHONPATH}
}
