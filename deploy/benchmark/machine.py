"""What the bench ran on: figures of one machine say nothing about another."""

import os
import platform
from importlib.metadata import version

LIBRARIES = ("chdb", "aiokafka", "faust-streaming", "pyarrow", "numpy")


def machine() -> dict[str, object]:
    """Say what this machine is; the load average tells what else it is doing."""
    return {
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "load_average_before": round(os.getloadavg()[0], 2),
    }
