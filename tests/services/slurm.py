"""A SLURM of the tests' own on this machine: accounting, a GPU, the partitions cpu, gpu, datamover, and urgent, which
takes its nodes from the others; and pair, with a second node.

A node claims more than the machine has, and its GPU is /dev/null: a job that asks for it sees CUDA_VISIBLE_DEVICES=0.
Everything listens on loopback and lies in a folder of its own, but for /etc/slurm: inside a job `srun` looks for its
configuration there alone. So it needs root, and a machine that has no SLURM configured; what it wrote is removed.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import daemon

ETC = Path("/etc/slurm")
MARK = "# of notecast's tests, removed when they end\n"
ACCOUNT, CPUS, MEMORY_MB = "research", 32, 512_000
PROGRAMS = {
    "munged": "munge",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "slurmdbd": "slurmdbd",
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "sacctmgr": "slurm-wlm",
    "sbatch": "slurm-wlm",
}

DATABASE = """
[mariadbd]
datadir = {folder}/database
socket = {folder}/database/socket
pid-file = {folder}/database/pid
bind-address = 127.0.0.1
port = {database}
init-file = {folder}/users.sql
innodb_flush_log_at_trx_commit = 0
innodb_lock_wait_timeout = 900
"""
USERS = "CREATE USER slurm@localhost;\nGRANT ALL ON slurm_acct.* TO slurm@localhost;\n"
ACCOUNTING = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StorageLoc=slurm_acct
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""
# KillWait: what a job has between the signal of its time limit and the kill. Memory is looked at once a second.
CLUSTER = """
ClusterName=local
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=5
OverTimeLimit=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
AccountingStoragePort={accounting}
AccountingStoragePass={folder}/munge/socket
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
NodeName=DEFAULT CPUs={cpus} Boards=1 SocketsPerBoard=1 CoresPerSocket={cpus} \
ThreadsPerCore=1 RealMemory={memory} Gres=gpu:1 State=UNKNOWN
NodeName={host} NodeHostname={host} NodeAddr=127.0.0.1 Port={node}
NodeName=second NodeHostname={host} NodeAddr=127.0.0.1 Port={second}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
PartitionName=datamover Nodes={host} MaxTime=INFINITE State=UP
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=100
PartitionName=pair Nodes={host},second MaxTime=INFINITE State=UP
"""


class Slurm:
    """The running cluster; `stop_node` and `start_node` take its one node away and give it back. Call `end`."""

    def __init__(self) -> None:
        self._programs = {name: daemon.program(name, package) for name, package in PROGRAMS.items()}
        if os.getuid():
            pytest.skip(f"SLURM's tests write {ETC}: run them as root")
        if any(path.exists() and not path.read_text(encoding="utf-8").startswith(MARK) for path in self._written()):
            pytest.skip(f"this machine has a SLURM of its own, configured in {ETC}")
        if any(daemon.answers(int(port)) for port in self._ports_left()):
            pytest.skip("another test run has its SLURM on this machine")
        self.folder = daemon.folder()
        self.folder.chmod(0o755)
        self.host = socket.gethostname().split(".")[0]
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self._configure()
            self._start_all()
        except BaseException:
            self.end()
            raise

    def call(self, *command: str, check: bool = True) -> str:
        """What a command of SLURM's says."""
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def jobs(self, fields: str = "%i|%t|%P|%k", *options: str) -> list[list[str]]:
        """The jobs in the queue: id, state in short, partition, and the comment, which names rule and wildcards."""
        listed = self.call("squeue", "--noheader", "--format", fields, *options)
        return [line.split("|") for line in listed.splitlines()]

    def ended(self, fields: str = "JobID,State,Partition,Comment,AllocTRES") -> list[dict[str, str]]:
        """The jobs that accounting knows, by field, without their steps."""
        listed = self.call("sacct", "--noheader", "--parsable2", "--allocations", "--format", fields)
        names = fields.split(",")
        return [dict(zip(names, line.split("|"), strict=True)) for line in listed.splitlines()]

    def partition(self, name: str, state: str) -> None:
        """State DOWN: jobs of the partition wait. UP: they run."""
        self.call("scontrol", "update", f"PartitionName={name}", f"State={state}")

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Until `ready`; fails when the controller has ended, or after so many seconds."""
        assert daemon.wait_until(ready, self._servers["slurmctld"], seconds), "slurmctld has ended"

    def stop_node(self) -> None:
        """As a node that crashes: slurmd and what it had started are gone at once."""
        daemon.end(self._servers.pop("slurmd"), signal.SIGKILL)
        for process in _of_steps():
            os.kill(process, signal.SIGKILL)

    def start_node(self) -> None:
        self._start("slurmd", "-D", "-N", self.host)
        self.wait_until(lambda: self.state_of_node().startswith("idle"))

    def state_of_node(self) -> str:
        return self.call("sinfo", "--noheader", f"--nodes={self.host}", "--partition=gpu", "--format=%T", check=False)

    @contextmanager
    def second_node(self) -> Iterator[None]:
        """The partition pair has both nodes for as long as this lasts."""
        self._start("slurmd", "-D", "-N", "second", name="second")
        try:
            idle = ("sinfo", "--noheader", "--partition=pair", "--states=idle", "--format=%D")
            self.wait_until(lambda: self.call(*idle, check=False) == "2")
            yield
        finally:
            daemon.end(self._servers.pop("second"))

    def end(self) -> None:
        """Cancel all jobs, end all servers in the other order, remove what was written."""
        if "slurmd" in self._servers:
            self.call("scancel", "--quiet", "--user", "root", check=False)
            deadline = time.monotonic() + 20
            while self.call("squeue", "--noheader", check=False) and time.monotonic() < deadline:
                time.sleep(0.1)
        for server in reversed(self._servers.values()):
            daemon.end(server)
        for path in self._written():
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    @staticmethod
    def _written() -> list[Path]:
        return [ETC / name for name in ("slurm.conf", "slurmdbd.conf", "gres.conf", "cgroup.conf")]

    @staticmethod
    def _ports_left() -> list[str]:
        """The controller's port in a configuration that an earlier test run left: it was killed, or goes on."""
        path = ETC / "slurm.conf"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line.partition("=")[2] for line in lines if line.startswith("SlurmctldPort=")]

    def _configure(self) -> None:
        ports = {name: daemon.free_port() for name in ("database", "accounting", "controller", "node", "second")}
        given = {"folder": self.folder, "host": self.host, "cpus": CPUS, "memory": MEMORY_MB, **ports}
        ETC.mkdir(exist_ok=True)
        files = {
            "slurm.conf": CLUSTER,
            "slurmdbd.conf": ACCOUNTING,
            "gres.conf": "NodeName={host},second Name=gpu File=/dev/null\n",
            "cgroup.conf": "CgroupAutomount=no\n",
        }
        for name, text in files.items():
            (ETC / name).write_text(MARK + text.format(**given), encoding="utf-8")
            (ETC / name).chmod(0o600 if name == "slurmdbd.conf" else 0o644)
        (self.folder / "database.cnf").write_text(DATABASE.format(**given), encoding="utf-8")
        (self.folder / "users.sql").write_text(USERS, encoding="utf-8")
        for name, owner in (("munge", "munge"), ("database", "mysql"), ("state", "root"), ("spool", "root")):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, owner, owner)
        (self.folder / "munge" / "key").write_bytes(os.urandom(128))
        (self.folder / "munge" / "key").chmod(0o400)
        shutil.chown(self.folder / "munge" / "key", "munge", "munge")
        self._accounting_port = ports["accounting"]

    def _start_all(self) -> None:
        munge, settings = self.folder / "munge", f"--defaults-file={self.folder}/database.cnf"
        keep = [f"--{name}-file={munge}/{name}" for name in ("key", "pid", "seed", "log")]
        self._start("munged", "--foreground", f"--socket={munge}/socket", *keep, user="munge")
        self._wait("munged", (munge / "socket").exists)
        create = [self._programs["mariadb-install-db"], settings, "--user=mysql", "--skip-test-db"]
        done = subprocess.run(create, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        self._start("mariadbd", settings, user="mysql")
        self._wait("mariadbd", (self.folder / "database" / "socket").exists)
        self._start("slurmdbd", "-D")
        self._wait("slurmdbd", lambda: daemon.answers(self._accounting_port))
        manage = [self._programs["sacctmgr"], "--immediate", "--quiet", "add"]
        for what in (["cluster", "local"], ["account", ACCOUNT], ["user", "root", f"account={ACCOUNT}"]):
            self.call(*manage, *what)
        self._start("slurmctld", "-D")
        self.start_node()

    def _start(self, program: str, *options: str, user: str | None = None, name: str | None = None) -> None:
        command, log = [self._programs[program], *options], self.folder / f"{name or program}.said"
        self._servers[name or program] = daemon.start(command, {}, log, user, orphaned=signal.SIGKILL)

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        said = self.folder / f"{name}.said"
        assert daemon.wait_until(ready, self._servers[name]), f"{name}: {said.read_text(encoding='utf-8')}"


def _of_steps() -> list[int]:
    """Process ids of SLURM's step managers and of all below them."""
    parents: dict[int, int] = {}
    steps = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, rest = (entry / "stat").read_text().rpartition(")")[::2]
            except OSError:  # it has ended
                continue
            parents[int(entry.name)] = int(rest.split()[1])
            if name.endswith("(slurmstepd"):
                steps.append(int(entry.name))
    found = set(steps)
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)
