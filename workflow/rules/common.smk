# The configuration, checked; and what rules need to be told after a checkpoint.
# A config without a `source` overlays the demo's; one with a source stands alone.
if not Path("scripts/lib/plan.py").is_file():
    raise WorkflowError(
        "run snakemake from the repository's root: there is no scripts/ here"
    )
import os

# Of a scheduler's job: the copy that its head made.
sys.path.insert(0, str(Path(workflow.basedir).parent / "scripts"))

from lib import failures, slurm, standing_now
from lib.config import Config
from lib.config_errors import ConfigError, validated
from lib.plan import Plan
from lib.settling import Settling
from lib.submitted import Submitted, freeze, waited

if "source" not in config:

    configfile: "config/config.yaml"


os.umask(0o077)  # of the head too: folders, stamps and Snakemake's own records
try:
    plan = Plan(validated(Config, config), workflow.is_main_process)
    if workflow.is_main_process:
        plan.make_private()
        plan.describe_server()
        plan.list_exclusions()
        plan.keep_temporary_files()
        plan.noted = Submitted(Path(plan.private, "stamps", "submitted"), dict(config))
    else:
        plan.noted = waited()
except ConfigError as fault:
    alone = "\n(a file with a `source` stands alone; to overlay the demo's: --configfile config/config.yaml FILE)"
    raise WorkflowError(f"{fault}{'' if 'cohorts' in config else alone}") from None


# The first page of `snakemake --report` asks, when it is made: current code stands beside old results there. Not part of
# the configuration that is checked above and handed to jobs.
config["standing"] = lambda: standing_now.rst(plan)


# Jobs run this interpreter, offline, readable by their owner alone, with temporary files and caches in private.
shell.prefix(plan.environment())


onstart:
    frozen = freeze(Path(plan.private, "code"))
    shell.prefix(plan.environment(frozen))
    if not workflow.local_exec:
        executor = workflow.scheduler._executor
        executor.snakefile = str(frozen / "workflow" / "Snakefile")
        name = getattr(executor, "run_uuid", "")
        workflow.config_settings.configfiles = [plan.noted.start(name)]
        if left := slurm.cancel(plan.noted.orphans()):
            logger.info(
                f"Cancelled {left} jobs that an earlier snakemake, killed, had left in the queue."
            )


onerror:
    jobs = [
        job
        for one in workflow.scheduler.failed
        for job in getattr(one, "jobs", [one])
    ]
    told = [
        failures.Failed(job.rule.name, tuple(job.wildcards), str(job.log))
        for job in jobs
    ]
    said = "".join(Path(path).read_text(encoding="utf-8") for path in log)
    if told:
        logger.error("\n".join(["Failed:", *failures.lines(told, said)]))


settling = Settling(workflow, checkpoints)


def behind(checkpoint, files, **given):
    """Input function: `files` (a pattern, or a function of the wildcards) once every checkpoint before is settled.

    Early cut-off rests on it. While a checkpoint has to run, whatever stands behind it waits, and when it has run, is
    looked at again: only jobs whose inputs came out different are left. What asks for no checkpoint runs because its
    input was *planned* to be made again; and what has only an `ancient` input of a planned job is not looked at at
    all, whatever else has changed (DAG.update_needrun masks it). So all ask: for the demo's database where it is
    read, for `inventory` between the windows and the datasets, for `dataset` and `leakage` behind these; and for
    the checkpoints before that one, or what is cut off there is not looked at again.
    """

    def settled(wildcards):
        settling.ask(plan.checkpoints_before(checkpoint, wildcards))
        if callable(files):
            return files(wildcards)
        return plan.files(files, wildcards, **given)

    return settled
