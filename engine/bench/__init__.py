"""`pellucid bench`: speed, memory and seams, measured here and now, beside what other programs do."""

from __future__ import annotations

import argparse
from typing import Any

from engine.degrade.bench import add_degrade_bench_parser


def add_bench_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("bench", help="measure speed, memory and seams on this machine")
    kinds = parser.add_subparsers(metavar="WHAT", required=True)
    _add_tiling(kinds)
    _add_cpu(kinds)
    _add_files(kinds)
    _add_memory(kinds)
    add_degrade_bench_parser(kinds)


def _add_tiling(kinds: Any) -> None:
    parser = kinds.add_parser("tiling", help="the error of tiles against the whole, for our halos and other programs'")
    parser.add_argument("--net", action="append", metavar="ID", help="an architecture preset; may be repeated")
    parser.set_defaults(run=_run_tiling)


def _add_cpu(kinds: Any) -> None:
    parser = kinds.add_parser("cpu", help="our speed against torch, ONNX Runtime and ncnn on the same net and tile")
    parser.add_argument("--net", action="append", metavar="ID", help="an architecture preset; may be repeated")
    parser.add_argument("--tile", type=int, default=128, help="side of the tile in pixels (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: %(default)s)")
    parser.add_argument("--picture", type=float, default=1.0, help="megapixels of the whole-picture part, 0: none")
    parser.set_defaults(run=_run_cpu)


def _add_files(kinds: Any) -> None:
    parser = kinds.add_parser("files", help="a batch of files, decoded and encoded, against other programs' way")
    parser.add_argument("--net", action="append", metavar="ID", help="an architecture preset; may be repeated")
    parser.add_argument("--count", type=int, default=4, help="pictures in the batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default: %(default)s)")
    parser.set_defaults(run=_run_files)


def _add_memory(kinds: Any) -> None:
    parser = kinds.add_parser("memory", help="peak memory of large results above that of the loaded model")
    parser.add_argument(
        "--net", default="compact-16", metavar="ID", help="an architecture preset (default: %(default)s)"
    )
    parser.add_argument("--side", type=int, default=10_000, help="side of the result in pixels (default: %(default)s)")
    parser.add_argument("--cap", type=int, default=0, metavar="MB", help="address space the process may take, 0: any")
    parser.add_argument("--format", default="", help="also write the result in this format, for instance png")
    parser.set_defaults(run=_run_memory)


def _run_tiling(args: argparse.Namespace, out: Any) -> int:
    from engine.bench.seams import bench_tiling

    return bench_tiling(args.net or [], out)


def _run_cpu(args: argparse.Namespace, out: Any) -> int:
    from engine.bench.speed import bench_cpu

    return bench_cpu(args.net or [], args.tile, args.rounds, args.picture, out)


def _run_files(args: argparse.Namespace, out: Any) -> int:
    from engine.bench.files import bench_files

    return bench_files(args.net or ["compact-16"], args.count, args.rounds, out)


def _run_memory(args: argparse.Namespace, out: Any) -> int:
    from engine.bench.peak import bench_memory

    return bench_memory(args.net, args.side, args.cap, args.format, out)
