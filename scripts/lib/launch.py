"""Start a stage again as several processes, one a GPU, by torchrun; over several nodes by srun and torchrun.

The processes meet at a port of the first node's that follows from the job's number. Global batch, schedule and order of
examples do not depend on how many there are (`trainer`).
"""

import os
import signal
import socket
import subprocess
import sys

LAUNCHED = "NOTECAST_LAUNCHED"  # in the environment of the processes that were started so
FIRST_PORT, PORTS = 29_500, 1_000


def command(gpus: int, nodes: int) -> list[str]:
    """This process's own command line, `gpus` times on each of the job's `nodes`."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={gpus}"]
    if nodes == 1:
        return [*torchrun, "--standalone", "--", *sys.argv]
    job = os.environ["SLURM_JOB_ID"]
    meet = f"{socket.gethostname()}:{FIRST_PORT + int(job) % PORTS}"
    # --overlap: the stage itself runs in a step that has the job's resources.
    srun = ["srun", "--overlap", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    where = [f"--nnodes={nodes}", f"--rdzv-id={job}", "--rdzv-backend=c10d", f"--rdzv-endpoint={meet}"]
    return [*srun, "--kill-on-bad-exit", *torchrun, *where, "--", *sys.argv]


def _environment() -> dict[str, str]:
    """This process's own, but for what its step of SLURM's was given: `srun` would take the step's one node for all."""
    of_step = [name for name in os.environ if name.startswith(("SLURM_", "SRUN_")) and name != "SLURM_JOB_ID"]
    return {name: value for name, value in os.environ.items() if name not in of_step} | {LAUNCHED: "1"}


def run(gpus: int, nodes: int) -> tuple[int, signal.Signals | None]:
    """(exit status of the launcher, the signal that this process was sent meanwhile and handed on)."""
    stopped: list[signal.Signals] = []
    with subprocess.Popen(command(gpus, nodes), env=_environment()) as launched:

        def forward(number: int, _: object) -> None:
            stopped.append(signal.Signals(number))
            launched.send_signal(signal.SIGTERM)  # torchrun hands on no other

        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, forward)
    return launched.returncode, stopped[0] if stopped else None
