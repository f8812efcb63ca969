"""What a training used of its machine: for the log, at the end. Nothing of it is in an output.

A GPU is asked through nvidia-smi, one sample with each line of progress; without one there is the process's memory.
"""

import resource
import subprocess
import time

from lib import devices

QUERY = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]


class Usage:
    """Samples since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy: list[float] = []
        self._memory = 0.0

    def sample(self) -> None:
        """Look at the devices that are this process's."""
        if not (mine := devices.visible()):
            return
        try:
            query = [*QUERY, f"--id={','.join(mine)}"]
            said = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
            rows = [[float(value) for value in line.split(",")] for line in said.splitlines() if line.strip()]
        except (OSError, ValueError, subprocess.SubprocessError):
            return
        self._busy += [busy for busy, _ in rows]
        self._memory = max([self._memory, *(memory for _, memory in rows)])

    def line(self) -> str:
        """One line for the log: minutes, memory, and how busy the GPUs were, on the average."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        parts = [f"{(time.monotonic() - self._began) / 60:.1f} min", f"peak memory of the process {peak:,.0f} MB"]
        if self._busy:
            parts.append(f"of a GPU {self._memory:,.0f} MB")
            parts.append(f"GPU busy {sum(self._busy) / len(self._busy):.0f} %")
        return ", ".join(parts)
