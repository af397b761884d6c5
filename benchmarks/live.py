"""Measure the delay and the dropped frames of `vis segment --live` for a clip that ffmpeg serves in real time.

ffmpeg repeats the clip and sends it as MPEG-TS over UDP on this machine. All other options are passed to `vis segment`.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 300.0  # maximum time until `vis` has loaded the model and reads the stream
POLL_SECONDS = 0.2
MIB = 2**20


def main() -> None:
    """Serve the clip, segment it, and print the measurements as JSON."""
    args, options = parse_args()
    if args.cores is not None:
        os.sched_setaffinity(0, range(args.cores))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = encode_clip(args.video, folder / "clip.ts", args.seconds)
        print(json.dumps(measure(clip, folder, options), indent=2))


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    """Parse the command line. Return the options of this script and those of `vis segment`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path, default=ROOT / "sample_videos/launchpad.mp4", help="clip to repeat")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the served stream")
    parser.add_argument("--cores", type=int, help="number of CPU cores for ffmpeg and vis (Linux)")
    return parser.parse_known_args()


def encode_clip(video: Path, clip: Path, seconds: float) -> Path:
    """Write the stream that ffmpeg serves: the video repeated up to a length, so that serving needs no encoder."""
    codec = ("-an", "-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "0", "-pix_fmt", "yuv420p")
    command = ("ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(video), "-t", str(seconds), *codec, str(clip))
    subprocess.run(command, check=True)
    return clip


def measure(clip: Path, folder: Path, options: list[str]) -> dict[str, Any]:
    """Segment the clip while it is served.

    Args:
        clip: MPEG-TS file.
        folder: Folder for the results.
        options: Further options of `vis segment`.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"udp://127.0.0.1:{port}"
    vis = [sys.executable, "-m", "vis_cli", "segment", address, "--live", "-o", str(folder / "out"), *options]
    with subprocess.Popen(vis, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        wait_for_port(port, process)
        memory: list[int] = []
        threading.Thread(target=watch_memory, args=(process, memory), daemon=True).start()
        serve = ("ffmpeg", "-v", "error", "-re", "-i", str(clip), "-c", "copy", "-f", "mpegts")
        subprocess.run((*serve, f"{address}?pkt_size=1316"), check=True)
        messages = process.stderr.read()  # `vis` stops 10 s after the end of the stream
    (lines_path,) = (folder / "out").glob("*.jsonl")
    lines = [json.loads(line) for line in lines_path.read_text(encoding="utf-8").splitlines()]
    return {
        **summarize(lines),
        "peak_mib": max(memory, default=0) / MIB,
        "exit_code": process.returncode,
        "messages": messages.splitlines(),
        "options": options,
    }


def summarize(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the number of frames and the delays of the lines of NAME.jsonl."""
    delays = sorted(line["delay"] for line in lines)
    num_frames = lines[-1]["frame"] + 1
    return {
        "seconds": lines[-1]["timestamp"],
        "frames": num_frames,
        "segmented": len(lines),
        "dropped": num_frames - len(lines),
        "drop_rate": 1 - len(lines) / num_frames,
        "delay_mean": statistics.fmean(delays),
        "delay_median": statistics.median(delays),
        "delay_max": delays[-1],
        "instances": len({instance["id"] for line in lines for instance in line["instances"]}),
    }


def wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until `vis` receives on a UDP port, so that the start of the stream is not lost."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(POLL_SECONDS)
    sys.exit(f"vis does not receive on port {port}")


def watch_memory(process: subprocess.Popen[str], memory: list[int]) -> None:
    """Record the resident memory of a process in bytes until it ends. This needs Linux."""
    path = Path(f"/proc/{process.pid}/statm")
    while process.poll() is None and path.exists():
        try:
            memory.append(int(path.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        except (OSError, IndexError):
            return
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
