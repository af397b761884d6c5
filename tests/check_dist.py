"""Check the packages in dist/: contents, and with --install a run in an empty environment without a network.

Used by `make dist` and `make test-dist`. It needs only Python.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
import zlib
from pathlib import Path

WHEEL_FILES = (
    *("vis_cli/app.py", "vis_cli/py.typed", "vis_cli/models/lite/weights.safetensors"),
    "vis_cli/models/picodet-s/detector.safetensors",
    *("vis_cli/sample_videos/cat.mp4", "vis_cli/sample_videos/launchpad.mp4"),  # they calibrate a network for int8
)
SDIST_FILES = ("pyproject.toml", "vis_cli/app.py", "models/lite/weights.safetensors", "LICENSE", "README.md")
MAX_MIB = 60
NUM_FRAMES, WIDTH, HEIGHT = 4, 160, 120
NO_NETWORK = ("unshare", "--map-root-user", "--net")  # only Linux has this command
CODE = "import vis_cli, vis_cli.zoo.folder as folder; print(vis_cli.__file__); print(folder.zoo_dir())"


def main() -> None:
    """Check the files in a folder, and exit with 1 if one of them is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--install", action="store_true", help="also install the wheel and segment a frame folder")
    args = parser.parse_args()
    (wheel,), (sdist,) = args.folder.glob("*.whl"), args.folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        require(file.namelist(), WHEEL_FILES, wheel)
    with tarfile.open(sdist) as archive:
        require([name.partition("/")[2] for name in archive.getnames()], SDIST_FILES, sdist)
    if args.install:
        with tempfile.TemporaryDirectory() as place:
            run_installed(wheel.resolve(), Path(place))


def require(names: list[str], needed: tuple[str, ...], package: Path) -> None:
    """Exit if a file is missing, if there are generated files, or if the package is too large."""
    missing = [name for name in needed if name not in names]
    generated = [name for name in names if "__pycache__" in name or "/.venv" in name or name.startswith("site/")]
    size = package.stat().st_size / 2**20
    if missing or generated or size > MAX_MIB:
        sys.exit(f"{package}: missing {missing}, generated {generated[:5]}, {size:.1f} MiB")
    sys.stdout.write(f"{package.name}: {len(names)} files, {size:.1f} MiB\n")


def run_installed(wheel: Path, place: Path) -> None:
    """Install the wheel in an empty environment and segment a frame folder there."""
    venv.create(place / "env", with_pip=True)
    python = place / "env/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, cwd=place)
    for index in range(NUM_FRAMES):
        write_png(place / "frames" / f"{index:05d}.png", index)
    environment = {"PATH": os.environ["PATH"], "HOME": str(place)}
    offline = NO_NETWORK if shutil.which(NO_NETWORK[0]) and can_unshare() else ()
    where = subprocess.run([python, "-c", CODE], check=True, cwd=place, env=environment, capture_output=True, text=True)
    if any(not line.startswith(str(place)) for line in where.stdout.splitlines()):
        sys.exit(f"not in the environment: {where.stdout}")
    command = [*offline, place / "env/bin/vis", "segment", "frames", "-o", "out"]
    subprocess.run(command, check=True, cwd=place, env=environment)
    result = json.loads((place / "out/frames.json").read_text(encoding="utf-8"))
    if (result["model"]["name"], result["video"]["num_frames"]) != ("lite", NUM_FRAMES):
        sys.exit(f"wrong result: {result['model']}, {result['video']}")
    if not (place / "out/frames.mp4").stat().st_size:
        sys.exit("the overlay video is empty")
    network = "without a network" if offline else "without a block of the network"
    sys.stdout.write(f"{wheel.name}: vis segment works in an empty environment, {network}\n")


def can_unshare() -> bool:
    """Return whether this user may run a process without a network."""
    return subprocess.run([*NO_NETWORK, "true"], check=False, capture_output=True).returncode == 0


def write_png(path: Path, shift: int) -> None:
    """Write a gradient with a bright square that moves by 4 pixels per frame."""
    path.parent.mkdir(exist_ok=True)
    rows = bytearray()
    for y in range(HEIGHT):
        rows.append(0)  # filter of the row
        for x in range(WIDTH):
            is_inside = 40 <= y < 80 and 40 + 4 * shift <= x < 80 + 4 * shift
            rows += bytes((230, 40, 40) if is_inside else (x, y, 90))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


if __name__ == "__main__":
    main()
