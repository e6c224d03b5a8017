"""What tiles differ from the whole by: at our halo, and at those that other programs use for every model."""

from __future__ import annotations

from typing import Any

from engine.bench.nets import model_to_measure
from engine.runtime.choose import open_session
from engine.tiling.measure import CANDIDATES, LARGEST_ERROR, measure_cutting_errors

NETS = ("compact-16", "msrresnet-16", "srresnet", "rrdbnet-23", "shufflemixer", "latticenet", "swinir-78")


def bench_tiling(nets: list[str], out: Any) -> int:
    """One line a net: largest error in steps of 1/255, in fp32, for every halo."""
    rows = []
    kept = 0
    for net in nets or NETS:
        model, weights = model_to_measure(net)
        session = open_session(model, backend="openvino", precision="fp32")
        halos = tuple(sorted({*CANDIDATES, session.info.halo}))
        errors = measure_cutting_errors(session, halos)
        ours = errors[session.info.halo]
        kept += ours <= LARGEST_ERROR
        out.line(
            {
                "net": net,
                "weights": weights,
                "halo": session.info.halo,
                "error_steps": {str(halo): round(error * 255, 4) for halo, error in errors.items()},
            }
        )
        rows.append(
            [net, weights, session.info.halo, *(f"{errors[h] * 255:.3f}" for h in (0, 10, 16)), f"{ours * 255:.3f}"]
        )
        session.close()
    out.say("Largest difference between tiles and the whole picture, in steps of 1/255, fp32:")
    out.table(rows, ["net", "weights", "our halo", "0 px", "10 px", "16 px", "ours"])
    out.line({"nets": len(rows), "within_one_step": kept})
    return 0
