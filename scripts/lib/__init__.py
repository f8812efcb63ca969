"""One module a concept. Scripts call these; nothing here reads the config file or knows Snakemake."""

import json
import os
from typing import Any

# Threads change floating-point results: BLAS and OpenMP get one, whatever the scheduler hands out.
# Stages that compute with more say so in their settings (`cpu_threads`).
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[_name] = "1"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
